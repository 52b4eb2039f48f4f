"""The delivery stream that takes captures: impatient, and left alone for a while after it kept somebody waiting."""

import json
import os
import sys
import time
from collections.abc import Sequence

from penstock.captures.firehose import NO_ANSWER, Firehose, RefusedError
from penstock.captures.record import CALL_RECORDS, PackedRecord, pack_records

SECONDS = float(os.environ.get("PENSTOCK_CAPTURE_SECONDS", "0.5"))
"""For a connection, and for each silence: an answer waits meanwhile. The laptop cloud sets more."""
BUDGET_SECONDS = 2 * SECONDS
"""Of one request, for all its calls; what is not sent by then is dropped and counted."""
REST_SECONDS = 10.0
"""After a call that got no answer nothing is sent for so long: an outage costs one request of many its patience."""


class Stream:
    """A Firehose delivery stream."""

    def __init__(self, name: str) -> None:
        self._firehose = Firehose(name, seconds=SECONDS)
        self._rests_until = 0.0

    def deliver(self, lines: Sequence[bytes]) -> int:
        """Send lines within the budget; how many were dropped."""
        end = time.monotonic() + BUDGET_SECONDS
        records, dropped = pack_records(lines)
        for start in range(0, len(records), CALL_RECORDS):
            if time.monotonic() > end or time.monotonic() < self._rests_until:
                return dropped + sum(count for _, count in records[start:])
            dropped += self._put(records[start : start + CALL_RECORDS])
        return dropped

    def close(self) -> None:
        """Let the connection go."""
        self._firehose.close()

    def _put(self, part: Sequence[PackedRecord]) -> int:
        """One call; how many lines were dropped."""
        try:
            return self._firehose.put(part)
        except RefusedError as error:
            return self._dropped(part, str(error))
        except NO_ANSWER as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            return self._dropped(part, str(error))

    @staticmethod
    def _dropped(part: Sequence[PackedRecord], why: str) -> int:
        print(json.dumps({"level": "WARNING", "message": f"capture dropped: {why}"}), file=sys.stderr)  # noqa: T201
        return sum(count for _, count in part)
