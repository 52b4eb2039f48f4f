"""Records of uploads and runs in the ledger: an upload, the run that took it, and how that run ended."""

from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal

from penstock.lake import LABELLED, SUCCESS
from penstock.ledger.table import NoRecordError, Record, StaleError, Table, to_dynamodb

Lock = Literal["run", "rollout"]
UploadEnd = Literal["dataset", "quarantined"]
UPLOAD_LIMIT = 45
"""Uploads that one run takes; a transaction holds 100 items, and each upload needs two."""
TRY_LIMIT = 5
"""Runs that may end without settling an upload; then it goes to quarantine, as it may be what ends them."""


@dataclass(frozen=True)
class Upload:
    """One version of one object, or of the `_SUCCESS` that closes a folder of them."""

    key: str
    version_id: str
    etag: str
    size: int
    """Bytes."""
    at: str
    """When it was put, by S3's event."""
    tries: int = 0
    """How many runs took it and ended without settling it."""
    sequencer: str = ""
    """S3's hexadecimal number, which orders what was put under one key in one second."""

    @property
    def name(self) -> str:
        return f"{self.key}#{self.version_id}"

    @property
    def place(self) -> str:
        """Sort key: the order in which uploads were put, whatever the order of their events."""
        return f"{self.at} {self.sequencer:0>32} {self.name}"

    @property
    def folder(self) -> str | None:
        """The prefix of the folder that the upload closes; None for an upload that is one object."""
        return self.key.removesuffix(SUCCESS) if self.key.endswith(f"/{SUCCESS}") else None

    @property
    def asks_for_run(self) -> bool:
        """Whether the upload starts a run by itself: it is new, and not captured rows with their labels."""
        return self.tries == 0 and not self.key.startswith(f"{LABELLED}/")


@dataclass(frozen=True)
class Run:
    """A run at its opening."""

    id: str
    trigger: Literal["upload", "alarm", "operator"]
    cause: str
    """A sentence: what triggered it."""
    uploads: tuple[Upload, ...]
    opened: str
    occasion: str = ""
    """The alarm's change or the operator's request; one opens one run."""
    by: str = ""
    """ARN of the operator who requested it, as the command states it; empty where there is none, or it is not known."""


class RunRecords(Table):
    """`upload#`, `waiting#`, `run#`, `occasion#`, and the holders of locks."""

    # Uploads

    def record_upload(self, upload: Upload) -> bool:
        """Record an upload; False where it is recorded already."""
        return self._transact(
            self._put(f"upload#{upload.name}", asdict(upload) | {"state": "waiting"}, new=True),
            self._put(f"waiting#{upload.name}", asdict(upload)),
        )

    def waiting(self) -> list[Upload]:
        """List the uploads that no run has taken, oldest first."""
        uploads = [_as(Upload, item) for item in self._all("waiting#")]
        return sorted(uploads, key=lambda upload: upload.place)

    def settle_upload(self, upload: Upload, state: UploadEnd, **values: Any) -> None:
        """Record where an upload ended: in a dataset version or in quarantine.

        Raises:
            StaleError: `run` is given, and the upload is no longer that run's.
        """
        condition = ("run", values["run"]) if "run" in values else None
        if not self._transact(self._set(f"upload#{upload.name}", {"state": state} | values, condition)):
            raise StaleError(f"{upload.key} no longer belongs to run {values['run']}: the run was given up meanwhile")

    def note_refused(self, name: str, run: str, refusal: str) -> None:
        """Record that a changed contract refused an upload that had been accepted; `name` is `Upload.name`."""
        self._update(f"upload#{name}", {"state": "quarantined", "dataset": None, "again": run, "refusal": refusal})

    def uploads(self) -> list[Record]:
        """List all uploads with their states."""
        return self._all("upload#")

    def upload(self, key: str, version_id: str) -> Record | None:
        """Read an upload's record, with the run that took it; None where there is none."""
        return self._find(f"upload#{key}#{version_id}")

    # Runs

    def open_run(self, run: Run) -> bool:
        """Open a run and take its uploads, all or nothing; False if another is open or an upload is taken."""
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
        """Read a run.

        Raises:
            NoRecordError: no such run.
        """
        return self._get(f"run#{run}", f"run {run!r} of {self.model}")

    def uploads_of(self, run: Record) -> list[Upload]:
        """Return the uploads that a run took, from its record."""
        return [_as(Upload, item) for item in run["uploads"]]

    def runs(self) -> list[Record]:
        """List all runs, newest first."""
        return sorted(self._all("run#"), key=lambda run: str(run["opened"]), reverse=True)

    def note_step(self, run: str, step: str, at: str, **values: Any) -> None:
        """Write the result of a run's step; a repeated step overwrites it."""
        self._client.update_item(
            TableName=self._name,
            Key=self._key(f"run#{run}"),
            UpdateExpression="SET steps.#step = :values",
            ExpressionAttributeNames={"#step": step},
            ExpressionAttributeValues={":values": to_dynamodb({"at": at} | values)},
        )

    def end_run(self, run: str, outcome: str, reason: str, at: str) -> bool:
        """End a run, once; False where it had ended.

        Uploads that it did not settle wait again, until TRY_LIMIT runs have ended so; then they are quarantined.
        """
        ending = {"state": "ended", "outcome": outcome, "reason": reason, "ended": at}
        while (record := self.run(run))["state"] == "open":
            unsettled = [upload for upload in self.uploads_of(record) if self._state_of(upload) == "taken"]
            if self._transact(
                self._set(f"run#{run}", ending, condition=("state", "open")),
                *(write for upload in unsettled for write in self._give_back(upload, run, reason)),
                self._delete("lock#run", holder=run),
            ):
                return True
            # One of them was settled since it was read, or the run has ended: read again.
        return False

    def note_notified(self, run: str) -> None:
        """Note that the notice of a run's ending was sent."""
        self._update(f"run#{run}", {"told": True})

    def _give_back(self, upload: Upload, run: str, reason: str) -> list[Record]:
        again = replace(upload, tries=upload.tries + 1)
        name, condition = f"upload#{upload.name}", ("state", "taken")
        if again.tries < TRY_LIMIT:
            waits = {"state": "waiting", "tries": again.tries}
            return [self._set(name, waits, condition), self._put(f"waiting#{upload.name}", asdict(again))]
        refusal = f"{again.tries} runs ended before they dealt with it, the last one so: {reason}"
        given_up = {"state": "quarantined", "tries": again.tries, "run": run, "refusal": refusal}
        return [self._set(name, given_up, condition)]

    def _state_of(self, upload: Upload) -> str:
        return str(self._get(f"upload#{upload.name}", upload.name)["state"])

    def holder(self, lock: Lock) -> str | None:
        """Return the name of the run or rollout in progress; None if there is none."""
        item = self._find(f"lock#{lock}")
        return str(item["holder"]) if item else None


def _as(kind: type[Upload], item: Record) -> Upload:
    """Convert a record to a value; a record older than a field gets the field's default."""
    values = {field.name: item.get(field.name, field.default) for field in fields(kind)}
    if missing := [name for name, value in values.items() if value is MISSING]:
        raise NoRecordError(f"{missing[0]!r} of {item}")
    return kind(**values)
