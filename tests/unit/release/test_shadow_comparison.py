"""Shadow comparison: requests from captured rows, pairs of answers, and how far they differ."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.aws.lambda_version import Reply
from penstock.release.canary_comparison import Versions
from penstock.release.shadow_comparison import Request, compare, group_requests, pair_answers, sample
from penstock.spec.model import Rollout

MOMENT = datetime(2026, 3, 4, 5, 1, tzinfo=UTC)
SINCE = MOMENT - timedelta(hours=1)
SPEC = Rollout(strategy="shadow", min_rows=30)
BOTH = Versions(new=2, old=1)
SCORES = [number / 40 for number in range(40)]


def row(name: str, score: float = 0.5, at: datetime = MOMENT, version: int = 1, **instance: Any) -> dict[str, Any]:
    """A captured row."""
    moment = at.isoformat(timespec="milliseconds")
    return {"at": moment, "version": version, "id": name, "score": score, "label": score > 0.5, "instance": instance}


def reply_of(*scores: float) -> Reply:
    """What a version of the model replies."""
    predictions = [{"id": "x", "score": score, "label": score > 0.5} for score in scores]
    return Reply({"statusCode": 200, "body": json.dumps({"version": 2, "predictions": predictions})}, raised=False)


# Requests and replies


def test_rows_are_grouped_by_their_requests() -> None:
    # Given rows of two requests, one with a hyphen in its name
    items = group_requests([row("a-b-0", x=1, y=None), row("c-0"), row("a-b-1", x=2)])
    assert [(item.name, len(item.rows)) for item in items] == [("a-b", 2), ("c", 1)]
    # Then one is asked as it came, without what was missing, and marked for what it is
    event = items[0].event()
    assert json.loads(event["body"]) == {"instances": [{"x": 1}, {"x": 2}]}
    assert (event["shadow"], event["requestContext"]["requestId"]) == (True, "a-b")


def test_a_sample_has_whole_requests_and_is_the_same_in_any_order() -> None:
    # Given a hundred requests of two rows each
    population = [Request(f"r{number}", (row(f"r{number}-0"), row(f"r{number}-1"))) for number in range(100)]
    # When a look may ask for eleven rows
    chosen = sample(population, 11)
    # Then it asks five requests, whatever their order, and not the first five
    assert sum(len(item.rows) for item in chosen) == 10
    assert {item.name for item in sample(population[::-1], 11)} == {item.name for item in chosen}
    assert {item.name for item in chosen} != {item.name for item in population[:5]}
    # And one that is larger than that is asked all the same where there is no other
    assert sample(population[:1], 1) == population[:1]


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
        (reply_of(0.5), "failed", "not as many predictions as rows"),
        (reply_of(0.5, 0.75, 0.5), "failed", "not as many predictions as rows"),
    ],
)
def test_a_reply_without_predictions_counts_for_each_of_its_rows(reply: Reply, outcome: str, words: str) -> None:
    pairs = pair_answers(Request("r", (row("r-0"), row("r-1"))), reply.document, failed=reply.raised)
    assert [(pair["id"], pair["outcome"], "shadow" in pair) for pair in pairs] == [
        ("r-0", outcome, False),
        ("r-1", outcome, False),
    ]
    assert words in pairs[0]["reason"]


# Comparison


def pairs_of(shadow: Sequence[float], live: Sequence[float] = SCORES) -> list[dict[str, Any]]:
    """Pairs of answers."""
    rows = (row(f"r{number}-0", score) for number, score in enumerate(live))
    answers = zip(rows, shadow, strict=True)
    return [
        pair
        for item, score in answers
        for pair in pair_answers(Request("r", (item,)), reply_of(score).document, failed=False)
    ]


def test_equal_answers_differ_in_nothing() -> None:
    finding = compare(pairs_of(SCORES), BOTH, SPEC, "binary")
    assert finding.verdict == "fine"
    assert finding.numbers == {"rows": 40, "unanswered": 0, "psi": 0, "changed": 0, "difference": 0}
    assert finding.reason == (
        "shadow of version 2 on 40 rows that version 1 answered: PSI of the scores 0.000 (limit 0.5), "
        "0.0% other labels (limit 20%), scores 0 apart on average"
    )


def test_answers_that_changed_places_differ_though_their_distribution_does_not() -> None:
    # Given each row has another one's score
    finding = compare(pairs_of(SCORES[::-1]), BOTH, SPEC, "binary")
    # Then the distribution says nothing, and the pairs do
    assert finding.numbers is not None
    assert (finding.numbers["psi"], finding.numbers["changed"] > 0.9) == (0, True)
    assert finding.verdict == "bad"
    # And so it is of amounts, which have no labels
    finding = compare(pairs_of(SCORES[::-1]), BOTH, SPEC, "regression")
    assert (finding.verdict, "labels" in finding.reason) == ("bad", False)
    assert re.search(r"scores 0\.5 apart on average \(limit 0\.125\)", finding.reason)


@pytest.mark.parametrize(("limit", "verdict"), [(0.1, "fine"), (0.09, "bad")])
def test_the_limit_of_changed_labels(limit: float, verdict: str) -> None:
    # Given four of forty labels are others, by scores that hardly are
    shadow = [0.501 if 0.4 <= score <= 0.475 else score for score in SCORES]
    spec = Rollout(strategy="shadow", min_rows=30, max_changed=limit)
    assert compare(pairs_of(shadow), BOTH, spec, "binary").verdict == verdict


@pytest.mark.parametrize(("shift", "verdict"), [(0.12, "fine"), (0.13, "bad")])
def test_the_limit_of_an_amounts_difference(shift: float, verdict: str) -> None:
    # Given amounts a quarter away from their median on average, half of which is the limit
    spec = Rollout(strategy="shadow", min_rows=30, max_score_psi=100)
    assert compare(pairs_of([score + shift for score in SCORES]), BOTH, spec, "regression").verdict == verdict


def test_a_distance_within_chance_is_fine() -> None:
    # Given few rows, scores a little apart, and a limit below what chance gives
    spec = Rollout(strategy="shadow", min_rows=30, max_score_psi=0.005)
    finding = compare(pairs_of([score + 0.02 for score in SCORES]), BOTH, spec, "regression")
    # Then it is over the limit, and not judged by it
    assert finding.verdict == "fine"
    assert re.search(r"PSI of the scores 0\.\d+ \(limit 0\.005, chance gives 1\.\d+\)", finding.reason)


def test_of_several_classes_the_labels_are_compared() -> None:
    # Given other classes at the same probability
    pairs = [
        {"id": str(number), "at": "t", "outcome": "answered", "live": {"score": 0.5, "label": "ab"[number % 2]},
         "shadow": {"score": 0.5, "label": "a"}}
        for number in range(40)
    ]  # fmt: skip
    finding = compare(pairs, BOTH, SPEC, "multiclass")
    assert (finding.verdict, finding.numbers and finding.numbers["changed"]) == ("bad", 0.5)
    assert "PSI of the labels" in finding.reason


def test_unanswered_rows_are_bad_however_few_there_are() -> None:
    # Given one of three rows was refused
    refused = {"id": "x", "at": "t", "live": {"score": 0.5}, "outcome": "refused", "reason": "unknown field `x`"}
    finding = compare([*pairs_of(SCORES[:2], SCORES[:2]), refused], BOTH, SPEC, "binary")
    assert finding.verdict == "bad"
    assert finding.reason == ("shadow of version 2: 1 of 3 rows got no answer (limit 1%), refused: unknown field `x`")


@pytest.mark.parametrize("rows", [0, 29])
def test_few_rows_are_not_judged(rows: int) -> None:
    finding = compare(pairs_of(SCORES[:rows][::-1], SCORES[:rows]), BOTH, SPEC, "binary")
    assert finding.verdict == "not judged"
    words = f"not compared, {rows} captured rows were answered again and 30 are needed"
    assert finding.reason == f"shadow of version 2: {words}"


def test_new_code_of_the_same_model_is_compared_too() -> None:
    finding = compare(pairs_of(SCORES[::-1]), Versions(new=1, old=1), SPEC, "binary")
    assert (finding.verdict, finding.reason.startswith("shadow of version 1 with new code on 40")) == ("bad", True)
