"""The comparison of a canary's answers with the live version's."""

import re
from collections.abc import Sequence

import pytest

from penstock.release.canary_comparison import Versions, compare, group_answers
from penstock.spec.model import Rollout

SINCE = "2026-03-04T05:00:00.000Z"
LOW, HIGH = [number / 200 for number in range(100)], [0.5 + number / 200 for number in range(100)]
SPEC = Rollout(min_rows=50)


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
    finding = compare({2: new, 1: old}, Versions(new=2, old=1), SPEC, by_label=False)
    assert finding.verdict == verdict
    assert re.search(words, finding.reason)


def test_labels_are_compared_where_there_are_several_classes() -> None:
    # Given answers whose labels have changed places
    old, new = ["a"] * 80 + ["b"] * 20, ["a"] * 20 + ["b"] * 80
    # When they are compared, then the labels differ, and the same ones do not
    versions = Versions(new=2, old=1)
    assert compare({1: old, 2: new}, versions, SPEC, by_label=True).verdict == "bad"
    assert compare({1: old, 2: old}, versions, SPEC, by_label=True).reason.startswith("labels of versions 2 and 1: PSI")


def test_a_difference_within_chance_is_fine() -> None:
    # Given few rows and a limit below what chance gives
    touchy = Rollout(min_rows=30, max_score_psi=0.05)
    finding = compare(
        {2: [score + 0.05 for score in LOW[:60:2]], 1: LOW[:60:2]}, Versions(new=2, old=1), touchy, by_label=False
    )
    # Then it is over the limit, and not judged by it
    assert re.search(r"PSI 0\.\d+ .* the limit is 0.05, and chance gives 1\.\d+$", finding.reason)
    assert finding.verdict == "fine"


@pytest.mark.parametrize(
    ("old", "words"), [(None, "no other version than 2 was live"), (2, "the same model with new code")]
)
def test_without_another_version_there_is_nothing_to_compare(old: int | None, words: str) -> None:
    finding = compare({2: LOW}, Versions(new=2, old=old), SPEC, by_label=False)
    assert (finding.verdict, words in finding.reason) == ("not judged", True)


def test_only_answers_since_the_start_count() -> None:
    rows = [
        {"at": "2026-03-04T04:59:59.999+00:00", "version": 1, "score": 0.1},
        {"at": "2026-03-04T05:00:00.000+00:00", "version": 1, "score": 0.2, "label": "x"},
        {"at": "2026-03-04T05:00:01.000+00:00", "version": 2},
    ]
    assert group_answers(rows, SINCE, by_label=False) == {1: [0.2], 2: [None]}
    assert group_answers(rows, SINCE, by_label=True) == {1: ["x"], 2: [None]}
