"""Dataset versions and the split."""

import json
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.datasets.version import DAY, Dataset, DatasetError, Part, Side, side, sides, sides_by_time, spread
from penstock.spec.model import Mode, Split, Window


def part(name: str, rows: int = 10, upload: str = "s3://b/raw/x", place: str = "", times: Sequence[int] = ()) -> Part:
    places = (place,) if place else ()
    return Part(sha256=name, rows=rows, size=100, uploads=(upload,), places=places, times=tuple(times))


EMPTY = Dataset(model="m", contract="c1", parts=())


def test_the_version_is_its_content_whoever_uploaded_it() -> None:
    # Given the same parts from different uploads
    one = EMPTY.with_parts([part("a"), part("b")], contract="c1", mode="append")
    two = EMPTY.with_parts([part("a", upload="s3://b/raw/y"), part("b")], contract="c1", mode="append")
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
    before = EMPTY.with_parts([part("a"), part("b")], contract="c1", mode="append")
    after = before.with_parts([part("b", upload="s3://b/raw/z"), part("a")], contract="c1", mode="append")
    assert after.version == before.version
    # But where the rows came from is known of both uploads
    assert [item.uploads for item in after.parts] == [("s3://b/raw/x",), ("s3://b/raw/x", "s3://b/raw/z")]


def test_a_part_that_comes_twice_at_once_is_added_once() -> None:
    dataset = EMPTY.with_parts([part("a"), part("a")], contract="c1", mode="append")
    assert [item.sha256 for item in dataset.parts] == ["a"]
    assert dataset.rows == 10


def made(mode: Mode, *parts: Part, start: Dataset = EMPTY, split: Split | None = None) -> Dataset:
    """One upload after the other."""
    for item in parts:
        start = start.with_parts([item], contract="c1", mode=mode, split=split)
    return start


def names(dataset: Dataset) -> list[str]:
    return [item.sha256 for item in dataset.parts]


A, B, C, D = (part(name, place=f"{number} {name}") for number, name in enumerate("abcd", 1))
AGAIN = part("a", place="5 again")


def test_replace_leaves_the_newest_upload() -> None:
    assert names(made("replace", A, B)) == ["b"]
    # Whatever the order in which the events come
    assert names(made("replace", B, A)) == ["b"]
    # And an upload of what was there before is the newest again
    assert names(made("replace", A, B, AGAIN)) == ["a"]


def test_replace_takes_all_objects_of_a_folder() -> None:
    folder = [part("c", place="3 f", upload="s3://b/raw/f/1"), part("d", place="3 f", upload="s3://b/raw/f/2")]
    after = made("replace", A, B).with_parts(folder, contract="c1", mode="replace")
    assert names(after) == ["c", "d"]


def test_a_window_of_uploads_keeps_the_newest() -> None:
    window = Window(uploads=2)
    assert names(made(window, A, B, C)) == ["b", "c"]
    assert names(made(window, C, A, B)) == ["b", "c"]
    assert names(made(window, A, B, AGAIN)) == ["b", "a"]


@given(st.permutations([A, B, C, D, AGAIN]), st.sampled_from(["append", "replace", Window(uploads=2)]))
def test_the_order_of_arrival_decides_nothing(order: list[Part], mode: Mode) -> None:
    assert made(mode, *order) == made(mode, A, B, C, D, AGAIN)
    # And a step that is repeated adds nothing
    assert made(mode, *order, *order) == made(mode, *order)


def test_a_window_of_days_ends_with_the_newest_row() -> None:
    # Given parts of three days' rows
    parts = [part(str(day), place=str(day), times=[day * DAY, day * DAY + 5]) for day in (1, 2, 3)]
    window = Window(days=1)
    # When the window is one day long
    dataset = made(window, *parts)
    # Then the first part is out, and the second counts from the boundary on
    assert names(dataset) == ["2", "3"]
    assert dataset.cut == {"since": 2 * DAY + 5}
    assert dataset.version != made("append", *parts[1:]).version
    # And an upload that is older than the window changes nothing
    assert made(window, parts[0], start=dataset) == dataset


BY_TIME = Split(by="time", holdout=0.25, validation=0.25)


def test_a_split_by_time_moves_its_boundary_on_and_never_back() -> None:
    # Given eight rows
    first = made("append", part("a", rows=8, place="1", times=range(10, 18)), split=BY_TIME)
    # Then the newest quarter is the holdout
    assert first.holdout_from == 16
    # When newer rows come, it moves on; when older ones come, it stays
    second = made("append", part("b", rows=8, place="2", times=range(20, 28)), start=first, split=BY_TIME)
    third = made("append", part("c", rows=80, place="3", times=range(80)), start=second, split=BY_TIME)
    assert second.holdout_from == 24
    assert made("append", part("d", rows=8, place="3", times=range(8)), start=second, split=BY_TIME).holdout_from == 24
    assert third.holdout_from is not None
    assert third.holdout_from >= 24
    # And replacing the data by older rows does not bring it back
    older = made("replace", part("e", rows=8, place="9", times=range(8)), start=second, split=BY_TIME)
    assert older.holdout_from == 24


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=8), min_size=2, max_size=6))
def test_no_row_that_a_model_was_trained_on_is_ever_in_a_holdout(uploads: list[list[int]]) -> None:
    dataset, trained, rows = EMPTY, set[tuple[int, int]](), list[tuple[int, int]]()
    for number, times in enumerate(uploads):
        added = part(str(number), rows=len(times), place=str(number), times=spread(sorted(times)))
        dataset = made("append", added, start=dataset, split=BY_TIME)
        rows += [(number, time) for time in times]
        assert dataset.holdout_from is not None
        dealt = sides_by_time([time for _, time in rows], BY_TIME, dataset.holdout_from)
        assert not trained & {row for row, place in zip(rows, dealt, strict=True) if place == "holdout"}
        trained |= {row for row, place in zip(rows, dealt, strict=True) if place != "holdout"}


def test_the_sides_of_a_split_by_time_follow_one_another() -> None:
    assert sides_by_time([7, 1, 4, 3, None, 6, 5, 2], BY_TIME, 6) == [
        "holdout", "train", "validation", "train", "train", "holdout", "validation", "train",
    ]  # fmt: skip


def test_what_is_measured_by_time_needs_event_times() -> None:
    for mode, split in ((Window(days=3), Split()), ("append", BY_TIME)):
        with pytest.raises(DatasetError, match=r"give a column of contract\.yaml the role event_time"):
            EMPTY.with_parts([A], contract="c1", mode=mode, split=split)  # type: ignore[arg-type]


def test_a_part_keeps_some_of_its_times() -> None:
    assert spread([1, 2, 3]) == (1, 2, 3)
    found = spread(range(10_001))
    assert (len(found), found[0], found[1], found[-1]) == (51, 0, 200, 10_000)


def test_the_document_is_read_back_as_it_was() -> None:
    parts = [part("a", place="1", times=[1, 2]), part("b", place="2", times=[3])]
    dataset = made(Window(days=1), *parts, split=BY_TIME)
    assert Dataset.read(dataset.document()) == dataset
    assert Dataset.read(dataset.document().encode()).version == dataset.version


def test_a_document_from_before_places_and_times_is_read() -> None:
    old = {"sha256": "a", "rows": 1, "size": 2, "uploads": ["u"]}
    dataset = Dataset.read(json.dumps({"version": "x", "rows": 1, "model": "m", "contract": "c1", "parts": [old]}))
    assert dataset == Dataset("m", "c1", (Part("a", 1, 2, ("u",)),))
    assert names(made("append", A, B, start=dataset)) == ["a", "b"]


def test_the_manifest_is_sagemakers() -> None:
    dataset = EMPTY.with_parts([part("a"), part("b")], contract="c1", mode="append")
    assert dataset.manifest("s3://b/parts/") == [{"prefix": "s3://b/parts/"}, "a.parquet", "b.parquet"]


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
