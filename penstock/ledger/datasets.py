"""Records of dataset versions in the ledger, and of the forgettings that removed rows from them."""

from typing import Any

from penstock.ledger.runs import RunRecords
from penstock.ledger.table import Record, StaleError

FORGETTING = "forgetting-"
"""Prefix of a holder of the run's lock that is a forgetting: rows are removed, and no run may start meanwhile."""
PART_LIMIT = 500
"""Parts that a dataset's record lists; an item holds 400 kB, and the version's file in the lake lists all."""


class DatasetRecords(RunRecords):
    """`dataset#`, `current`, `trained#`, `forgotten#`."""

    # Datasets

    def put_dataset(self, version: str, *, run: str | None = None, current: bool = True, **about: Any) -> None:
        """Record a dataset version.

        Args:
            version: its name.
            run: that makes it, and must be the one under way.
            current: whether it is the newest from now on.
            about: further fields.

        Raises:
            StaleError: `run` is no longer under way.
        """
        parts = about.get("parts", [])
        about |= {"parts": parts[-PART_LIMIT:], "part_count": len(parts)}
        writes = [self._put(f"dataset#{version}", {"version": version, "run": run} | about)]
        if current:
            writes.append(self._put("current", {"dataset": version}))
        if run is not None:
            writes.append(self._check_holder("lock#run", run))
        if not self._transact(*writes):
            raise StaleError(f"run {run} was given up meanwhile, so its dataset version {version[:12]} is not taken")

    def current_dataset(self) -> str | None:
        """Return the name of the newest dataset version; None if there is none."""
        item = self._find("current")
        return str(item["dataset"]) if item else None

    def dataset(self, version: str) -> Record:
        """Read a dataset version.

        Raises:
            NoRecordError: there is none of that name.
        """
        return self._get(f"dataset#{version}", f"dataset {version!r} of {self.model}")

    def datasets(self) -> list[Record]:
        """List all dataset versions, newest first."""
        return sorted(self._all("dataset#"), key=lambda item: str(item.get("at", "")), reverse=True)

    def replace_dataset(self, old: str, new: str | None, *, holder: str, about: Record | None, **values: Any) -> None:
        """Replace a dataset version by one without some of its rows; the same again changes nothing.

        Args:
            old: the version with these rows.
            new: the version without them; None where no row was left.
            holder: the forgetting that is under way.
            about: the new one's record; None where it exists.
            values: by whom, when and why, stored with the old one.

        Raises:
            StaleError: the forgetting is no longer under way.
        """
        writes = [
            self._check_holder("lock#run", holder),
            self._set(f"dataset#{old}", {"forgotten": values | {"into": new}}),
        ]
        if about is not None:
            record = about | {"version": new, "parts": about["parts"][-PART_LIMIT:], "part_count": len(about["parts"])}
            writes.append(self._put(f"dataset#{new}", record))
        if self.current_dataset() == old:
            writes.append(self._put("current", {"dataset": new}) if new else self._delete("current"))
        if not self._transact(*writes):
            raise StaleError("another forgetting took over from this one")

    def note_trained(self, dataset: str, code: str, run: str) -> None:
        """Note the run that trained this code on this data."""
        self._table.put_item(Item=self._key(f"trained#{dataset}#{code}") | {"run": run})

    def find_trained(self, dataset: str, code: str) -> str | None:
        """Find the run that trained this code on this data; None where none has."""
        item = self._find(f"trained#{dataset}#{code}")
        return str(item["run"]) if item else None

    # Forgettings

    def begin_forgetting(self, holder: str, at: str) -> Record:
        """Take the run's lock, also from an interrupted forgetting; return the plan of that forgetting, if it has one.

        Raises:
            StaleError: a run is under way.
        """
        if self._transact(self._put("lock#run", {"holder": holder, "since": at}, new=True)):
            return {}
        lock = self._find("lock#run") or {"holder": ""}
        if not lock["holder"].startswith(FORGETTING):
            raise StaleError(f"run {lock['holder']} is under way: forget when it has ended (`penstock run`)")
        if not self._transact(self._set("lock#run", {"holder": holder, "since": at}, ("holder", lock["holder"]))):
            raise StaleError("another forgetting began at the same moment: run the command again")
        return lock

    def forgetting_cut_off(self) -> bool:
        """Return whether a forgetting, running or interrupted, holds the run's lock."""
        return (self.holder("run") or "").startswith(FORGETTING)

    def plan_forgetting(self, holder: str, plan: str) -> None:
        """Record the key of the plan in the lake; if this forgetting is interrupted, the next one carries the plan out.

        Raises:
            StaleError: the forgetting is no longer under way.
        """
        if not self._transact(self._set("lock#run", {"plan": plan}, ("holder", holder))):
            raise StaleError("another forgetting took over from this one: nothing was removed by this one")

    def drop_waiting(self, key: str) -> None:
        """Drop the uploads that wait under a key, if there are any."""
        for upload in self.waiting():
            if upload.key == key:
                self._transact(
                    self._delete(f"waiting#{upload.name}"), self._set(f"upload#{upload.name}", {"state": "forgotten"})
                )

    def end_forgetting(self, holder: str, record: Record | None = None) -> None:
        """Release the lock, and record what was removed."""
        writes = [self._put(f"forgotten#{record['at']}#{record['token']}", record, new=True)] if record else []
        self._transact(self._delete("lock#run", holder=holder), *writes)

    def forgettings(self) -> list[Record]:
        """List all forgettings, newest first."""
        return self._all("forgotten#")[::-1]
