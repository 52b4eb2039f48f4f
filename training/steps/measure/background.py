"""The background of explanations: usual values of each feature, computed column by column from the training rows.

Real rows would be personal data in every model file, visible to callers through explanations, and erasure could not
remove them from a file whose digest is registered. So no row is stored: a number is the mean of a share of the sorted
column (microaggregation), a category is one that many rows have, and the values are combined at random. A personal
column has one neutral value.
"""

from collections.abc import Sequence
from typing import cast

import msgspec
import numpy as np
import polars as pl

from penstock.api.explain import Background, Explainer
from penstock.contract.model import Column
from penstock.scoring.model import Model
from penstock.scoring.signature import Value
from penstock.spec.operations import Explaining
from training.steps.data.container import StepError
from training.steps.data.rows import Rows
from training.steps.measure.golden_examples import neutral

MOST, FEWEST = 16, 10
"""Most background rows, and least training rows for each of their values."""
SEED = 7


def entry(train: Rows, options: Explaining | None) -> str:
    """Return the metadata entry for explanations; empty without `serving.explain`."""
    if options is None:
        return ""
    count = max(1, min(MOST, train.table.height // FEWEST))
    random = np.random.default_rng(SEED)
    usual_values = {column.name: usual_column(column, train, count) for column in train.contract.features}
    columns = {name: [values[place] for place in random.permutation(count)] for name, values in usual_values.items()}
    return msgspec.json.encode(Background(columns, options.max_rows, options.scorings)).decode()


def usual_column(column: Column, train: Rows, count: int) -> list[Value]:
    """Return usual values of a column, each for an equal share of the rows and for at least `FEWEST` rows.

    Missing values have their share, unless the column is required; without a usual value it is neutral.
    """
    absent = neutral(column, train) if column.required else None
    if column.personal:
        return [absent] * count
    present = _present(train.table[column.name])
    missing = 0 if column.required else train.table.height - len(present)
    places = min(apportion([len(present), missing], count)[0], len(present) // FEWEST)
    values = _values(column, present, places)
    return [*values, *[absent] * (count - len(values))]


def apportion(rows: Sequence[int], places: int) -> list[int]:
    """Apportion places to groups of rows by largest remainder; the first of equals wins."""
    total = sum(rows) or 1
    shares = [number * places // total for number in rows]
    by_remainder = sorted(range(len(rows)), key=lambda index: -(rows[index] * places % total))
    for index in by_remainder[: places - sum(shares)]:
        shares[index] += 1
    return shares


def try_out(model: Model, rows: Rows) -> None:
    """Explain one row as a request would, to find out at training time whether it works.

    Raises:
        StepError: the score of usual values is not finite.
    """
    columns = {name: values[:1] for name, values in rows.columns().items()}
    [score] = model.score(columns).tolist()
    explanation = Explainer(model).of(model.feeds.of_columns(columns), model.prediction(score))
    if not np.isfinite([explanation["base"], *explanation["contributions"].values()]).all():
        mend = "let `fit` take every value that the contract allows, or take `explain` out of model.yaml"
        raise StepError(f"scores cannot be explained, usual values side by side have no finite score: {mend}")


def _present(values: pl.Series) -> pl.Series:
    values_present = values.drop_nulls()
    return (
        values_present.filter(values_present != "")
        if values_present.dtype == pl.String
        else values_present.filter(values_present.is_finite())
    )


def _values(column: Column, present: pl.Series, places: int) -> list[Value]:
    """Return one value per place, or none if no category is common."""
    if column.type in {"integer", "number"} and not column.allowed:
        return [_typed(column, mean) for mean in _means(present, places)]
    common = _common(present)
    shares = apportion([number for _, number in common], places) if common else []
    return [_typed(column, value) for (value, _), share in zip(common, shares, strict=True) for _ in range(share)]


def _means(present: pl.Series, places: int) -> list[float]:
    """Return the mean of each share of the sorted values."""
    if not places:
        return []
    return [float(part.mean()) for part in np.array_split(np.sort(present.to_numpy().astype(np.float64)), places)]


def _common(present: pl.Series) -> list[tuple[str | float, int]]:
    """Return the values that enough rows have, the most frequent first."""
    counts = present.value_counts(name="rows").filter(pl.col("rows") >= FEWEST)
    rows = cast("list[tuple[str | float, int]]", counts.rows())
    return sorted(rows, key=lambda pair: (-pair[1], pair[0]))


def _typed(column: Column, value: str | float) -> Value:
    if column.type == "boolean":
        return bool(value)
    return round(float(value)) if column.type == "integer" else value
