"""A fake of SageMaker's `InvokeEndpoint` that calls the container's application."""

import json
from collections.abc import Mapping
from typing import Any

from penstock.aws.client import AwsService, CallError, Reply
from penstock.captures.record import CaptureLines
from penstock.scoring.model import Model
from penstock.settings import ServeSettings
from tests.support.world import MODEL, REGION, STAGE
from training.steps.serve.app import App
from training.steps.serve.captures import Captures

ENVIRON = {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


class FakeEndpoint(AwsService):
    """One container behind an endpoint; fails as configured."""

    def __init__(self, data: bytes, *, version: str = "3", most: int = 4) -> None:
        super().__init__("sagemaker", subdomain="runtime", seconds=1, environ=ENVIRON)
        model = Model(data, max_rows=most)
        self.captured: list[dict[str, Any]] = []
        self.captures = Captures(CaptureLines(model.signature, version), self._deliver, lambda _: None)
        self.app = App(model, ServeSettings(stage=STAGE, model=MODEL, version=version), self.captures)
        self.asked: list[tuple[str, Mapping[str, str], bytes]] = []
        self.fails: Reply | CallError | None = None

    def call(
        self, method: str, path: str, *, query: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        all_headers = dict(headers or {})
        self.asked.append((f"{method} {path}", all_headers, body))
        if isinstance(self.fails, CallError):
            raise self.fails
        if self.fails is not None:
            return self.fails
        status, _, answer = self.app.answer("POST", "/invocations", all_headers, body)
        return Reply(200, answer) if status == 200 else model_error(status, answer.decode())

    def _deliver(self, lines: list[bytes]) -> int:
        self.captured += [json.loads(line) for line in lines]
        return 0


def model_error(status: int, message: str) -> Reply:
    """Build SageMaker's reply to an error of the container."""
    text = f'Received client error ({status}) from primary with message "{message}".'
    document = {
        "Message": text,
        "OriginalStatusCode": status,
        "OriginalMessage": message,
        "LogStreamArn": "arn:aws:logs",
    }
    return Reply(424, json.dumps(document).encode())
