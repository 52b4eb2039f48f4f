"""Records of batches in the ledger: the file, the version that scores it, progress and outcome."""

from typing import Any

from penstock.ledger.table import Record, Table

SCORED = "scored"
"""The outcome of a batch whose output is written; it is final."""


class BatchRecords(Table):
    """`batch#`, `batched#`."""

    def open_batch(self, batch: str, at: str, **about: Any) -> bool:
        """Open a batch; False where it exists already."""
        record = {"id": batch, "opened": at, "state": "open"} | about
        return self._transact(self._put(f"batch#{batch}", record, new=True))

    def batch(self, batch: str) -> Record:
        """Read a batch.

        Raises:
            NoRecordError: there is none of that name.
        """
        return self._get(f"batch#{batch}", f"batch {batch!r} of {self.model}")

    def find_batch(self, batch: str) -> Record | None:
        """Read a batch; None where there is none of that name."""
        return self._find(f"batch#{batch}")

    def batches(self) -> list[Record]:
        """List all batches, newest first."""
        return sorted(self._all("batch#"), key=lambda item: str(item["opened"]), reverse=True)

    def note_batch(self, batch: str, **about: Any) -> None:
        """Add fields to a batch's record."""
        self._update(f"batch#{batch}", about)

    def end_batch(self, batch: str, outcome: str, reason: str, at: str, **about: Any) -> bool:
        """End a batch, once; False where it had ended.

        A failed batch that is scored after all, as its execution was redriven, becomes scored.
        """
        ending = {"state": "ended", "outcome": outcome, "reason": reason, "ended": at} | about
        name = f"batch#{batch}"
        if self._transact(self._set(name, ending, condition=("state", "open"))):
            return True
        return outcome == SCORED and self._transact(self._set(name, ending, condition=("outcome", "failed")))

    def note_scored(self, work: str, batch: str) -> None:
        """Note the batch that scored a file with a version; `work` names the pair."""
        self._transact(self._put(f"batched#{work}", {"batch": batch}))

    def find_scoring(self, work: str) -> str | None:
        """Find the last batch that scored this file with this version; None where none has."""
        record = self._find(f"batched#{work}")
        return str(record["batch"]) if record else None
