"""Every answered row to Firehose, without ever failing an answer: what cannot be sent is counted and let go."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from penstock.settings import PredictSettings
from penstock.signature import Signature, Value

IMPATIENT = Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 1})
RECORD_BYTES, CALL_RECORDS = 900_000, 4
"""Lines are packed into records: Firehose takes 1,000 KiB a record and 4 MiB a call, and bills in 5 KiB steps."""
BUDGET_SECONDS = 2.0
"""Of one request, for all its calls; what is not sent by then is dropped and counted."""


class Capture:
    """The delivery stream of a model's captures."""

    def __init__(self, settings: PredictSettings, signature: Signature | None) -> None:
        self._settings = settings
        self._hidden = {field.name for field in signature.fields if field.personal} if signature else set()
        self._hidden |= {*signature.hidden, *signature.hashed} if signature else set()
        self._hashes = _hashes(settings.hash_secret, signature.hashed) if signature and signature.hashed else {}
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
            json.dumps(about | _kept(prediction) | {"instance": self._shown(row)}).encode() + b"\n"
            for row, prediction in zip(rows, predictions, strict=True)
        ]
        dropped = self._deliver(lines)
        self._emit(at, {"Rows": len(rows), "CapturesDropped": dropped, "Milliseconds": seconds * 1000})

    def _shown(self, row: Mapping[str, Value]) -> dict[str, Value]:
        shown = {name: value for name, value in row.items() if name not in self._hidden}
        known = {name: row[name] for name in self._hashes if row.get(name) is not None}
        return shown | {name: self._hashes[name](name, value) for name, value in known.items()}

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


def _kept(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """A prediction as it is captured: of several classes the probabilities alone, in the order of the classes.

    `penstock.captures.probabilities` gives them their names again. Seven digits are what float32 has.
    """
    kept = dict(prediction)
    if "scores" in kept:
        kept["scores"] = [float(f"{score:.7g}") for score in kept["scores"].values()]
    return kept


def _hashes(secret: str, names: Sequence[str]) -> dict[str, Callable[[str, Value], str]]:
    """What hashes each column; none where the key cannot be read: then they are dropped, and the answers go on."""
    from penstock.pseudonyms import Pseudonyms  # noqa: PLC0415 - no part of a cold start that hashes nothing

    try:
        return dict.fromkeys(names, Pseudonyms.of_secret(secret).of)
    except (BotoCoreError, ClientError) as error:
        message = f"{', '.join(names)} dropped from captures, the key of their hashes cannot be read: {error}"
        print(json.dumps({"level": "WARNING", "message": message}), file=sys.stderr)  # noqa: T201
        return {}


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
