"""The ledger: what happened, to what, by whom and why. DynamoDB behind one door.

One table a stage; `pk` is the model, `sk` the kind of record and its name. What must not happen twice is a conditional
write; what belongs together is one transaction. Decisions, endings
and forgettings are added, never written over.

    upload#<key>#<version id>     an object that came, and what became of it
    waiting#<key>#<version id>    the same while no run has taken it
    run#<run>                     a run, its steps' results, its ending
    occasion#<occasion>           the alarm's change or the operator's request that a run was opened for
    lock#run, lock#rollout        the one that is under way
    dataset#<version>             a dataset version; `current` names the newest
    trained#<dataset>#<code>      the run that trained this code on this data
    version#<package version>     a registered model
    approval#<version>#<time>#<decision>  an approval, rejection, refusal or rollback, with who and why
    rollout#<rollout>             a rollout and its ending
    live                          what serves now
    drift#<time>                  a look of the monitor
    forgotten#<time>#<token>      a subject's rows were removed: how many, by whom, why; the subject only as a hash
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Self, cast

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from penstock.lake import LABELLED, SUCCESS

Record = dict[str, Any]
Lock = Literal["run", "rollout"]
UploadEnd = Literal["dataset", "quarantined"]
FORGETTING = "forgetting-"
"""Begins the holder of the run's lock that is no run: rows are removed, and nobody may train meanwhile."""
MOST_UPLOADS = 45
"""Uploads that one run takes; a transaction holds 100 items, and each upload needs two."""
MOST_TRIES = 5
"""After so many runs that ended before they dealt with an upload, it goes to quarantine: it may be what ends them."""
MOST_PARTS = 500
"""Parts that a dataset's record names; an item holds 400 kB, and the version's file in the lake names all."""
CONFLICTS = 5
"""Attempts at a transaction that another one meets."""


class NoRecordError(Exception):
    """The ledger has no such record; the message names it."""


class StaleError(Exception):
    """A run wrote that is no longer the one under way: it was given up, and what it took belongs to another."""


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


def timestamp(now: datetime) -> str:
    """A moment as the ledger writes it: UTC, to the millisecond, sortable."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """The records of one model."""

    def __init__(self, table: str, model: str) -> None:
        resource = boto3.resource("dynamodb")
        self._table = resource.Table(table)
        self._client: Any = resource.meta.client
        self._name, self.model = table, model

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The ledger that a function's settings name."""
        return cls(settings.ledger, settings.model)

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
            ExpressionAttributeValues={":found": _stored({"at": at} | found)},
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

    # Datasets

    def put_dataset(self, version: str, *, run: str | None = None, current: bool = True, **about: Any) -> None:
        """Record a dataset version.

        Args:
            version: its name.
            run: what makes it; only the run that is under way may.
            current: whether it is the newest from now on.
            about: the record.

        Raises:
            StaleError: `run` is no longer under way.
        """
        parts = about.get("parts", [])
        about |= {"parts": parts[-MOST_PARTS:], "part_count": len(parts)}
        writes = [self._put(f"dataset#{version}", {"version": version, "run": run} | about)]
        if current:
            writes.append(self._put("current", {"dataset": version}))
        if run is not None:
            writes.append(self._holds("lock#run", run))
        if not self._transact(*writes):
            raise StaleError(f"run {run} was given up meanwhile, so its dataset version {version[:12]} is not taken")

    def current_dataset(self) -> str | None:
        item = self._find("current")
        return str(item["dataset"]) if item else None

    def dataset(self, version: str) -> Record:
        return self._get(f"dataset#{version}", f"dataset {version!r} of {self.model}")

    def datasets(self) -> list[Record]:
        """All dataset versions, newest first."""
        return sorted(self._all("dataset#"), key=lambda item: str(item.get("at", "")), reverse=True)

    def replace_dataset(self, old: str, new: str | None, *, holder: str, about: Record | None, **said: Any) -> None:
        """A dataset version gave way to one without some of its rows; the same again changes nothing.

        Args:
            old: what there was.
            new: what took its place; None where no row was left.
            holder: the forgetting that is under way.
            about: the new one's record; None where there is one.
            said: by whom, when and why, kept with the old one.

        Raises:
            StaleError: the forgetting is no longer under way.
        """
        writes = [self._holds("lock#run", holder), self._set(f"dataset#{old}", {"forgotten": said | {"into": new}})]
        if about is not None:
            named = about | {"version": new, "parts": about["parts"][-MOST_PARTS:], "part_count": len(about["parts"])}
            writes.append(self._put(f"dataset#{new}", named))
        if self.current_dataset() == old:
            writes.append(self._put("current", {"dataset": new}) if new else self._delete("current"))
        if not self._transact(*writes):
            raise StaleError("another forgetting took over from this one")

    def note_trained(self, dataset: str, code: str, run: str) -> None:
        """Remember which run trained this code on this data."""
        self._table.put_item(Item=self._key(f"trained#{dataset}#{code}") | {"run": run})

    def trained(self, dataset: str, code: str) -> str | None:
        item = self._find(f"trained#{dataset}#{code}")
        return str(item["run"]) if item else None

    # Versions, approvals, rollouts

    def put_version(self, version: int, **about: Any) -> bool:
        """Record a registered version; False when it is there already."""
        return self._transact(self._put(f"version#{version:06d}", {"version": version} | about, new=True))

    def version(self, version: int) -> Record:
        """A registered version.

        Raises:
            NoRecordError: not registered by a run of ours.
        """
        return self._get(f"version#{version:06d}", f"version {version} of {self.model}")

    def versions(self) -> list[Record]:
        """All registered versions, newest first."""
        return self._all("version#")[::-1]

    def decide(self, version: int, at: str, *, approved: bool, **about: Any) -> None:
        """Record a decision and what follows from it for the version; the same again changes nothing."""
        follows = self._set(
            f"version#{version:06d}", {"approved": at if approved else None, "decision": about["decision"]}
        )
        # A record is never written over. Where it is there, a crash may have kept what follows from being written.
        if not self._transact(self._approval(version, at, about), follows):
            self._transact(follows)

    def put_approval(self, version: int, at: str, **about: Any) -> bool:
        """Record a decision of a person, or its refusal; False when this change is recorded already."""
        return self._transact(self._approval(version, at, about))

    def _approval(self, version: int, at: str, about: Record) -> Record:
        """One change may be approved, wait, and be refused after all: each of that is a record of its own."""
        name = f"approval#{version:06d}#{at}#{about['decision']}"
        return self._put(name, {"version": version, "at": at} | about, new=True)

    def approvals(self, version: int) -> list[Record]:
        """Decisions on a version, oldest first."""
        return self._all(f"approval#{version:06d}#")

    def open_rollout(self, rollout: str, version: int, at: str, *, approved: str | None = None, **about: Any) -> bool:
        """Open a rollout; False when another is under way, this one is known, or its approval is not what it was.

        Args:
            rollout: its name.
            version: of the model package.
            at: now.
            approved: when the version was approved; None for a rollout that follows from no approval.
            about: kept with it.
        """
        record = {"id": rollout, "version": version, "opened": at, "state": "open"} | about
        writes = [
            self._put("lock#rollout", {"holder": rollout, "since": at}, new=True),
            self._put(f"rollout#{rollout}", record, new=True),
        ]
        if approved is not None:
            told = {"rolled_out": approved}
            writes.append(self._set(f"version#{version:06d}", told, condition=("approved", approved)))
        return self._transact(*writes)

    def open_rollback(
        self, rollout: str, to: Record, version: int, at: str, *, opened: str, by: str, reason: str
    ) -> bool:
        """Take the live version back and open the rollout of an earlier one, all or nothing.

        Args:
            rollout: its name.
            to: the earlier version's record.
            version: the live one.
            at: when it was asked for, as the registry has it.
            opened: now.
            by: who asked, kept with both versions and with the rollout.
            reason: why; the rollout has it as `because`, for its own reason is that of its ending.

        Returns:
            False when the version is not live, a rollout is under way, or the earlier one's approval has changed.
        """
        back = int(to["version"])
        said = {"by": by, "reason": reason}
        record = {"id": rollout, "version": back, "opened": opened, "state": "open"}
        record |= {"arn": to["arn"], "sha256": to["sha256"], "model_version_id": to.get("model_version_id", "")}
        record |= {"rolls_back": version, "by": by, "because": reason}
        granted = {"decision": "approved", "rollback": version} | said
        taken = {"decision": "rolled back", "rollback_to": back} | said
        marks = {"approved": at, "rolled_out": at}
        return self._transact(
            self._check("live", "version", version),
            self._put("lock#rollout", {"holder": rollout, "since": opened}, new=True),
            self._put(f"rollout#{rollout}", record, new=True),
            self._approval(back, at, granted),
            self._set(f"version#{back:06d}", marks, condition=("approved", to["approved"])),
            self._approval(version, at, taken),
            self._set(f"version#{version:06d}", {"approved": None, "decision": taken["decision"]}),
        )

    def rollout(self, rollout: str) -> Record:
        return self._get(f"rollout#{rollout}", f"rollout {rollout!r} of {self.model}")

    def rollouts(self) -> list[Record]:
        """All rollouts, newest first."""
        return sorted(self._all("rollout#"), key=lambda item: str(item["opened"]), reverse=True)

    def end_rollout(self, rollout: str, outcome: str, reason: str, at: str, live: Mapping[str, Any] | None) -> bool:
        """End a rollout, once; `live` is what serves from now on, None if nothing changed. False when it had ended."""
        ending = {"state": "ended", "outcome": outcome, "reason": reason, "ended": at}
        writes = [
            self._set(f"rollout#{rollout}", ending, condition=("state", "open")),
            self._delete("lock#rollout", holder=rollout),
        ]
        if live is not None:
            writes.append(self._put("live", {"rollout": rollout, "since": at, **live}))
        return self._transact(*writes)

    def live(self) -> Record | None:
        """What serves now: version, lambda_version, sha256, rollout, since."""
        return self._find("live")

    # Drift

    def put_drift(self, at: str, **about: Any) -> None:
        self._table.put_item(Item=self._key(f"drift#{at}") | _stored({"at": at} | about))

    def drifts(self, limit: int) -> list[Record]:
        """The monitor's last looks, newest first."""
        condition = Key("pk").eq(self.model) & Key("sk").begins_with("drift#")
        found = self._table.query(KeyConditionExpression=condition, ScanIndexForward=False, Limit=limit)
        return [_plain(item) for item in found["Items"]]

    # Forgettings

    def begin_forgetting(self, holder: str, at: str) -> Record:
        """Take the run's lock, also from a forgetting that was cut off; its plan, where it had begun to carry one out.

        Raises:
            StaleError: a run is under way.
        """
        if self._transact(self._put("lock#run", {"holder": holder, "since": at}, new=True)):
            return {}
        lock = self._find("lock#run") or {"holder": ""}
        if not lock["holder"].startswith(FORGETTING):
            raise StaleError(f"run {lock['holder']} is under way: forget when it has ended (`penstock run`)")
        if not self._transact(self._set("lock#run", {"holder": holder, "since": at}, ("holder", lock["holder"]))):
            raise StaleError("another forgetting began at the same moment: say it again")
        return lock

    def forgetting_cut_off(self) -> bool:
        """Whether a forgetting holds the run's lock: one that is under way, or was cut off."""
        return (self.holder("run") or "").startswith(FORGETTING)

    def plan_forgetting(self, holder: str, plan: str) -> None:
        """From here on whoever comes next carries out what is planned under this key of the lake.

        Raises:
            StaleError: the forgetting is no longer under way.
        """
        if not self._transact(self._set("lock#run", {"plan": plan}, ("holder", holder))):
            raise StaleError("another forgetting took over from this one: nothing was removed by this one")

    def drop_waiting(self, key: str) -> None:
        """What waited under a key is no more; nothing where nothing waits."""
        for upload in self.waiting():
            if upload.key == key:
                self._transact(
                    self._delete(f"waiting#{upload.name}"), self._set(f"upload#{upload.name}", {"state": "forgotten"})
                )

    def end_forgetting(self, holder: str, record: Record | None = None) -> None:
        """Give the lock back, with the record of what was done."""
        said = [self._put(f"forgotten#{record['at']}#{record['token']}", record, new=True)] if record else []
        self._transact(self._delete("lock#run", holder=holder), *said)

    def forgettings(self) -> list[Record]:
        """What was forgotten, newest first."""
        return self._all("forgotten#")[::-1]

    # DynamoDB

    def _key(self, sk: str) -> Record:
        return {"pk": self.model, "sk": sk}

    def _find(self, sk: str) -> Record | None:
        item = self._table.get_item(Key=self._key(sk), ConsistentRead=True).get("Item")
        return _plain(item) if item else None

    def _get(self, sk: str, name: str) -> Record:
        item = self._find(sk)
        if item is None:
            raise NoRecordError(f"the ledger has no {name}")
        return item

    def _all(self, start: str) -> list[Record]:
        condition = Key("pk").eq(self.model) & Key("sk").begins_with(start)
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name, KeyConditionExpression=condition, ConsistentRead=True
        )
        return [_plain(item) for page in pages for item in page["Items"]]

    def _update(self, sk: str, values: Record) -> None:
        self._client.update_item(**self._set(sk, values)["Update"])

    def _put(self, sk: str, values: Record, *, new: bool = False) -> Record:
        put = {"TableName": self._name, "Item": self._key(sk) | _stored(values)}
        return {"Put": put | ({"ConditionExpression": "attribute_not_exists(pk)"} if new else {})}

    def _set(self, sk: str, values: Record, condition: tuple[str, str] | None = None) -> Record:
        names = {f"#{i}": name for i, name in enumerate(values)}
        given = {f":{i}": _stored(value) for i, value in enumerate(values.values())}
        update = {
            "TableName": self._name,
            "Key": self._key(sk),
            "UpdateExpression": "SET " + ", ".join(f"#{i} = :{i}" for i in range(len(values))),
        }
        if condition:
            names["#if"], given[":if"] = condition
            update["ConditionExpression"] = "#if = :if"
        return {"Update": update | {"ExpressionAttributeNames": names, "ExpressionAttributeValues": given}}

    def _delete(self, sk: str, *, exists: bool = False, holder: str | None = None) -> Record:
        delete: Record = {"TableName": self._name, "Key": self._key(sk)}
        if exists:
            delete["ConditionExpression"] = "attribute_exists(pk)"
        if holder is not None:
            delete["ConditionExpression"] = "attribute_not_exists(pk) OR holder = :holder"
            delete["ExpressionAttributeValues"] = {":holder": holder}
        return {"Delete": delete}

    def _holds(self, sk: str, holder: str) -> Record:
        return self._check(sk, "holder", holder)

    def _check(self, sk: str, name: str, value: Any) -> Record:
        check: Record = {"TableName": self._name, "Key": self._key(sk), "ConditionExpression": "#name = :value"}
        given = {"ExpressionAttributeNames": {"#name": name}, "ExpressionAttributeValues": {":value": value}}
        return {"ConditionCheck": check | given}

    def _transact(self, *writes: Record) -> bool:
        """All writes or none; False when a condition did not hold."""
        for attempt in range(1, CONFLICTS + 1):
            try:
                self._client.transact_write_items(TransactItems=list(writes))
            except ClientError as error:
                reasons = cast("Any", error.response).get("CancellationReasons") or []
                codes = {reason.get("Code") for reason in reasons}
                if "ConditionalCheckFailed" in codes:
                    return False
                if "TransactionConflict" not in codes or attempt == CONFLICTS:
                    raise
                time.sleep(0.02 * 2**attempt)  # another transaction holds one of the items, for milliseconds
            else:
                return True
        raise AssertionError("the last attempt returns or raises")


def _stored(value: Any) -> Any:
    """A JSON value as DynamoDB takes it: numbers as Decimal, tuples as lists."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def _plain(value: Any) -> Any:
    """An item as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if name not in {"pk", "sk"}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _as(kind: type[Upload], item: Record) -> Upload:
    """A record as a value; what was written before a field was there has the field's default."""
    known = {field.name: item.get(field.name, field.default) for field in fields(kind)}
    if missing := [name for name, value in known.items() if value is MISSING]:
        raise NoRecordError(f"{missing[0]!r} of {item}")
    return kind(**known)
