"""Dataset versions: ordered lists of parts, named by the hash of their content.

A part is a Parquet file of accepted rows, named by its own digest. A version is a list of parts under a contract; the
same parts under the same contract are the same version, whoever uploaded them and however often.

The content of a version depends on which uploads were put to S3 and when, not on when their events arrived or which run
processed them: parts are in the order of the uploads, which also decides what a window or `replace` drops. So a late,
repeated or interrupted run has the same result as an undisturbed one. Only the boundary of a split by time depends on
earlier versions: it moves forward from version to version and never back.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, Self

from penstock.spec.model import Mode, Split, Window

DAY = 86_400_000_000
"""Microseconds."""
LISTED_UPLOADS = 5
"""Uploads of a part that a ledger record lists: an item of the ledger holds at most 400 kB."""
TIMES = 51
"""Event times that a part keeps of its rows: the oldest, the newest, and 49 at even distances between them."""


class DatasetError(Exception):
    """A dataset that cannot be built as `model.yaml` says; the message says what to change."""


@dataclass(frozen=True)
class Part:
    """One immutable Parquet file of accepted rows."""

    sha256: str
    rows: int
    size: int
    """Bytes."""
    uploads: tuple[str, ...]
    """`s3://…?versionId=…` of each upload that has these rows."""
    places: tuple[str, ...] = ()
    """For each upload its place in the order of uploads; the objects of a closed folder share one."""
    times: tuple[int, ...] = ()
    """Sorted sample of its rows' event times (µs since 1970), at even distances; empty where they have none."""
    rulings: str = ""
    """Digest of the rules by which its rows were checked (`Contract.rulings`)."""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Read a part from a JSON record."""
        lists = ("uploads", "places", "times")
        return cls(**{**record, **{name: tuple(record.get(name, ())) for name in lists}})

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Its uploads with their places, oldest first."""
        return sorted(zip(self.places or ("",) * len(self.uploads), self.uploads, strict=True))

    def with_sources(self, sources: Iterable[tuple[str, str]]) -> "Part":
        """Return the part with other uploads and their places."""
        ordered = sorted(set(sources))
        return replace(self, places=tuple(p for p, _ in ordered), uploads=tuple(u for _, u in ordered))


@dataclass(frozen=True)
class Dataset:
    """A dataset version."""

    model: str
    contract: str
    """Digest of the contract by which the rows were checked."""
    parts: tuple[Part, ...]
    since: int | None = None
    """Begin of the window: rows with an earlier event time (µs since 1970) are left out."""
    holdout_from: int | None = None
    """Boundary of a split by time: rows with this event time (µs since 1970) or a later one are the holdout."""

    @property
    def version(self) -> str:
        """SHA-256 (hex) of the contract, the parts in order, and the boundaries."""
        return _hash([self.model, self.contract, *self._content()])

    @property
    def data(self) -> str:
        """SHA-256 (hex) of the rows alone, the same under another contract."""
        return _hash(self._content())

    def _content(self) -> list[str]:
        cuts = [f"{name} {value}" for name, value in self.cut.items()]
        return [*(part.sha256 for part in self.parts), *cuts]

    @property
    def cut(self) -> dict[str, int]:
        """The boundaries that exist, for the training job: `since`, `holdout_from`."""
        boundaries = {"since": self.since, "holdout_from": self.holdout_from}
        return {name: value for name, value in boundaries.items() if value is not None}

    @property
    def rows(self) -> int:
        """Rows of the parts; a window of days may leave out some of its oldest part."""
        return sum(part.rows for part in self.parts)

    def has_upload(self, place: str) -> bool:
        """Return whether a part belongs to the upload at this place."""
        return any(place in part.places for part in self.parts)

    def without(self, parts: Iterable[Part]) -> "Dataset":
        """Return the version without some parts, with the same boundaries."""
        digests = {part.sha256 for part in parts}
        return replace(self, parts=tuple(part for part in self.parts if part.sha256 not in digests))

    def with_parts(self, parts: Iterable[Part], *, contract: str, mode: Mode, split: Split | None = None) -> "Dataset":
        """Return the next version: with parts added, each once, and without what the mode drops.

        Args:
            parts: the new parts.
            contract: digest of today's contract.
            mode: of `model.yaml`.
            split: of `model.yaml`; a split by time moves its boundary forward.

        Raises:
            DatasetError: mode or split need an event time, and the rows have none.
        """
        by_digest: dict[str, Part] = {}
        for part in (*self.parts, *parts):
            same = by_digest.get(part.sha256)
            by_digest[part.sha256] = part if same is None else part.with_sources((*same.sources, *part.sources))
        since = _window_start(by_digest.values(), mode)
        selection = _newest_uploads(list(by_digest.values()), _most_uploads(mode))
        if since is not None:
            selection = [part for part in selection if part.times[-1] >= since]
        ordered = tuple(sorted(selection, key=_order))
        boundary = _boundary(ordered, split, self.holdout_from, since) if split and split.by == "time" else None
        return Dataset(self.model, contract, ordered, since, boundary)

    def document(self) -> str:
        """Return the version as JSON, for the file under `datasets/…/versions/`."""
        return json.dumps({"version": self.version, "rows": self.rows} | asdict(self), indent=1)

    @classmethod
    def read(cls, document: str | bytes) -> Self:
        """Read a version from its JSON document."""
        data = json.loads(document)
        parts = tuple(map(Part.read, data["parts"]))
        return cls(data["model"], data["contract"], parts, data.get("since"), data.get("holdout_from"))

    def ledger_parts(self) -> list[dict[str, Any]]:
        """Return the parts for a ledger record, each with a few uploads; the version's file lists all."""
        parts = [replace(part, times=(), places=(), uploads=part.uploads[:LISTED_UPLOADS]) for part in self.parts]
        return [asdict(part) for part in parts]

    def manifest(self, folder_uri: str) -> list[Any]:
        """Return SageMaker's `ManifestFile`: a prefix and the files below it."""
        return [{"prefix": folder_uri}, *(f"{part.sha256}.parquet" for part in self.parts)]


def _order(part: Part) -> tuple[str, str, str]:
    """Return the sort key of a part; parts without places, which early versions wrote, stay first in their order."""
    place, upload = part.sources[0]
    return (place, upload, part.sha256) if place else ("", "", "")


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _most_uploads(mode: Mode) -> int | None:
    """Return the maximum number of uploads in a dataset."""
    if isinstance(mode, Window):
        return mode.uploads
    return 1 if mode == "replace" else None


def _newest_uploads(parts: list[Part], most: int | None) -> list[Part]:
    if most is None:
        return parts
    places = sorted({place for part in parts for place, _ in part.sources})[-most:]
    trimmed = [(part, [source for source in part.sources if source[0] in places]) for part in parts]
    return [part.with_sources(sources) for part, sources in trimmed if sources]


def _window_start(parts: Iterable[Part], mode: Mode) -> int | None:
    """Return the begin of a window of days, which ends with the newest row: today's date must not change a version."""
    if not isinstance(mode, Window) or mode.days is None:
        return None
    times = _event_times(parts, "a window of days")
    return max(times) - mode.days * DAY if times else None


def _boundary(parts: Sequence[Part], split: Split, before: int | None, since: int | None) -> int | None:
    """Return where the holdout begins: at the newest share of rows, but never before an earlier boundary.

    A model was trained only on rows before the boundary of its version. Since the boundary never moves back, no later
    holdout has a row that the model was trained on.
    """
    _event_times(parts, "a split by time")
    weights = sorted((time, part.rows / len(part.times)) for part in parts for time in part.times)
    weights = [(time, weight) for time, weight in weights if since is None or time >= since]
    if not weights:
        return before
    older = [0.0, *accumulate(weight for _, weight in weights)]
    limit = (1 - split.holdout) * older[-1] - 1e-9
    time = next((time for (time, _), weight in zip(weights, older, strict=False) if weight >= limit), weights[-1][0])
    return max(time, before) if before is not None else time


def _event_times(parts: Iterable[Part], purpose: str) -> list[int]:
    every = list(parts)
    if any(not part.times for part in every):
        raise DatasetError(
            f"{purpose} in model.yaml needs an event time in each upload: give a column of contract.yaml the role "
            "event_time, fill it, and upload again what was uploaded before"
        )
    return [time for part in every for time in part.times]


def sample_times(times: Sequence[int]) -> tuple[int, ...]:
    """Return `Part.times` for sorted event times: at most TIMES, at even distances, including the first and last."""
    if len(times) <= TIMES:
        return tuple(times)
    last = len(times) - 1
    return tuple(times[round(index * last / (TIMES - 1))] for index in range(TIMES))
