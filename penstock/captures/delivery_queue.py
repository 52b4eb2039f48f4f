"""Captured lines to their delivery stream, by who has time to wait and to try again: the server's own thread.

The predict function has not (`functions/predict/capture_stream.py`).
"""

import json
import sys
import time
from collections.abc import Sequence

from penstock.captures.firehose import NO_ANSWER, Firehose, RefusedError
from penstock.captures.record import CALL_RECORDS, Packed, packed

SECONDS = 5.0
TRIES, PAUSE_SECONDS = 3, 0.2


class Delivery:
    """One delivery stream."""

    def __init__(self, stream: str) -> None:
        self._firehose = Firehose(stream, seconds=SECONDS)

    def deliver(self, lines: Sequence[bytes]) -> int:
        """Send lines; how many were not taken, which is said in the log."""
        records, dropped = packed(lines)
        calls = (records[start : start + CALL_RECORDS] for start in range(0, len(records), CALL_RECORDS))
        return dropped + sum(self._put(call) for call in calls)

    def close(self) -> None:
        """Let the connection go."""
        self._firehose.close()

    def _put(self, records: Sequence[Packed]) -> int:
        why: Exception = RefusedError("not tried")
        for pause in (PAUSE_SECONDS,) * (TRIES - 1) + (0.0,):
            try:
                return self._firehose.put(records)
            except (RefusedError, *NO_ANSWER) as error:
                why = error
                time.sleep(pause)
        print(json.dumps({"level": "WARNING", "message": f"capture dropped: {why}"}), file=sys.stderr)  # noqa: T201
        return sum(count for _, count in records)
