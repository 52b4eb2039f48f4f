"""The captured line of a scored row, the same from the predict function and from an endpoint's container.

`penstock.captures.reader` reads the lines back.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from penstock.scoring.signature import Signature, Value

Hash = Callable[[str, Value], str]
_SHARES = 2**64
RECORD_BYTES, CALL_RECORDS = 900_000, 4
"""Firehose accepts 1,000 KiB a record and 4 MiB a call, and bills in 5 KiB steps: lines are packed into records."""
PackedRecord = tuple[bytes, int]
"""A record and its number of lines."""


class CaptureLines:
    """Creates the lines of one version's predictions."""

    def __init__(self, signature: Signature | None, version: str, hash_secret: str = "") -> None:
        """Decide which columns are captured.

        Args:
            signature: of the model, which says which columns are personal; None captures all.
            version: the model package's.
            hash_secret: ARN of the secret with the key of the hashes; required where columns are hashed.
        """
        self._version = int(version or 0)
        self._hidden = {field.name for field in signature.fields if field.personal} if signature else set()
        self._hidden |= {*signature.hidden, *signature.hashed} if signature else set()
        self._hashes = _hashes(hash_secret, signature.hashed) if signature and signature.hashed else {}

    def line(self, row: Any, prediction: Mapping[str, Any], at: str) -> bytes:
        """Return the line of a row and its prediction.

        Args:
            row: as in the request: a mapping, or an item of `penstock.scoring.model.Model.instances`.
            prediction: as in the response, with its id.
            at: time of the response, ISO 8601.
        """
        instance = self._without_personal_values(row) if self._hidden else row
        document = {"at": at, "version": self._version, **_captured_prediction(prediction), "instance": instance}
        return msgspec.json.encode(document) + b"\n"

    def _without_personal_values(self, row: Any) -> dict[str, Value]:
        values: Mapping[str, Value] = msgspec.to_builtins(row)
        instance = {name: value for name, value in values.items() if name not in self._hidden}
        to_hash = {name: values[name] for name in self._hashes if values.get(name) is not None}
        return instance | {name: self._hashes[name](name, value) for name, value in to_hash.items()}


def is_sampled(inference_id: str, share: float) -> bool:
    """Return whether a prediction belongs to a share of all; its id decides, so the result is always the same."""
    return int.from_bytes(hashlib.sha256(inference_id.encode()).digest()[:8]) < share * _SHARES


def _captured_prediction(prediction: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a prediction as captured: probabilities of several classes without names, in the order of the classes.

    `penstock.captures.reader.probabilities` adds the names again. A float32 has seven digits.
    """
    if "scores" not in prediction:
        return prediction
    return {**prediction, "scores": [float(f"{score:.7g}") for score in prediction["scores"].values()]}


def _hashes(secret: str, names: Sequence[str]) -> dict[str, Hash]:
    """Return the hash function of each column; none where the key cannot be read, and the columns are dropped."""
    # Imported here, to keep them out of a cold start without hashes.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from penstock.captures.pseudonyms import Pseudonyms  # noqa: PLC0415

    try:
        return dict.fromkeys(names, Pseudonyms.of_secret(secret).of)
    except (BotoCoreError, ClientError) as error:
        message = f"{', '.join(names)} dropped from captures, the key of their hashes cannot be read: {error}"
        print(json.dumps({"level": "WARNING", "message": message}), file=sys.stderr)  # noqa: T201
        return {}


def pack_records(lines: Sequence[bytes]) -> tuple[list[PackedRecord], int]:
    """Pack lines into records; return them, and how many lines are too long for a record."""
    fit = [line for line in lines if len(line) <= RECORD_BYTES]
    records: list[list[bytes]] = []
    room = 0
    for line in fit:
        if len(line) > room:
            records.append([])
            room = RECORD_BYTES
        records[-1].append(line)
        room -= len(line)
    return [(b"".join(record), len(record)) for record in records], len(lines) - len(fit)
