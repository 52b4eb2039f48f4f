"""Split rows into slices by a column: by its values, or by the quartiles of a number.

Separate from `slices`, which imports scikit-learn: the monitor uses the same rules without it.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
MISSING, REST = "missing", "other values"


def parts(values: Sequence[Any], min_rows: int) -> Iterator[tuple[str, Mask]]:
    """Yield a column's slices as name and mask; every row is in exactly one."""
    present = [value for value in values if value not in (None, "")]
    missing = np.array([value in (None, "") for value in values], dtype=bool)
    if present and not isinstance(present[0], str | bool) and len(set(present)) > 4:
        yield from _by_quartiles(np.array([np.nan if value is None else value for value in values], dtype=np.float64))
    else:
        texts = np.array([str(_without_point(value)) for value in values], dtype=object)
        yield from _by_value(texts, missing, min_rows)
    if missing.any():
        yield MISSING, missing


def _by_quartiles(numbers: npt.NDArray[np.float64]) -> Iterator[tuple[str, Mask]]:
    ends = np.unique(np.nanquantile(numbers, [0.25, 0.5, 0.75]))
    yield f"≤ {ends[0]:g}", numbers <= ends[0]
    for low, high in itertools.pairwise(ends):
        yield f"> {low:g}, ≤ {high:g}", (numbers > low) & (numbers <= high)
    if (numbers > ends[-1]).any():
        yield f"> {ends[-1]:g}", numbers > ends[-1]


def _by_value(texts: npt.NDArray[np.object_], missing: Mask, min_rows: int) -> Iterator[tuple[str, Mask]]:
    distinct, counts = np.unique(texts[~missing].astype(str), return_counts=True)
    frequent = distinct[counts >= min_rows]
    for value in frequent:
        yield str(value), (texts == value) & ~missing
    rest = ~missing & ~np.isin(texts.astype(str), frequent)
    if rest.any():
        yield REST, rest


def _without_point(value: Any) -> Any:
    """Return a whole number without `.0`: training has integers and booleans as float32."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
