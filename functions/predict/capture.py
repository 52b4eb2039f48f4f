"""Every answered row to Firehose, without ever failing an answer: what cannot be sent is counted and let go."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.capture_lines import CaptureLines
from penstock.settings import PredictSettings
from penstock.signature import Signature

IMPATIENT = Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 1})
RECORD_BYTES, CALL_RECORDS = 900_000, 4
"""Lines are packed into records: Firehose takes 1,000 KiB a record and 4 MiB a call, and bills in 5 KiB steps."""
BUDGET_SECONDS = 2.0
"""Of one request, for all its calls; what is not sent by then is dropped and counted."""


class Capture:
    """The delivery stream of a model's captures."""

    def __init__(self, settings: PredictSettings, signature: Signature | None) -> None:
        self._settings = settings
        self._lines = CaptureLines(signature, settings.version, settings.hash_secret)
        self._client: Any = boto3.client("firehose", config=IMPATIENT)

    def send(
        self,
        rows: Sequence[Any],
        predictions: Sequence[Mapping[str, Any]],
        at: datetime,
        seconds: float,
    ) -> None:
        """Capture a request's rows with their predictions, and emit the request's metrics."""
        moment = at.isoformat(timespec="milliseconds")
        lines = [self._lines.line(row, made, moment) for row, made in zip(rows, predictions, strict=True)]
        dropped = self._deliver(lines)
        self._emit(at, {"Rows": len(rows), "CapturesDropped": dropped, "Milliseconds": seconds * 1000})

    def _deliver(self, lines: Sequence[bytes]) -> int:
        """Send lines within the budget; how many were dropped."""
        end = time.monotonic() + BUDGET_SECONDS
        packed, dropped = _packed(lines)
        for start in range(0, len(packed), CALL_RECORDS):
            part = packed[start : start + CALL_RECORDS]
            if time.monotonic() > end:
                return dropped + sum(count for _, count in packed[start:])
            dropped += self._put(part)
        return dropped

    def _put(self, part: Sequence[tuple[bytes, int]]) -> int:
        """One call; how many lines were dropped."""
        records = [{"Data": data} for data, _ in part]
        try:
            reply = self._client.put_record_batch(DeliveryStreamName=self._settings.capture, Records=records)
        except (BotoCoreError, ClientError) as error:
            print(json.dumps({"level": "WARNING", "message": f"capture dropped: {error}"}), file=sys.stderr)  # noqa: T201
            return sum(count for _, count in part)
        answers = zip(reply["RequestResponses"], part, strict=True)
        return sum(count for answer, (_, count) in answers if "ErrorCode" in answer)

    def _emit(self, at: datetime, values: Mapping[str, float]) -> None:
        """The embedded metric format: CloudWatch reads metrics off the log, no call is made."""
        definitions = [{"Name": name} for name in values]
        namespace = f"Penstock/{self._settings.stage}/{self._settings.model}"
        directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": definitions}
        document = {"_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [directive]}, **values}
        print(json.dumps(document))  # noqa: T201 - this is the metric


def _packed(lines: Sequence[bytes]) -> tuple[list[tuple[bytes, int]], int]:
    """Records with how many lines each holds, and how many lines are too long for any."""
    packed: list[tuple[bytes, int]] = []
    data, count, dropped = b"", 0, 0
    for line in lines:
        if len(line) > RECORD_BYTES:
            dropped += 1
            continue
        if len(data) + len(line) > RECORD_BYTES:
            packed.append((data, count))
            data, count = b"", 0
        data, count = data + line, count + 1
    return ([*packed, (data, count)] if count else packed), dropped
