"""A version that takes a share of the traffic: compared with the one before, and still wanted or not."""

import gzip
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.release.canary_comparison import Versions, compare, group_answers
from penstock.release.pruning import kept, superfluous
from penstock.spec.model import ModelSpec, Rollout
from tests.support.world import World

SINCE = "2026-03-04T05:00:00.000Z"
LOW, HIGH = [number / 200 for number in range(100)], [0.5 + number / 200 for number in range(100)]
SPEC = Rollout(min_rows=50)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [10, 50]),
        ({"weights": [5, 25, 100]}, [5, 25, 100]),
        ({"strategy": "linear"}, [20, 40, 60, 80]),
        ({"strategy": "linear", "step": 30}, [30, 60, 90]),
        ({"strategy": "linear", "step": 50}, [50]),
        ({"strategy": "shadow"}, [0]),
        ({"strategy": "shadow", "weights": [5, 25]}, [0, 5, 25]),
        ({"strategy": "all_at_once"}, []),
    ],
)
def test_the_weights_of_a_strategy(given: dict[str, Any], expected: list[int]) -> None:
    assert Rollout(**given).steps() == expected


@pytest.mark.parametrize("weights", [[50, 10], [10, 10], [0], [101], []])
def test_weights_that_are_none(weights: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"rise|greater|less|at least 1"):
        Rollout(weights=weights)


@pytest.mark.parametrize(
    ("new", "old", "verdict", "words"),
    [
        (LOW, LOW, "fine", r"scores of versions 2 and 1: PSI 0\.\d+ over 100 and 100 rows, the limit is 0.5"),
        (HIGH, LOW, "bad", r"PSI [1-9]"),
        (LOW[:49], LOW, "not judged", "49 rows of version 2 and 100 of version 1 were answered, 50 of each are needed"),
        (HIGH, LOW[:10], "not judged", "100 rows of version 2 and 10 of version 1"),
        ([None] * 100, LOW, "bad", r"PSI [1-9]"),
        ([], LOW, "not judged", "0 rows of version 2"),
    ],
)
def test_scores_are_compared_where_there_are_enough(
    new: Sequence[float], old: Sequence[float], verdict: str, words: str
) -> None:
    found = compare({2: new, 1: old}, Versions(new=2, old=1), SPEC, by_label=False)
    assert found.verdict == verdict
    assert re.search(words, found.reason)


def test_labels_are_compared_where_there_are_several_classes() -> None:
    # Given answers whose labels have changed places
    old, new = ["a"] * 80 + ["b"] * 20, ["a"] * 20 + ["b"] * 80
    # When they are compared, then the labels differ, and the same ones do not
    versions = Versions(new=2, old=1)
    assert compare({1: old, 2: new}, versions, SPEC, by_label=True).verdict == "bad"
    assert compare({1: old, 2: old}, versions, SPEC, by_label=True).reason.startswith("labels of versions 2 and 1: PSI")


def test_the_difference_that_chance_makes_takes_nothing_back() -> None:
    # Given few rows and a limit below what chance gives
    touchy = Rollout(min_rows=30, max_score_psi=0.05)
    found = compare(
        {2: [score + 0.05 for score in LOW[:60:2]], 1: LOW[:60:2]}, Versions(new=2, old=1), touchy, by_label=False
    )
    # Then it is over the limit, and not judged by it
    assert re.search(r"PSI 0\.\d+ .* the limit is 0.05, and chance gives 1\.\d+$", found.reason)
    assert found.verdict == "fine"


@pytest.mark.parametrize(
    ("old", "words"), [(None, "no other version than 2 was live"), (2, "the same model with new code")]
)
def test_without_another_version_there_is_nothing_to_compare(old: int | None, words: str) -> None:
    found = compare({2: LOW}, Versions(new=2, old=old), SPEC, by_label=False)
    assert (found.verdict, words in found.reason) == ("not judged", True)


def test_only_what_was_answered_since_counts() -> None:
    rows = [
        {"at": "2026-03-04T04:59:59.999+00:00", "version": 1, "score": 0.1},
        {"at": "2026-03-04T05:00:00.000+00:00", "version": 1, "score": 0.2, "label": "x"},
        {"at": "2026-03-04T05:00:01.000+00:00", "version": 2},
    ]
    assert group_answers(rows, SINCE, by_label=False) == {1: [0.2], 2: [None]}
    assert group_answers(rows, SINCE, by_label=True) == {1: ["x"], 2: [None]}


@pytest.mark.parametrize(
    ("published", "serving", "keep", "gone"),
    [
        ([1, 2, 3, 4, 5, 6], {6, 5}, 2, [2, 3, 4]),
        ([1, 2, 3, 4, 5, 6], {6, 3}, 2, [2, 4]),
        ([1, 2, 3], {3, 2}, 10, []),
        ([10, 9, 1, 11], {9}, 2, []),
        ([], set(), 2, []),
    ],
)
def test_what_may_be_pruned(published: list[int], serving: set[int], keep: int, gone: list[int]) -> None:
    assert superfluous(published, serving, keep) == gone


# The function


def capture(world: World, version: int, scores: Sequence[float], at: datetime) -> None:
    rows = [{"at": at.isoformat(timespec="milliseconds"), "version": version, "score": score} for score in scores]
    body = gzip.compress("\n".join(json.dumps(row) for row in rows).encode())
    world.store.write(f"{world.lake.prefix('captures')}{at:%Y/%m/%d/%H}/{version}.gz", body)


@pytest.fixture
def rolling(world: World) -> World:
    """Version 1 is live, and version 2 takes a share."""
    at = "2026-01-01T00:00:00.000+00:00"
    for number in (1, 2):
        world.ledger.put_version(number, arn=f"arn:{number}", sha256="s", approved=at, decision="approved")
        assert world.ledger.open_rollout(f"o{number}", number, at, approved=at)
        if number == 1:
            live = {"version": 1, "sha256": "s", "lambda_version": "2"}
            assert world.ledger.end_rollout("o1", "live", "serves", at, live)
    return world


def look(world: World) -> dict[str, str]:
    """One look at ten percent."""
    ends = "2026-03-04T05:10:00.000Z"
    event = {"rollout": "o2", "lambda_version": "3", "weight": 10, "since": SINCE, "ends": ends}
    said: dict[str, str] = world.load("watch_rollout").handler(event, None)
    return said


def test_a_look_compares_what_was_captured_and_notes_it(rolling: World) -> None:
    # Given captures of both versions, and the new one scores otherwise
    moment = datetime(2026, 3, 4, 5, 1, tzinfo=UTC)
    capture(rolling, 1, LOW * 6, moment)
    capture(rolling, 2, HIGH * 6, moment)
    # And some of the hour before, which are nobody's business
    capture(rolling, 2, LOW * 60, moment - timedelta(hours=1))
    # When it looks
    said = look(rolling)
    # Then it says so, and whoever follows the rollout reads it in the ledger
    assert said["verdict"] == "bad"
    record = rolling.ledger.rollout("o2")
    assert (record["weight"], record["bakes_until"], record["saw"]) == (10, "2026-03-04T05:10:00.000Z", said["reason"])
    # And which Lambda version has alarms, for whoever finds the rollout dead
    assert record["lambda_version"] == "3"


def test_a_version_without_traffic_is_compared_by_what_it_answered_just_before(rolling: World) -> None:
    # Given the new version has all the traffic, and the old one's answers are of the minutes before
    capture(rolling, 1, LOW * 6, datetime(2026, 3, 4, 4, 50, tzinfo=UTC))
    capture(rolling, 2, LOW * 6, datetime(2026, 3, 4, 5, 1, tzinfo=UTC))
    # When it looks, then it compares
    assert "over 600 and 600 rows" in look(rolling)["reason"]


def test_too_few_captures_are_no_reason(rolling: World) -> None:
    assert look(rolling) == {
        "verdict": "not judged",
        "reason": "scores not compared: 0 rows of version 2 and 0 of version 1 were answered, 500 of each are needed",
    }


def test_a_rollout_that_was_superseded_is_taken_back(rolling: World) -> None:
    assert rolling.ledger.supersede_rollout("o2", 3)
    assert look(rolling) == {"verdict": "bad", "reason": "superseded by version 3"}


def test_a_version_that_was_rejected_meanwhile_is_taken_back(rolling: World) -> None:
    rolling.ledger.decide(2, "2026-01-02", approved=False, decision="rejected", by="anna", reason="no")
    assert look(rolling) == {"verdict": "bad", "reason": "the ledger has version 2 as rejected by now"}


def test_a_rollout_that_has_ended_takes_no_notes(rolling: World) -> None:
    assert rolling.ledger.end_rollout("o2", "failed", "timed out", "t", None)
    assert not rolling.ledger.note_rollout("o2", weight=10, bakes_until=SINCE, saw="x")
    assert not rolling.ledger.supersede_rollout("o2", 3)


@pytest.mark.parametrize(
    ("rollout", "serving", "count"),
    [({}, {}, 2), ({}, {"snap_start": False}, 10), ({"keep_versions": 5}, {}, 5)],
)
def test_fewer_versions_are_kept_where_each_has_a_snapshot_to_pay_for(
    rollout: dict[str, Any], serving: dict[str, Any], count: int
) -> None:
    spec = ModelSpec.model_validate({"name": "m", "rollout": rollout, "serving": serving})
    assert kept(spec) == count
