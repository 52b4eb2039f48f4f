"""Rewrites files without a subject's rows, each kind in its own format."""

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

Rewrite = tuple[bytes | None, int]
"""The file without the rows, None where no row is left; and how many rows were removed."""
GOLDEN = "golden.json"


class RowMatcher(Protocol):
    """Recognises the rows to remove."""

    def matches(self, table: pl.DataFrame, /) -> pl.Series:
        """Return which rows match; shape (rows,), Boolean."""
        ...


def table(
    data: bytes, name: str, matcher: RowMatcher, on_match: Callable[[pl.DataFrame], object] = lambda _: None
) -> Rewrite:
    """Rewrite a CSV, JSON Lines or Parquet file.

    Args:
        data: its content.
        name: its name; the extension is its format.
        matcher: recognises the rows to remove.
        on_match: called with the removed rows.

    Raises:
        TableError: it cannot be read.
    """
    rows = read_table(data, name)
    mask = matcher.matches(rows)
    if not mask.any():
        return data, 0
    on_match(rows.filter(mask))
    rest = rows.filter(~mask)
    return (to_bytes(rest, name) if rest.height else None), int(mask.sum())


def to_bytes(rows: pl.DataFrame, name: str) -> bytes:
    """Write rows in the format that the name's extension says, one of `penstock.readers.open_table.ENDINGS`."""
    if name.lower().endswith(".gz"):
        return gzip.compress(to_bytes(rows, name[: -len(".gz")]), mtime=0)
    buffer, kind = io.BytesIO(), name.lower()
    if kind.endswith(".parquet"):
        rows.write_parquet(buffer, compression="zstd")
    elif kind.endswith(".csv"):
        rows.write_csv(buffer)
    else:
        rows.write_ndjson(buffer)
    return buffer.getvalue()


def captures(
    data: bytes, subject: Subject, on_match: Callable[[Mapping[str, Any]], object] = lambda _: None
) -> Rewrite:
    """Rewrite a file of captures, or of captures that Firehose could not deliver, which it stores as `rawData`."""
    is_compressed = data[:2] == b"\x1f\x8b"
    rest, removed = [], 0
    for line in (gzip.decompress(data) if is_compressed else data).splitlines():
        matches = [row for row in _captured_rows(line) if subject.matches_capture(row)]
        removed += len(matches)
        for row in matches:
            on_match(row)
        if not matches:
            rest.append(line + b"\n")
    if not removed:
        return data, 0
    content = b"".join(rest)
    return (gzip.compress(content, mtime=0) if is_compressed else content) if content.strip() else None, removed


def shadow_predictions(data: bytes, subject: Subject) -> Rewrite:
    """Rewrite a file of shadow predictions (`penstock/release/shadow_replay.py`), except its list of captures."""
    document = json.loads(gzip.decompress(data))
    rest = [pair for pair in document["answers"] if not subject.matches_capture(pair)]
    removed = len(document["answers"]) - len(rest)
    content = gzip.compress(json.dumps(document | {"answers": rest}).encode(), mtime=0) if removed else data
    return content, removed


def _captured_rows(line: bytes) -> list[dict[str, Any]]:
    if not line.strip():
        return []
    row = json.loads(line)
    if "rawData" in row:
        return [item for inner in base64.b64decode(row["rawData"]).splitlines() for item in _captured_rows(inner)]
    return [row] if "instance" in row else []


def golden_examples(data: bytes, is_match: Callable[[Mapping[str, Any]], bool]) -> Rewrite:
    """Rewrite a model's golden examples; the list may become empty."""
    examples = json.loads(data)
    rest = [example for example in examples if not is_match(example["instance"])]
    return json.dumps(rest, indent=1).encode(), len(examples) - len(rest)


def artifact(data: bytes, is_match: Callable[[Mapping[str, Any]], bool]) -> Rewrite:
    """Rewrite a training job's archive, whose files include golden examples."""
    buffer, removed = io.BytesIO(), 0
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=buffer, mode="w:gz") as new:
        for member in old:
            file = old.extractfile(member)
            if file is None:
                new.addfile(member)
                continue
            content = file.read()
            if member.name.removeprefix("./") == GOLDEN:
                rest, removed = golden_examples(content, is_match)
                content = rest or b"[]"
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return (buffer.getvalue(), removed) if removed else (data, 0)
