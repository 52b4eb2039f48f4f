"""A look at a rollout: compared, noted, and stopped where it is superseded or rejected."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.world import World

SINCE = "2026-03-04T05:00:00.000Z"
LOW, HIGH = [number / 200 for number in range(100)], [0.5 + number / 200 for number in range(100)]


def write_captures(world: World, version: int, scores: Sequence[float], at: datetime) -> None:
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
    reply: dict[str, str] = world.load("watch_rollout").handler(event, None)
    return reply


def test_a_look_compares_captured_answers_and_notes_the_finding(rolling: World) -> None:
    # Given captures of both versions, and the new one scores otherwise
    moment = datetime(2026, 3, 4, 5, 1, tzinfo=UTC)
    write_captures(rolling, 1, LOW * 6, moment)
    write_captures(rolling, 2, HIGH * 6, moment)
    # And some of the hour before, which do not count
    write_captures(rolling, 2, LOW * 60, moment - timedelta(hours=1))
    # When it looks
    reply = look(rolling)
    # Then it says so, and whoever follows the rollout reads it in the ledger
    assert reply["verdict"] == "bad"
    record = rolling.ledger.rollout("o2")
    assert (record["weight"], record["bakes_until"], record["saw"]) == (10, "2026-03-04T05:10:00.000Z", reply["reason"])
    # And which Lambda version has alarms, for whoever finds the rollout dead
    assert record["lambda_version"] == "3"


def test_a_version_without_traffic_is_compared_by_its_answers_of_the_hour_before(rolling: World) -> None:
    # Given the new version has all the traffic, and the old one's answers are of the minutes before
    write_captures(rolling, 1, LOW * 6, datetime(2026, 3, 4, 4, 50, tzinfo=UTC))
    write_captures(rolling, 2, LOW * 6, datetime(2026, 3, 4, 5, 1, tzinfo=UTC))
    # When it looks, then it compares
    assert "over 600 and 600 rows" in look(rolling)["reason"]


def test_too_few_captures_are_not_judged(rolling: World) -> None:
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


def test_an_ended_rollout_is_not_noted(rolling: World) -> None:
    assert rolling.ledger.end_rollout("o2", "failed", "timed out", "t", None)
    assert not rolling.ledger.note_rollout("o2", weight=10, bakes_until=SINCE, saw="x")
    assert not rolling.ledger.supersede_rollout("o2", 3)
