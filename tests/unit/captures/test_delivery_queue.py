"""The server's thread delivers lines to Firehose: it tries again, counts what is not taken, and says why."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from penstock.aws.credentials import CONTAINERS, RoleCredentials
from penstock.captures import delivery_queue as delivery
from penstock.captures.delivery_queue import Delivery
from tests.support.front import Answer, serving

LINES = [b'{"a":1}\n', b'{"a":2}\n']


class Firehose:
    """Gives these answers, the last of them for ever, and keeps what it was sent."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.calls: list[list[bytes]] = []

    def __call__(self, _method: str, _target: str, body: bytes) -> Answer:
        self.calls.append([base64.b64decode(record["Data"]) for record in json.loads(body)["Records"]])
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


TAKEN = 200, b'{"RequestResponses": [{}]}'


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    for name, value in {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(delivery, "PAUSE_SECONDS", 0.0)
    with ExitStack() as stack:
        yield stack


def delivered(closing: ExitStack, monkeypatch: pytest.MonkeyPatch, firehose: Firehose) -> int:
    monkeypatch.setenv("AWS_ENDPOINT_URL", closing.enter_context(serving(firehose)))
    stream = Delivery("captures")
    closing.callback(stream.close)
    return stream.deliver(LINES)


def test_lines_go_out_as_one_record(closing: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    firehose = Firehose(TAKEN)
    assert delivered(closing, monkeypatch, firehose) == 0
    assert firehose.calls == [[b"".join(LINES)]]


@pytest.mark.parametrize("trouble", [(500, b""), (400, b'{"__type": "ServiceUnavailableException"}'), (200, b"[]")])
def test_trouble_that_passes_costs_nothing(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, trouble: Answer
) -> None:
    # Given a Firehose that is in trouble twice
    firehose = Firehose(trouble, trouble, TAKEN)
    # When lines are delivered, then the third call takes them
    assert delivered(closing, monkeypatch, firehose) == 0
    assert len(firehose.calls) == 3


def test_trouble_that_stays_is_counted_and_told(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    firehose = Firehose((400, b"ResourceNotFoundException"))
    assert delivered(closing, monkeypatch, firehose) == 2
    assert len(firehose.calls) == 3
    assert "capture dropped: Firehose says 400 ResourceNotFoundException" in capsys.readouterr().err


def test_a_container_asks_the_address_that_its_variable_names(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a container of SageMaker: its variable has a path alone, its address is always the same
    assert CONTAINERS == "http://169.254.170.2"
    from datetime import UTC, datetime

    asked: list[str] = []

    def answering(_method: str, target: str, _body: bytes) -> Answer:
        asked.append(target)
        about = {"AccessKeyId": "AKID", "SecretAccessKey": "s", "Token": "t", "Expiration": "2030-01-01T00:00:00Z"}
        return 200, json.dumps(about).encode()

    with serving(answering) as address:
        monkeypatch.setattr("penstock.aws.credentials.CONTAINERS", address)
        role = RoleCredentials({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"})
        # When it signs, then it asked there
        assert role.get(datetime(2029, 1, 1, tzinfo=UTC)).access_key == "AKID"
    assert asked == ["/v2/credentials/x"]
