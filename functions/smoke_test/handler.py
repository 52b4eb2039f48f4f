"""Before traffic: the published version must give the recorded scores on the golden examples."""

import json
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from penstock.lake import Lake
from penstock.ledger import Ledger
from penstock.settings import SmokeTestSettings
from penstock.store import Store

settings = SmokeTestSettings.read()
lake = Lake(settings.bucket, settings.model)
store = Store(settings.bucket)
ledger = Ledger.of(settings)
functions: Any = boto3.client("lambda", config=Config(read_timeout=60, retries={"max_attempts": 2}))
logger = Logger(service="smoke_test")


class SmokeTestFailed(Exception):  # noqa: N818 - the name is the error that the state machine catches
    """The version does not answer as it was evaluated."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """`{"package", "lambda_version"}` in; `{"examples"}` out.

    Raises:
        SmokeTestFailed: an error, or a score other than the recorded one.
    """
    sha256 = ledger.version(int(event["package"]))["sha256"]
    golden = store.json(lake.model_file(sha256, "golden.json"))
    version = f"{settings.function}:{event['lambda_version']}"
    reply = functions.invoke(FunctionName=version, Payload=json.dumps(_request(golden)))
    answer = json.loads(reply["Payload"].read())
    if "FunctionError" in reply or answer.get("statusCode") != 200:
        raise SmokeTestFailed(f"the golden examples got no answer: {json.dumps(answer)[:500]}")
    body = json.loads(answer["body"])
    if str(body["version"]) != str(event["package"]):
        raise SmokeTestFailed(f"version {event['package']} was published, version {body['version']} answers")
    scores = [prediction["score"] for prediction in body["predictions"]]
    if wrong := [(i, g["score"], s) for i, (g, s) in enumerate(zip(golden, scores, strict=True)) if g["score"] != s]:
        number, expected, score = wrong[0]
        raise SmokeTestFailed(
            f"{len(wrong)} of {len(golden)} golden examples differ; example {number}: {score}, recorded {expected}"
        )
    logger.info("golden examples agree", extra={"examples": len(golden)})
    return {"examples": len(golden)}


def _request(golden: list[dict[str, Any]]) -> dict[str, Any]:
    """As the HTTPS API sends it; `smoke_test` keeps it out of the capture."""
    return {
        "smoke_test": True,
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "requestId": "smoke-test"},
        "body": json.dumps({"instances": [example["instance"] for example in golden]}),
        "isBase64Encoded": False,
    }
