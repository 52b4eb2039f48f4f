"""Read the rows of a dataset version for training: unique by key, split into sides, typed as the ONNX inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from penstock.contract.casting import TYPES
from penstock.contract.model import Contract
from penstock.datasets.split import Side, sides, sides_by_time
from penstock.scoring.signature import Class, Columns, Value
from penstock.spec.model import Split
from training.steps.data.container import StepError


@dataclass(frozen=True)
class Rows:
    """The rows of one side."""

    table: pl.DataFrame
    """Features and target: text never null ("" is missing), numbers as Float32 (null is missing)."""
    contract: Contract

    def columns(self) -> Columns:
        """Return the features in the form of `scoring.Model.score`."""
        return {column.name: self.table[column.name].to_list() for column in self.contract.features}

    def features(self) -> pl.DataFrame:
        """Return the features alone, as `fit` received them."""
        return self.table.select([column.name for column in self.contract.features])

    def truth(self) -> list[Class]:
        """Return the target's values."""
        return self.table[self.contract.target.name].to_list()

    def instances(self, count: int) -> list[dict[str, Value]]:
        """Return the first rows in the form of a request, without missing values."""
        columns = [pl.col(column.name).cast(TYPES[column.type]) for column in self.contract.features]
        rows = self.table.head(count).select(columns).to_dicts()
        return [{name: value for name, value in row.items() if value not in (None, "")} for row in rows]


def read_sides(
    folder: Path, parts: list[str], contract: Contract, split: Split, cut: Mapping[str, int] | None = None
) -> dict[str, Rows]:
    """Read the dataset's rows by side (`train`, `validation`, `holdout`).

    If a row key occurs twice, the row of the later part is used.

    Args:
        folder: the parts' folder.
        parts: their names, in the manifest's order.
        contract: the model's contract.
        split: the model's split.
        cut: the dataset version's boundaries (`penstock.datasets.version.Dataset.cut`).

    Raises:
        StepError: a part is not in the channel, or a side has no rows.
    """
    paths = [folder / f"{part}.parquet" for part in parts]
    if missing := [path.name for path in paths if not path.exists()]:
        raise StepError(f"the channel lacks the part {missing[0]}")
    all_rows = pl.concat([pl.read_parquet(path) for path in paths], how="diagonal")
    table = all_rows.unique(subset=[contract.key.name], keep="last", maintain_order=True)
    table = _in_window(table, contract, (cut or {}).get("since"))
    with_side = table.with_columns(pl.Series("_side", _sides(table, all_rows, contract, split, cut or {}), pl.String))
    result = {
        name: Rows(_typed_as_scored(with_side.filter(pl.col("_side") == name), contract), contract)
        for name in ("train", "validation", "holdout")
    }
    if empty := [name for name, rows in result.items() if not rows.table.height]:
        raise StepError(f"{table.height} rows leave the {empty[0]} side empty: more data, or another split, is needed")
    return result


def _sides(
    table: pl.DataFrame, all_rows: pl.DataFrame, contract: Contract, split: Split, cut: Mapping[str, int]
) -> list[Side]:
    if split.by == "key":
        return sides(table[contract.key.name].cast(pl.String).to_list(), split)
    if "holdout_from" not in cut:
        raise StepError("the run's request has no boundary for a split by time: start a run with `penstock retrain`")
    # By the earliest time of a key: a row that was corrected to a later time may have been trained on before.
    first = all_rows.group_by(contract.key.name).agg(_time(contract).min().alias("_first"))
    times = table.select(contract.key.name).join(first, on=contract.key.name, how="left", maintain_order="left")
    return sides_by_time(times["_first"].to_list(), split, cut["holdout_from"])


def _in_window(table: pl.DataFrame, contract: Contract, since: int | None) -> pl.DataFrame:
    """Keep the rows of a window of days; drop older ones and those without an event time."""
    return table if since is None else table.filter(_time(contract) >= since)


def _time(contract: Contract) -> pl.Expr:
    """Return the event time in µs since 1970."""
    if contract.event_time is None:
        raise StepError("a split or window by time needs a column with the role event_time in contract.yaml")
    return pl.col(contract.event_time.name).cast(pl.Datetime("us")).dt.epoch("us")


def _typed_as_scored(table: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    features = [
        pl.col(column.name).cast(pl.Float32) if column.numeric else pl.col(column.name).fill_null("")
        for column in contract.features
    ]
    return table.select(*features, contract.target.name)
