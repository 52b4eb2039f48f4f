"""A subject's rows removed for good: from parts, uploads, captures, labels, quarantine and golden examples.

First what is left is written, beside what there is. Then a plan is noted, and from there on everything in it is carried
out, by whoever comes next if need be: the dataset versions give way, the old object versions are deleted, the record is
written and the run's lock is given back. A forgetting that is cut off before the plan has removed nothing, and one that
is cut off after it is finished by the next; so training never sees half of one, and nothing is done twice.
"""

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from penstock.contract import Contract
from penstock.dataset import Dataset
from penstock.lake import FORGETTING as FOLDER
from penstock.lake import LABELLED, RAW, SUCCESS, Lake
from penstock.ledger import FORGETTING, Ledger, Record, StaleError, timestamp
from penstock.privacy import FORGOTTEN
from penstock.store import Store
from penstock.subject import Subject
from penstock.survey import Found, Survey


class ForgettingError(Exception):
    """Rows cannot be removed as things are; the message says what to do first."""


@dataclass(frozen=True)
class Forgotten:
    """What was removed, or would be."""

    rows: dict[str, int]
    """By folder of the lake."""
    objects: int
    """Object versions deleted."""
    datasets: dict[str, str | None]
    """Dataset versions that gave way → what took their place."""
    models: tuple[int, ...]
    """Registered versions that were trained on such a dataset: what they learned stays in them."""
    unread: tuple[str, ...]
    """Objects that could not be looked into."""
    finished: bool = False
    """Whether one that had been cut off was finished first."""

    @property
    def nothing(self) -> bool:
        """Whether nobody was found."""
        return not self.objects


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """The command, with everything it works on."""

    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger

    def look(self, subject: Subject) -> Forgotten:
        """What would be removed; nothing is changed."""
        return self._told(self._found(subject), finished=False)

    def forget(self, subject: Subject, *, by: str, reason: str, now: datetime) -> Forgotten:
        """Remove a subject's rows.

        Args:
            subject: whose.
            by: who asks for it.
            reason: why; for the record.
            now: the time.

        Raises:
            StaleError: a run is under way, or another forgetting took over.
            ForgettingError: no run has dealt with an upload that holds such rows, or the reason names the subject.
        """
        if any(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", reason) for value in subject.values):
            raise ForgettingError("the reason names whom to forget, and is kept: say it without the key")
        token, at = secrets.token_hex(6), timestamp(now)
        holder = f"{FORGETTING}{token}"
        cut_off = self.ledger.begin_forgetting(holder, at)
        if finished := "plan" in cut_off:
            self._carry_out(self.store.json(cut_off["plan"]), holder)
            self.ledger.begin_forgetting(holder, at)
        self._tidy()
        said = {"at": at, "by": by, "reason": reason}
        try:
            found = self._found(subject)
            told = self._told(found, finished=finished)
            record = said | {"token": token, "rows": told.rows, "objects": told.objects, "subjects": subject.record()}
            plan = self._prepare(found, said, record, holder) if found.remove else None
        except Exception:
            self.ledger.end_forgetting(holder)  # nothing was removed, so runs may begin
            raise
        if plan is None:
            self.ledger.end_forgetting(holder)
            return told
        self.store.write_json(self.lake.forgetting(token), plan)
        self.ledger.plan_forgetting(holder, self.lake.forgetting(token))
        self._carry_out(plan, holder)
        self._tidy()
        return told

    def _found(self, subject: Subject) -> Found:
        found = Survey(self.contract, self.lake, self.store, self.ledger, subject).find()
        done = [upload for upload in self.ledger.uploads() if upload["state"] in {"dataset", "quarantined"}]
        objects = {(upload["key"], upload["version_id"]) for upload in done}
        folders = tuple(key.removesuffix(SUCCESS) for key, _ in objects if key.endswith(f"/{SUCCESS}"))
        for key, version in found.remove:
            if key.startswith(self.lake.prefix(RAW)) and (key, version) not in objects and not key.startswith(folders):
                raise ForgettingError(
                    f"{key} holds such rows and no run has dealt with it, so its other rows are nowhere else yet: let "
                    "one take it (`penstock retrain --reason …`; a folder waits for its _SUCCESS), or delete it, and "
                    "then forget"
                )
        return found

    def _told(self, found: Found, *, finished: bool) -> Forgotten:
        replaced = {old.version: new.version if new.parts else None for old, new, _ in found.datasets}
        trained = [item["version"] for item in self.ledger.versions() if item["dataset"] in replaced]
        documents = len(_versions(self.store, self._documents(replaced)))
        objects = len(found.remove) + documents
        return Forgotten(dict(found.rows), objects, replaced, tuple(sorted(trained)), tuple(found.unread), finished)

    def _documents(self, datasets: Iterable[str]) -> list[str]:
        return [name(version) for version in datasets for name in (self.lake.version, self.lake.manifest)]

    def _prepare(self, found: Found, said: Record, record: Record, holder: str) -> Record:
        """Write what is left beside what there is, and say what is then to be done. Repeating it changes nothing."""
        for part in found.parts.values():
            if part is not None:
                self.store.write(self.lake.part(part[0].sha256), part[1])
        for key, data in found.written.items():
            # What another one wrote meanwhile, without its own subject, must not be overwritten with what was there.
            if self.ledger.holder("run") != holder:
                raise StaleError("another forgetting took over from this one: nothing was removed by this one")
            self.store.write(key, data, mark=FORGOTTEN)
        known = {item["version"] for item in self.ledger.datasets() if "forgotten" not in item}
        datasets = []
        for old, new, about in found.datasets:
            made = None if new.version in known or not new.parts else self._document(old, new, about, said)
            known.add(new.version)
            datasets.append({"old": old.version, "new": new.version if new.parts else None, "about": made})
        documents = _versions(self.store, self._documents(old.version for old, _, _ in found.datasets))
        waits = [key for key in found.emptied if key.startswith(self.lake.prefix(LABELLED))]
        return {"record": record, "said": said, "datasets": datasets, "remove": [*found.remove, *documents]} | {
            "emptied": waits
        }

    def _document(self, old: Dataset, new: Dataset, about: Record, said: Record) -> Record:
        """Write a new dataset version; its record."""
        manifest = new.manifest(self.lake.uri(self.lake.parts()))
        self.store.write(self.lake.manifest(new.version), json.dumps(manifest).encode(), "application/json")
        document = self.store.write(self.lake.version(new.version), new.document().encode(), "application/json")
        made = {"rows": new.rows, "parts": new.told(), "contract": new.contract, "document": document, "at": said["at"]}
        return made | {"run": about.get("run"), "replaces": old.version, "forgetting": said}

    def _carry_out(self, plan: Record, holder: str) -> None:
        """Everything that a plan says, and the lock back. What was done of it already is done again, to no effect."""
        for item in plan["datasets"]:
            self.ledger.replace_dataset(item["old"], item["new"], holder=holder, about=item["about"], **plan["said"])
        for key in plan["emptied"]:
            self.ledger.drop_waiting(key)
        self.store.delete_versions([(key, version) for key, version in plan["remove"]])
        self.ledger.end_forgetting(holder, plan["record"])

    def _tidy(self) -> None:
        """Plans that were carried out."""
        held = self.store.every_version(self.lake.prefix(FOLDER))
        self.store.delete_versions([(version.key, version.version_id) for version, _ in held])


def _versions(store: Store, keys: Iterable[str]) -> list[tuple[str, str]]:
    """All versions of these objects."""
    return [(v.key, v.version_id) for key in keys for v, _ in store.every_version(key) if v.key == key]
