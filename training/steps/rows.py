"""The rows of a dataset version as training sees them: once each, dealt to their side, typed as the ONNX file's."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from penstock.check import TYPES
from penstock.contract import Contract
from penstock.dataset import sides
from penstock.signature import Class, Columns, Value
from penstock.spec import Split
from training.steps.container import StepError


@dataclass(frozen=True)
class Rows:
    """Rows of one side."""

    table: pl.DataFrame
    """Features and target: text never null ("" is missing), numbers as Float32 (null is missing)."""
    contract: Contract

    def columns(self) -> Columns:
        """The features as `scoring.Model.score` takes them."""
        return {column.name: self.table[column.name].to_list() for column in self.contract.features}

    def truth(self) -> list[Class]:
        """The target's values."""
        return self.table[self.contract.target.name].to_list()

    def instances(self, count: int) -> list[dict[str, Value]]:
        """The first rows as a request has them; missing values are left out."""
        columns = [pl.col(column.name).cast(TYPES[column.type]) for column in self.contract.features]
        rows = self.table.head(count).select(columns).to_dicts()
        return [{name: value for name, value in row.items() if value not in (None, "")} for row in rows]


def read_sides(folder: Path, parts: list[str], contract: Contract, split: Split) -> dict[str, Rows]:
    """The dataset's rows by side (`train`, `validation`, `holdout`).

    Where a row key comes twice, the row of the later part stands.

    Raises:
        StepError: a part that is not in the channel, or a side without rows.
    """
    paths = [folder / f"{part}.parquet" for part in parts]
    if missing := [path.name for path in paths if not path.exists()]:
        raise StepError(f"the channel lacks the part {missing[0]}")
    table = pl.concat([pl.read_parquet(path) for path in paths], how="diagonal")
    table = table.unique(subset=[contract.key.name], keep="last", maintain_order=True)
    dealt = table.with_columns(pl.Series("_side", sides(table[contract.key.name].cast(pl.String).to_list(), split)))
    found = {
        name: Rows(_as_scored(dealt.filter(pl.col("_side") == name), contract), contract)
        for name in ("train", "validation", "holdout")
    }
    if empty := [name for name, rows in found.items() if not rows.table.height]:
        raise StepError(f"{table.height} rows leave the {empty[0]} side empty: more data, or another split, is needed")
    return found


def _as_scored(table: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    features = [
        pl.col(column.name).cast(pl.Float32) if column.numeric else pl.col(column.name).fill_null("")
        for column in contract.features
    ]
    return table.select(*features, contract.target.name)
