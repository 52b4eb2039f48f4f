"""Files for tests of the readers: text with all hard characters, and how to read it cell by cell."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from penstock.readers.table import Table, TableError

T = TypeVar("T")
BOM = b"\xef\xbb\xbf"
TEXT = st.text(
    st.one_of(st.sampled_from(',"\n\r;\t \ufeffaé€😀'), st.characters(exclude_characters="\x00", codec="utf-8")),
    max_size=5,
)
quick = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cells(table: Table, columns: Sequence[str] | None = None) -> list[list[str]]:
    """Return the rows; null is the empty text, as in a CSV."""
    return [["" if cell is None else cell for cell in row] for batch in table.batches(columns) for row in batch.rows()]


def attempt(read: Callable[[], T]) -> T | str:
    """Return what is read, or the sentence that refuses it."""
    try:
        return read()
    except TableError as error:
        return str(error)


def put(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
