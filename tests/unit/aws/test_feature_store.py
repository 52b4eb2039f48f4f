"""The gateway to the feature store, against a client in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.aws.feature_store import FeatureStore, FeatureStoreError
from tests.support.fake_runtime import FakeRuntime, refusal

AT = "2026-03-04T05:06:07.890Z"


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime("id", "at")


@pytest.fixture
def store(runtime: FakeRuntime) -> FeatureStore:
    return FeatureStore("flights", runtime)


def test_many_records_are_put_and_read(runtime: FakeRuntime, store: FeatureStore) -> None:
    assert store.put({"id": str(index), "at": AT} for index in range(2_345)) == 2_345
    # When some are read, one of which is not there
    records = store.get([str(index) for index in range(2_200, 2_400)])
    # Then a call reads a hundred
    assert len(records) == 145
    assert records["2200"] == {"id": "2200", "at": AT}
    assert [len(names) for names in runtime.gets] == [100, 100]


def test_records_that_a_call_leaves_are_read_again(runtime: FakeRuntime, store: FeatureStore) -> None:
    store.put(iter([{"id": "a", "at": AT}, {"id": "b", "at": AT}]))
    runtime.holding_back = 1
    assert set(store.get(["a", "b"])) == {"a", "b"}
    runtime.holding_back = 1000
    with pytest.raises(FeatureStoreError, match="the feature group flights left 2 records unread"):
        store.get(["a", "b"])


def test_a_refused_record_is_a_sentence_without_the_entity(runtime: FakeRuntime, store: FeatureStore) -> None:
    runtime.failing = [refusal("AccessForbidden")]
    with pytest.raises(FeatureStoreError, match="the feature group flights refused a record") as error:
        store.put(iter([{"id": "somebody@example.org", "at": AT}]))
    assert "AccessForbidden" in str(error.value)
    assert "somebody" not in str(error.value)


def test_a_store_that_is_down_is_a_sentence(runtime: FakeRuntime, store: FeatureStore) -> None:
    runtime.failing = [refusal("ServiceUnavailable")]
    with pytest.raises(FeatureStoreError, match=r"the feature group flights does not answer: .*ServiceUnavailable"):
        store.get(["a"])


@given(st.text())
def test_any_text_is_read_as_it_was_put(value: str) -> None:
    runtime = FakeRuntime("id", "at")
    store = FeatureStore("flights", runtime)
    store.put(iter([{"id": "a", "at": AT, "note": value}]))
    assert store.get(["a"])["a"]["note"] == value
    # And on its way it has no line end
    assert len(runtime.puts[0]["note"].splitlines()) <= 1 or not {"\n", "\r"} & set(runtime.puts[0]["note"])


@pytest.mark.parametrize("at", [AT, "2999-01-01T00:00:00.000Z"])
def test_an_entity_is_forgotten_for_good(runtime: FakeRuntime, store: FeatureStore, at: str) -> None:
    store.put(iter([{"id": "a", "at": at}]))
    assert store.forget("a", "at") is True
    # Then the deletion is later than the record, even than one of the future, and leaves nothing behind
    (request,) = runtime.deleted
    assert (request["DeletionMode"], request["TargetStores"]) == ("HardDelete", ["OnlineStore"])
    assert request["EventTime"] > at
    assert store.forget("a", "at") is False
