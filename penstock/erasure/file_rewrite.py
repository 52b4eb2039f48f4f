"""Files without some of their rows, each kind in its own format: what is left of one, and how many rows went."""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import polars as pl

from penstock.erasure.subject import Subject
from penstock.readers.open_table import read_table

Cut = tuple[bytes | None, int]
"""What is left, None where no row is; and how many rows went."""
GOLDEN = "golden.json"


class Whose(Protocol):
    """Somebody whose rows can be told from others'."""

    def among(self, table: pl.DataFrame, /) -> pl.Series:
        """Which rows are theirs; shape (rows,), Boolean."""
        ...


def table(data: bytes, name: str, subject: Whose, seen: Callable[[pl.DataFrame], object] = lambda _: None) -> Cut:
    """A CSV, JSON Lines or Parquet file.

    Args:
        data: its content.
        name: its name; the ending says what it is.
        subject: whose rows go.
        seen: is shown them.

    Raises:
        TableError: it cannot be read.
    """
    rows = read_table(data, name)
    theirs = subject.among(rows)
    if not theirs.any():
        return data, 0
    seen(rows.filter(theirs))
    left = rows.filter(~theirs)
    return (_written(left, name) if left.height else None), int(theirs.sum())


def _written(rows: pl.DataFrame, name: str) -> bytes:
    if name.lower().endswith(".gz"):
        return gzip.compress(_written(rows, name[: -len(".gz")]), mtime=0)
    buffer, kind = io.BytesIO(), name.lower()
    if kind.endswith(".parquet"):
        rows.write_parquet(buffer, compression="zstd")
    elif kind.endswith(".csv"):
        rows.write_csv(buffer)
    else:
        rows.write_ndjson(buffer)
    return buffer.getvalue()


def lines(data: bytes, subject: Subject, seen: Callable[[Mapping[str, Any]], object] = lambda _: None) -> Cut:
    """A capture file, or one of what Firehose could not deliver, whose lines carry captured lines as `rawData`."""
    packed = data[:2] == b"\x1f\x8b"
    kept, gone = [], 0
    for line in (gzip.decompress(data) if packed else data).splitlines():
        theirs = [row for row in _captured(line) if subject.captured(row)]
        gone += len(theirs)
        for row in theirs:
            seen(row)
        if not theirs:
            kept.append(line + b"\n")
    left = b"".join(kept)
    if not gone:
        return data, 0
    return (gzip.compress(left, mtime=0) if packed else left) if left.strip() else None, gone


def shadows(data: bytes, subject: Subject) -> Cut:
    """What a version answered unseen (`penstock/release/shadow_replay.py`); what is left names the captures it read."""
    document = json.loads(gzip.decompress(data))
    left = [pair for pair in document["answers"] if not subject.captured(pair)]
    gone = len(document["answers"]) - len(left)
    return (gzip.compress(json.dumps(document | {"answers": left}).encode(), mtime=0) if gone else data), gone


def _captured(line: bytes) -> list[dict[str, Any]]:
    if not line.strip():
        return []
    row = json.loads(line)
    if "rawData" in row:
        return [found for inner in base64.b64decode(row["rawData"]).splitlines() for found in _captured(inner)]
    return [row] if "instance" in row else []


def golden(data: bytes, theirs: Callable[[Mapping[str, Any]], bool]) -> Cut:
    """A model's golden examples; those that are left may be none, as a list."""
    examples = json.loads(data)
    left = [example for example in examples if not theirs(example["instance"])]
    return json.dumps(left, indent=1).encode(), len(examples) - len(left)


def artifact(data: bytes, theirs: Callable[[Mapping[str, Any]], bool]) -> Cut:
    """A training job's archive, which holds golden examples among its files."""
    made, gone = io.BytesIO(), 0
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=made, mode="w:gz") as new:
        for member in old:
            content = old.extractfile(member)
            if content is None:
                new.addfile(member)
                continue
            inside = content.read()
            if member.name.removeprefix("./") == GOLDEN:
                left, gone = golden(inside, theirs)
                inside = left or b"[]"
            member.size = len(inside)
            new.addfile(member, io.BytesIO(inside))
    return (made.getvalue(), gone) if gone else (data, 0)
