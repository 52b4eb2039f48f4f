"""Captures are packed for Firehose, sampled by the model's share, and never delay a response for long."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.predict import capture_stream as stream
from functions.predict.capture import Capture
from penstock.captures.record import is_sampled
from penstock.settings import PredictSettings
from tests.support.front import Answer, serving

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Firehose:
    """Answers over HTTP: accepts records, refuses those at `refuse`, or gives `instead` to all."""

    def __init__(self, refuse: tuple[int, ...] = (), instead: Answer | None = None) -> None:
        self.calls: list[list[bytes]] = []
        self._refuse, self._instead = refuse, instead

    def __call__(self, _method: str, _target: str, body: bytes) -> Answer:
        self.calls.append([base64.b64decode(record["Data"]) for record in json.loads(body)["Records"]])
        if self._instead is not None:
            return self._instead
        count = len(self.calls[-1])
        answers = [{"ErrorCode": "ServiceUnavailable"} if i in self._refuse else {} for i in range(count)]
        return 200, json.dumps({"FailedPutCount": len(self._refuse), "RequestResponses": answers}).encode()


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def make_capture(closing: ExitStack, monkeypatch: pytest.MonkeyPatch, address: str, sample: str = "1.0") -> Capture:
    """Return a capture whose Firehose is at an address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_FIREHOSE", address)
    about = {"stage": "dev", "model": "m", "bucket": "b", "capture": "stream", "version": "3"}
    capture = Capture(PredictSettings(**about, capture_sample=sample), None)
    closing.callback(capture.close)
    return capture


def send_and_count_drops(capture: Capture, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> int:
    """Send rows; return how many were counted as dropped."""
    capture.send(rows, [{"id": f"r-{i}", "score": 0.5, "label": True} for i in range(len(rows))], AT, 0.01)
    return int(json.loads(capsys.readouterr().out.splitlines()[-1])["CapturesDropped"])


def test_many_rows_are_one_record(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    firehose = Firehose()
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)))
    assert send_and_count_drops(capture, [{"a": index} for index in range(500)], capsys) == 0
    ((record,),) = firehose.calls
    assert [json.loads(line)["instance"]["a"] for line in record.splitlines()] == list(range(500))


def test_large_rows_stay_within_firehoses_limits(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    firehose = Firehose()
    monkeypatch.setattr(stream, "BUDGET_SECONDS", 60.0)
    monkeypatch.setattr(stream, "SECONDS", 30.0)
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)))
    assert send_and_count_drops(capture, [{"a": "x" * 9_000} for _ in range(1_000)], capsys) == 0
    assert all(len(record) <= 1_000 * 1024 for call in firehose.calls for record in call)
    assert all(sum(map(len, call)) <= 4 * 1024 * 1024 for call in firehose.calls)
    assert sum(record.count(b"\n") for call in firehose.calls for record in call) == 1_000


@pytest.mark.parametrize(
    ("firehose", "rows", "count"),
    [
        (Firehose(refuse=(0,)), [{"a": "x" * 500_000}] * 3, 1),
        (Firehose(), [{"a": 1}, {"a": "x" * 950_000}], 1),
        (Firehose(instead=(400, b'{"__type": "ServiceUnavailableException", "message": "Slow down."}')), [{}] * 7, 7),
        (Firehose(instead=(403, b'{"__type": "AccessDeniedException"}')), [{}] * 7, 7),
        (Firehose(instead=(500, b"")), [{}] * 7, 7),
        (Firehose(instead=(200, b"no JSON")), [{}] * 7, 7),
        (Firehose(instead=(200, b"[]")), [{}] * 7, 7),
        (Firehose(instead=(200, b'{"RequestResponses": []}')), [{}] * 7, 7),
    ],
)
def test_refused_captures_are_counted(
    closing: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    firehose: Firehose,
    rows: list[dict[str, Any]],
    count: int,
) -> None:
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)))
    assert send_and_count_drops(capture, rows, capsys) == count


def test_a_throttled_stream_is_called_again_at_once(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a Firehose that refuses quickly
    firehose = Firehose(instead=(400, b"{}"))
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)))
    # When two requests are answered, then both captures were sent, as it did not delay the first
    assert [send_and_count_drops(capture, [{}], capsys) for _ in range(2)] == [1, 1]
    assert len(firehose.calls) == 2


def test_captures_without_a_firehose_are_counted(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a port where nobody listens
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    capture = make_capture(closing, monkeypatch, f"http://127.0.0.1:{port}")
    # When rows are captured, then all are counted as dropped
    assert send_and_count_drops(capture, [{"a": 1}] * 5, capsys) == 5


def test_a_hanging_firehose_delays_only_one_request(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a Firehose that takes connections and never answers
    hanging = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    capture = make_capture(closing, monkeypatch, f"http://127.0.0.1:{hanging.getsockname()[1]}")
    # When two requests are answered
    assert [send_and_count_drops(capture, [{"a": 1}] * 5, capsys) for _ in range(2)] == [5, 5]
    # Then only the first of them went to it
    hanging.settimeout(0)
    hanging.accept()[0].close()
    with pytest.raises(BlockingIOError):
        hanging.accept()


def test_a_firehose_is_called_again_after_the_pause(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a Firehose that was not there for a request
    firehose = Firehose()
    address = closing.enter_context(serving(firehose))
    capture = make_capture(closing, monkeypatch, address)
    capture._stream._paused_until = time.monotonic() + 60
    assert send_and_count_drops(capture, [{}], capsys) == 1
    # When the pause is over
    capture._stream._paused_until = time.monotonic() - 1
    # Then it gets the next one
    assert send_and_count_drops(capture, [{}], capsys) == 0
    assert len(firehose.calls) == 1


def test_nothing_is_sent_beyond_the_budget(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a budget that is exceeded before the first call
    monkeypatch.setattr(stream, "BUDGET_SECONDS", -1.0)
    firehose = Firehose()
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)))
    # When rows are captured, then none are sent, and all are counted
    assert (send_and_count_drops(capture, [{"a": 1}] * 5, capsys), firehose.calls) == (5, [])


def test_a_sample_is_drawn_by_the_inference_id(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a model that captures a quarter of its answers
    firehose = Firehose()
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)), sample="0.25")
    # When a request is answered, twice
    rows = [{"a": index} for index in range(2_000)]
    assert [send_and_count_drops(capture, rows, capsys) for _ in range(2)] == [0, 0]
    # Then about a quarter is captured, the same rows each time, and the others are not counted as dropped
    first, second = ([json.loads(line)["id"] for line in call[0].splitlines()] for call in firehose.calls)
    assert first == second == [f"r-{index}" for index in range(2_000) if is_sampled(f"r-{index}", 0.25)]
    assert 400 < len(first) < 600


def test_an_empty_sample_makes_no_call(
    closing: ExitStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    firehose = Firehose()
    capture = make_capture(closing, monkeypatch, closing.enter_context(serving(firehose)), sample="1e-12")
    assert (send_and_count_drops(capture, [{}] * 3, capsys), firehose.calls) == (0, [])
