"""Captured rows as the monitor reads them back from the lake."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from penstock.lake import CAPTURES, Lake
from penstock.store import Store


def hour_prefix(lake: Lake, since: datetime) -> str:
    """The first key that Firehose can have written from a moment on."""
    return lake.prefix(CAPTURES) + since.strftime("%Y/%m/%d/%H/")


def hour_of(lake: Lake, key: str) -> datetime:
    """The hour that a capture file's key names."""
    return datetime.strptime(key.removeprefix(lake.prefix(CAPTURES))[:13], "%Y/%m/%d/%H").replace(tzinfo=UTC)


def read(
    store: Store, lake: Lake, *, after: str, aside: frozenset[str] = frozenset()
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Capture files behind a key, each with its rows (`functions/predict/capture.py` writes them).

    Args:
        store: the bucket.
        lake: the model's keys.
        after: where to start.
        aside: files to leave out.
    """
    for key in store.keys(lake.prefix(CAPTURES), after):
        if key not in aside:
            yield key, _rows(store.read(key))


def _rows(data: bytes) -> list[dict[str, Any]]:
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return [json.loads(line) for line in text.splitlines() if line.strip()]
