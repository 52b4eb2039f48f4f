"""Before traffic: the published version must give the recorded scores on the golden examples."""

import json
from math import isclose
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from penstock.api import synthetic_request as unseen
from penstock.aws.s3_store import Store
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.settings import PredictSettings, SmokeTestSettings

settings = SmokeTestSettings.read()
lake = Lake(settings.bucket, settings.model)
store = Store(settings.bucket)
ledger = Ledger.of(settings)
functions: Any = boto3.client("lambda", config=Config(read_timeout=60, retries={"max_attempts": 2}))
logger = Logger(service="smoke_test")
SCORE = ""
"""Stands for the name of a score that is no class' probability."""
TOLERANCE = 1e-6
"""Of a probability, or of the largest amount: the processor that trained and the one that serves may round the last
float32 digits differently."""


class SmokeTestFailed(Exception):  # noqa: N818 - the name is the error that the state machine catches
    """The version does not answer as it was evaluated."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"package", "lambda_version", "environment"}` in; `{"examples"}` out.

    Raises:
        SmokeTestFailed: an error, a score other than the recorded one, or an approval that was withdrawn.
    """
    about = ledger.version(int(event["package"]))
    if not about.get("approved"):
        # The registry, which is asked next, may have been set to approved again by somebody who may not.
        raise SmokeTestFailed(f"the ledger has version {event['package']} as {about.get('decision') or 'not approved'}")
    golden = store.json(lake.model_file(about["sha256"], "golden.json"))
    version = f"{settings.function}:{event['lambda_version']}"
    most = int(event["environment"][PredictSettings.variable("max_rows")])
    for start in range(0, len(golden), most):
        _compare(version, int(event["package"]), golden[start : start + most], start)
    logger.info("golden examples agree", extra={"examples": len(golden)})
    return {"examples": len(golden)}


def _compare(version: str, package: int, golden: list[dict[str, Any]], start: int) -> None:
    reply = functions.invoke(FunctionName=version, Payload=json.dumps(_asked(golden)))
    answer = json.loads(reply["Payload"].read())
    if "FunctionError" in reply or answer.get("statusCode") != 200:
        raise SmokeTestFailed(f"the golden examples got no answer: {json.dumps(answer)[:500]}")
    body = json.loads(answer["body"])
    if body["version"] != package:
        raise SmokeTestFailed(f"version {package} was published, version {body['version']} answers")
    if len(body["predictions"]) != len(golden):
        raise SmokeTestFailed(f"{len(golden)} golden examples were asked, {len(body['predictions'])} answered")
    recorded, answered = ([_scores(item) for item in items] for items in (golden, body["predictions"]))
    tolerance = TOLERANCE * max(1.0, *(abs(score) for scores in recorded for score in scores.values()))
    pairs = enumerate(zip(recorded, answered, strict=True), start)
    if wrong := [(number, *pair) for number, pair in pairs if not _agree(*pair, tolerance)]:
        number, expected, found = wrong[0]
        raise SmokeTestFailed(
            f"{len(wrong)} golden examples differ, first number {number}: {_said(found)}, recorded {_said(expected)}"
        )


def _scores(item: dict[str, Any]) -> dict[str, float]:
    """The numbers of an example or an answer: the probability of each of several classes, or the score alone."""
    return dict(item["scores"]) if "scores" in item else {SCORE: item["score"]}


def _agree(expected: dict[str, float], found: dict[str, float], tolerance: float) -> bool:
    return expected.keys() == found.keys() and all(
        isclose(score, found[name], rel_tol=0, abs_tol=tolerance) for name, score in expected.items()
    )


def _said(scores: dict[str, float]) -> str:
    return ", ".join(str(score) if name == SCORE else f"{name} {score}" for name, score in scores.items())


def _asked(golden: list[dict[str, Any]]) -> dict[str, Any]:
    return unseen.event("smoke_test", "smoke-test", [example["instance"] for example in golden])
