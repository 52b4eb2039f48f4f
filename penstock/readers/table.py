"""A file of rows, whatever its format, and the limits that all formats share."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence

import polars as pl

BATCH = 250_000
"""Maximum rows of a batch."""
CELLS = 5_000_000
"""Maximum cells of a batch of several rows: bounds the memory of a wide table."""
COLUMNS = 2_000
"""Maximum columns of a file."""


class TableError(Exception):
    """A file that cannot be read as a table, or that lacks a column: refused as a whole, the message says why."""


class Table(ABC):
    """An open file of rows. It may be read more than once."""

    names: tuple[str, ...]
    """The file's columns, in its order; each name once."""

    @abstractmethod
    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Read the rows in order, at most `BATCH` rows and `CELLS` cells at a time.

        Args:
            columns: columns of the file, in the order to return; None for all.

        Raises:
            TableError: also midway, where the file turns out to be damaged.
        """


def batch_rows(columns: int) -> int:
    """Return the maximum rows of a batch of so many columns."""
    return max(1, min(BATCH, CELLS // max(1, columns)))


def split_rows(frame: pl.DataFrame, most: int) -> Iterator[pl.DataFrame]:
    """Split rows into frames of at most `most`; none where there are no rows."""
    for start in range(0, frame.height, most):
        yield frame.slice(start, most)


def check_names(names: Sequence[str]) -> None:
    """Check that columns can be told apart. One column may have no name: often it is an index.

    Raises:
        TableError: there are too many, one name occurs twice, or several are empty.
    """
    if len(names) > COLUMNS:
        raise TableError(f"the file has {len(names):,} columns, at most {COLUMNS:,} are taken")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if "" in repeated:
        places = ", ".join(str(i) for i, name in enumerate(names, 1) if not name)
        raise TableError(f"{names.count('')} columns have no name (column {shorten(places)}): name each in the header")
    if repeated:
        # By their positions: where the header is missing, the names are somebody's values.
        alike = [str(place) for place, name in enumerate(names, 1) if name == repeated[0]]
        more = f" and {len(repeated) - 1} more names come again" if len(repeated) > 1 else ""
        mend = "is the header missing?" if _has_number(repeated) else "give each a name of its own"
        raise TableError(f"columns {' and '.join(alike[:5])} have the same name{more}: {mend}")


def _has_number(names: Sequence[str]) -> bool:
    """Return whether a name is a number, as in the first row of a file without a header."""
    return any(name.strip().replace(".", "", 1).removeprefix("-").isdecimal() for name in names)


def shorten(text: str, most: int = 60) -> str:
    """Return text in one line of at most so many characters, for a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
