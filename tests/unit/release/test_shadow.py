"""A version that answers captured requests unseen: what it is asked, what becomes of its answers, how they compare."""

import gzip
import io
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from penstock.aws.lambda_version import PublishedVersions, Reply
from penstock.aws.s3_store import sha256
from penstock.release.canary_comparison import Versions
from penstock.release.shadow_comparison import Request, compare, group_requests, pair_answers, sample
from penstock.release.shadow_replay import MAX_FILES, ShadowReplay
from penstock.spec.model import Rollout
from tests.support.tiny import GOOD, SMALLEST
from tests.support.world import FUNCTION, World
from tests.unit.predict.test_handler import captured, request, stream

MOMENT = datetime(2026, 3, 4, 5, 1, tzinfo=UTC)
SINCE = MOMENT - timedelta(hours=1)
SPEC = Rollout(strategy="shadow", min_rows=30)
BOTH = Versions(new=2, old=1)
SCORES = [number / 40 for number in range(40)]


def row(name: str, score: float = 0.5, at: datetime = MOMENT, version: int = 1, **instance: Any) -> dict[str, Any]:
    """A captured row."""
    moment = at.isoformat(timespec="milliseconds")
    return {"at": moment, "version": version, "id": name, "score": score, "label": score > 0.5, "instance": instance}


def answer(*scores: float) -> Reply:
    """What a version of the model replies."""
    predictions = [{"id": "x", "score": score, "label": score > 0.5} for score in scores]
    return Reply({"statusCode": 200, "body": json.dumps({"version": 2, "predictions": predictions})}, raised=False)


# What is asked


def test_rows_are_asked_in_the_requests_that_they_came_in() -> None:
    # Given rows of two requests, one with a hyphen in its name
    found = group_requests([row("a-b-0", x=1, y=None), row("c-0"), row("a-b-1", x=2)])
    assert [(item.name, len(item.rows)) for item in found] == [("a-b", 2), ("c", 1)]
    # Then one is asked as it came, without what was missing, and marked for what it is
    event = found[0].event()
    assert json.loads(event["body"]) == {"instances": [{"x": 1}, {"x": 2}]}
    assert (event["shadow"], event["requestContext"]["requestId"]) == (True, "a-b")


def test_whole_requests_are_drawn_the_same_ones_whoever_asks() -> None:
    # Given a hundred requests of two rows each
    given = [Request(f"r{number}", (row(f"r{number}-0"), row(f"r{number}-1"))) for number in range(100)]
    # When a look may ask for eleven rows
    found = sample(given, 11)
    # Then it asks five requests, whatever their order, and not the first five
    assert sum(len(item.rows) for item in found) == 10
    assert {item.name for item in sample(given[::-1], 11)} == {item.name for item in found}
    assert {item.name for item in found} != {item.name for item in given[:5]}
    # And one that is larger than that is asked all the same where there is no other
    assert sample(given[:1], 1) == given[:1]


@pytest.mark.parametrize(
    ("reply", "outcome", "words"),
    [
        (Reply({"errorMessage": "out of memory", "errorType": "MemoryError"}, raised=True), "failed", "out of memory"),
        (
            Reply({"statusCode": 422, "body": json.dumps({"detail": "unknown field `x`"})}, raised=False),
            "refused",
            "unknown field `x`",
        ),
        (Reply({"statusCode": 503, "body": "{}"}, raised=False), "failed", "status 503"),
        (answer(0.5), "failed", "not as many predictions as rows"),
        (answer(0.5, 0.75, 0.5), "failed", "not as many predictions as rows"),
    ],
)
def test_a_reply_that_is_no_answer_is_every_rows_trouble(reply: Reply, outcome: str, words: str) -> None:
    found = pair_answers(Request("r", (row("r-0"), row("r-1"))), reply.document, failed=reply.raised)
    assert [(pair["id"], pair["outcome"], "shadow" in pair) for pair in found] == [
        ("r-0", outcome, False),
        ("r-1", outcome, False),
    ]
    assert words in found[0]["reason"]


# How the answers compare


def both(shadow: Sequence[float], live: Sequence[float] = SCORES) -> list[dict[str, Any]]:
    """Pairs of answers."""
    rows = (row(f"r{number}-0", score) for number, score in enumerate(live))
    answered = zip(rows, shadow, strict=True)
    return [
        pair
        for item, score in answered
        for pair in pair_answers(Request("r", (item,)), answer(score).document, failed=False)
    ]


def test_equal_answers_differ_in_nothing() -> None:
    found = compare(both(SCORES), BOTH, SPEC, "binary")
    assert found.verdict == "fine"
    assert found.numbers == {"rows": 40, "unanswered": 0, "psi": 0, "changed": 0, "difference": 0}
    assert found.reason == (
        "shadow of version 2 on 40 rows that version 1 answered: PSI of the scores 0.000 (limit 0.5), "
        "0.0% other labels (limit 20%), scores 0 apart on average"
    )


def test_answers_that_changed_places_are_found_where_their_distribution_is_the_same() -> None:
    # Given each row has another one's score
    found = compare(both(SCORES[::-1]), BOTH, SPEC, "binary")
    # Then the distribution says nothing, and the pairs do
    assert found.numbers is not None
    assert (found.numbers["psi"], found.numbers["changed"] > 0.9) == (0, True)
    assert found.verdict == "bad"
    # And so it is of amounts, which have no labels
    found = compare(both(SCORES[::-1]), BOTH, SPEC, "regression")
    assert (found.verdict, "labels" in found.reason) == ("bad", False)
    assert re.search(r"scores 0\.5 apart on average \(limit 0\.125\)", found.reason)


@pytest.mark.parametrize(("limit", "verdict"), [(0.1, "fine"), (0.09, "bad")])
def test_the_limit_of_changed_labels(limit: float, verdict: str) -> None:
    # Given four of forty labels are others, by scores that hardly are
    shadow = [0.501 if 0.4 <= score <= 0.475 else score for score in SCORES]
    spec = Rollout(strategy="shadow", min_rows=30, max_changed=limit)
    assert compare(both(shadow), BOTH, spec, "binary").verdict == verdict


@pytest.mark.parametrize(("shift", "verdict"), [(0.12, "fine"), (0.13, "bad")])
def test_the_limit_of_an_amounts_difference(shift: float, verdict: str) -> None:
    # Given amounts a quarter away from their median on average, half of which is the limit
    spec = Rollout(strategy="shadow", min_rows=30, max_score_psi=100)
    assert compare(both([score + shift for score in SCORES]), BOTH, spec, "regression").verdict == verdict


def test_a_distribution_that_chance_may_give_takes_nothing_back() -> None:
    # Given few rows, scores a little apart, and a limit below what chance gives
    spec = Rollout(strategy="shadow", min_rows=30, max_score_psi=0.005)
    found = compare(both([score + 0.02 for score in SCORES]), BOTH, spec, "regression")
    # Then it is over the limit, and not judged by it
    assert found.verdict == "fine"
    assert re.search(r"PSI of the scores 0\.\d+ \(limit 0\.005, chance gives 1\.\d+\)", found.reason)


def test_of_several_classes_the_labels_are_compared() -> None:
    # Given other classes at the same probability
    found = [
        {"id": str(number), "at": "t", "outcome": "answered", "live": {"score": 0.5, "label": "ab"[number % 2]},
         "shadow": {"score": 0.5, "label": "a"}}
        for number in range(40)
    ]  # fmt: skip
    said = compare(found, BOTH, SPEC, "multiclass")
    assert (said.verdict, said.numbers and said.numbers["changed"]) == ("bad", 0.5)
    assert "PSI of the labels" in said.reason


def test_rows_without_an_answer_take_it_back_however_few_there_are() -> None:
    # Given one of three rows was refused
    refused = {"id": "x", "at": "t", "live": {"score": 0.5}, "outcome": "refused", "reason": "unknown field `x`"}
    found = compare([*both(SCORES[:2], SCORES[:2]), refused], BOTH, SPEC, "binary")
    assert found.verdict == "bad"
    assert found.reason == ("shadow of version 2: 1 of 3 rows got no answer (limit 1%), refused: unknown field `x`")


@pytest.mark.parametrize("rows", [0, 29])
def test_with_few_rows_nothing_is_compared_and_it_says_so(rows: int) -> None:
    found = compare(both(SCORES[:rows][::-1], SCORES[:rows]), BOTH, SPEC, "binary")
    assert found.verdict == "not judged"
    words = f"not compared, {rows} captured rows were answered again and 30 are needed"
    assert found.reason == f"shadow of version 2: {words}"


def test_new_code_of_the_same_model_is_compared_too() -> None:
    found = compare(both(SCORES[::-1]), Versions(new=1, old=1), SPEC, "binary")
    assert (found.verdict, found.reason.startswith("shadow of version 1 with new code on 40")) == ("bad", True)


# A look


class Version:
    """A published version that a test answers for."""

    def __init__(self, reply: Callable[[int], Reply | None]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._reply = reply

    def ask(self, event: dict[str, Any]) -> Reply | None:
        self.asked.append(event)
        return self._reply(len(json.loads(event["body"])["instances"]))


def captures_of(world: World, name: str, rows: Sequence[dict[str, Any]], at: datetime = MOMENT) -> None:
    body = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    world.store.write(f"{world.lake.prefix('captures')}{at:%Y/%m/%d/%H}/{name}.jsonl.gz", body)


def shadow_of(world: World, version: Version, most: int = 100) -> ShadowReplay:
    return ShadowReplay(store=world.store, lake=world.lake, rollout="o2", invoke=version.ask, live=1, max_rows=most)


def answering(rows: int) -> Reply:
    return answer(*[0.25] * rows)


def test_each_captured_request_of_the_live_version_is_asked_once(world: World) -> None:
    # Given what the live version answered, and rows that are nobody's business: another version's, and older ones
    version = Version(answering)
    mine = [row("a-0"), row("a-1"), row("b-0")]
    captures_of(world, "1", [*mine, row("c-0", version=2), row("d-0", at=SINCE - timedelta(seconds=1))])
    # When two looks are taken, and more is captured between them
    shadow = shadow_of(world, version)
    first = shadow.look(SINCE, MOMENT)
    captures_of(world, "2", [row("e-0")])
    second = shadow.look(SINCE, MOMENT + timedelta(seconds=30))
    # Then each request was asked once, and each look knows all answers so far
    assert sorted(event["requestContext"]["requestId"] for event in version.asked) == ["a", "b", "e"]
    assert sorted(pair["id"] for pair in first) == ["a-0", "a-1", "b-0"]
    assert sorted(pair["id"] for pair in second) == ["a-0", "a-1", "b-0", "e-0"]
    # And they lie apart, none among the captures
    assert len(world.keys(world.lake.shadow("o2"))) == 2
    assert len(world.keys("captures/")) == 2


def test_a_look_asks_no_more_rows_than_it_may(world: World) -> None:
    version = Version(answering)
    captures_of(world, "1", [row(f"r{number}-0") for number in range(50)])
    assert len(shadow_of(world, version, most=7).look(SINCE, MOMENT)) == 7
    assert len(version.asked) == 7


def test_a_look_reads_the_newest_files_and_the_next_one_what_is_left(world: World) -> None:
    # Given more files than one look reads
    version = Version(answering)
    for number in range(MAX_FILES + 2):
        captures_of(world, f"{number:02}", [row(f"r{number:02}-0")])
    # When two looks are taken, then the second reads the two oldest
    shadow = shadow_of(world, version)
    assert "r00-0" not in {pair["id"] for pair in shadow.look(SINCE, MOMENT)}
    assert len(shadow.look(SINCE, MOMENT + timedelta(seconds=30))) == MAX_FILES + 2
    assert sorted(event["requestContext"]["requestId"] for event in version.asked[-2:]) == ["r00", "r01"]


def test_where_lambda_takes_nothing_the_next_look_asks_again(world: World) -> None:
    # Given captures, and Lambda has no room
    captures_of(world, "1", [row("a-0")])
    assert shadow_of(world, Version(lambda _: None)).look(SINCE, MOMENT) == []
    # When the next look is taken, then it asks them
    assert len(shadow_of(world, Version(answering)).look(SINCE, MOMENT)) == 1


def test_without_captures_nothing_is_asked_or_kept(world: World) -> None:
    assert shadow_of(world, Version(answering)).look(SINCE, MOMENT) == []
    assert world.keys("shadow/") == []


@pytest.fixture
def predict(world: World, tiny_onnx: bytes) -> ModuleType:
    """The version that a rollout published."""
    world.store.write("models/m/model.onnx", tiny_onnx)
    return world.load("predict", version="1", model_key="models/m/model.onnx", model_sha256=sha256(tiny_onnx))


def test_what_predict_captured_predict_answers_again_to_the_last_bit_and_captures_nothing(
    world: World, predict: ModuleType
) -> None:
    # Given answered requests, as the service captured them; nothing of them is personal here
    stream()
    row = {name: value for name, value in GOOD.items() if name != "note"}
    for rows in ([row, SMALLEST], [row | {"amount": 999.1}]):
        assert predict.handler(request(*rows), None)["statusCode"] == 200
    known = captured(world)
    # When the same model is asked as a shadow
    found = [
        pair
        for asked in group_requests(known)
        for pair in pair_answers(asked, predict.handler(asked.event(), None), failed=False)
    ]
    # Then each row has the very answer that it had
    assert len(found) == 3
    assert all(pair["shadow"] == pair["live"] for pair in found)
    # And nothing more was captured
    assert captured(world) == known


# The function


@pytest.fixture
def shadowing(world: World) -> World:
    """Version 1 is live, version 2 answers unseen, and the specification is one of a shadow."""
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


def looked(world: World) -> dict[str, str]:
    """One look of a shadow."""
    event = {"rollout": "o2", "lambda_version": "7", "weight": 0, "since": MOMENT.isoformat(), "ends": "later"}
    said: dict[str, str] = world.load("watch_rollout").handler(event, None)
    return said


def test_a_look_without_captures_says_so_and_is_noted(shadowing: World) -> None:
    said = looked(shadowing)
    words = "shadow of version 2: not compared, 0 captured rows were answered again and 30 are needed"
    assert said == {"verdict": "not judged", "reason": words}
    record = shadowing.ledger.rollout("o2")
    assert (record["weight"], record["saw"]) == (0, words)
    assert record["shadow"] == {"said": words, "rows": 0, "unanswered": 0}


def test_a_shadow_that_nobody_wants_any_more_asks_nothing(shadowing: World) -> None:
    shadowing.ledger.supersede_rollout("o2", 3)
    captures_of(shadowing, "1", [row("a-0")])
    assert looked(shadowing) == {"verdict": "bad", "reason": "superseded by version 3"}
    assert "shadow" not in shadowing.ledger.rollout("o2")


def test_the_published_version_is_asked_by_its_number(world: World) -> None:
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
