"""Erases a subject's rows: from parts, uploads, captures, labels, quarantine, features and golden examples.

First the objects without the rows are written beside the existing ones. Then a plan is stored and carried out: dataset
versions are replaced, online features and old object versions are deleted, the erasure is recorded, and the run's lock
is released. An erasure that is cut off before its plan is stored has removed nothing; one that is cut off later is
completed by the next erasure. So training never sees a partial erasure, and nothing is done twice.
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
from penstock.erasure.lake_survey import Findings, LakeSurvey
from penstock.erasure.subject import Subject
from penstock.features.inventory import PERMISSIONS, StoredFeatures
from penstock.lake import FORGETTING as FOLDER
from penstock.lake import LABELLED, RAW, SUCCESS, Lake
from penstock.ledger.ledger import FORGETTING, Ledger, Record, StaleError, timestamp


class ForgettingError(Exception):
    """Rows cannot be removed in the present state; the message says what to do first."""


@dataclass(frozen=True)
class Erasure:
    """What was removed, or would be."""

    rows: dict[str, int]
    """By folder of the lake."""
    objects: int
    """Object versions deleted."""
    datasets: dict[str, str | None]
    """Replaced dataset version → its replacement."""
    models: tuple[int, ...]
    """Registered versions that were trained on a replaced dataset; they are not changed."""
    unread: tuple[str, ...]
    """Objects that could not be read."""
    features: int = 0
    """Records deleted from the online store; the rows of its offline files are among `rows`."""
    finished: bool = False
    """Whether an earlier erasure that was cut off was completed first."""

    @property
    def nothing(self) -> bool:
        """Whether no row was found."""
        return not self.objects and not self.features


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """The erasure of subjects from one model's data."""

    contract: Contract
    lake: Lake
    store: Store
    ledger: Ledger
    features: StoredFeatures | None = None
    """The model's feature groups; None for a model that never had any."""

    def preview(self, subject: Subject) -> Erasure:
        """Return what would be removed, without changing anything."""
        return self._summary(self._survey(subject), finished=False)

    def erase(self, subject: Subject, *, by: str, reason: str, now: datetime) -> Erasure:
        """Remove a subject's rows.

        Args:
            subject: whose rows.
            by: who requested it.
            reason: why; recorded.
            now: the time.

        Raises:
            StaleError: a run is under way, or another erasure took over.
            ForgettingError: an upload with such rows has not been processed by a run, the reason contains the key, or
                the feature store kept a record: then the next erasure continues.
            FeatureStoreError: the feature store cannot be searched, and nothing was removed.
        """
        if any(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", reason) for value in subject.values):
            raise ForgettingError("the reason contains a key to forget, and reasons are kept: write it without the key")
        token, at = secrets.token_hex(6), timestamp(now)
        holder = f"{FORGETTING}{token}"
        earlier = self.ledger.begin_forgetting(holder, at)
        if has_plan := "plan" in earlier:
            self._carry_out(self.store.json(earlier["plan"]), holder)
            self.ledger.begin_forgetting(holder, at)
        self._delete_plans()
        request = {"at": at, "by": by, "reason": reason}
        try:
            findings = self._survey(subject)
            summary = self._summary(findings, finished=has_plan)
            counts = {"rows": summary.rows, "objects": summary.objects, "features": summary.features}
            record = request | {"token": token, "subjects": subject.record()} | counts
            plan = None if summary.nothing else self._prepare(findings, request, record, holder)
        except Exception:
            self.ledger.end_forgetting(holder)  # nothing was removed, so runs may begin
            raise
        if plan is None:
            self.ledger.end_forgetting(holder)
            return summary
        self.store.write_json(self.lake.forgetting(token), plan)
        self.ledger.plan_forgetting(holder, self.lake.forgetting(token))
        self._carry_out(plan, holder)
        self._delete_plans()
        return summary

    def _survey(self, subject: Subject) -> Findings:
        findings = LakeSurvey(self.contract, self.lake, self.store, self.ledger, subject, self.features).find()
        processed = {
            (upload["key"], upload["version_id"])
            for upload in self.ledger.uploads()
            if upload["state"] in {"dataset", "quarantined"}
        }
        folders = tuple(key.removesuffix(SUCCESS) for key, _ in processed if key.endswith(f"/{SUCCESS}"))
        for key, version in findings.remove:
            is_upload = key.startswith(self.lake.prefix(RAW))
            if is_upload and (key, version) not in processed and not key.startswith(folders):
                raise ForgettingError(
                    f"{key} holds such rows and no run has dealt with it, so its other rows are nowhere else yet: let "
                    "one take it (`penstock retrain --reason …`; a folder waits for its _SUCCESS), or delete it, and "
                    "then forget"
                )
        return findings

    def _summary(self, findings: Findings, *, finished: bool) -> Erasure:
        replacements = {old.version: new.version if new.parts else None for old, new, _ in findings.datasets}
        models = [item["version"] for item in self.ledger.versions() if item["dataset"] in replacements]
        return Erasure(
            rows=dict(findings.rows),
            objects=len(findings.remove) + len(_versions(self.store, self._documents(replacements))),
            datasets=replacements,
            models=tuple(sorted(models)),
            unread=tuple(findings.unread),
            features=sum(map(len, findings.online.values())),
            finished=finished,
        )

    def _documents(self, datasets: Iterable[str]) -> list[str]:
        return [name(version) for version in datasets for name in (self.lake.version, self.lake.manifest)]

    def _prepare(self, findings: Findings, request: Record, record: Record, holder: str) -> Record:
        """Write the objects without the rows, and return the plan of the removal. Repeating it changes nothing."""
        for part in findings.parts.values():
            if part is not None:
                self.store.write(self.lake.part(part[0].sha256), part[1])
        for key, data in findings.rewrites.items():
            # A concurrent erasure may have rewritten the object without its own subject: do not bring that one back.
            if self.ledger.holder("run") != holder:
                raise StaleError("another forgetting took over from this one: nothing was removed by this one")
            self.store.write(key, data, mark=FORGOTTEN)
        existing = {item["version"] for item in self.ledger.datasets() if "forgotten" not in item}
        datasets = []
        for old, new, old_record in findings.datasets:
            is_existing = new.version in existing or not new.parts
            about = None if is_existing else self._write_dataset(old, new, old_record, request)
            existing.add(new.version)
            datasets.append({"old": old.version, "new": new.version if new.parts else None, "about": about})
        documents = _versions(self.store, self._documents(old.version for old, _, _ in findings.datasets))
        emptied = [key for key in findings.emptied if key.startswith(self.lake.prefix(LABELLED))]
        remove = [*findings.remove, *documents]
        plan: Record = {"record": record, "said": request, "datasets": datasets, "remove": remove, "emptied": emptied}
        if findings.online:
            # Entities are personal: they are in an object that is deleted with the others, and not in the plan itself.
            key, data = self.lake.entities(record["token"]), json.dumps(findings.online).encode()
            plan["entities"] = key
            remove.append((key, self.store.write(key, data, "application/json")))
        return plan

    def _write_dataset(self, old: Dataset, new: Dataset, old_record: Record, request: Record) -> Record:
        """Write a new dataset version; return its record."""
        manifest = new.manifest(self.lake.uri(self.lake.parts()))
        self.store.write(self.lake.manifest(new.version), json.dumps(manifest).encode(), "application/json")
        document = self.store.write(self.lake.version(new.version), new.document().encode(), "application/json")
        return {
            "rows": new.rows,
            "parts": new.ledger_parts(),
            "contract": new.contract,
            "document": document,
            "at": request["at"],
            "run": old_record.get("run"),
            "replaces": old.version,
            "forgetting": request,
        }

    def _carry_out(self, plan: Record, holder: str) -> None:
        """Carry out a plan and release the lock. Steps that were carried out before have no effect."""
        for item in plan["datasets"]:
            self.ledger.replace_dataset(item["old"], item["new"], holder=holder, about=item["about"], **plan["said"])
        for key in plan["emptied"]:
            self.ledger.drop_waiting(key)
        if "entities" in plan:
            self._delete_features(plan["entities"])
        self.store.delete_versions([(key, version) for key, version in plan["remove"]])
        self.ledger.end_forgetting(holder, plan["record"])

    def _delete_features(self, key: str) -> None:
        """Delete the online records of the entities in an object; without the object they are deleted already."""
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

    def _delete_plans(self) -> None:
        """Delete plans that were carried out."""
        versions = self.store.all_versions(self.lake.prefix(FOLDER))
        self.store.delete_versions([(version.key, version.version_id) for version, _ in versions])


def _versions(store: Store, keys: Iterable[str]) -> list[tuple[str, str]]:
    """Return all versions of these objects."""
    return [(v.key, v.version_id) for key in keys for v, _ in store.all_versions(key) if v.key == key]
