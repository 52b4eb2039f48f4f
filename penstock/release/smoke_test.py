"""The smoke test of a published version: it must give the recorded scores on the golden examples before any traffic."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from penstock.api import synthetic_request
from penstock.aws.lambda_version import Reply
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger

SCORE = ""
"""Stands for the name of a score that is no class' probability."""
TOLERANCE = 1e-6
"""Of a probability, or of the largest amount: the processor that trained and the one that serves may round the last
float32 digits differently."""

Item = Mapping[str, Any]
"""A golden example, or a prediction."""


class SmokeTestFailed(Exception):  # noqa: N818 - the name is the error that the state machine catches
    """The version's answers differ from the recorded ones."""


@dataclass(frozen=True, kw_only=True)
class SmokeTest:
    """Sends a published version the golden examples of the model that it binds."""

    ledger: Ledger
    lake: Lake
    store: Store
    invoke: Callable[[str, dict[str, Any]], Reply]
    """Invokes a published version, by its number, with an event."""

    def run(self, version: int, lambda_version: str, max_rows: int) -> int:
        """Compare a version's scores with the recorded ones; return the number of examples.

        Args:
            version: of the model package.
            lambda_version: number of the published version that binds it.
            max_rows: most rows that it takes in one request.

        Raises:
            SmokeTestFailed: an error, a score other than the recorded one, or an approval that was withdrawn.
        """
        record = self.ledger.version(version)
        if not record.get("approved"):
            # The registry, which is asked next, may have been set to approved again by somebody who may not.
            raise SmokeTestFailed(f"the ledger has version {version} as {record.get('decision') or 'not approved'}")
        golden = self.store.json(self.lake.model_file(record["sha256"], "golden.json"))
        for start in range(0, len(golden), max_rows):
            examples = golden[start : start + max_rows]
            reply = self.invoke(lambda_version, _request(examples))
            _compare(examples, _read_predictions(reply, version, len(examples)), start)
        return len(golden)


def _request(golden: Sequence[Item]) -> dict[str, Any]:
    return synthetic_request.event("smoke_test", "smoke-test", [example["instance"] for example in golden])


def _read_predictions(reply: Reply, version: int, count: int) -> list[Item]:
    if reply.raised or reply.document.get("statusCode") != 200:
        document = json.dumps(reply.document)[:500]
        raise SmokeTestFailed(f"the golden examples got no answer: {document}")
    body = json.loads(reply.document["body"])
    if body["version"] != version:
        raise SmokeTestFailed(f"version {version} was published, version {body['version']} answers")
    predictions: list[Item] = body["predictions"]
    if len(predictions) != count:
        raise SmokeTestFailed(f"{count} golden examples were sent, {len(predictions)} answered")
    return predictions


def _compare(golden: Sequence[Item], predictions: Sequence[Item], start: int) -> None:
    """Compare predictions with golden examples, whose first one has the number `start`."""
    expected, actual = ([_scores(item) for item in items] for items in (golden, predictions))
    tolerance = TOLERANCE * max(1.0, *(abs(score) for scores in expected for score in scores.values()))
    pairs = enumerate(zip(expected, actual, strict=True), start)
    if wrong := [(number, *pair) for number, pair in pairs if not _agree(*pair, tolerance)]:
        number, recorded, answer = wrong[0]
        raise SmokeTestFailed(
            f"{len(wrong)} golden examples differ, first number {number}: "
            f"{_describe(answer)}, recorded {_describe(recorded)}"
        )


def _scores(item: Item) -> dict[str, float]:
    """Return the numbers of an example or a prediction: the probability of each class, or the score alone."""
    return dict(item["scores"]) if "scores" in item else {SCORE: item["score"]}


def _agree(expected: dict[str, float], actual: dict[str, float], tolerance: float) -> bool:
    return expected.keys() == actual.keys() and all(
        isclose(score, actual[name], rel_tol=0, abs_tol=tolerance) for name, score in expected.items()
    )


def _describe(scores: dict[str, float]) -> str:
    return ", ".join(str(score) if name == SCORE else f"{name} {score}" for name, score in scores.items())
