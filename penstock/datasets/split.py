"""Assigns each row to training, validation or holdout: by its key's hash, or by its event time."""

import hashlib
from collections.abc import Sequence
from typing import Literal

from penstock.spec.model import Split

Side = Literal["train", "validation", "holdout"]
_NEVER = -(2**63)
"""Event time of a row that has none."""


def side(key: str, split: Split) -> Side:
    """Return the side of a row, decided by its key alone, so that it never changes."""
    digest = hashlib.blake2b(f"{split.salt}\0{key}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64
    if place < split.holdout:
        return "holdout"
    return "validation" if place < split.holdout + split.validation else "train"


def sides(keys: Sequence[str], split: Split) -> list[Side]:
    """Return `side` of many rows."""
    return [side(key, split) for key in keys]


def sides_by_time(times: Sequence[int | None], split: Split, holdout_from: int) -> list[Side]:
    """Return the sides of a split by time: holdout from the boundary on, and validation the newest of the other rows.

    Args:
        times: event times (µs since 1970); a row without one counts as older than all others.
        split: the shares.
        holdout_from: the dataset's boundary.
    """
    ordered = sorted(time if time is not None else _NEVER for time in times)
    before = [time for time in ordered if time < holdout_from]
    share = split.validation / (1 - split.holdout)
    first = before[min(round(len(before) * (1 - share)), len(before) - 1)] if before else holdout_from
    return [_side_at(time if time is not None else _NEVER, first, holdout_from) for time in times]


def _side_at(time: int, validation_from: int, holdout_from: int) -> Side:
    if time >= holdout_from:
        return "holdout"
    return "validation" if time >= validation_from else "train"
