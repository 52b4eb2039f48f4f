"""What `model.yaml` and `contract.yaml` say together is refused before anything is deployed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.contract.model import ContractError
from penstock.contract.odcs import read_contract
from penstock.spec.consistency import agree
from penstock.spec.model import SpecError, read_model
from tests.support.world import FLIGHT_DELAY
from tests.unit.contract.test_odcs import KEY, MOMENT, TARGET, allowed, column, document, role

Write = Callable[[str, str], Path]
X = column("x", "number")
NO_TIME = "and no column in contract.yaml has that role"


def target(kind: str, **about: Any) -> dict[str, Any]:
    return column("y", kind, **role("target"), **about)


def agreed(folder: Path) -> None:
    agree(folder, read_model(folder), read_contract(folder))


@pytest.mark.parametrize(
    ("model", "columns", "place", "words"),
    [
        ("split: {by: time}", (TARGET,), "2: split.by", f"a split by time needs an event time, {NO_TIME}"),
        ("split:\n  salt: s\n  by: time", (TARGET,), "4: split.by", "or split by key"),
        ("dataset: {days: 90}", (TARGET,), "2: dataset.days", f"a window of days needs an event time, {NO_TIME}"),
        ("task: regression", (TARGET,), "2: task", "the target 'won' in contract.yaml is boolean: make"),
        ("task: regression", (target("string"),), "2: task", "'y' in contract.yaml is string"),
        ("task: binary", (target("number"),), "2: task", "'y' in contract.yaml is number: make its logicalType int"),
        ("", (target("number"),), "1: task", "or make the task regression where it is an amount"),
        ("task: binary", (target("date"),), "2: task", "'y' in contract.yaml is date: give another column"),
        (
            "task: binary",
            (target("string", **allowed("a", "b", "c")),),
            "2: task",
            "may have 3: make the task multi",
        ),
        ("task: binary", (target("integer", **allowed(*range(51))),), "2: task", "may have 51: make a column that is"),
        ("task: multiclass", (TARGET,), "2: task", "'won' in contract.yaml is boolean: make the task binary"),
        ("task: multiclass", (target("number"),), "2: task", "is number: make its logicalType integer where it stands"),
        ("task: multiclass", (target("date"),), "2: task", "'y' in contract.yaml is date: give another column"),
        ("task: multiclass", (target("string", **allowed("a", "b")),), "2: task", "may have 2: make the task binary"),
        ("task: multiclass", (target("string", **allowed("a")),), "2: task", "may have 1: let it have more"),
        (
            "task: multiclass",
            (target("integer", **allowed(*range(51))),),
            "2: task",
            "at most 50 values apart, and",
        ),
        ("task: binary", (target("integer", **allowed(1)),), "2: task", "may have 1"),
    ],
)
def test_files_that_contradict_each_other(
    model_folder: Write, model: str, columns: tuple[dict[str, Any], ...], place: str, words: str
) -> None:
    folder = model_folder(f"name: small\n{model}\n", document(KEY, X, *columns))
    with pytest.raises(SpecError) as caught:
        agreed(folder)
    assert str(caught.value).startswith(f"{folder / 'model.yaml'}:{place}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_fault_has_a_line_of_its_own(model_folder: Write) -> None:
    folder = model_folder("name: small\ntask: regression\nsplit: {by: time}\n", document(KEY, X, TARGET))
    with pytest.raises(SpecError) as caught:
        agreed(folder)
    messages = [line.removeprefix(f"{folder / 'model.yaml'}:") for line in str(caught.value).splitlines()]
    assert [line.partition(": ")[0] for line in messages] == ["3", "2"]


@pytest.mark.parametrize("privacy", [{}, {"customProperties": [{"property": "privacy", "value": "hash"}]}])
def test_a_shadow_is_refused_where_captures_do_not_hold_a_feature(model_folder: Write, privacy: dict[str, Any]) -> None:
    # Given a feature that is personal, dropped from captures or hashed, and a rollout as a shadow
    age = column("age", "number", classification="personal", **privacy)
    folder = model_folder("name: small\nrollout:\n  strategy: shadow\n", document(KEY, X, age, TARGET))
    # When the files are compared, then the error names the column and both ways to mend it
    with pytest.raises(SpecError) as caught:
        agreed(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'model.yaml'}:3: rollout.strategy: a shadow answers captured requests")
    assert all(words in message for words in ("do not hold 'age' as it", "make the strategy canary, or the column no"))
    # And other strategies are accepted, and so is a personal column that is no feature
    agreed(model_folder("name: small\nrollout: {strategy: canary}\n", document(KEY, X, age, TARGET)))
    key = KEY | {"classification": "personal"}
    agreed(model_folder("name: small\nrollout: {strategy: shadow}\n", document(key, X, TARGET)))


@pytest.mark.parametrize("kind", ["string", "integer", "boolean"])
def test_an_event_time_that_is_no_time(model_folder: Write, kind: str) -> None:
    folder = model_folder("name: small\n", document(KEY, X, TARGET, column("at", kind, **MOMENT)))
    with pytest.raises(ContractError, match=f"column 'at': role: an event_time is a timestamp or a date, not {kind}"):
        agreed(folder)


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("split: {by: time}\ndataset: {days: 90}", (TARGET, column("at", "timestamp", **MOMENT))),
        ("split: {by: time}", (TARGET, column("at", "date", **MOMENT))),
        ("dataset: {uploads: 3}", (TARGET,)),
        ("dataset: replace", (target("integer"),)),
        ("task: regression", (target("integer"),)),
        ("task: regression", (target("number"),)),
        ("", (target("string"),)),
        ("", (target("string", **allowed("no", "yes")),)),
        ("task: multiclass", (target("string"),)),
        ("task: multiclass", (target("integer", **allowed(*range(50))),)),
        ("task: multiclass", (target("string", **allowed("no", "yes", "perhaps")),)),
    ],
)
def test_files_that_fit_together(model_folder: Write, model: str, columns: tuple[dict[str, Any], ...]) -> None:
    agreed(model_folder(f"name: small\n{model}\n", document(KEY, X, *columns)))


def test_a_rule_that_is_invalid_sql_is_refused_before_a_deployment(model_folder: Write) -> None:
    rule = {"type": "sql", "query": "SELECT COUNT(*) FROM rows WHERE distnace > 3", "mustBe": 0}
    folder = model_folder("name: small\n", document(KEY, column("x", "number", quality=[rule]), TARGET))
    fault = r"contract\.yaml: quality: the condition 'distnace > 3' cannot be evaluated"
    with pytest.raises(ContractError, match=fault):
        agreed(folder)


def test_an_evaluation_is_cut_by_features(model_folder: Write) -> None:
    # Given slices and groups of which one is the target and one not in the contract
    folder = model_folder(
        "name: a-model\nevaluation:\n  slices: [distance, late]\n  groups:\n    - sex\n",
        (FLIGHT_DELAY / "contract.yaml").read_text(),
    )
    # When the files are compared
    with pytest.raises(SpecError) as caught:
        agreed(folder)
    # Then the error names both, and the features that exist
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{folder / 'model.yaml'}:3: evaluation.slices.1: 'late' is no feature in contract.yaml")
    assert second.startswith(f"{folder / 'model.yaml'}:5: evaluation.groups.0: 'sex' is no feature in contract.yaml")
    assert "distance" in second
