"""What an explained row is held against: usual values of each feature, made column by column of the training rows.

Rows of the data would be rows of persons, kept in every model file and, answer by answer, shown to callers; forgetting
could not take them out of a file whose digest is registered. So none is kept: a number is the mean of a share of the
sorted column (microaggregation), a category one that many rows have, and which values stand side by side is drawn.
A personal column has one neutral value.
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
from penstock.spec.explain import Explaining
from training.steps.data.container import StepError
from training.steps.data.rows import Rows
from training.steps.measure.golden_examples import neutral

MOST, FEWEST = 16, 10
"""Background rows; and training rows that each of their values stands for."""
SEED = 7


def entry(train: Rows, asked: Explaining | None) -> str:
    """The metadata that makes a file explain; nothing where that is not asked for."""
    if asked is None:
        return ""
    count = max(1, min(MOST, train.table.height // FEWEST))
    random = np.random.default_rng(SEED)
    columns = {column.name: usual(column, train, count) for column in train.contract.features}
    drawn = {name: [values[place] for place in random.permutation(count)] for name, values in columns.items()}
    return msgspec.json.encode(Background(drawn, asked.max_rows, asked.scorings)).decode()


def usual(column: Column, train: Rows, count: int) -> list[Value]:
    """So many values of a column, each standing for as large a share of the rows, and for `FEWEST` at least.

    Missing values have their share, where the column may miss any; what has no usual value is neutral.
    """
    absent = neutral(column, train) if column.required else None
    if column.personal:
        return [absent] * count
    present = _present(train.table[column.name])
    missing = 0 if column.required else train.table.height - len(present)
    places = min(apportioned([len(present), missing], count)[0], len(present) // FEWEST)
    found = _values(column, present, places)
    return [*found, *[absent] * (count - len(found))]


def apportioned(rows: Sequence[int], places: int) -> list[int]:
    """Places in proportion to rows, by largest remainder; of equals the first."""
    total = sum(rows) or 1
    whole = [number * places // total for number in rows]
    rest = sorted(range(len(rows)), key=lambda index: -(rows[index] * places % total))
    for index in rest[: places - sum(whole)]:
        whole[index] += 1
    return whole


def try_out(model: Model, rows: Rows) -> None:
    """Explain a row as a request will have it.

    Raises:
        StepError: the file has no finite score of usual values.
    """
    columns = {name: values[:1] for name, values in rows.columns().items()}
    [score] = model.score(columns).tolist()
    found = Explainer(model).of(model.feeds.of_columns(columns), model.prediction(score))
    if not np.isfinite([found["base"], *found["contributions"].values()]).all():
        mend = "let `fit` take every value that the contract allows, or take `explain` out of model.yaml"
        raise StepError(f"scores cannot be explained, usual values side by side have no finite score: {mend}")


def _present(values: pl.Series) -> pl.Series:
    known = values.drop_nulls()
    return known.filter(known != "") if known.dtype == pl.String else known.filter(known.is_finite())


def _values(column: Column, present: pl.Series, places: int) -> list[Value]:
    """As many as there are places, or none where no category is common."""
    if column.type in {"integer", "number"} and not column.allowed:
        return [_typed(column, mean) for mean in _means(present, places)]
    common = _common(present)
    shares = apportioned([number for _, number in common], places) if common else []
    return [_typed(column, value) for (value, _), share in zip(common, shares, strict=True) for _ in range(share)]


def _means(present: pl.Series, places: int) -> list[float]:
    """Of the shares of the sorted values."""
    if not places:
        return []
    return [float(part.mean()) for part in np.array_split(np.sort(present.to_numpy().astype(np.float64)), places)]


def _common(present: pl.Series) -> list[tuple[str | float, int]]:
    """Values that enough rows have, the most frequent first."""
    counts = present.value_counts(name="rows").filter(pl.col("rows") >= FEWEST)
    found = cast("list[tuple[str | float, int]]", counts.rows())
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _typed(column: Column, value: str | float) -> Value:
    if column.type == "boolean":
        return bool(value)
    return round(float(value)) if column.type == "integer" else value
