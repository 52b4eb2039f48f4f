"""Reads captured rows back from the lake: all of them for the monitor, or a single one for `penstock why`."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.aws.s3_store import Store
from penstock.lake import CAPTURES, Lake

MOST_FILES = 20_000
"""Maximum files that a search opens: about two weeks of a busy model, for which Firehose writes about one a minute."""
LONGEST_BUFFER = timedelta(minutes=15)
"""Maximum time for which Firehose buffers rows; the first of them decides the file's name."""


class NoCaptureError(Exception):
    """No capture has the prediction; the message says which files were searched."""


def hour_prefix(lake: Lake, since: datetime) -> str:
    """Return the least key that Firehose can have written since a time."""
    return lake.prefix(CAPTURES) + since.strftime("%Y/%m/%d/%H/")


def hour_of(lake: Lake, key: str) -> datetime:
    """Return the hour in a capture file's key."""
    return datetime.strptime(key.removeprefix(lake.prefix(CAPTURES))[:13], "%Y/%m/%d/%H").replace(tzinfo=UTC)


def read(
    store: Store, lake: Lake, *, after: str, skip: frozenset[str] = frozenset()
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the capture files after a key, each with its rows (`functions/predict/capture.py` writes them).

    Args:
        store: the bucket.
        lake: the model's keys.
        after: the key to start after.
        skip: keys to skip.
    """
    for key in store.keys(lake.prefix(CAPTURES), after):
        if key not in skip:
            yield key, rows(store.read(key))


def find(
    store: Store,
    lake: Lake,
    prediction: str,
    *,
    since: datetime,
    until: datetime,
    progress: Callable[[int, datetime], None] = lambda _files, _day: None,
) -> dict[str, Any]:
    """Find the captured row of a prediction, with its file's URI as `file`.

    An inference id contains no time, so the files are searched day by day, beginning with the newest.

    Args:
        store: the bucket.
        lake: the model's keys.
        prediction: the inference id of the response.
        since: the oldest hour to search.
        until: now.
        progress: called before each file with the number of files opened so far, and its day.

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
            progress(files, day)
            files += 1
            if (row := _find_row(store.read(key), prediction)) is not None:
                return row | {"file": lake.uri(key)}
        day -= timedelta(days=1)
    raise NoCaptureError(
        f"{prediction} is in none of the {files:,} capture files of {lake.model} since {since:%Y-%m-%d %H:%M} UTC: "
        "answers arrive there some minutes late, and an older one needs --since"
    )


def probabilities(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return a captured row's probability of each class; empty where it has none, or another number of classes.

    Args:
        row: as the predict function captured it.
        names: the version's classes in order (`penstock.monitoring.drift.class_names` of its baseline).
    """
    scores = row.get("scores", ())
    return dict(zip(names, scores, strict=True)) if len(scores) == len(names) else {}


def _find_row(data: bytes, prediction: str) -> dict[str, Any] | None:
    text = _decompress(data)
    if prediction.encode() not in text:  # nearly all files, which need not be parsed
        return None
    return next((row for row in _parse(text) if row.get("id") == prediction), None)


def rows(data: bytes) -> list[dict[str, Any]]:
    """Return the rows of a capture file."""
    return _parse(_decompress(data))


def _decompress(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _parse(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]
