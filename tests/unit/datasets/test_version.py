"""Dataset versions."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.datasets.split import sides_by_time
from penstock.datasets.version import DAY, Dataset, DatasetError, Part, sample_times
from penstock.spec.model import Mode, Split, Window


def part(name: str, rows: int = 10, upload: str = "s3://b/raw/x", place: str = "", times: Sequence[int] = ()) -> Part:
    places = (place,) if place else ()
    return Part(sha256=name, rows=rows, size=100, uploads=(upload,), places=places, times=tuple(times))


EMPTY = Dataset(model="m", contract="c1", parts=())


def test_the_version_depends_on_content_and_not_on_uploads() -> None:
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
    # But the part lists both uploads
    assert [item.uploads for item in after.parts] == [("s3://b/raw/x",), ("s3://b/raw/x", "s3://b/raw/z")]


def test_a_repeated_part_is_added_once() -> None:
    dataset = EMPTY.with_parts([part("a"), part("a")], contract="c1", mode="append")
    assert [item.sha256 for item in dataset.parts] == ["a"]
    assert dataset.rows == 10


def upload_each(mode: Mode, *parts: Part, start: Dataset = EMPTY, split: Split | None = None) -> Dataset:
    """Add parts one upload after the other."""
    for item in parts:
        start = start.with_parts([item], contract="c1", mode=mode, split=split)
    return start


def names(dataset: Dataset) -> list[str]:
    return [item.sha256 for item in dataset.parts]


A, B, C, D = (part(name, place=f"{number} {name}") for number, name in enumerate("abcd", 1))
AGAIN = part("a", place="5 again")


def test_replace_keeps_the_newest_upload() -> None:
    assert names(upload_each("replace", A, B)) == ["b"]
    # Whatever the order of the events
    assert names(upload_each("replace", B, A)) == ["b"]
    # And a repeated upload is the newest again
    assert names(upload_each("replace", A, B, AGAIN)) == ["a"]


def test_replace_keeps_all_objects_of_a_folder() -> None:
    folder = [part("c", place="3 f", upload="s3://b/raw/f/1"), part("d", place="3 f", upload="s3://b/raw/f/2")]
    after = upload_each("replace", A, B).with_parts(folder, contract="c1", mode="replace")
    assert names(after) == ["c", "d"]


def test_a_window_of_uploads_keeps_the_newest() -> None:
    window = Window(uploads=2)
    assert names(upload_each(window, A, B, C)) == ["b", "c"]
    assert names(upload_each(window, C, A, B)) == ["b", "c"]
    assert names(upload_each(window, A, B, AGAIN)) == ["b", "a"]


@given(st.permutations([A, B, C, D, AGAIN]), st.sampled_from(["append", "replace", Window(uploads=2)]))
def test_the_order_of_events_changes_nothing(order: list[Part], mode: Mode) -> None:
    assert upload_each(mode, *order) == upload_each(mode, A, B, C, D, AGAIN)
    # And a repeated step adds nothing
    assert upload_each(mode, *order, *order) == upload_each(mode, *order)


def test_a_window_of_days_ends_with_the_newest_row() -> None:
    # Given parts of three days' rows
    parts = [part(str(day), place=str(day), times=[day * DAY, day * DAY + 5]) for day in (1, 2, 3)]
    window = Window(days=1)
    # When the window is one day long
    dataset = upload_each(window, *parts)
    # Then the first part is left out, and the second counts from the boundary on
    assert names(dataset) == ["2", "3"]
    assert dataset.cut == {"since": 2 * DAY + 5}
    assert dataset.version != upload_each("append", *parts[1:]).version
    # And an upload that is older than the window changes nothing
    assert upload_each(window, parts[0], start=dataset) == dataset


BY_TIME = Split(by="time", holdout=0.25, validation=0.25)


def test_the_boundary_of_a_split_by_time_never_moves_back() -> None:
    # Given eight rows
    first = upload_each("append", part("a", rows=8, place="1", times=range(10, 18)), split=BY_TIME)
    # Then the newest quarter is the holdout
    assert first.holdout_from == 16
    # When newer rows are added, it moves forward; when older ones are, it stays
    second = upload_each("append", part("b", rows=8, place="2", times=range(20, 28)), start=first, split=BY_TIME)
    third = upload_each("append", part("c", rows=80, place="3", times=range(80)), start=second, split=BY_TIME)
    assert second.holdout_from == 24
    assert (
        upload_each("append", part("d", rows=8, place="3", times=range(8)), start=second, split=BY_TIME).holdout_from
        == 24
    )
    assert third.holdout_from is not None
    assert third.holdout_from >= 24
    # And replacing the data by older rows does not move it back
    older = upload_each("replace", part("e", rows=8, place="9", times=range(8)), start=second, split=BY_TIME)
    assert older.holdout_from == 24


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=8), min_size=2, max_size=6))
def test_no_later_holdout_has_a_row_that_a_model_was_trained_on(uploads: list[list[int]]) -> None:
    dataset, trained, rows = EMPTY, set[tuple[int, int]](), list[tuple[int, int]]()
    for number, times in enumerate(uploads):
        added = part(str(number), rows=len(times), place=str(number), times=sample_times(sorted(times)))
        dataset = upload_each("append", added, start=dataset, split=BY_TIME)
        rows += [(number, time) for time in times]
        assert dataset.holdout_from is not None
        split = sides_by_time([time for _, time in rows], BY_TIME, dataset.holdout_from)
        assert not trained & {row for row, place in zip(rows, split, strict=True) if place == "holdout"}
        trained |= {row for row, place in zip(rows, split, strict=True) if place != "holdout"}


def test_windows_of_days_and_splits_by_time_need_event_times() -> None:
    for mode, split in ((Window(days=3), Split()), ("append", BY_TIME)):
        with pytest.raises(DatasetError, match=r"give a column of contract\.yaml the role event_time"):
            EMPTY.with_parts([A], contract="c1", mode=mode, split=split)  # type: ignore[arg-type]


def test_a_part_keeps_a_sample_of_its_event_times() -> None:
    assert sample_times([1, 2, 3]) == (1, 2, 3)
    times = sample_times(range(10_001))
    assert (len(times), times[0], times[1], times[-1]) == (51, 0, 200, 10_000)


def test_the_document_is_read_back_unchanged() -> None:
    parts = [part("a", place="1", times=[1, 2]), part("b", place="2", times=[3])]
    dataset = upload_each(Window(days=1), *parts, split=BY_TIME)
    assert Dataset.read(dataset.document()) == dataset
    assert Dataset.read(dataset.document().encode()).version == dataset.version


def test_a_document_without_places_and_times_is_read() -> None:
    old = {"sha256": "a", "rows": 1, "size": 2, "uploads": ["u"]}
    dataset = Dataset.read(json.dumps({"version": "x", "rows": 1, "model": "m", "contract": "c1", "parts": [old]}))
    assert dataset == Dataset("m", "c1", (Part("a", 1, 2, ("u",)),))
    assert names(upload_each("append", A, B, start=dataset)) == ["a", "b"]


def test_the_manifest_has_sagemakers_form() -> None:
    dataset = EMPTY.with_parts([part("a"), part("b")], contract="c1", mode="append")
    assert dataset.manifest("s3://b/parts/") == [{"prefix": "s3://b/parts/"}, "a.parquet", "b.parquet"]
