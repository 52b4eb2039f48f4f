"""The feature group of a specification and a contract, and every refusal."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penstock.contract.model import Column, Contract
from penstock.features.group import FeatureGroup, feature_group
from penstock.features.names import RESERVED, VALID, feature_name
from penstock.spec.model import ModelSpec, SpecError

KEY = Column("id", "string", "key", required=True)
TIME = Column("at", "timestamp", "event_time")
TARGET = Column("late", "boolean", "target", required=True)
FEATURES = (
    Column("carrier", "string", "feature"),
    Column("delay", "number", "feature"),
    Column("seats", "integer", "feature"),
    Column("full", "boolean", "feature"),
)
IGNORED = Column("note", "string", "ignore")


def contract_of(*columns: Column) -> Contract:
    return Contract("flights", "1", columns, 0.0, "d" * 64)


CONTRACT = contract_of(KEY, TIME, TARGET, *FEATURES, IGNORED)


def group_of(contract: Contract = CONTRACT, **section: Any) -> FeatureGroup:
    group = feature_group("dev", ModelSpec.model_validate({"name": "delays", "feature_store": section}), contract)
    assert group is not None
    return group


def test_without_a_feature_store_there_is_no_group() -> None:
    assert feature_group("dev", ModelSpec(name="delays"), CONTRACT) is None


def test_by_default_the_key_is_the_entity_and_all_features_are_stored() -> None:
    group = group_of()
    assert group.definitions == {
        "id": "String",
        "at": "String",
        "carrier": "String",
        "delay": "Fractional",
        "seats": "Integral",
        "full": "Integral",
    }
    assert list(group.definitions)[:2] == ["id", "at"]
    assert group.binding == f'{{"group":"{group.name}","entity":"id","features":null}}'


def test_another_entity_and_some_features() -> None:
    group = group_of(entity="carrier", features=["seats", "delay"], online=False)
    assert list(group.definitions) == ["carrier", "at", "delay", "seats"]
    assert group.binding == ""


def test_without_event_time_the_upload_time_is_stored() -> None:
    assert group_of(contract_of(KEY, TARGET, *FEATURES)).time_name == "uploaded_at"


def test_a_change_that_sagemaker_cannot_make_gives_another_name() -> None:
    groups = [
        group_of(),
        group_of(entity="carrier"),
        group_of(features=["seats"]),
        group_of(offline=False),
        group_of(generation=2),
        group_of(contract_of(KEY, TARGET, *FEATURES)),
        group_of(contract_of(KEY, TIME, TARGET, replace(FEATURES[0], type="integer"), *FEATURES[1:])),
    ]
    assert len({group.name for group in groups}) == len(groups)
    assert {len(group.name) for group in groups} == {len("penstock-dev-delays-") + 8}
    # And other changes do not: a description, or a list that equals the default
    same = contract_of(KEY, TIME, TARGET, *(replace(column, description="x") for column in FEATURES))
    assert group_of(same).name == group_of(features=[column.name for column in FEATURES]).name == groups[0].name


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"entity": "nobody"}, "feature_store.entity: the contract has no column 'nobody'"),
        ({"entity": "late"}, "feature_store.entity: 'late' has the role target"),
        ({"entity": "note"}, "feature_store.entity: 'note' has the role ignore"),
        ({"entity": "delay"}, "feature_store.entity: 'delay' is of type number"),
        ({"features": ["at"]}, "feature_store.features: 'at' is no feature of the contract"),
        ({"entity": "carrier", "features": ["carrier"]}, "beside the entity 'carrier'"),
    ],
)
def test_a_section_that_does_not_fit_the_contract_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=r"training/models/delays/model\.yaml: ") as refusal:
        group_of(**section)
    assert words in str(refusal.value)


def test_a_derived_key_cannot_be_the_entity() -> None:
    with pytest.raises(SpecError, match="'id' is a hash of the row, which no caller knows"):
        group_of(contract_of(replace(KEY, derived=True), TIME, TARGET, *FEATURES))


def test_too_many_features_are_refused() -> None:
    many = [Column(f"f{index}", "number", "feature") for index in range(2499)]
    with pytest.raises(SpecError, match="2,499 are more than the 2,498 a feature group takes"):
        group_of(contract_of(KEY, TIME, TARGET, *many))


def test_a_list_too_long_for_a_functions_environment_is_refused() -> None:
    many = [Column(f"feature_number_{index}", "number", "feature") for index in range(200)]
    with pytest.raises(SpecError, match="their names are too long together"):
        group_of(contract_of(KEY, TIME, TARGET, *many), features=[column.name for column in many[:-1]])


def test_no_column_may_have_the_name_of_the_event_time() -> None:
    with pytest.raises(SpecError, match="a column may not be called 'uploaded_at'"):
        group_of(contract_of(KEY, TARGET, *FEATURES, Column("uploaded_at", "number", "feature")))


def test_a_store_must_be_online_or_offline() -> None:
    with pytest.raises(ValidationError, match="a feature store is online, offline or both"):
        ModelSpec.model_validate({"name": "m", "feature_store": {"online": False, "offline": False}})


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=20, unique=True))
def test_every_column_has_a_unique_name_that_sagemaker_accepts(columns: list[str]) -> None:
    names = [feature_name(column) for column in [*columns, *RESERVED]]
    assert all(VALID.fullmatch(name) and len(name) <= 64 and name not in RESERVED for name in names)
    assert len(set(names)) == len({*columns, *RESERVED})


def test_a_name_that_sagemaker_accepts_is_unchanged() -> None:
    assert feature_name("sched_dep-minute2") == "sched_dep-minute2"
    assert feature_name("mean radius (µm)").startswith("mean_radius_m-")
