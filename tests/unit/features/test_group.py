"""What a model's feature group is, by its specification and its contract, and what cannot be one."""

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


def made(contract: Contract = CONTRACT, **asked: Any) -> FeatureGroup:
    found = feature_group("dev", ModelSpec.model_validate({"name": "delays", "feature_store": asked}), contract)
    assert found is not None
    return found


def test_without_the_section_there_is_none() -> None:
    assert feature_group("dev", ModelSpec(name="delays"), CONTRACT) is None


def test_the_defaults() -> None:
    group = made()
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


def test_an_entity_of_its_own_and_some_features() -> None:
    group = made(entity="carrier", features=["seats", "delay"], online=False)
    assert list(group.definitions) == ["carrier", "at", "delay", "seats"]
    assert group.binding == ""


def test_a_contract_without_event_time_takes_the_uploads() -> None:
    assert made(contract_of(KEY, TARGET, *FEATURES)).time_name == "uploaded_at"


def test_what_sagemaker_cannot_change_makes_another_name() -> None:
    groups = [
        made(),
        made(entity="carrier"),
        made(features=["seats"]),
        made(offline=False),
        made(generation=2),
        made(contract_of(KEY, TARGET, *FEATURES)),
        made(contract_of(KEY, TIME, TARGET, replace(FEATURES[0], type="integer"), *FEATURES[1:])),
    ]
    assert len({group.name for group in groups}) == len(groups)
    assert {len(group.name) for group in groups} == {len("penstock-dev-delays-") + 8}
    # And what it can leave alone does not: a rule, a description, a list that says what the default says
    same = contract_of(KEY, TIME, TARGET, *(replace(column, description="x") for column in FEATURES))
    assert made(same).name == made(features=[column.name for column in FEATURES]).name == groups[0].name


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"entity": "nobody"}, "feature_store.entity: the contract has no column 'nobody'"),
        ({"entity": "late"}, "feature_store.entity: 'late' has the role target"),
        ({"entity": "note"}, "feature_store.entity: 'note' has the role ignore"),
        ({"entity": "delay"}, "feature_store.entity: 'delay' is of type number"),
        ({"features": ["at"]}, "feature_store.features: 'at' is no feature of the contract"),
        ({"entity": "carrier", "features": ["carrier"]}, "beside the entity 'carrier'"),
    ],
)
def test_what_the_contract_does_not_have(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=r"training/models/delays/model\.yaml: ") as refusal:
        made(**asked)
    assert words in str(refusal.value)


def test_a_key_that_is_made_names_nobody() -> None:
    with pytest.raises(SpecError, match="'id' is a hash of the row, which no caller knows"):
        made(contract_of(replace(KEY, derived=True), TIME, TARGET, *FEATURES))


def test_more_features_than_a_group_takes() -> None:
    many = [Column(f"f{index}", "number", "feature") for index in range(2499)]
    with pytest.raises(SpecError, match="2,499 are more than the 2,498 a feature group takes"):
        made(contract_of(KEY, TIME, TARGET, *many))


def test_a_list_that_does_not_fit_a_functions_environment() -> None:
    many = [Column(f"feature_number_{index}", "number", "feature") for index in range(200)]
    with pytest.raises(SpecError, match="their names are too long together"):
        made(contract_of(KEY, TIME, TARGET, *many), features=[column.name for column in many[:-1]])


def test_the_event_times_own_name_is_taken() -> None:
    with pytest.raises(SpecError, match="a column may not be called 'uploaded_at'"):
        made(contract_of(KEY, TARGET, *FEATURES, Column("uploaded_at", "number", "feature")))


def test_a_store_is_somewhere() -> None:
    with pytest.raises(ValidationError, match="a feature store is online, offline or both"):
        ModelSpec.model_validate({"name": "m", "feature_store": {"online": False, "offline": False}})


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=20, unique=True))
def test_every_column_has_a_name_that_sagemaker_takes(columns: list[str]) -> None:
    names = [feature_name(column) for column in [*columns, *RESERVED]]
    assert all(VALID.fullmatch(name) and len(name) <= 64 and name not in RESERVED for name in names)
    assert len(set(names)) == len({*columns, *RESERVED})


def test_a_name_that_sagemaker_takes_stays() -> None:
    assert feature_name("sched_dep-minute2") == "sched_dep-minute2"
    assert feature_name("mean radius (µm)").startswith("mean_radius_m-")
