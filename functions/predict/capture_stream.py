"""The delivery stream of captures: short timeouts, and a pause after a call without a reply."""

import json
import os
import sys
import time
from collections.abc import Sequence

from penstock.captures.firehose import NO_ANSWER, Firehose, RefusedError
from penstock.captures.record import CALL_RECORDS, PackedRecord, pack_records

SECONDS = float(os.environ.get("PENSTOCK_CAPTURE_SECONDS", "0.5"))
"""Timeout to connect, and to read or write: a response may wait meanwhile. The laptop cloud sets more."""
BUDGET_SECONDS = 2 * SECONDS
"""Time for all calls of one request; lines not sent by then are dropped and counted."""
REST_SECONDS = 10.0
"""Pause after a call without a reply: in an outage, one request of many waits for the timeout."""


class Stream:
    """A Firehose delivery stream."""

    def __init__(self, name: str) -> None:
        self._firehose = Firehose(name, seconds=SECONDS)
        self._paused_until = 0.0

    def deliver(self, lines: Sequence[bytes]) -> int:
        """Send lines within the budget; return how many were dropped."""
        end = time.monotonic() + BUDGET_SECONDS
        records, dropped = pack_records(lines)
        for start in range(0, len(records), CALL_RECORDS):
            if time.monotonic() > end or time.monotonic() < self._paused_until:
                return dropped + sum(count for _, count in records[start:])
            dropped += self._put(records[start : start + CALL_RECORDS])
        return dropped

    def close(self) -> None:
        """Close the connection."""
        self._firehose.close()

    def _put(self, part: Sequence[PackedRecord]) -> int:
        """Make one call; return how many lines were dropped."""
        try:
            return self._firehose.put(part)
        except RefusedError as error:
            return self._drop(part, str(error))
        except NO_ANSWER as error:
            self._paused_until = time.monotonic() + REST_SECONDS
            return self._drop(part, str(error))

    @staticmethod
    def _drop(part: Sequence[PackedRecord], why: str) -> int:
        print(json.dumps({"level": "WARNING", "message": f"capture dropped: {why}"}), file=sys.stderr)  # noqa: T201
        return sum(count for _, count in part)
