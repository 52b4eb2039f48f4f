"""Batches in the ledger: what is scored by which version, how far it is, and how it ended."""

from typing import Any

from penstock.ledger.table import Record, Table

SCORED = "scored"
"""The outcome of a batch whose output is there: nothing that comes later changes it."""


class BatchRecords(Table):
    """`batch#`, `batched#`."""

    def open_batch(self, batch: str, at: str, **about: Any) -> bool:
        """Open a batch; False when it is known already."""
        record = {"id": batch, "opened": at, "state": "open"} | about
        return self._transact(self._put(f"batch#{batch}", record, new=True))

    def batch(self, batch: str) -> Record:
        """A batch.

        Raises:
            NoRecordError: there is none of that name.
        """
        return self._get(f"batch#{batch}", f"batch {batch!r} of {self.model}")

    def known_batch(self, batch: str) -> Record | None:
        """A batch; None where there is none of that name."""
        return self._find(f"batch#{batch}")

    def batches(self) -> list[Record]:
        """All batches, newest first."""
        return sorted(self._all("batch#"), key=lambda item: str(item["opened"]), reverse=True)

    def note_batch(self, batch: str, **about: Any) -> None:
        """Add to a batch's record what has become known of it."""
        self._update(f"batch#{batch}", about)

    def end_batch(self, batch: str, outcome: str, reason: str, at: str, **about: Any) -> bool:
        """End a batch, once; False when it had ended.

        One that was given up as failed and was scored after all (its execution was redriven) is scored.
        """
        ending = {"state": "ended", "outcome": outcome, "reason": reason, "ended": at} | about
        name = f"batch#{batch}"
        if self._transact(self._set(name, ending, condition=("state", "open"))):
            return True
        return outcome == SCORED and self._transact(self._set(name, ending, condition=("outcome", "failed")))

    def note_batched(self, work: str, batch: str) -> None:
        """Note that this file was scored by this version."""
        self._transact(self._put(f"batched#{work}", {"batch": batch}))

    def batched(self, work: str) -> str | None:
        """The batch that scored this file by this version last; None where none has."""
        found = self._find(f"batched#{work}")
        return str(found["batch"]) if found else None
