"""Captured rows as the monitor reads them back from the lake."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from penstock.lake import CAPTURES, Lake
from penstock.store import Store


def hour_prefix(lake: Lake, since: datetime) -> str:
    """The first key that Firehose can have written from a moment on."""
    return lake.prefix(CAPTURES) + since.strftime("%Y/%m/%d/%H/")


def read(store: Store, lake: Lake, *, after: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Capture files behind a key, oldest first, each with its rows (`functions/predict/capture.py` writes them)."""
    for key in store.keys(lake.prefix(CAPTURES), after):
        data = store.read(key)
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        yield key, [json.loads(line) for line in text.splitlines() if line.strip()]
