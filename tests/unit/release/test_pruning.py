"""The rules for deleting published versions."""

from typing import Any

import pytest

from penstock.release.pruning import superfluous_versions, versions_to_keep
from penstock.spec.model import ModelSpec


@pytest.mark.parametrize(
    ("published", "serving", "keep", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], {6, 5}, 2, [2, 3, 4]),
        ([1, 2, 3, 4, 5, 6], {6, 3}, 2, [2, 4]),
        ([1, 2, 3], {3, 2}, 10, []),
        ([10, 9, 1, 11], {9}, 2, []),
        ([], set(), 2, []),
    ],
)
def test_versions_that_may_be_pruned(published: list[int], serving: set[int], keep: int, expected: list[int]) -> None:
    assert superfluous_versions(published, serving, keep) == expected


@pytest.mark.parametrize(
    ("rollout", "serving", "count"),
    [({}, {}, 2), ({}, {"snap_start": False}, 10), ({"keep_versions": 5}, {}, 5)],
)
def test_fewer_versions_are_kept_where_each_has_a_snapshot(
    rollout: dict[str, Any], serving: dict[str, Any], count: int
) -> None:
    spec = ModelSpec.model_validate({"name": "m", "rollout": rollout, "serving": serving})
    assert versions_to_keep(spec) == count
