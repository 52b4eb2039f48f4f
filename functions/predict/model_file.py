"""The model file of a published version, read from S3 when the process starts."""

import time
from collections.abc import Callable

from penstock.aws.client import AwsService, CallError, Reply, encode
from penstock.predict_settings import PredictSettings

TRIES, SECONDS, PAUSE_SECONDS = 3, 3.0, 0.2
"""Within the ten seconds that Lambda allows a start."""
NOT_FOUND, SERVER_ERROR = 404, 500


class ModelNotReadError(Exception):
    """S3 does not return the file; the message says why. Lambda starts the function again with the next request."""


def read_model_file(settings: PredictSettings) -> bytes:
    """Read the registered object version; where S3 has it no more, the newest, which must have the same digest.

    Raises:
        ModelNotReadError: S3 refuses, or does not answer.
    """
    service = AwsService("s3", seconds=SECONDS, bucket=settings.bucket)
    version = settings.model_version_id
    try:
        reply = _get(service, settings, version if version != "null" else "")
        if reply.status == NOT_FOUND and version:
            reply = _get(service, settings, "")
    finally:
        service.close()
    if reply.status != 200:
        message = reply.body[:300].decode(errors="replace")
        raise ModelNotReadError(f"s3://{settings.bucket}/{settings.model_key}: S3 says {reply.status} {message}")
    return reply.body


def _get(service: AwsService, settings: PredictSettings, version: str) -> Reply:
    query = f"versionId={encode(version)}" if version else ""
    return _retry(lambda: service.call("GET", f"/{settings.model_key}", query=query), settings)


def _retry(call: Callable[[], Reply], settings: PredictSettings) -> Reply:
    """Repeat a call while S3 fails or does not answer; a 4xx is final."""
    for attempts_left in reversed(range(TRIES)):
        try:
            reply = call()
            if reply.status < SERVER_ERROR or not attempts_left:
                return reply
        except CallError as error:
            if not attempts_left:
                raise ModelNotReadError(f"s3://{settings.bucket}/{settings.model_key}: {error}") from None
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")
