"""Captured lines to their delivery stream, by who has time to wait and to try again: the server's own thread.

The predict function has not (`functions/predict/capture.py`): there an answer waits meanwhile.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.capture_lines import CALL_RECORDS, Packed, packed

PATIENCE = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})


class Delivery:
    """One delivery stream."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._client: Any = boto3.client("firehose", config=PATIENCE)

    def deliver(self, lines: Sequence[bytes]) -> int:
        """Send lines; how many were not taken, which is said in the log."""
        records, dropped = packed(lines)
        calls = (records[start : start + CALL_RECORDS] for start in range(0, len(records), CALL_RECORDS))
        return dropped + sum(self._put(call) for call in calls)

    def _put(self, records: Sequence[Packed]) -> int:
        data = [{"Data": record} for record, _ in records]
        try:
            reply = self._client.put_record_batch(DeliveryStreamName=self._stream, Records=data)
        except (BotoCoreError, ClientError) as error:
            print(json.dumps({"level": "WARNING", "message": f"capture dropped: {error}"}), file=sys.stderr)  # noqa: T201
            return sum(count for _, count in records)
        answers = zip(reply["RequestResponses"], records, strict=True)
        return sum(count for answer, (_, count) in answers if "ErrorCode" in answer)
