"""Shadow replay: captured requests, asked once of the new version."""

import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from penstock.aws.lambda_version import PublishedVersions, Reply
from penstock.aws.s3_store import sha256
from penstock.release.shadow_comparison import group_requests, pair_answers
from penstock.release.shadow_replay import MAX_FILES, ShadowReplay
from tests.support.tiny import GOOD, SMALLEST
from tests.support.world import FUNCTION, World
from tests.unit.predict.test_handler import captured_rows, request, stream

MOMENT = datetime(2026, 3, 4, 5, 1, tzinfo=UTC)
SINCE = MOMENT - timedelta(hours=1)


def row(name: str, score: float = 0.5, at: datetime = MOMENT, version: int = 1, **instance: Any) -> dict[str, Any]:
    """A captured row."""
    moment = at.isoformat(timespec="milliseconds")
    return {"at": moment, "version": version, "id": name, "score": score, "label": score > 0.5, "instance": instance}


def reply_of(*scores: float) -> Reply:
    """What a version of the model replies."""
    predictions = [{"id": "x", "score": score, "label": score > 0.5} for score in scores]
    return Reply({"statusCode": 200, "body": json.dumps({"version": 2, "predictions": predictions})}, raised=False)


class Version:
    """A published version that a test answers for."""

    def __init__(self, reply: Callable[[int], Reply | None]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._reply = reply

    def ask(self, event: dict[str, Any]) -> Reply | None:
        self.asked.append(event)
        return self._reply(len(json.loads(event["body"])["instances"]))


def write_captures(world: World, name: str, rows: Sequence[dict[str, Any]], at: datetime = MOMENT) -> None:
    body = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    world.store.write(f"{world.lake.prefix('captures')}{at:%Y/%m/%d/%H}/{name}.jsonl.gz", body)


def replay_of(world: World, version: Version, most: int = 100) -> ShadowReplay:
    return ShadowReplay(store=world.store, lake=world.lake, rollout="o2", invoke=version.ask, live=1, max_rows=most)


def answering(rows: int) -> Reply:
    return reply_of(*[0.25] * rows)


def test_each_captured_request_of_the_live_version_is_replayed_once(world: World) -> None:
    # Given what the live version answered, and rows that do not count: another version's, and older ones
    version = Version(answering)
    mine = [row("a-0"), row("a-1"), row("b-0")]
    write_captures(world, "1", [*mine, row("c-0", version=2), row("d-0", at=SINCE - timedelta(seconds=1))])
    # When two looks are taken, and more is captured between them
    shadow = replay_of(world, version)
    first = shadow.look(SINCE, MOMENT)
    write_captures(world, "2", [row("e-0")])
    second = shadow.look(SINCE, MOMENT + timedelta(seconds=30))
    # Then each request was asked once, and each look knows all answers so far
    assert sorted(event["requestContext"]["requestId"] for event in version.asked) == ["a", "b", "e"]
    assert sorted(pair["id"] for pair in first) == ["a-0", "a-1", "b-0"]
    assert sorted(pair["id"] for pair in second) == ["a-0", "a-1", "b-0", "e-0"]
    # And they lie apart, none among the captures
    assert len(world.keys(world.lake.shadow("o2"))) == 2
    assert len(world.keys("captures/")) == 2


def test_one_check_replays_rows_up_to_its_limit(world: World) -> None:
    version = Version(answering)
    write_captures(world, "1", [row(f"r{number}-0") for number in range(50)])
    assert len(replay_of(world, version, most=7).look(SINCE, MOMENT)) == 7
    assert len(version.asked) == 7


def test_a_check_reads_the_newest_files_and_the_next_check_the_others(world: World) -> None:
    # Given more files than one look reads
    version = Version(answering)
    for number in range(MAX_FILES + 2):
        write_captures(world, f"{number:02}", [row(f"r{number:02}-0")])
    # When two looks are taken, then the second reads the two oldest
    shadow = replay_of(world, version)
    assert "r00-0" not in {pair["id"] for pair in shadow.look(SINCE, MOMENT)}
    assert len(shadow.look(SINCE, MOMENT + timedelta(seconds=30))) == MAX_FILES + 2
    assert sorted(event["requestContext"]["requestId"] for event in version.asked[-2:]) == ["r00", "r01"]


def test_a_request_that_lambda_throttles_is_replayed_by_the_next_check(world: World) -> None:
    # Given captures, and Lambda has no room
    write_captures(world, "1", [row("a-0")])
    assert replay_of(world, Version(lambda _: None)).look(SINCE, MOMENT) == []
    # When the next look is taken, then it asks them
    assert len(replay_of(world, Version(answering)).look(SINCE, MOMENT)) == 1


def test_without_captures_nothing_is_replayed_or_written(world: World) -> None:
    assert replay_of(world, Version(answering)).look(SINCE, MOMENT) == []
    assert world.keys("shadow/") == []


@pytest.fixture
def predict(world: World, tiny_onnx: bytes) -> ModuleType:
    """The version that a rollout published."""
    world.store.write("models/m/model.onnx", tiny_onnx)
    return world.load("predict", version="1", model_key="models/m/model.onnx", model_sha256=sha256(tiny_onnx))


def test_predict_repeats_its_captured_answers_to_the_last_bit_and_captures_nothing(
    world: World, predict: ModuleType
) -> None:
    # Given answered requests, as the service captured them; nothing of them is personal here
    stream()
    row = {name: value for name, value in GOOD.items() if name != "note"}
    for rows in ([row, SMALLEST], [row | {"amount": 999.1}]):
        assert predict.handler(request(*rows), None)["statusCode"] == 200
    rows = captured_rows(world)
    # When the same model is asked as a shadow
    pairs = [
        pair
        for request in group_requests(rows)
        for pair in pair_answers(request, predict.handler(request.event(), None), failed=False)
    ]
    # Then each row has the very answer that it had
    assert len(pairs) == 3
    assert all(pair["shadow"] == pair["live"] for pair in pairs)
    # And nothing more was captured
    assert captured_rows(world) == rows


# The function


@pytest.fixture
def shadowing(world: World) -> World:
    """Version 1 is live, version 2 is a shadow, as the specification says."""
    at = "2026-01-01T00:00:00.000+00:00"
    for number in (1, 2):
        world.ledger.put_version(number, arn=f"arn:{number}", sha256="s", approved=at, decision="approved")
        assert world.ledger.open_rollout(f"o{number}", number, at, approved=at)
        if number == 1:
            live = {"version": 1, "sha256": "s", "lambda_version": "2"}
            assert world.ledger.end_rollout("o1", "live", "serves", at, live)
    path = world.root / "model" / "model.yaml"
    path.write_text(path.read_text() + "\nrollout: {strategy: shadow, min_rows: 30}\n")
    return world


def look(world: World) -> dict[str, str]:
    """One look of a shadow."""
    event = {"rollout": "o2", "lambda_version": "7", "weight": 0, "since": MOMENT.isoformat(), "ends": "later"}
    reply: dict[str, str] = world.load("watch_rollout").handler(event, None)
    return reply


def test_a_look_without_captures_is_not_judged_and_is_noted(shadowing: World) -> None:
    reply = look(shadowing)
    words = "shadow of version 2: not compared, 0 captured rows were answered again and 30 are needed"
    assert reply == {"verdict": "not judged", "reason": words}
    record = shadowing.ledger.rollout("o2")
    assert (record["weight"], record["saw"]) == (0, words)
    assert record["shadow"] == {"said": words, "rows": 0, "unanswered": 0}


def test_a_superseded_shadow_replays_no_request(shadowing: World) -> None:
    shadowing.ledger.supersede_rollout("o2", 3)
    write_captures(shadowing, "1", [row("a-0")])
    assert look(shadowing) == {"verdict": "bad", "reason": "superseded by version 3"}
    assert "shadow" not in shadowing.ledger.rollout("o2")


def test_a_published_version_is_invoked_by_its_number(world: World) -> None:
    # Given a published version that raises
    versions = PublishedVersions(FUNCTION)
    body = b'{"errorMessage": "no"}'
    response = {"StatusCode": 200, "FunctionError": "Unhandled"}
    with Stubber(versions._client) as stub:
        payload = StreamingBody(io.BytesIO(body), len(body))
        stub.add_response("invoke", response | {"Payload": payload}, {"FunctionName": f"{FUNCTION}:7", "Payload": ANY})
        # Then its error is its reply
        assert versions.try_invoke("7", {"shadow": True}) == Reply({"errorMessage": "no"}, raised=True)
        # And Lambda's own trouble is none
        stub.add_client_error("invoke", "TooManyRequestsException")
        assert versions.try_invoke("7", {"shadow": True}) is None
        stub.assert_no_pending_responses()
    # And a request that Lambda would not take is not made
    assert versions.try_invoke("7", {"body": "x" * 6_000_001}) is None
