"""Decode a CSV request body: cast each cell to its field's type, by the same rules as an upload."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from penstock.literals import BLANKS, FALSE, TRUE
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Field, Signature, Value

Row = dict[str, Value]
WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
EXACT = 2.0**53
"""Up to here a float64 holds every whole number exactly."""


def read_rows(body: bytes, signature: Signature, *, header: bool, most: int) -> list[Row]:
    """Read the rows of a CSV body; leave out the fields whose cells are empty.

    A cell that cannot be cast stays text, and an unknown column stays: the model's own decoder then refuses them with
    the same message as for JSON.

    Args:
        body: UTF-8, comma-separated (RFC 4180).
        signature: the fields' types, and their order where there is no header.
        header: whether the first row names the columns.
        most: rows to read.

    Raises:
        RequestError: 400, not UTF-8, not CSV, no header, or a row that is longer or shorter than it.
    """
    lines = _lines(body)
    names = _header(lines) if header else [field.name for field in signature.fields]
    fields = {field.name: field for field in signature.fields}
    columns = [fields.get(name) for name in names]
    return [_row(names, columns, cells, index) for index, cells in enumerate(islice(lines, most))]


def _lines(body: bytes) -> Iterator[list[str]]:
    """Yield the cells of each line that is not empty."""
    try:
        text = body.decode("utf-8-sig")
        yield from (cells for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells)
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        raise RequestError(400, f"the body is not CSV: {error}") from None


def _header(lines: Iterator[list[str]]) -> list[str]:
    names = next(lines, None)
    if names is None:
        raise RequestError(400, "the body is empty: give a header that names the columns, and rows")
    if len(names) > len(set(names)):
        twice = Counter(names).most_common(1)[0][0]
        raise RequestError(400, f"the header names {twice!r} more than once", field=twice)
    return names


def _row(names: Sequence[str], columns: Sequence[Field | None], cells: Sequence[str], index: int) -> Row:
    if len(cells) != len(names):
        message = f"row {index} has {len(cells):,} cell{'s' * (len(cells) > 1)}, there are {len(names):,} columns"
        raise RequestError(400, f"{message}: put a cell that holds a comma in quotes", row=index)
    return {
        name: cast_cell(field, cell)
        for name, field, cell in zip(names, columns, cells, strict=True)
        if cell.strip(BLANKS)
    }


def cast_cell(field: Field | None, cell: str) -> Value:
    """Cast a cell that is not blank to its field's type; return the text unchanged where it does not fit."""
    if field is None or field.type == "string":
        return cell
    text = cell.strip(BLANKS)
    if field.type == "boolean":
        word = text.lower()
        return True if word in TRUE else False if word in FALSE else text
    if WHOLE.fullmatch(text):
        return int(text) if field.type == "integer" else float(text)
    if not NUMBER.fullmatch(text):
        return text
    return as_integer(float(text)) if field.type == "integer" else float(text)


def as_integer(number: float) -> int | float:
    """Return a number without a fraction as an integer, if a float holds it exactly."""
    return int(number) if abs(number) < EXACT and number.is_integer() else number
