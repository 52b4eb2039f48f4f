"""The subjects, each run in an environment of its own: `python -m bench.forms.subjects NAME`.

Prints one JSON line: milliseconds of the import, what each case gives, and the seconds of the timed requests. What a
subject imports is imported by `load` alone, so that the import is measured.
"""

import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

TYPES = ("integer", "number", "boolean")
CELLS = [
    "7", "+7", "007", "7.0", "7e2", "7.5", ".5", "5.", "1_000", "1,000", "0x1F", "\uff17", "9007199254740993", "1e400",
    "inf", "-inf", "nan", "true", "TRUE", "t", "yes", "1", "0", "no", "off", "ja", " 7 ", "\t7", "7\u00a0", "--7",
]  # fmt: skip
"""Each is read as each type."""
COLUMNS = ("a", "b", "c", "d", "e", "f")
REPEATS = {1: 2000, 1000: 5}
"""Rows of a timed request → how often it is read."""
SUPPORTED = ["application/json", "text/csv", "application/jsonlines"]
ACCEPTED = {
    "*/*": "application/json",
    "text/csv": "text/csv",
    "text/csv;q=0.5, application/json;q=0.4": "text/csv",
    "text/*, application/json;q=0.9": "text/csv",
    "text/csv;q=0, */*": "application/json",
    "application/json;q=0, */*;q=0.1": "text/csv",
    "TEXT/CSV": "text/csv",
    "application/*;q=0.2, */*;q=0.1": "application/json",
    "image/png": None,
    "*/*;q=0": None,
    "text/csv;q=nonsense, application/json": "application/json",
    "": None,
}
"""Accept header → the media type of the answer to a JSON request (RFC 9110, 12.5.1); None: 406."""

Read = Callable[[str, str], Any]
Many = Callable[[bytes], object]
Choose = Callable[[str], str | None]


def quoted(cell: str) -> bytes:
    return f'a\n"{cell}"\n'.encode()


def load_penstock() -> tuple[Read, Many]:
    rows: Any = importlib.import_module("penstock.api.csv_rows")
    module: Any = importlib.import_module("penstock.scoring.signature")

    def signature(*fields: tuple[str, str]) -> Any:
        all_fields = tuple(module.Field(name, kind, required=False) for name, kind in fields)
        return module.Signature("bench", all_fields, (False, True), 0.5, {})

    many = signature(*((name, "number") for name in COLUMNS))

    def read(kind: str, cell: str) -> Any:
        value = rows.read_rows(quoted(cell), signature(("a", kind)), header=True, most=10)[0].get("a")
        # What stays text, or a fraction, is what the model's decoder then refuses.
        return value if type(value).__name__ == {"integer": "int", "number": "float", "boolean": "bool"}[kind] else None

    return read, lambda body: rows.read_rows(body, many, header=True, most=10_000)


def load_msgspec() -> tuple[Read, Many]:
    import csv  # noqa: PLC0415

    msgspec: Any = importlib.import_module("msgspec")
    rows: dict[str, Any] = {"integer": dict[str, int], "number": dict[str, float], "boolean": dict[str, bool]}

    def parse(body: bytes, kind: Any) -> Any:
        return msgspec.convert(list(csv.DictReader(io.StringIO(body.decode(), newline=""))), list[kind], strict=False)

    def read(kind: str, cell: str) -> Any:
        try:
            return parse(quoted(cell), rows[kind])[0]["a"]
        except msgspec.ValidationError:
            return None

    return read, lambda body: parse(body, rows["number"])


def load_polars() -> tuple[Read, Many]:
    polars: Any = importlib.import_module("polars")
    kinds = dict(zip(TYPES, (polars.Int64, polars.Float64, polars.Boolean), strict=True))
    schema = dict.fromkeys(COLUMNS, polars.Float64)

    def read(kind: str, cell: str) -> Any:
        try:
            return polars.read_csv(quoted(cell), schema={"a": kinds[kind]}).to_dicts()[0]["a"]
        except polars.exceptions.ComputeError:
            return None

    return read, lambda body: polars.read_csv(body, schema=schema).to_dicts()


def load_penstock_media() -> Choose:
    media: Any = importlib.import_module("penstock.api.media_types")
    problems: Any = importlib.import_module("penstock.scoring.problems")

    def choose(accept: str) -> str | None:
        try:
            return str(media.negotiate(accept, media.JSON))
        except problems.RequestError:
            return None

    return choose


def load_mimeparse() -> Choose:
    mimeparse: Any = importlib.import_module("mimeparse")

    def choose(accept: str) -> str | None:
        try:
            # Among equals it takes the last one.
            return str(mimeparse.best_match(SUPPORTED[::-1], accept)) or None
        except mimeparse.MimeTypeParseException:
            return None

    return choose


def load_werkzeug() -> Choose:
    http: Any = importlib.import_module("werkzeug.http")
    structures: Any = importlib.import_module("werkzeug.datastructures")
    return lambda accept: http.parse_accept_header(accept, structures.MIMEAccept).best_match(SUPPORTED)


READERS = {"penstock": load_penstock, "csv + msgspec": load_msgspec, "polars": load_polars}
NEGOTIATORS = {"penstock": load_penstock_media, "python-mimeparse": load_mimeparse, "werkzeug": load_werkzeug}


def body(rows: int) -> bytes:
    """Return a CSV with a header and rows of six numbers."""
    line = ",".join(str(number + 0.25) for number in range(len(COLUMNS)))
    return "\n".join([",".join(COLUMNS), *[line] * rows, ""]).encode()


def repeat(times: int, call: Callable[[], object]) -> float:
    """Return the processor seconds of one call."""
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times


def read_csv(name: str) -> dict[str, Any]:
    started = time.process_time()
    read, many = READERS[name]()
    milliseconds = (time.process_time() - started) * 1000
    # As text: JSON has no infinity.
    values = {kind: [repr(read(kind, cell)) for cell in CELLS] for kind in TYPES}
    seconds = {str(rows): repeat(times, lambda: many(body(rows))) for rows, times in REPEATS.items()}  # noqa: B023
    return {"import": milliseconds, "values": values, "seconds": seconds}


def negotiate(name: str) -> dict[str, Any]:
    started = time.process_time()
    choose = NEGOTIATORS[name]()
    milliseconds = (time.process_time() - started) * 1000
    values = [choose(accept) for accept in ACCEPTED]
    header = "text/csv;q=0.5, application/json;q=0.4"
    return {"import": milliseconds, "values": values, "seconds": repeat(20_000, lambda: choose(header))}


if __name__ == "__main__":
    print(json.dumps({"csv": read_csv, "media": negotiate}[sys.argv[1]](sys.argv[2])))
