"""A subject's rows removed for good: from parts, uploads, captures, labels, quarantine, features and golden examples.

First what is left is written, beside what there is. Then a plan is noted, and from there on everything in it is carried
out, by whoever comes next if need be: the dataset versions give way, the online features and the old object versions
are deleted, the record is written and the run's lock is given back. A forgetting that is cut off before the plan has
removed nothing, and one that is cut off after it is finished by the next; so training never sees half of one, and
nothing is done twice.
"""

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from penstock.aws.feature_store import FeatureStoreError
from penstock.aws.s3_store import NoObjectError, Store
from penstock.contract.model import Contract
from penstock.contract.personal import FORGOTTEN
from penstock.datasets.version import Dataset
from penstock.erasure.lake_survey import Found, Survey
from penstock.erasure.subject import Subject
from penstock.features.inventory import PERMISSIONS, StoredFeatures
from penstock.lake import FORGETTING as FOLDER
from penstock.lake import LABELLED, RAW, SUCCESS, Lake
from penstock.ledger.ledger import FORGETTING, Ledger, Record, StaleError, timestamp


class ForgettingError(Exception):
    """Rows cannot be removed as things are; the message says what to do first."""


@dataclass(frozen=True)
class Erasure:
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
    features: int = 0
    """Records deleted from the online store; the rows of its offline files are among `rows`."""
    finished: bool = False
    """Whether one that had been cut off was finished first."""

    @property
    def nothing(self) -> bool:
        """Whether nobody was found."""
        return not self.objects and not self.features


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """The command, with everything it works on."""

    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    features: StoredFeatures | None = None
    """The model's feature groups; None for a model that never had any."""

    def preview(self, subject: Subject) -> Erasure:
        """What would be removed; nothing is changed."""
        return self._told(self._found(subject), finished=False)

    def erase(self, subject: Subject, *, by: str, reason: str, now: datetime) -> Erasure:
        """Remove a subject's rows.

        Args:
            subject: whose.
            by: who asks for it.
            reason: why; for the record.
            now: the time.

        Raises:
            StaleError: a run is under way, or another forgetting took over.
            ForgettingError: no run has dealt with an upload that holds such rows, the reason names the subject, or
                the feature store keeps a record: then the next one goes on from there.
            FeatureStoreError: the feature store cannot be looked into, and nothing was removed.
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
            counts = {"rows": told.rows, "objects": told.objects, "features": told.features}
            record = said | {"token": token, "subjects": subject.record()} | counts
            plan = None if told.nothing else self._prepare(found, said, record, holder)
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
        found = Survey(self.contract, self.lake, self.store, self.ledger, subject, self.features).find()
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

    def _told(self, found: Found, *, finished: bool) -> Erasure:
        replaced = {old.version: new.version if new.parts else None for old, new, _ in found.datasets}
        trained = [item["version"] for item in self.ledger.versions() if item["dataset"] in replaced]
        documents = len(_versions(self.store, self._documents(replaced)))
        objects = len(found.remove) + documents
        online = sum(map(len, found.online.values()))
        unread = tuple(found.unread)
        return Erasure(dict(found.rows), objects, replaced, tuple(sorted(trained)), unread, online, finished)

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
        remove = [*found.remove, *documents]
        plan: Record = {"record": record, "said": said, "datasets": datasets, "remove": remove, "emptied": waits}
        if found.online:
            # Names of entities stand in an object of their own, which goes with the rest: the plan itself names nobody.
            key, data = self.lake.entities(record["token"]), json.dumps(found.online).encode()
            plan["entities"] = key
            remove.append((key, self.store.write(key, data, "application/json")))
        return plan

    def _document(self, old: Dataset, new: Dataset, about: Record, said: Record) -> Record:
        """Write a new dataset version; its record."""
        manifest = new.manifest(self.lake.uri(self.lake.parts()))
        self.store.write(self.lake.manifest(new.version), json.dumps(manifest).encode(), "application/json")
        document = self.store.write(self.lake.version(new.version), new.document().encode(), "application/json")
        made = {
            "rows": new.rows,
            "parts": new.ledger_parts(),
            "contract": new.contract,
            "document": document,
            "at": said["at"],
        }
        return made | {"run": about.get("run"), "replaces": old.version, "forgetting": said}

    def _carry_out(self, plan: Record, holder: str) -> None:
        """Everything that a plan says, and the lock back. What was done of it already is done again, to no effect."""
        for item in plan["datasets"]:
            self.ledger.replace_dataset(item["old"], item["new"], holder=holder, about=item["about"], **plan["said"])
        for key in plan["emptied"]:
            self.ledger.drop_waiting(key)
        if "entities" in plan:
            self._forget_features(plan["entities"])
        self.store.delete_versions([(key, version) for key, version in plan["remove"]])
        self.ledger.end_forgetting(holder, plan["record"])

    def _forget_features(self, key: str) -> None:
        """The online records of the entities that are named there; where it is gone, they are too."""
        try:
            entities = self.store.json(key)
            if self.features is None:
                raise FeatureStoreError("a forgetting that was cut off has features to delete, and no store is given")
            self.features.forget(entities)
        except NoObjectError:
            return
        except FeatureStoreError as error:
            raise ForgettingError(
                f"{error}; nothing is lost: the forgetting waits half-way, and so do runs, until somebody with leave "
                f"to {PERMISSIONS} says the same again, which goes on from here"
            ) from None

    def _tidy(self) -> None:
        """Plans that were carried out."""
        held = self.store.all_versions(self.lake.prefix(FOLDER))
        self.store.delete_versions([(version.key, version.version_id) for version, _ in held])


def _versions(store: Store, keys: Iterable[str]) -> list[tuple[str, str]]:
    """All versions of these objects."""
    return [(v.key, v.version_id) for key in keys for v, _ in store.all_versions(key) if v.key == key]
