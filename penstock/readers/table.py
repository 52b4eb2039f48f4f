"""What every format of file is as a table, and the bounds that all of them keep."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

BATCH = 250_000
"""Rows of a batch at most."""
CELLS = 5_000_000
"""Cells of a batch at most, where that is at least one row: what bounds the memory of a wide table."""
COLUMNS = 2_000
"""Columns of a file at most."""


class TableError(Exception):
    """A file that cannot be read as a table, or that lacks a column: refused as a whole, the message says why."""


class Table(ABC):
    """An open file of rows. It may be gone through more than once."""

    names: tuple[str, ...]
    """The file's columns, in its order; each name once."""

    @abstractmethod
    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in order, at most `BATCH` rows and `CELLS` cells at a time.

        Args:
            columns: of the file, the ones wanted, in the order wanted; None for all.

        Raises:
            TableError: midway, where the file turns out to be damaged.
        """


def rows_of_a_batch(columns: int) -> int:
    return max(1, min(BATCH, CELLS // max(1, columns)))


def sliced(frame: pl.DataFrame, most: int) -> Iterator[pl.DataFrame]:
    """The rows in frames of at most `most`; none where there are no rows."""
    for start in range(0, frame.height, most):
        yield frame.slice(start, most)


def be_names(names: Sequence[str]) -> None:
    """Make sure that columns can be told apart.

    Raises:
        TableError: too many, one twice, or more than one that is empty; a single one without a name is an index's.
    """
    if len(names) > COLUMNS:
        raise TableError(f"the file has {len(names):,} columns, at most {COLUMNS:,} are taken")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if "" in repeated:
        places = ", ".join(str(i) for i, name in enumerate(names, 1) if not name)
        raise TableError(
            f"{names.count('')} columns have no name (column {shortened(places)}): name each in the header"
        )
    if repeated:
        # By their places: where the header is missing, the names are somebody's values.
        alike = [str(place) for place, name in enumerate(names, 1) if name == repeated[0]]
        more = f" and {len(repeated) - 1} more names come again" if len(repeated) > 1 else ""
        mend = "is the header missing?" if _numbers(repeated) else "give each a name of its own"
        raise TableError(f"columns {' and '.join(alike[:5])} have the same name{more}: {mend}")


def _numbers(names: Sequence[str]) -> bool:
    """Whether one of the names is a number, as the first row of a file without a header has them."""
    return any(name.strip().replace(".", "", 1).removeprefix("-").isdecimal() for name in names)


def shortened(text: str, most: int = 60) -> str:
    """For a sentence: no more than that many characters, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
