"""The split into training, validation and holdout."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.datasets.split import Side, side, sides, sides_by_time
from penstock.spec.model import Split

BY_TIME = Split(by="time", holdout=0.25, validation=0.25)


def test_a_split_by_time_is_in_the_order_of_event_times() -> None:
    assert sides_by_time([7, 1, 4, 3, None, 6, 5, 2], BY_TIME, 6) == [
        "holdout", "train", "validation", "train", "train", "holdout", "validation", "train",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=20), max_size=30), st.text(max_size=20))
def test_a_rows_side_does_not_depend_on_other_rows(others: list[str], key: str) -> None:
    split = Split()
    assert sides([*others, key], split)[-1] == side(key, split) == sides([key, *others], split)[0]


@pytest.mark.parametrize("split", [Split(), Split(holdout=0.5, validation=0.1), Split(salt="another")])
def test_the_shares_are_near_those_of_the_specification(split: Split) -> None:
    # Given twenty thousand keys
    counts = Counter(sides([f"key-{number}" for number in range(20_000)], split))
    # Then each side's share is within five standard errors
    shares: dict[Side, float] = {"holdout": split.holdout, "validation": split.validation}
    for name, share in shares.items():
        error = (share * (1 - share) / 20_000) ** 0.5
        assert abs(counts[name] / 20_000 - share) < 5 * error


def test_a_larger_validation_share_moves_no_holdout_row() -> None:
    keys = [f"key-{number}" for number in range(2_000)]
    small = sides(keys, Split(validation=0.1))
    large = sides(keys, Split(validation=0.4))
    assert [a == "holdout" for a in small] == [b == "holdout" for b in large]


def test_another_salt_gives_another_split() -> None:
    keys = [f"key-{number}" for number in range(200)]
    assert sides(keys, Split()) != sides(keys, Split(salt="another"))
