"""Dataset versions: parts in order, named by the hash of what is in them.

A part is a Parquet file of accepted rows, named by its own digest. A version is a list of parts under a contract; the
same parts under the same contract are the same version, whoever uploaded them and however often.

What a version holds depends on which uploads there were and on when they were put, not on when their events came or on
which run took them: parts stand in the order in which S3 was given them, and what a window or `replace` drops is
decided by that order too. So a late, repeated or interrupted run ends where an undisturbed one does. Only the boundary
of a split by time has a memory, since it must: it moves on from version to version and never back.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any, Literal, Self

from penstock.spec.model import Mode, Split, Window

Side = Literal["train", "validation", "holdout"]
DAY = 86_400_000_000
"""Microseconds."""
TOLD = 5
"""Uploads that a record names of a part: an item of the ledger holds 400 kB."""
TIMES = 51
"""Event times that a part keeps of its rows: the oldest, the newest, and each further fiftieth between them."""


class DatasetError(Exception):
    """A dataset that cannot be made as `model.yaml` asks; the message says what to change."""


@dataclass(frozen=True)
class Part:
    """One immutable Parquet file of accepted rows."""

    sha256: str
    rows: int
    size: int
    """Bytes."""
    uploads: tuple[str, ...]
    """`s3://…?versionId=…` of what it was made from."""
    places: tuple[str, ...] = ()
    """For each of these, its upload's place in the order of uploads; a closed folder's objects have one in common."""
    times: tuple[int, ...] = ()
    """Event times of its rows (µs since 1970), spread evenly over them, sorted; empty where they have none."""
    rulings: str = ""
    """What its rows were checked against (`Contract.rulings`)."""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """The part of a JSON record."""
        lists = ("uploads", "places", "times")
        return cls(**{**record, **{name: tuple(record.get(name, ())) for name in lists}})

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Place and upload, oldest first."""
        return sorted(zip(self.places or ("",) * len(self.uploads), self.uploads, strict=True))

    def of(self, sources: Iterable[tuple[str, str]]) -> "Part":
        """The same rows, known from these uploads."""
        known = sorted(set(sources))
        return replace(self, places=tuple(p for p, _ in known), uploads=tuple(u for _, u in known))


@dataclass(frozen=True)
class Dataset:
    """A dataset version."""

    model: str
    contract: str
    """Digest of the contract that the rows were checked against."""
    parts: tuple[Part, ...]
    since: int | None = None
    """Rows with an earlier event time (µs since 1970) are left out: the window's beginning."""
    holdout_from: int | None = None
    """Rows with this event time (µs since 1970) or a later one are the holdout: the boundary of a split by time."""

    @property
    def version(self) -> str:
        """SHA-256 (hex) of contract and parts, in order, and of the boundaries where there are any."""
        return _hash([self.model, self.contract, *self._content()])

    @property
    def data(self) -> str:
        """SHA-256 (hex) of the rows alone: the same under another contract."""
        return _hash(self._content())

    def _content(self) -> list[str]:
        cuts = [f"{name} {value}" for name, value in self.cut.items()]
        return [*(part.sha256 for part in self.parts), *cuts]

    @property
    def cut(self) -> dict[str, int]:
        """The boundaries, for the training job: `since`, `holdout_from`, those that there are."""
        given = {"since": self.since, "holdout_from": self.holdout_from}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def rows(self) -> int:
        """How many the parts hold; a window of days may leave some of its oldest part out."""
        return sum(part.rows for part in self.parts)

    def has(self, place: str) -> bool:
        """Whether a part came with the upload at this place."""
        return any(place in part.places for part in self.parts)

    def without(self, parts: Iterable[Part]) -> "Dataset":
        """The version less some parts; the boundaries stay."""
        less = {part.sha256 for part in parts}
        return replace(self, parts=tuple(part for part in self.parts if part.sha256 not in less))

    def with_parts(self, parts: Iterable[Part], *, contract: str, mode: Mode, split: Split | None = None) -> "Dataset":
        """The next version: parts added, those that it has already not twice, and what the mode drops left out.

        Args:
            parts: each with the uploads that it came with.
            contract: digest of the contract now.
            mode: of `model.yaml`.
            split: of `model.yaml`; a split by time moves its boundary on.

        Raises:
            DatasetError: mode or split need an event time, and the rows have none.
        """
        held: dict[str, Part] = {}
        for part in (*self.parts, *parts):
            known = held.get(part.sha256)
            held[part.sha256] = part if known is None else part.of((*known.sources, *part.sources))
        since = _since(held.values(), mode)
        kept = _newest_uploads(list(held.values()), _most(mode))
        if since is not None:
            kept = [part for part in kept if part.times[-1] >= since]
        ordered = tuple(sorted(kept, key=_order))
        boundary = _boundary(ordered, split, self.holdout_from, since) if split and split.by == "time" else None
        return Dataset(self.model, contract, ordered, since, boundary)

    def document(self) -> str:
        """The version as JSON, the file under `datasets/…/versions/`."""
        return json.dumps({"version": self.version, "rows": self.rows} | asdict(self), indent=1)

    @classmethod
    def read(cls, document: str | bytes) -> Self:
        """The version of a JSON document."""
        data = json.loads(document)
        parts = tuple(map(Part.read, data["parts"]))
        return cls(data["model"], data["contract"], parts, data.get("since"), data.get("holdout_from"))

    def told(self) -> list[dict[str, Any]]:
        """The parts as a ledger's record names them, of many uploads a few; the version's file names all."""
        known = [replace(part, times=(), places=(), uploads=part.uploads[:TOLD]) for part in self.parts]
        return [asdict(part) for part in known]

    def manifest(self, folder_uri: str) -> list[Any]:
        """SageMaker's `ManifestFile`: a prefix and the files below it."""
        return [{"prefix": folder_uri}, *(f"{part.sha256}.parquet" for part in self.parts)]


def _order(part: Part) -> tuple[str, str, str]:
    """Where a part stands; those from before there were places stay as they are, at the front."""
    place, upload = part.sources[0]
    return (place, upload, part.sha256) if place else ("", "", "")


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _most(mode: Mode) -> int | None:
    """How many uploads a dataset holds at most."""
    if isinstance(mode, Window):
        return mode.uploads
    return 1 if mode == "replace" else None


def _newest_uploads(parts: list[Part], most: int | None) -> list[Part]:
    if most is None:
        return parts
    places = sorted({place for part in parts for place, _ in part.sources})[-most:]
    trimmed = [(part, [source for source in part.sources if source[0] in places]) for part in parts]
    return [part.of(sources) for part, sources in trimmed if sources]


def _since(parts: Iterable[Part], mode: Mode) -> int | None:
    """A window of days ends with the newest row, not with today: the same uploads are the same version tomorrow."""
    if not isinstance(mode, Window) or mode.days is None:
        return None
    times = _times(parts, "a window of days")
    return max(times) - mode.days * DAY if times else None


def _boundary(parts: Sequence[Part], split: Split, before: int | None, since: int | None) -> int | None:
    """From where on rows are the holdout: behind all but the newest share, and never before an earlier boundary.

    A model was trained on rows before the boundary of its time only. As no later boundary is earlier, no later holdout
    has a row that it was trained on.
    """
    _times(parts, "a split by time")
    weighed = sorted((time, part.rows / len(part.times)) for part in parts for time in part.times)
    weighed = [(time, weight) for time, weight in weighed if since is None or time >= since]
    if not weighed:
        return before
    older = [0.0, *accumulate(weight for _, weight in weighed)]
    wanted = (1 - split.holdout) * older[-1] - 1e-9
    time = next((time for (time, _), weight in zip(weighed, older, strict=False) if weight >= wanted), weighed[-1][0])
    return max(time, before) if before is not None else time


def _times(parts: Iterable[Part], purpose: str) -> list[int]:
    found = list(parts)
    if any(not part.times for part in found):
        raise DatasetError(
            f"{purpose} in model.yaml needs an event time in each upload: give a column of contract.yaml the role "
            "event_time, fill it, and upload again what was uploaded before"
        )
    return [time for part in found for time in part.times]


def spread(times: Sequence[int]) -> tuple[int, ...]:
    """`Part.times` of sorted event times: at most TIMES of them, at even distances, the first and last among them."""
    if len(times) <= TIMES:
        return tuple(times)
    last = len(times) - 1
    return tuple(times[round(index * last / (TIMES - 1))] for index in range(TIMES))


def side(key: str, split: Split) -> Side:
    """Which side a row is on: decided by its key alone, so always the same one."""
    digest = hashlib.blake2b(f"{split.salt}\0{key}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64
    if place < split.holdout:
        return "holdout"
    return "validation" if place < split.holdout + split.validation else "train"


def sides(keys: Sequence[str], split: Split) -> list[Side]:
    """`side` for many rows."""
    return [side(key, split) for key in keys]


def sides_by_time(times: Sequence[int | None], split: Split, holdout_from: int) -> list[Side]:
    """The sides of a split by time: holdout from the boundary on; the newest share of the others is for validation.

    Args:
        times: event times (µs since 1970); a row without one counts as older than all others.
        split: the shares.
        holdout_from: the dataset's boundary.
    """
    known = sorted(time if time is not None else _NEVER for time in times)
    before = [time for time in known if time < holdout_from]
    share = split.validation / (1 - split.holdout)
    first = before[min(round(len(before) * (1 - share)), len(before) - 1)] if before else holdout_from
    return [_side_at(time if time is not None else _NEVER, first, holdout_from) for time in times]


_NEVER = -(2**63)


def _side_at(time: int, validation_from: int, holdout_from: int) -> Side:
    if time >= holdout_from:
        return "holdout"
    return "validation" if time >= validation_from else "train"
