"""Dataset versions and the split."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dataset import Dataset, Part, Side, side, sides
from penstock.spec import Split


def part(name: str, rows: int = 10, upload: str = "s3://b/raw/x") -> Part:
    return Part(sha256=name, rows=rows, size=100, uploads=(upload,))


EMPTY = Dataset(model="m", contract="c1", parts=())


def test_the_version_is_its_content_whoever_uploaded_it() -> None:
    # Given the same parts from different uploads
    one = EMPTY.with_parts([part("a"), part("b")], contract="c1", replace=False)
    two = EMPTY.with_parts([part("a", upload="s3://b/raw/y"), part("b")], contract="c1", replace=False)
    # Then they are one version
    assert one.version == two.version
    assert len(one.version) == 64


@pytest.mark.parametrize(
    "other",
    [
        Dataset(model="m", contract="c1", parts=(part("b"), part("a"))),
        Dataset(model="m", contract="c2", parts=(part("a"), part("b"))),
        Dataset(model="n", contract="c1", parts=(part("a"), part("b"))),
        Dataset(model="m", contract="c1", parts=(part("a"),)),
        Dataset(model="m", contract="c1", parts=(part("ab"),)),
    ],
)
def test_the_version_changes_with_order_contract_model_and_parts(other: Dataset) -> None:
    assert Dataset(model="m", contract="c1", parts=(part("a"), part("b"))).version != other.version


def test_adding_a_known_part_changes_nothing() -> None:
    before = EMPTY.with_parts([part("a"), part("b")], contract="c1", replace=False)
    after = before.with_parts([part("b", upload="again"), part("a")], contract="c1", replace=False)
    assert after == before


def test_a_part_that_comes_twice_at_once_is_added_once() -> None:
    made = EMPTY.with_parts([part("a"), part("a")], contract="c1", replace=False)
    assert [item.sha256 for item in made.parts] == ["a"]
    assert made.rows == 10


def test_replace_leaves_only_the_new_parts() -> None:
    before = EMPTY.with_parts([part("a"), part("b")], contract="c1", replace=False)
    after = before.with_parts([part("b"), part("c", rows=5)], contract="c1", replace=True)
    assert [item.sha256 for item in after.parts] == ["b", "c"]
    assert after.rows == 15


def test_the_document_is_read_back_as_it_was() -> None:
    made = EMPTY.with_parts([part("a"), part("b")], contract="c1", replace=False)
    assert Dataset.read(made.document()) == made
    assert Dataset.read(made.document().encode()).version == made.version


def test_the_manifest_is_sagemakers() -> None:
    made = EMPTY.with_parts([part("a"), part("b")], contract="c1", replace=False)
    assert made.manifest("s3://b/parts/") == [{"prefix": "s3://b/parts/"}, "a.parquet", "b.parquet"]


@given(st.lists(st.text(max_size=20), max_size=30), st.text(max_size=20))
def test_a_row_is_on_the_same_side_whatever_else_is_there(others: list[str], key: str) -> None:
    split = Split()
    assert sides([*others, key], split)[-1] == side(key, split) == sides([key, *others], split)[0]


@pytest.mark.parametrize("split", [Split(), Split(holdout=0.5, validation=0.1), Split(salt="another")])
def test_the_shares_are_near_the_specs(split: Split) -> None:
    # Given twenty thousand keys
    dealt = Counter(sides([f"key-{number}" for number in range(20_000)], split))
    # Then each side's share is within five standard errors
    shares: dict[Side, float] = {"holdout": split.holdout, "validation": split.validation}
    for name, share in shares.items():
        error = (share * (1 - share) / 20_000) ** 0.5
        assert abs(dealt[name] / 20_000 - share) < 5 * error


def test_a_larger_validation_share_moves_no_holdout_row() -> None:
    keys = [f"key-{number}" for number in range(2_000)]
    small = sides(keys, Split(validation=0.1))
    large = sides(keys, Split(validation=0.4))
    assert [a == "holdout" for a in small] == [b == "holdout" for b in large]


def test_another_salt_deals_anew() -> None:
    keys = [f"key-{number}" for number in range(200)]
    assert sides(keys, Split()) != sides(keys, Split(salt="another"))
