"""The model file of a published version, read from S3 when the process starts."""

import time
from collections.abc import Callable

from penstock.aws.client import AwsService, CallError, Reply, encode
from penstock.predict_settings import PredictSettings

TRIES, SECONDS, PAUSE_SECONDS = 3, 3.0, 0.2
"""Lambda gives a start ten seconds."""
NOT_THERE, TROUBLE = 404, 500


class ModelNotReadError(Exception):
    """S3 does not give the file; the message says why. Lambda starts the function again with the next request."""


def registered(settings: PredictSettings) -> bytes:
    """The object version that was registered; where S3 has it no more, the newest, held to the same digest.

    Raises:
        ModelNotReadError: S3 refuses, or does not answer.
    """
    service = AwsService("s3", seconds=SECONDS, bucket=settings.bucket)
    version = settings.model_version_id
    try:
        found = _asked(service, settings, version if version != "null" else "")
        if found.status == NOT_THERE and version:
            found = _asked(service, settings, "")
    finally:
        service.close()
    if found.status != 200:
        said = found.body[:300].decode(errors="replace")
        raise ModelNotReadError(f"s3://{settings.bucket}/{settings.model_key}: S3 says {found.status} {said}")
    return found.body


def _asked(service: AwsService, settings: PredictSettings, version: str) -> Reply:
    query = f"versionId={encode(version)}" if version else ""
    return _patiently(lambda: service.call("GET", f"/{settings.model_key}", query=query), settings)


def _patiently(ask: Callable[[], Reply], settings: PredictSettings) -> Reply:
    """Ask again where S3 is down or busy; a refusal is an answer."""
    for left in reversed(range(TRIES)):
        try:
            reply = ask()
            if reply.status < TROUBLE or not left:
                return reply
        except CallError as error:
            if not left:
                raise ModelNotReadError(f"s3://{settings.bucket}/{settings.model_key}: {error}") from None
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")
