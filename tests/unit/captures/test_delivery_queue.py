"""Delivery to Firehose: retries, the count of dropped lines, and the logged cause."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from penstock.aws.credentials import CONTAINERS, RoleCredentials
from penstock.captures import delivery_queue
from penstock.captures.delivery_queue import Delivery
from tests.support.front import Answer, serving

LINES = [b'{"a":1}\n', b'{"a":2}\n']


class Firehose:
    """Sends these responses, the last one repeatedly, and records the calls."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.calls: list[list[bytes]] = []

    def __call__(self, _method: str, _target: str, body: bytes) -> Answer:
        self.calls.append([base64.b64decode(record["Data"]) for record in json.loads(body)["Records"]])
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


ACCEPTED = 200, b'{"RequestResponses": [{}]}'


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(delivery_queue, "PAUSE_SECONDS", 0.0)
    with ExitStack() as stack:
        yield stack


def deliver(closing: ExitStack, monkeypatch: pytest.MonkeyPatch, firehose: Firehose) -> int:
    monkeypatch.setenv("AWS_ENDPOINT_URL", closing.enter_context(serving(firehose)))
    stream = Delivery("captures")
    closing.callback(stream.close)
    return stream.deliver(LINES)


def test_lines_are_sent_as_one_record(closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    firehose = Firehose(ACCEPTED)
    assert deliver(closing, monkeypatch, firehose) == 0
    assert firehose.calls == [[b"".join(LINES)]]


@pytest.mark.parametrize("failure", [(500, b""), (400, b'{"__type": "ServiceUnavailableException"}'), (200, b"[]")])
def test_a_temporary_failure_drops_no_line(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, failure: Answer
) -> None:
    # Given a Firehose that fails twice
    firehose = Firehose(failure, failure, ACCEPTED)
    # When lines are delivered, then the third call succeeds
    assert deliver(closing, monkeypatch, firehose) == 0
    assert len(firehose.calls) == 3


def test_a_permanent_failure_drops_lines_and_is_logged(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    firehose = Firehose((400, b"ResourceNotFoundException"))
    assert deliver(closing, monkeypatch, firehose) == 2
    assert len(firehose.calls) == 3
    assert "capture dropped: Firehose says 400 ResourceNotFoundException" in capsys.readouterr().err


def test_a_container_reads_its_credentials_from_the_path_in_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a container of SageMaker, whose variable has only a path, since the address is fixed
    assert CONTAINERS == "http://169.254.170.2"
    from datetime import UTC, datetime

    targets: list[str] = []

    def respond(_method: str, target: str, _body: bytes) -> Answer:
        targets.append(target)
        about = {"AccessKeyId": "AKID", "SecretAccessKey": "s", "Token": "t", "Expiration": "2030-01-01T00:00:00Z"}
        return 200, json.dumps(about).encode()

    with serving(respond) as address:
        monkeypatch.setattr("penstock.aws.credentials.CONTAINERS", address)
        role = RoleCredentials({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"})
        # When it signs, then it uses the credentials of that address
        assert role.get(datetime(2029, 1, 1, tzinfo=UTC)).access_key == "AKID"
    assert targets == ["/v2/credentials/x"]
