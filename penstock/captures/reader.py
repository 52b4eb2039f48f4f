"""Captured rows as the monitor reads them back from the lake, and one of them as `why` looks for it."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.aws.s3_store import Store
from penstock.lake import CAPTURES, Lake

MOST_FILES = 20_000
"""Files that a search opens; Firehose writes about one a minute for a busy model, so it is about two weeks of them."""


LONGEST_BUFFER = timedelta(minutes=15)
"""For which Firehose may gather rows, of which the first names the file."""


class NoCaptureError(Exception):
    """No capture has the prediction that was asked for; the message says where it was looked for."""


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
            yield key, rows(store.read(key))


def find(
    store: Store,
    lake: Lake,
    prediction: str,
    *,
    since: datetime,
    until: datetime,
    look: Callable[[int, datetime], None] = lambda _files, _day: None,
) -> dict[str, Any]:
    """The captured row of a prediction, with the file that holds it as `file`.

    An inference id names a request and no time, so the files are opened from the newest back, day by day.

    Args:
        store: the bucket.
        lake: the model's keys.
        prediction: the inference id, as the answer gave it.
        since: the oldest hour to look into.
        until: now.
        look: told before each file how many were opened, and of which day it is.

    Raises:
        NoCaptureError: it is in none of them, or there are too many of them.
    """
    files, first, day = 0, hour_prefix(lake, since), until
    while day.date() >= since.date():
        prefix = lake.prefix(CAPTURES) + day.strftime("%Y/%m/%d/")
        for key in reversed([key for key in store.keys(prefix) if key >= first]):
            if files == MOST_FILES:
                words = f"in the newest {files:,} capture files, back to {hour_of(lake, key):%Y-%m-%d %H:00} UTC"
                raise NoCaptureError(f"{prediction} is not {words}; there are more than one search opens")
            look(files, day)
            files += 1
            if (found := _row(store.read(key), prediction)) is not None:
                return found | {"file": lake.uri(key)}
        day -= timedelta(days=1)
    raise NoCaptureError(
        f"{prediction} is in none of the {files:,} capture files of {lake.model} since {since:%Y-%m-%d %H:%M} UTC: "
        "answers arrive there some minutes late, and an older one needs --since"
    )


def probabilities(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """A captured row's probability of each class by its name; empty where the row has none, or of other classes.

    Args:
        row: as the predict function captured it.
        names: the version's classes in their order (`penstock.monitoring.drift.class_names` of its baseline).
    """
    scores = row.get("scores", ())
    return dict(zip(names, scores, strict=True)) if len(scores) == len(names) else {}


def _row(data: bytes, prediction: str) -> dict[str, Any] | None:
    text = _opened(data)
    if prediction.encode() not in text:  # most files by far: no need to parse them
        return None
    return next((row for row in _lines(text) if row.get("id") == prediction), None)


def rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a file."""
    return _lines(_opened(data))


def _opened(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _lines(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
