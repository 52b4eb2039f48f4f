"""The opening of runs: which uploads a run takes, and when it may open."""

from datetime import timedelta
from typing import Any

import pytest

from penstock.ledger.ledger import UPLOAD_LIMIT, Ledger, Upload, timestamp
from penstock.pipeline import run_opening as runs
from penstock.spec.model import Retraining
from tests.support.world import NOW, World


class Starts(list[str]):
    """The runs that were started; may die instead."""

    dies = False

    def __call__(self, run: str) -> None:
        if self.dies:
            raise ConnectionError("gone")
        self.append(run)


@pytest.fixture
def ledger(world: World) -> Ledger:
    return world.ledger


@pytest.fixture
def start() -> Starts:
    return Starts()


def record_upload(ledger: Ledger, name: str, folder: str = "raw") -> Upload:
    upload = Upload(f"{folder}/flight-delay/{name}", "v1", "e", 1, timestamp(NOW))
    assert ledger.record_upload(upload)
    return upload


def next_run(ledger: Ledger, start: Starts, **about: Any) -> str:
    defaults: dict[str, Any] = {"trigger": "upload", "cause": "a test", "now": NOW}
    return runs.open_next(ledger, start, **(defaults | about))


def test_a_run_is_named_by_what_goes_into_it() -> None:
    a, b = Upload("raw/m/a", "1", "e", 1, "t"), Upload("raw/m/b", "1", "e", 1, "t")
    assert runs.run_id("m", [a, b], "") == runs.run_id("m", [b, a], "")
    others = [
        ("n", [a, b], ""),
        ("m", [a], ""),
        ("m", [a, b], "alarm"),
        ("m", [a, Upload("raw/m/b", "1", "e", 1, "t", 1)], ""),
    ]
    assert len({runs.run_id(*other) for other in [("m", [a, b], ""), *others]}) == 5
    assert len(runs.run_id("m", [], "")) == 12


def test_waiting_uploads_become_one_run(ledger: Ledger, start: Starts) -> None:
    uploads = [record_upload(ledger, name) for name in ("a.csv", "b.csv")]
    sentence = next_run(ledger, start)
    assert start == [runs.run_id("flight-delay", uploads, "")]
    assert sentence == f"run {start[0]} opened for 2 uploads"
    assert ledger.run(start[0])["opened"] == timestamp(NOW)


def test_nothing_new_starts_nothing(ledger: Ledger, start: Starts) -> None:
    record_upload(ledger, "d.parquet", "labelled")
    assert next_run(ledger, start) == "nothing new waits"
    assert start == []


def test_uploads_during_a_run_are_taken_by_the_next(ledger: Ledger, start: Starts) -> None:
    # Given a run under way
    upload = record_upload(ledger, "a.csv")
    next_run(ledger, start)
    first = start[0]
    ledger.settle_upload(upload, "dataset")
    # When two more uploads come
    for name in ("b.csv", "c.csv"):
        record_upload(ledger, name)
        assert next_run(ledger, start) == f"run {first} is under way; what waits is taken by the next one"
    # Then the next run takes both
    ledger.end_run(first, "registered", "x", timestamp(NOW))
    next_run(ledger, start)
    assert len(ledger.run(start[-1])["uploads"]) == 2


def test_a_lost_start_is_repaired_by_the_next_event(ledger: Ledger, start: Starts) -> None:
    # Given a run that was opened by a process that died before it started it
    record_upload(ledger, "a.csv")
    start.dies = True
    with pytest.raises(ConnectionError):
        next_run(ledger, start)
    opened = ledger.holder("run")
    # When the same event comes again
    start.dies = False
    next_run(ledger, start)
    # Then that run is started
    assert start == [opened]


def test_a_run_that_failed_is_not_started_again_by_itself(ledger: Ledger, start: Starts) -> None:
    record_upload(ledger, "a.csv")
    next_run(ledger, start)
    ledger.end_run(start[0], "failed", "x", timestamp(NOW))
    assert next_run(ledger, start) == "nothing new waits"
    # When something new comes, it takes what failed with it
    record_upload(ledger, "b.csv")
    next_run(ledger, start)
    assert [item.tries for item in ledger.uploads_of(ledger.run(start[-1]))] == [1, 0]


def test_an_operator_starts_a_run_without_new_uploads(ledger: Ledger, start: Starts) -> None:
    sentence = next_run(ledger, start, trigger="operator", occasion="request 1")
    assert sentence == f"run {start[0]} opened for 0 uploads"
    ledger.end_run(start[0], "skipped", "x", timestamp(NOW))
    # When the same request comes again, then it opens no run; another does
    assert next_run(ledger, start, trigger="operator", occasion="request 1").endswith(
        "is known, or another was opened first"
    )
    next_run(ledger, start, trigger="operator", occasion="request 2")
    assert len(set(start)) == 2


def test_more_uploads_than_a_run_takes_wait_for_the_next(ledger: Ledger, start: Starts) -> None:
    for number in range(UPLOAD_LIMIT + 3):
        record_upload(ledger, f"{number:03}.csv")
    next_run(ledger, start)
    assert len(ledger.run(start[0])["uploads"]) == UPLOAD_LIMIT
    assert len(ledger.waiting()) == 3


def failed(ledger: Ledger, start: Starts, times: int) -> None:
    for number in range(times):
        next_run(ledger, start, trigger="operator", occasion=f"failing {number}")
        ledger.end_run(start[-1], "failed", "x", timestamp(NOW))


def test_failed_uploads_never_keep_new_ones_out(ledger: Ledger, start: Starts) -> None:
    # Given more captured rows and failed uploads than one run takes
    for number in range(UPLOAD_LIMIT):
        record_upload(ledger, f"{number:03}.csv")
    failed(ledger, start, 1)
    for number in range(UPLOAD_LIMIT):
        record_upload(ledger, f"{number:03}.parquet", "labelled")
    # When a new upload comes
    new = record_upload(ledger, "zzz.csv")
    next_run(ledger, start)
    # Then it is in the run
    uploads = ledger.uploads_of(ledger.run(start[-1]))
    assert new in uploads
    assert len(uploads) == UPLOAD_LIMIT


def test_of_uploads_that_failed_twice_a_run_takes_one(ledger: Ledger, start: Starts) -> None:
    # Given three uploads on which two runs have failed: one of them may be why
    for name in ("a.csv", "b.csv", "c.csv"):
        record_upload(ledger, name)
    failed(ledger, start, 2)
    # When a new one comes
    record_upload(ledger, "d.csv")
    next_run(ledger, start)
    # Then one of the three goes with it
    assert [item.tries for item in ledger.uploads_of(ledger.run(start[-1]))] == [2, 0]
    ledger.end_run(start[-1], "failed", "x", timestamp(NOW))
    # And a run of the operator takes all of them
    next_run(ledger, start, trigger="operator", occasion="now")
    assert sorted(item.tries for item in ledger.uploads_of(ledger.run(start[-1]))) == [1, 2, 2, 3]


def test_a_repeated_request_opens_no_run_whatever_waits_by_then(ledger: Ledger, start: Starts) -> None:
    record_upload(ledger, "a.csv")
    next_run(ledger, start, trigger="operator", occasion="request 1")
    ledger.end_run(start[0], "failed", "x", timestamp(NOW))
    record_upload(ledger, "b.csv")
    assert "is known" in next_run(ledger, start, trigger="operator", occasion="request 1")
    assert len(start) == 1


def alarm_run(ledger: Ledger, start: Starts, ago: timedelta) -> None:
    at = NOW - ago
    next_run(ledger, start, trigger="alarm", occasion=f"alarm {at}", now=at)
    ledger.end_run(start[-1], "rejected", "x", timestamp(at))


@pytest.mark.parametrize(
    ("policy", "hours_ago", "refusal"),
    [
        ({}, [], None),
        ({"on_drift": False}, [], "retraining.on_drift is false in model.yaml"),
        ({"cooldown_minutes": 60}, [0.5], "the last alarm-started run is less than 60 minutes ago"),
        ({"cooldown_minutes": 60}, [1], None),
        ({"cooldown_minutes": 0}, [0], None),
        ({"per_day": 2}, [5, 10], "2 alarm-started runs in 24 hours, the most that model.yaml allows"),
        ({"per_day": 2}, [5, 24], None),
        ({"per_day": 2}, [5, 30, 31, 32], None),
    ],
)
def test_cooldown_and_daily_cap(
    ledger: Ledger, start: Starts, policy: dict[str, Any], hours_ago: list[float], refusal: str | None
) -> None:
    for hours in sorted(hours_ago, reverse=True):
        alarm_run(ledger, start, timedelta(hours=hours))
    assert runs.retraining_obstacle(ledger, Retraining(**policy), NOW) == refusal


def test_only_alarm_started_runs_count(ledger: Ledger, start: Starts) -> None:
    record_upload(ledger, "a.csv")
    next_run(ledger, start)
    assert runs.retraining_obstacle(ledger, Retraining(), NOW) is None
