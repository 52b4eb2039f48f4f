"""Reading the data contract, and every refusal."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.contract.model import Contract, ContractError
from penstock.contract.odcs import read_contract

Write = Callable[[str, str], Path]
FLIGHT_DELAY = Path(__file__).parents[3] / "training" / "models" / "flight-delay"


def column(name: str, kind: str = "string", **about: Any) -> dict[str, Any]:
    return {"name": name, "logicalType": kind} | about


def role(name: str) -> dict[str, Any]:
    return {"customProperties": [{"property": "role", "value": name}]}


def allowed(*values: Any, must_be: int = 0) -> dict[str, Any]:
    return {"quality": [{"metric": "invalidValues", "arguments": {"validValues": list(values)}, "mustBe": must_be}]}


def options(**about: Any) -> dict[str, Any]:
    return {"logicalTypeOptions": about}


MOMENT = role("event_time")
KEY, TARGET = column("id", primaryKey=True), column("won", "boolean", **role("target"))


def document(*columns: dict[str, Any], tolerance: Any = None, **about: Any) -> str:
    custom = {} if tolerance is None else {"customProperties": [{"property": "tolerance", "value": tolerance}]}
    rows = {"name": "rows", "logicalType": "object", "properties": list(columns)} | custom
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "1.0.0", "status": "active"}
    return yaml.safe_dump(head | {"schema": [rows]} | about)


def test_the_flight_delay_contract(contract: Contract) -> None:
    assert (contract.name, contract.version, contract.tolerance) == ("flight-delay", "1.0.0", 0.05)
    assert contract.key.name == "flight_id"
    assert contract.target.name == "late"
    assert contract.event_time is not None
    assert contract.event_time.name == "departs_at"
    assert len(contract.features) == 13
    by_name = {item.name: item for item in contract.columns}
    assert by_name["origin"].allowed == ("EWR", "JFK", "LGA")
    assert by_name["carrier"].pattern == "[A-Z0-9]{2}"
    assert (by_name["dep_delay"].minimum, by_name["dep_delay"].maximum) == (-120, 2880)
    assert (by_name["seats"].required, by_name["dest"].required) == (False, True)
    assert contract.digest == sha256((FLIGHT_DELAY / "contract.yaml").read_bytes()).hexdigest()


def test_key_and_target_are_always_required_and_the_key_unique(model_folder: Write) -> None:
    contract = read_contract(model_folder("", document(KEY, TARGET, column("x", "number"))))
    assert (contract.key.required, contract.key.unique, contract.target.required) == (True, True, True)
    assert contract.event_time is None
    assert contract.tolerance == 0.0


def test_the_classification_makes_a_column_personal(model_folder: Write) -> None:
    columns = [KEY, TARGET, column("mail", classification="personal"), column("x", classification="public")]
    contract = read_contract(model_folder("", document(*columns)))
    assert [item.personal for item in contract.features] == [True, False]


def privacy(value: Any) -> dict[str, Any]:
    return {"classification": "personal", "customProperties": [{"property": "privacy", "value": value}]}


def test_a_personal_column_is_dropped_unless_the_contract_hashes_it(model_folder: Write) -> None:
    # Given personal columns without privacy, with drop and with hash
    mail, name = column("mail", classification="personal"), column("name", **privacy("drop"))
    contract = read_contract(model_folder("", document(KEY, TARGET, mail, name, column("phone", **privacy("hash")))))
    assert [(item.name, item.privacy, item.hashed) for item in contract.features] == [
        ("mail", "drop", False),
        ("name", "drop", False),
        ("phone", "hash", True),
    ]
    # And a personal row key is hashed, since labels are joined by it
    key = column("id", primaryKey=True, classification="pii")
    assert read_contract(model_folder("", document(key, TARGET, ANY))).key.hashed
    assert not contract.key.hashed


ANY = column("x", "number")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([TARGET, ANY], "exactly one column is the key (primaryKey: true), not 0"),
        ([KEY, TARGET, column("x", **privacy("blur"))], "privacy: 'blur' is not one of drop, hash"),
        (
            [KEY, TARGET, column("x", customProperties=privacy("hash")["customProperties"])],
            "it is for personal columns; say classification: personal",
        ),
        ([column("id", primaryKey=True, **privacy("drop")), TARGET, ANY], "a row key is hashed, labels are joined by"),
        ([column("id", "integer", primaryKey=True, **privacy("hash")), TARGET, ANY], "a keyed hash, which is text"),
        ([KEY, column("id2", primaryKey=True), TARGET, ANY], "exactly one column is the key"),
        ([KEY, ANY], "exactly one column is the target"),
        ([KEY, TARGET, column("w2", **role("target")), ANY], "exactly one column is the target"),
        ([KEY, TARGET], "no column is a feature"),
        ([KEY, TARGET, ANY, ANY], "the column 'x' occurs twice"),
        ([KEY, TARGET, column("x", "array")], "column 'x': logicalType: 'array' is not one of"),
        ([KEY, TARGET, {"name": "x"}], "column 'x': logicalType: None is not one of"),
        ([KEY, TARGET, {"logicalType": "string"}], "a column has no name"),
        ([KEY, TARGET, column("x", **role("label"))], "column 'x': role: 'label' is not one of"),
        ([KEY, TARGET, column("x", "timestamp")], "column 'x': a model takes numbers, booleans and strings"),
        ([KEY, TARGET, column("x", "date")], "give the column the role event_time or ignore"),
        (
            [KEY, TARGET, ANY, column("a", "timestamp", **MOMENT), column("b", "timestamp", **MOMENT)],
            "at most one column is the event_time",
        ),
        ([KEY, TARGET, column("x", **options(multipleOf=2))], "'multipleOf' is not one of"),
        (
            [KEY, TARGET, column("x", **allowed("a", must_be=1))],
            "'invalidValues' as it stands cannot be checked here; a column's rules are",
        ),
        ([KEY, TARGET, column("x", quality=[{"metric": "invalidValues", "mustBe": 0}])], "validValues"),
        ([KEY, TARGET, column("x", "string", **options(minimum=1))], "column 'x': logicalTypeOptions"),
        ([KEY, TARGET, column("x", "number", **options(pattern="a"))], "column 'x': logicalTypeOptions"),
        ([KEY, TARGET, column("x", "number", **options(maxLength=3))], "column 'x': logicalTypeOptions"),
        ([KEY, TARGET, column("x", "string", **options(pattern="("))], "column 'x': logicalTypeOptions"),
        ([KEY, TARGET, column("x", "string", **options(pattern="(?=a)"))], "column 'x': logicalTypeOptions"),
        ([KEY, TARGET, column("x", "number", **options(minimum="low"))], "column 'x': logicalTypeOptions"),
        *[
            ([KEY, TARGET, column("x", "string", **options(pattern=pattern))], "which cannot be checked in a column")
            for pattern in (r"[a-z]+\Z", "(?P<x>a)(?P=x)", "(?#c)a", "(a)?(?(1)b|c)", "(?x) a # x", "a{,3}")
        ],
        ([KEY, TARGET, column("_row", "number")], "column '_row': the name is reserved"),
        ([KEY, TARGET, column("^a.*$", "number")], "the name is reserved"),
        ([KEY, TARGET, column("x", requierd=True)], "requierd: is not a field here"),
        (
            [KEY, TARGET, column("x", customProperties=[{"property": "tolerence", "value": 0.1}])],
            "'tolerence' is no known property: is 'tolerance' meant?",
        ),
        ([KEY, TARGET, column("x", "number", **options(minimum=3, maximum=2))], "column 'x'"),
        (
            [KEY, TARGET, column("x", "integer", **allowed("a"))],
            "column 'x': quality",
        ),
    ],
)
def test_an_unusable_contract_is_refused(model_folder: Write, columns: list[dict[str, Any]], words: str) -> None:
    folder = model_folder("", document(*columns))
    with pytest.raises(ContractError) as caught:
        read_contract(folder)
    assert str(caught.value).startswith(f"{folder / 'contract.yaml'}")
    assert words in str(caught.value)


@pytest.mark.parametrize("tolerance", [1, -0.1, 1.5, "much", True])
def test_a_tolerance_must_be_a_share(model_folder: Write, tolerance: Any) -> None:
    with pytest.raises(ContractError, match="tolerance is a share"):
        read_contract(model_folder("", document(KEY, TARGET, ANY, tolerance=tolerance)))


def test_more_than_one_object_is_refused(model_folder: Write) -> None:
    two = [{"name": "a", "properties": []}, {"name": "b", "properties": []}]
    with pytest.raises(ContractError, match="one object is expected"):
        read_contract(model_folder("", document(schema=two)))


def test_a_field_of_a_wrong_type_is_refused_with_its_line(model_folder: Write) -> None:
    folder = model_folder("", "apiVersion: v3.1.0\nkind: DataContract\nid: x\nschema: 7\n")
    with pytest.raises(ContractError, match=r"contract\.yaml:4: schema: "):
        read_contract(folder)


def test_a_missing_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no such file"):
        read_contract(tmp_path)


@pytest.mark.parametrize("version", ["v2.0.0", None])
def test_another_version_of_the_standard_is_refused(model_folder: Write, version: str | None) -> None:
    with pytest.raises(ContractError, match=r"apiVersion: .* is not version 3 of the standard: write v3\.1\.0"):
        read_contract(model_folder("", document(KEY, TARGET, ANY, apiVersion=version)))


def test_a_repeated_field_is_refused(model_folder: Write) -> None:
    folder = model_folder("", document(KEY, TARGET, ANY) + "version: 2.0.0\n")
    with pytest.raises(ContractError, match=r"contract\.yaml:\d+: version: occurs twice"):
        read_contract(folder)


@pytest.mark.parametrize("classification", ["personal", "Personal", "PII", " pii "])
def test_the_classification_ignores_case_and_blanks(model_folder: Write, classification: str) -> None:
    contract = read_contract(model_folder("", document(KEY, TARGET, column("x", classification=classification))))
    assert contract.features[0].personal
