"""What is captured of an answered row: one line, the same whichever door answered.

`penstock.captures.reader` reads them back.
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
"""Firehose takes 1,000 KiB a record and 4 MiB a call, and bills in 5 KiB steps: lines are packed into records."""
Packed = tuple[bytes, int]
"""A record with how many lines it holds."""


class CaptureLines:
    """The lines of one version's answers."""

    def __init__(self, signature: Signature | None, version: str, hash_secret: str = "") -> None:
        """Decide what is shown.

        Args:
            signature: of the model that answers: which columns are personal; None hides nothing.
            version: the model package's.
            hash_secret: ARN of the secret that keys the hashes; needed where columns are hashed.
        """
        self._version = int(version or 0)
        self._hidden = {field.name for field in signature.fields if field.personal} if signature else set()
        self._hidden |= {*signature.hidden, *signature.hashed} if signature else set()
        self._hashes = _hashes(hash_secret, signature.hashed) if signature and signature.hashed else {}

    def line(self, row: Any, prediction: Mapping[str, Any], at: str) -> bytes:
        """One row with its prediction.

        Args:
            row: as a request had it: a mapping, or what `penstock.scoring.model.Model.instances` made of it.
            prediction: as it was answered, with its id.
            at: when, ISO 8601.
        """
        shown = self._shown(row) if self._hidden else row
        document = {"at": at, "version": self._version, **_kept(prediction), "instance": shown}
        return msgspec.json.encode(document) + b"\n"

    def _shown(self, row: Any) -> dict[str, Value]:
        given: Mapping[str, Value] = msgspec.to_builtins(row)
        shown = {name: value for name, value in given.items() if name not in self._hidden}
        known = {name: given[name] for name in self._hashes if given.get(name) is not None}
        return shown | {name: self._hashes[name](name, value) for name, value in known.items()}


def sampled(inference: str, share: float) -> bool:
    """Whether an answer is in a share of all: by its id, so the same whenever and wherever it is asked."""
    return int.from_bytes(hashlib.sha256(inference.encode()).digest()[:8]) < share * _SHARES


def _kept(prediction: Mapping[str, Any]) -> Mapping[str, Any]:
    """A prediction as it is captured: of several classes the probabilities alone, in the order of the classes.

    `penstock.captures.reader.probabilities` gives them their names again. Seven digits are what float32 has.
    """
    if "scores" not in prediction:
        return prediction
    return {**prediction, "scores": [float(f"{score:.7g}") for score in prediction["scores"].values()]}


def _hashes(secret: str, names: Sequence[str]) -> dict[str, Hash]:
    """What hashes each column; none where the key cannot be read: then they are dropped, and the answers go on."""
    # No part of a cold start that hashes nothing.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from penstock.captures.pseudonyms import Pseudonyms  # noqa: PLC0415

    try:
        return dict.fromkeys(names, Pseudonyms.of_secret(secret).of)
    except (BotoCoreError, ClientError) as error:
        message = f"{', '.join(names)} dropped from captures, the key of their hashes cannot be read: {error}"
        print(json.dumps({"level": "WARNING", "message": message}), file=sys.stderr)  # noqa: T201
        return {}


def packed(lines: Sequence[bytes]) -> tuple[list[Packed], int]:
    """Lines as records, and how many lines are too long for any."""
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
