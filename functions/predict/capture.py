"""Answered rows to Firehose, without ever failing an answer: what cannot be sent is counted and let go."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from functions.predict.stream import Stream
from penstock.settings_predict import PredictSettings
from penstock.signature import Signature, Value

METRICS = ("Rows", "CapturesDropped", "Milliseconds")
_SHARES = 2**64


class Capture:
    """The delivery stream of a model's captures."""

    def __init__(self, settings: PredictSettings, signature: Signature | None) -> None:
        self._settings = settings
        self._hidden = {field.name for field in signature.fields if field.personal} if signature else set()
        self._hidden |= {*signature.hidden, *signature.hashed} if signature else set()
        self._hashes = _hashes(settings.hash_secret, signature.hashed) if signature and signature.hashed else {}
        namespace = f"Penstock/{settings.stage}/{settings.model}"
        self._directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": [{"Name": name} for name in METRICS]}
        self._share = float(settings.capture_sample)
        self._stream = Stream(settings.capture)

    def send(
        self,
        rows: Sequence[Mapping[str, Value]],
        predictions: Sequence[Mapping[str, Any]],
        at: datetime,
        seconds: float,
    ) -> None:
        """Capture a request's rows, or the share that the model asks for, and emit the request's metrics."""
        about = {"at": at.isoformat(timespec="milliseconds"), "version": int(self._settings.version)}
        lines = [
            msgspec.json.encode(about | _kept(prediction) | {"instance": self._shown(row)}) + b"\n"
            for row, prediction in zip(rows, predictions, strict=True)
            if self._share >= 1 or sampled(prediction["id"], self._share)
        ]
        dropped = self._stream.deliver(lines)
        self._emit(at, dict(zip(METRICS, (len(rows), dropped, seconds * 1000), strict=True)))

    def close(self) -> None:
        """Let the connection go; the next answer opens another."""
        self._stream.close()

    def _shown(self, row: Mapping[str, Value]) -> dict[str, Value]:
        shown = {name: value for name, value in row.items() if name not in self._hidden}
        known = {name: row[name] for name in self._hashes if row.get(name) is not None}
        return shown | {name: self._hashes[name](name, value) for name, value in known.items()}

    def _emit(self, at: datetime, values: Mapping[str, float]) -> None:
        """The embedded metric format: CloudWatch reads metrics off the log, no call is made."""
        about = {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [self._directive]}
        sys.stdout.write(msgspec.json.encode({"_aws": about, **values}).decode() + "\n")


def sampled(inference: str, share: float) -> bool:
    """Whether an answer is in a share of all: by its id, so the same whenever and wherever it is asked."""
    return int.from_bytes(hashlib.sha256(inference.encode()).digest()[:8]) < share * _SHARES


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
    # No part of a cold start that hashes nothing.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from penstock.pseudonyms import Pseudonyms  # noqa: PLC0415

    try:
        return dict.fromkeys(names, Pseudonyms.of_secret(secret).of)
    except (BotoCoreError, ClientError) as error:
        message = f"{', '.join(names)} dropped from captures, the key of their hashes cannot be read: {error}"
        print(json.dumps({"level": "WARNING", "message": message}), file=sys.stderr)  # noqa: T201
        return {}
