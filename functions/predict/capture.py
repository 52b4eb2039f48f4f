"""Every answered row to Firehose, without ever failing an answer: what cannot be sent is counted and let go."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.settings import PredictSettings
from penstock.signature import Signature, Value

IMPATIENT = Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 1})
MOST_RECORDS, MOST_BYTES = 500, 900_000
"""Of one batch and one record; Firehose takes 500 records and 1,000 KiB."""


class Capture:
    """The delivery stream of a model's captures."""

    def __init__(self, settings: PredictSettings, signature: Signature | None) -> None:
        self._settings = settings
        self._hidden = {field.name for field in signature.fields if field.personal} if signature else set()
        self._client: Any = boto3.client("firehose", config=IMPATIENT)

    def send(
        self,
        rows: Sequence[Mapping[str, Value]],
        predictions: Sequence[Mapping[str, Any]],
        at: datetime,
        seconds: float,
    ) -> None:
        """Capture a request's rows with their predictions, and emit the request's metrics."""
        about = {"at": at.isoformat(timespec="milliseconds"), "version": int(self._settings.version)}
        lines = [
            json.dumps(about | dict(prediction) | {"instance": self._shown(row)}) + "\n"
            for row, prediction in zip(rows, predictions, strict=True)
        ]
        dropped = sum(self._put(lines[start : start + MOST_RECORDS]) for start in range(0, len(lines), MOST_RECORDS))
        self._emit(at, {"Rows": len(rows), "CapturesDropped": dropped, "Milliseconds": seconds * 1000})

    def _shown(self, row: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in row.items() if name not in self._hidden}

    def _put(self, lines: Sequence[str]) -> int:
        """Send a batch; how many records were dropped."""
        records = [{"Data": line.encode()} for line in lines if len(line) <= MOST_BYTES]
        try:
            reply = self._client.put_record_batch(DeliveryStreamName=self._settings.capture, Records=records)
        except (BotoCoreError, ClientError) as error:
            print(json.dumps({"level": "WARNING", "message": f"capture dropped: {error}"}), file=sys.stderr)  # noqa: T201
            return len(lines)
        return int(reply["FailedPutCount"]) + len(lines) - len(records)

    def _emit(self, at: datetime, values: Mapping[str, float]) -> None:
        """The embedded metric format: CloudWatch reads metrics off the log, no call is made."""
        definitions = [{"Name": name} for name in values]
        namespace = f"Penstock/{self._settings.stage}/{self._settings.model}"
        directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": definitions}
        document = {"_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [directive]}, **values}
        print(json.dumps(document))  # noqa: T201 - this is the metric
