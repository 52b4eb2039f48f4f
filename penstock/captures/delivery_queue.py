"""Delivers captured lines to Firehose with retries, in a thread of the container's server.

The predict function has no time for retries: see `functions/predict/capture_stream.py`.
"""

import json
import sys
import time
from collections.abc import Sequence

from penstock.captures.firehose import NO_ANSWER, Firehose, RefusedError
from penstock.captures.record import CALL_RECORDS, PackedRecord, pack_records

SECONDS = 5.0
TRIES, PAUSE_SECONDS = 3, 0.2


class Delivery:
    """Deliveries to one stream."""

    def __init__(self, stream: str) -> None:
        self._firehose = Firehose(stream, seconds=SECONDS)

    def deliver(self, lines: Sequence[bytes]) -> int:
        """Send lines; return how many were dropped, which is logged."""
        records, dropped = pack_records(lines)
        calls = (records[start : start + CALL_RECORDS] for start in range(0, len(records), CALL_RECORDS))
        return dropped + sum(self._put(call) for call in calls)

    def close(self) -> None:
        """Close the connection."""
        self._firehose.close()

    def _put(self, records: Sequence[PackedRecord]) -> int:
        cause: Exception = RefusedError("no attempt was made")
        for pause in (PAUSE_SECONDS,) * (TRIES - 1) + (0.0,):
            try:
                return self._firehose.put(records)
            except (RefusedError, *NO_ANSWER) as error:
                cause = error
                time.sleep(pause)
        print(json.dumps({"level": "WARNING", "message": f"capture dropped: {cause}"}), file=sys.stderr)  # noqa: T201
        return sum(count for _, count in records)
