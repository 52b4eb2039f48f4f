"""What is captured is packed for Firehose, and what it does not take is counted."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.predict import capture as module
from functions.predict.capture import Capture
from penstock.settings import PredictSettings

SETTINGS = PredictSettings(stage="dev", model="m", bucket="b", capture="stream", version="3")


class FakeFirehose:
    """Takes calls, refuses the records it is told to, or hangs until the budget is gone."""

    def __init__(self, refuse: tuple[int, ...] = (), error: bool = False) -> None:
        self.calls: list[list[bytes]] = []
        self._refuse, self._error = refuse, error

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        if self._error:
            raise EndpointConnectionError(endpoint_url="https://firehose")
        self.calls.append([record["Data"] for record in Records])
        answers = [{"ErrorCode": "ServiceUnavailable"} if i in self._refuse else {} for i in range(len(Records))]
        return {"FailedPutCount": len(self._refuse), "RequestResponses": answers}


def sent(firehose: FakeFirehose, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> int:
    """Send rows; how many were counted as dropped."""
    capture = Capture(SETTINGS, None)
    capture._client = firehose
    predictions = [{"id": str(index), "score": 0.5, "label": True} for index in range(len(rows))]
    capture.send(rows, predictions, datetime(2026, 1, 1, tzinfo=UTC), 0.01)
    return int(json.loads(capsys.readouterr().out.splitlines()[-1])["CapturesDropped"])


def test_many_rows_are_one_record(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    firehose = FakeFirehose()
    assert sent(firehose, [{"a": index} for index in range(500)], capsys) == 0
    ((record,),) = firehose.calls
    assert [json.loads(line)["instance"]["a"] for line in record.splitlines()] == list(range(500))


def test_large_rows_stay_within_firehoses_limits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    firehose = FakeFirehose()
    assert sent(firehose, [{"a": "x" * 9_000} for _ in range(1_000)], capsys) == 0
    assert all(len(record) <= 1_000 * 1024 for call in firehose.calls for record in call)
    assert all(sum(map(len, call)) <= 4 * 1024 * 1024 for call in firehose.calls)
    assert sum(record.count(b"\n") for call in firehose.calls for record in call) == 1_000


@pytest.mark.parametrize(
    ("firehose", "rows", "dropped"),
    [
        (FakeFirehose(error=True), [{"a": 1}] * 7, 7),
        (FakeFirehose(refuse=(0,)), [{"a": "x" * 500_000}] * 3, 1),
        (FakeFirehose(), [{"a": 1}, {"a": "x" * 950_000}], 1),
    ],
)
def test_what_is_not_taken_is_counted(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    firehose: FakeFirehose,
    rows: list[dict[str, Any]],
    dropped: int,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert sent(firehose, rows, capsys) == dropped


def test_a_slow_firehose_costs_no_more_than_the_budget(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a budget that is gone before the first call
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(module, "BUDGET_SECONDS", -1.0)
    firehose = FakeFirehose()
    # When rows are captured
    dropped = sent(firehose, [{"a": 1}] * 5, capsys)
    # Then none are sent, and all are counted
    assert (firehose.calls, dropped) == ([], 5)
