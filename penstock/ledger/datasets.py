"""Dataset versions in the ledger, and the forgettings that took rows out of them."""

from typing import Any

from penstock.ledger.runs import RunRecords
from penstock.ledger.table import Record, StaleError

FORGETTING = "forgetting-"
"""Begins the holder of the run's lock that is no run: rows are removed, and nobody may train meanwhile."""
MOST_PARTS = 500
"""Parts that a dataset's record names; an item holds 400 kB, and the version's file in the lake names all."""


class DatasetRecords(RunRecords):
    """`dataset#`, `current`, `trained#`, `forgotten#`."""

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
