"""Uploads and runs in the ledger: what came, which run took it, how the run ended."""

from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal

from penstock.lake import LABELLED, SUCCESS
from penstock.ledger.table import NoRecordError, Record, StaleError, Table, stored

Lock = Literal["run", "rollout"]
UploadEnd = Literal["dataset", "quarantined"]
MOST_UPLOADS = 45
"""Uploads that one run takes; a transaction holds 100 items, and each upload needs two."""
MOST_TRIES = 5
"""After so many runs that ended before they dealt with an upload, it goes to quarantine: it may be what ends them."""


@dataclass(frozen=True)
class Upload:
    """One version of one object, or of the `_SUCCESS` that closes a folder of them."""

    key: str
    version_id: str
    etag: str
    size: int
    """Bytes."""
    at: str
    """When it was put, as S3 tells."""
    tries: int = 0
    """How many runs took it and failed before they dealt with it."""
    sequencer: str = ""
    """S3's hexadecimal number, which orders what was put under one key in one second."""

    @property
    def name(self) -> str:
        return f"{self.key}#{self.version_id}"

    @property
    def place(self) -> str:
        """Sorts uploads as they were put, in whichever order their events came."""
        return f"{self.at} {self.sequencer:0>32} {self.name}"

    @property
    def folder(self) -> str | None:
        """The prefix that it closes; None for an upload that is one object."""
        return self.key.removesuffix(SUCCESS) if self.key.endswith(f"/{SUCCESS}") else None

    @property
    def asks_for_run(self) -> bool:
        """Whether it starts a run by itself: new, and not captured rows, which wait for a reason to retrain."""
        return self.tries == 0 and not self.key.startswith(f"{LABELLED}/")


@dataclass(frozen=True)
class Run:
    """A run as it is opened."""

    id: str
    trigger: Literal["upload", "alarm", "operator"]
    cause: str
    """A sentence: what set it off."""
    uploads: tuple[Upload, ...]
    opened: str
    occasion: str = ""
    """The alarm's change or the operator's request; one opens one run."""
    by: str = ""
    """ARN of the operator who asked for it, as the command tells; empty where none did, or it is not known."""


class RunRecords(Table):
    """`upload#`, `waiting#`, `run#`, `occasion#`, and who holds a lock."""

    # Uploads

    def record_upload(self, upload: Upload) -> bool:
        """Note that an object came; False when it is known already."""
        return self._transact(
            self._put(f"upload#{upload.name}", asdict(upload) | {"state": "waiting"}, new=True),
            self._put(f"waiting#{upload.name}", asdict(upload)),
        )

    def waiting(self) -> list[Upload]:
        """Uploads that no run has taken, oldest first."""
        found = [_as(Upload, item) for item in self._all("waiting#")]
        return sorted(found, key=lambda upload: upload.place)

    def settle_upload(self, upload: Upload, state: UploadEnd, **found: Any) -> None:
        """Note where an upload ended: in a dataset version or in quarantine.

        Raises:
            StaleError: `run` is given, and the upload is no longer that run's.
        """
        condition = ("run", found["run"]) if "run" in found else None
        if not self._transact(self._set(f"upload#{upload.name}", {"state": state} | found, condition)):
            raise StaleError(f"{upload.key} no longer belongs to run {found['run']}: the run was given up meanwhile")

    def note_refused(self, name: str, run: str, refusal: str) -> None:
        """Note that an upload was refused when a changed contract was held against it; `name` is `Upload.name`."""
        self._update(f"upload#{name}", {"state": "quarantined", "dataset": None, "again": run, "refusal": refusal})

    def uploads(self) -> list[Record]:
        """Every upload and what became of it."""
        return self._all("upload#")

    def upload(self, key: str, version_id: str) -> Record | None:
        """An upload's record, with the run that took it; None while it is unknown."""
        return self._find(f"upload#{key}#{version_id}")

    # Runs

    def open_run(self, run: Run) -> bool:
        """Open a run and take its uploads, all or nothing; False when another is open or an upload is gone."""
        record = asdict(run) | {"state": "open", "steps": {}}
        once = [self._put(f"occasion#{run.occasion}", {"run": run.id}, new=True)] if run.occasion else []
        return self._transact(
            self._put("lock#run", {"holder": run.id, "since": run.opened}, new=True),
            self._put(f"run#{run.id}", record, new=True),
            *once,
            *(self._delete(f"waiting#{upload.name}", exists=True) for upload in run.uploads),
            *(self._put(f"upload#{u.name}", asdict(u) | {"state": "taken", "run": run.id}) for u in run.uploads),
        )

    def run(self, run: str) -> Record:
        """A run's record.

        Raises:
            NoRecordError: no such run.
        """
        return self._get(f"run#{run}", f"run {run!r} of {self.model}")

    def uploads_of(self, run: Record) -> list[Upload]:
        """The uploads that a run took."""
        return [_as(Upload, item) for item in run["uploads"]]

    def runs(self) -> list[Record]:
        """All runs, newest first."""
        return sorted(self._all("run#"), key=lambda run: str(run["opened"]), reverse=True)

    def note_step(self, run: str, step: str, at: str, **found: Any) -> None:
        """Write what a step of a run found; a repeated step overwrites."""
        self._client.update_item(
            TableName=self._name,
            Key=self._key(f"run#{run}"),
            UpdateExpression="SET steps.#step = :found",
            ExpressionAttributeNames={"#step": step},
            ExpressionAttributeValues={":found": stored({"at": at} | found)},
        )

    def end_run(self, run: str, outcome: str, reason: str, at: str) -> bool:
        """End a run, once; False when it had ended.

        Uploads that it did not deal with wait again, until MOST_TRIES runs have ended so; then they are quarantined.
        """
        ending = {"state": "ended", "outcome": outcome, "reason": reason, "ended": at}
        while (record := self.run(run))["state"] == "open":
            left = [upload for upload in self.uploads_of(record) if self._state_of(upload) == "taken"]
            if self._transact(
                self._set(f"run#{run}", ending, condition=("state", "open")),
                *(write for upload in left for write in self._given_back(upload, run, reason)),
                self._delete("lock#run", holder=run),
            ):
                return True
            # One of them was dealt with since it was looked at, or the run has ended: look again.
        return False

    def note_told(self, run: str) -> None:
        """Remember that people were told how a run ended."""
        self._update(f"run#{run}", {"told": True})

    def _given_back(self, upload: Upload, run: str, reason: str) -> list[Record]:
        again = replace(upload, tries=upload.tries + 1)
        name, taken = f"upload#{upload.name}", ("state", "taken")
        if again.tries < MOST_TRIES:
            waits = {"state": "waiting", "tries": again.tries}
            return [self._set(name, waits, taken), self._put(f"waiting#{upload.name}", asdict(again))]
        refusal = f"{again.tries} runs ended before they dealt with it, the last one so: {reason}"
        given_up = {"state": "quarantined", "tries": again.tries, "run": run, "refusal": refusal}
        return [self._set(name, given_up, taken)]

    def _state_of(self, upload: Upload) -> str:
        return str(self._get(f"upload#{upload.name}", upload.name)["state"])

    def holder(self, lock: Lock) -> str | None:
        """The run or rollout that is under way."""
        item = self._find(f"lock#{lock}")
        return str(item["holder"]) if item else None


def _as(kind: type[Upload], item: Record) -> Upload:
    """A record as a value; what was written before a field was there has the field's default."""
    known = {field.name: item.get(field.name, field.default) for field in fields(kind)}
    if missing := [name for name, value in known.items() if value is MISSING]:
        raise NoRecordError(f"{missing[0]!r} of {item}")
    return kind(**known)
