"""Triggers of runs: events in, at most one run out."""

import json
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from penstock.events import EventError
from penstock.ledger.ledger import timestamp
from tests.support.world import World, alarm_raised, client, execution_ended, object_created


@pytest.fixture
def function(world: World) -> ModuleType:
    return world.load("start_run")


def react(function: ModuleType, event: dict[str, Any]) -> str:
    """The function's sentence about an event."""
    answer: dict[str, str] = function.handler(event, None)
    return answer["said"]


def stop(world: World, run: str) -> None:
    arn = world.pipeline.replace(":stateMachine:", ":execution:") + f":{run}"
    client("stepfunctions").stop_execution(executionArn=arn, cause="power cut")


def test_the_same_upload_five_times_is_one_execution(world: World, function: ModuleType) -> None:
    # Given S3's event of one upload
    event = world.upload("a.csv", b"x")
    # When it comes five times
    answers = [react(function, event) for _ in range(5)]
    # Then there is one run, its execution named after it
    executions = world.executions(world.pipeline)
    run = executions[0]["name"]
    assert len(executions) == 1
    assert json.loads(executions[0]["input"]) == {"model": "flight-delay", "run": run}
    assert answers[0] == f"run {run} opened for 1 uploads"
    assert all(answer.startswith(f"run {run} is under way") for answer in answers[1:])
    record = world.ledger.run(run)
    assert (record["trigger"], record["cause"]) == ("upload", "upload of a.csv")


@pytest.mark.parametrize("name", ["_SUCCESS", "folder/"])
def test_markers_hold_no_rows(world: World, function: ModuleType, name: str) -> None:
    assert react(function, world.upload(name, b"")).endswith("holds no rows")
    assert world.ledger.waiting() == []
    assert world.executions(world.pipeline) == []


def test_a_folder_is_one_upload_when_it_is_closed(world: World, function: ModuleType) -> None:
    # Given objects in a folder: no run is opened for them
    for name in ("2013/a.csv", "2013/more/b.csv"):
        assert react(function, world.upload(name, b"x")).endswith("is taken when _SUCCESS closes its folder")
    assert world.ledger.runs() == []
    # When the folder is closed, and its marker's event comes before another object's
    late = world.upload("2013/c.csv", b"y")
    closed = world.upload("2013/_SUCCESS", b"")
    answers = [react(function, event) for event in (closed, late, closed)]
    # Then one run has the folder as its one upload
    run = world.ledger.runs()[0]
    assert answers[0] == f"run {run['id']} opened for 1 uploads"
    assert run["cause"] == "upload of 2013/"
    assert [item["key"] for item in run["uploads"]] == ["raw/flight-delay/2013/_SUCCESS"]
    assert len(world.executions(world.pipeline)) == 1


def test_uploads_stand_in_the_order_in_which_they_were_put(world: World, function: ModuleType) -> None:
    # Given the newer upload's event comes first, while a run is under way
    react(function, world.upload("first.csv", b"x"))
    older, newer = world.upload("b.csv", b"x"), world.upload("a.csv", b"x")
    older["time"], newer["time"] = "2026-03-04T05:06:08Z", "2026-03-04T05:06:09Z"
    for event in (newer, older):
        react(function, event)
    # Then they wait as they were put
    assert [item.key.rpartition("/")[2] for item in world.ledger.waiting()] == ["b.csv", "a.csv"]
    assert world.ledger.waiting()[0].at == "2026-03-04T05:06:08.000+00:00"


def test_an_upload_of_another_model_is_refused(function: ModuleType) -> None:
    with pytest.raises(Exception, match="is not an object under raw/flight-delay/"):
        function.handler(object_created("raw/other/a.csv", 1, "e", "v"), None)


def test_an_operators_request_is_one_run(world: World, function: ModuleType) -> None:
    # Given an operator's request, which is sent twice
    event = {"retrain": "new code", "request": "q1"}
    answers = [react(function, event) for _ in range(2)]
    # Then one run has it as its cause
    assert "opened for 0 uploads" in answers[0]
    runs = world.ledger.runs()
    assert [(run["trigger"], run["cause"]) for run in runs] == [("operator", "new code")]
    # And when it ended, the same request is known and another is a run
    world.end_run(runs[0]["id"], "skipped")
    stop(world, runs[0]["id"])
    assert "is known" in react(function, event)
    assert "opened" in react(function, event | {"request": "q2"})


def test_an_alarm_starts_a_run_and_then_cools_down(world: World, function: ModuleType) -> None:
    # Given a drift alarm whose event comes three times
    answers = [react(function, alarm_raised()) for _ in range(3)]
    # Then it is one run, with the alarm's words as cause
    run = world.ledger.runs()[0]
    assert "opened" in answers[0]
    assert run["trigger"] == "alarm"
    assert run["cause"] == "alarm drift: Threshold Crossed: 1 datapoint [0.4] was greater"
    assert len(world.executions(world.pipeline)) == 1
    # And another change of the alarm within the cooldown starts none
    world.end_run(run["id"])
    answer = react(function, alarm_raised(at="2026-03-04T06:06:07.000+0000"))
    assert answer == "alarm drift starts no run: the last alarm-started run is less than 60 minutes ago"


def test_retraining_on_alarms_may_be_switched_off(world: World) -> None:
    path = world.root / "model" / "model.yaml"
    path.write_text(path.read_text().replace("on_drift: true", "on_drift: false"))
    answer = react(world.load("start_run"), alarm_raised())
    assert answer == "alarm drift starts no run: retraining.on_drift is false in model.yaml"


def test_the_end_of_a_run_settles_it_and_opens_the_next(world: World, function: ModuleType) -> None:
    # Given a run under way, and an upload that came meanwhile
    react(function, world.upload("a.csv", b"x"))
    first = world.ledger.holder("run")
    assert first is not None
    react(function, world.upload("b.csv", b"y"))
    # When its execution is reported as stopped, twice
    event = execution_ended(world.pipeline, first, "ABORTED", "someone stopped it")
    answers = [react(function, event) for _ in range(2)]
    # Then it failed with that reason, and the next one has both uploads
    record = world.ledger.run(first)
    assert (record["outcome"], record["reason"]) == (
        "failed",
        "the pipeline's execution ended ABORTED: someone stopped it",
    )
    second = world.ledger.holder("run")
    assert answers[0] == f"run {second} opened for 2 uploads"
    assert answers[1].startswith(f"run {second} is under way")
    assert [item["name"] for item in world.executions(world.pipeline)] == [first, second]


def test_the_end_of_a_run_that_ended_itself_changes_nothing_of_it(world: World, function: ModuleType) -> None:
    react(function, world.upload("a.csv", b"x"))
    run = world.ledger.runs()[0]["id"]
    for upload in world.ledger.uploads_of(world.ledger.run(run)):
        world.ledger.settle_upload(upload, "dataset")
    world.end_run(run, "registered")
    assert react(function, execution_ended(world.pipeline, run, "SUCCEEDED")) == "nothing new waits"
    assert world.ledger.run(run)["outcome"] == "registered"


def test_an_upload_during_a_forgetting_is_taken_after_it(world: World, function: ModuleType) -> None:
    # Given an upload that came while rows were forgotten
    world.ledger.begin_forgetting("forgetting-1", timestamp(datetime.now(UTC)))
    assert react(function, world.upload("a.csv", b"x")).startswith("rows are being forgotten")
    assert world.executions(world.pipeline) == []
    # When the forgetting has ended
    world.ledger.end_forgetting("forgetting-1")
    assert "opened for 1 uploads" in react(function, {"waiting": True})
    # Then its run is under way, and nothing else
    assert len(world.executions(world.pipeline)) == 1


def test_a_run_whose_start_was_lost_is_started_by_the_next_event(world: World, function: ModuleType) -> None:
    # Given a run that is open but has no execution
    run = world.take("a.csv", b"x")
    # When any event comes
    react(function, world.upload("b.csv", b"y"))
    # Then that run is started
    assert [item["name"] for item in world.executions(world.pipeline)] == [run]


def test_a_run_whose_end_was_lost_blocks_nothing(world: World, function: ModuleType) -> None:
    # Given a run whose execution was stopped and whose event was lost
    react(function, world.upload("a.csv", b"x"))
    first = world.ledger.runs()[0]["id"]
    stop(world, first)
    # When another upload comes
    react(function, world.upload("b.csv", b"y"))
    # Then the first is closed, and a run for the new upload is under way
    assert world.ledger.run(first)["state"] == "ended"
    assert world.ledger.run(first)["reason"].startswith("the pipeline's execution ended ABORTED")
    assert world.ledger.holder("run") not in (None, first)
    assert len(world.executions(world.pipeline)) == 2


@pytest.mark.parametrize("event", [{}, {"retrain": None}, {"source": "aws.ec2", "detail-type": "x", "detail": {}}])
def test_an_unknown_event_is_refused(function: ModuleType, event: dict[str, Any]) -> None:
    with pytest.raises(EventError, match="neither an event that starts a run nor"):
        function.handler(event, None)


def test_the_daily_cap_holds(world: World, function: ModuleType) -> None:
    # Given as many alarm-started runs in the last hours as model.yaml allows
    from penstock.ledger.ledger import Run

    for hours in (2, 4, 6, 8):
        at = timestamp(datetime.now(UTC) - timedelta(hours=hours))
        assert world.ledger.open_run(Run(f"run{hours}", "alarm", "x", (), at))
        world.end_run(f"run{hours}")
    assert react(function, alarm_raised()).endswith("4 alarm-started runs in 24 hours, the most that model.yaml allows")
