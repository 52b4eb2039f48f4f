"""Batch scoring: scores, refusals, and work that is not repeated."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from penstock.aws.s3_store import sha256
from penstock.batch.names import batch_id
from penstock.contract.odcs import read_contract
from penstock.erasure.lake_survey import LakeSurvey
from penstock.erasure.subject import Subject
from penstock.scoring.model import Model
from penstock.scoring.onnx_file import NoSignatureError, read_signature
from tests.support import tiny
from tests.support.batch_steps import Steps, as_csv, as_jsonl, as_parquet, go_live, predictions, rows
from tests.support.tiny import GOOD, SIZES, SMALLEST, build_multiclass, build_regression
from tests.support.world import MODEL, World, object_created

Write = Callable[[list[dict[str, Any]]], bytes]


@pytest.mark.parametrize(("name", "write"), [
    ("a.csv", as_csv), ("a.jsonl", as_jsonl), ("deep/er/a.ndjson", as_jsonl), ("a.parquet", as_parquet),
    ("a.csv.gz", lambda items: gzip.compress(as_csv(items))),
    ("a.jsonl.gz", lambda items: gzip.compress(as_jsonl(items))),
])  # fmt: skip
def test_each_row_is_scored_like_a_request(steps: Steps, tiny_onnx: bytes, name: str, write: Write) -> None:
    # Given a file of ten rows in three parts, each with its key
    items = rows(10)
    keyed = [item | {"row_id": f"k{number}"} for number, item in enumerate(items)]
    # When its batch has run
    record = steps.score(name, write(keyed))
    # Then the output has the scores of a request, in order, with key, row, id and version
    assert record["outcome"] == "scored", record
    assert record["reason"] == "10 of 10 rows scored by version 3"
    output = steps.output(name)
    assert [float(row["score"]) for row in output] == [item["score"] for item in predictions(tiny_onnx, items)]
    assert [row["row_id"] for row in output] == [f"k{number}" for number in range(10)]
    assert [int(row["row"]) for row in output] == list(range(1, 11))
    assert {str(row["version"]) for row in output} == {"3"}
    assert [row["id"] for row in output] == [f"{record['work']}-{number}" for number in range(1, 11)]
    assert list(output[0]) == ["row_id", "row", "id", "score", "label", "version"]
    labels = [str(item["label"]).lower() for item in predictions(tiny_onnx, items)]
    assert [str(row["label"]).lower() for row in output] == labels
    assert steps.errors(name) == []
    # And it is recorded and announced
    assert (record["parts"], record["rows"], record["scored"], record["errors"]) == (3, 10, 10, 0)
    assert record["live"]["sha256"] == sha256(tiny_onnx)
    (notice,) = steps.world.notices()
    assert notice["subject"] == f"{MODEL}: batch {name} scored"


def test_csv_has_the_digits_of_the_response(steps: Steps, tiny_onnx: bytes) -> None:
    items = rows(3)
    steps.score("a.csv", as_csv(items))
    expected = [json.dumps(item["score"]) for item in predictions(tiny_onnx, items)]
    assert [row["score"] for row in steps.output("a.csv")] == expected
    assert {row["label"] for row in steps.output("a.csv")} <= {"true", "false"}


BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"amount": "much"}, "amount: not a number"),
    ({"amount": ""}, "amount: missing"),
    ({"amount": 1000.5}, "amount: above 1000.0"),
    ({"amount": -1}, "amount: below 0.0"),
    ({"amount": "inf"}, "amount: not a finite number; amount: above 1000.0"),
    ({"level": 2.5}, "level: not a whole number"),
    ({"level": 99}, "level: above 9.0"),
    ({"member": "maybe"}, "member: not true or false"),
    ({"city": "jfk"}, "city: not of the form [A-Z]{3}"),
    ({"colour": "blue"}, "colour: not one of red, green"),
    ({"note": "far too long"}, "note: longer than 5 characters"),
    ({"city": "", "amount": "x"}, "city: missing; amount: not a number"),
    # Refused only by the decoder of requests: a number that is infinite in float32
    ({"free": 1e300}, "free: Expected `float` <= 3.4028234663852886e+38"),
]


def test_bad_rows_are_reported_and_the_others_are_scored(steps: Steps, tiny_onnx: bytes) -> None:
    # Given good rows, and between each two of them a bad row of another kind
    items = rows(2 * len(BAD_VALUES) + 1)
    for number, (change, _) in enumerate(BAD_VALUES):
        items[2 * number + 1] |= change
    keyed = [item | {"row_id": number} for number, item in enumerate(items)]
    # When the batch has run
    record = steps.score("a.csv", as_csv(keyed))
    # Then each bad row is in the errors with row, key, id and reason, and every good row is scored
    assert record["outcome"] == "scored"
    errors = steps.errors("a.csv")
    assert [item["reason"] for item in errors] == [reason for _, reason in BAD_VALUES]
    assert [item["row"] for item in errors] == [2 * number + 2 for number in range(len(BAD_VALUES))]
    assert [item["row_id"] for item in errors] == [str(2 * number + 1) for number in range(len(BAD_VALUES))]
    assert {item["id"] for item in errors} == {f"{record['work']}-{item['row']}" for item in errors}
    output = steps.output("a.csv")
    assert [row["row"] for row in output] == [str(number) for number in range(1, len(items) + 1, 2)]
    assert [float(row["score"]) for row in output] == [item["score"] for item in predictions(tiny_onnx, items[::2])]
    assert (record["scored"], record["errors"]) == (len(BAD_VALUES) + 1, len(BAD_VALUES))
    assert "errors/a.csv.jsonl" in record["reason"]


def test_nested_values_in_json_are_reported(steps: Steps) -> None:
    items: list[dict[str, Any]] = [
        GOOD,
        GOOD | {"amount": [1]},
        GOOD | {"city": {"a": 1}},
        GOOD | {"row_id": {"deep": 1}, "amount": None},
    ]
    steps.score("a.jsonl", as_jsonl(items))
    assert [item["reason"] for item in steps.errors("a.jsonl")] == [
        "amount: not a number", "city: not text", "row_id: not text; amount: missing",
    ]  # fmt: skip
    assert [row["row"] for row in steps.output("a.jsonl")] == [1]


def test_optional_columns_may_be_absent_and_unknown_ones_are_listed(steps: Steps, tiny_onnx: bytes) -> None:
    # Given rows with only the required columns, and columns that the version does not know, such as the target
    items = [SMALLEST | {"late": "?", "surprise": 1}, SMALLEST | {"late": "", "surprise": 2}]
    # When they are scored
    record = steps.score("a.csv", as_csv(items))
    # Then the ledger lists the unknown columns, and the output has no key
    expected = predictions(tiny_onnx, [SMALLEST, SMALLEST])
    assert [float(row["score"]) for row in steps.output("a.csv")] == [item["score"] for item in expected]
    assert record["unknown"] == ["late", "surprise"]
    assert list(steps.output("a.csv")[0]) == ["row", "id", "score", "label", "version"]


@pytest.mark.parametrize(("name", "data", "reason"), [
    ("a.csv", b"", "a.csv: the file is empty"),
    ("a.csv", as_csv([GOOD]).partition(b"\r\n")[0] + b"\r\n", "a.csv: there are no rows"),
    ("a.csv", b"colour,level\nred,1\n", "a.csv: the column 'city' is missing, and amount"),
    ("a.csv", b"City,amount\nJFK,1\n", "a.csv: the column 'city' is missing (there is 'City')"),
    ("a.csv", b"city,amount\nJFK,1,2\n", "a.csv: line 2 has 3 cells, the header has 2"),
    ("a.xlsx", b"PK", "a.xlsx: 'a.xlsx' does not end in .csv, .csv.gz"),
    ("a.parquet", b"city,amount\nJFK,1\n", "a.parquet: "),
    ("a.csv", b"city,amount\njfk,x\n,-1\n", "none of the 2 rows can be scored (1 × city: "),
])  # fmt: skip
def test_a_bad_file_is_refused_with_a_reason(steps: Steps, name: str, data: bytes, reason: str) -> None:
    record = steps.score(name, data)
    assert record["outcome"] == "refused"
    assert record["reason"].startswith(reason)
    assert steps.world.keys("batch/flight-delay/output/") == []
    (notice,) = steps.world.notices()
    assert reason in notice["text"]


def test_a_file_that_is_too_large_is_refused_before_it_is_read(steps: Steps) -> None:
    event = object_created("batch/flight-delay/input/a.csv", 5_000_000_000, "e", "v1")
    steps.functions["start_batch"].handler(event, None)
    record = steps.run(batch_id(MODEL, "batch/flight-delay/input/a.csv", "v1"))
    assert record["outcome"] == "refused"
    assert record["reason"] == "a.csv: the file has 5,000 MB, a batch takes 3,000: cut it and push the pieces"


def test_a_file_of_too_many_parts_is_refused(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.batch.planner.MOST_PARTS", 2)
    record = steps.score("a.csv", as_csv(rows(9)))
    assert record["reason"].startswith("a.csv: the file has more rows than a batch takes (about 8)")


def test_a_part_is_bounded_by_its_bytes_too(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given parts of 300 bytes at most, which one row nearly is
    monkeypatch.setattr("penstock.batch.part_splitter.PART_BYTES", 300)
    record = steps.score("a.csv", as_csv(rows(5)))
    assert (record["parts"], record["scored"]) == (5, 5)


def test_without_a_live_version_the_reason_says_what_to_do(world: World) -> None:
    steps = Steps.load(world)
    record = steps.score("a.csv", as_csv(rows(1)))
    assert record["outcome"] == "refused"
    assert record["reason"] == (
        "a.csv: no version of flight-delay is live yet: approve one with `penstock approve flight-delay --reason …`, "
        "then push the file again"
    )


def test_a_changed_model_file_scores_nothing(steps: Steps, tiny_onnx: bytes) -> None:
    # Given another file in place of the registered object version
    key = steps.lake.model_file(sha256(tiny_onnx), "model.onnx")
    for version in list(steps.world.store.versions(key)):
        steps.world.store.delete_versions([(key, version.version_id)])
    steps.world.store.write(key, tiny.build(0.7))
    record = steps.score("a.csv", as_csv(rows(1)))
    assert record["outcome"] == "refused"
    assert "was changed since it was registered" in record["reason"]


def test_a_regression_has_scores_and_no_labels(world: World) -> None:
    data = build_regression()
    go_live(world, data)
    steps = Steps.load(world)
    assert steps.score("a.parquet", as_parquet(rows(5)))["outcome"] == "scored"
    output = steps.output("a.parquet")
    assert list(output[0]) == ["row", "id", "score", "version"]
    assert [row["score"] for row in output] == [item["score"] for item in predictions(data, rows(5))]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_several_classes_have_a_probability_each(world: World, name: str) -> None:
    data = build_multiclass()
    go_live(world, data)
    steps = Steps.load(world)
    write = {"a.jsonl": as_jsonl, "a.csv": as_csv, "a.parquet": as_parquet}[name]
    steps.score(name, write(rows(5)))
    expected = predictions(data, rows(5))
    if name == "a.jsonl":
        assert [row["scores"] for row in steps.output(name)] == [item["scores"] for item in expected]
        return
    for label in SIZES:
        column = [float(row[f"scores.{label}"]) for row in steps.output(name)]
        assert column == [item["scores"][label] for item in expected]


def test_a_key_with_a_reserved_name_is_renamed(world: World, tiny_onnx: bytes) -> None:
    import msgspec

    from training.steps.export import onnx_export as export

    about = msgspec.structs.replace(tiny.signature(), carried=("id",))
    data = export.sealed(export.to_onnx(tiny.estimator(tiny.table()), tiny.COLUMNS), about)
    path = world.root / "model" / "contract.yaml"
    path.write_text(path.read_text().replace("name: flight_id", "name: id"))
    go_live(world, data)
    steps = Steps.load(world)
    record = steps.score("a.csv", as_csv([GOOD | {"id": "mine"}]))
    (row,) = steps.output("a.csv")
    assert (row["key"], row["id"]) == ("mine", f"{record['work']}-1")


def test_the_signature_is_read_without_onnxruntime(tiny_onnx: bytes) -> None:
    assert read_signature(tiny_onnx) == Model(tiny_onnx).signature
    for data in (b"", b"no onnx", tiny_onnx[:200]):
        with pytest.raises(NoSignatureError, match="no signature"):
            read_signature(data)


def test_an_erased_subject_is_in_no_batch(steps: Steps, tiny_onnx: bytes) -> None:
    # Given a batch with a good and a bad row of the subject among others, and a batch without the subject
    own = [rows(1)[0] | {"row_id": "me"}, GOOD | {"row_id": "me", "amount": "x"}]
    others = [item | {"row_id": f"k{number}"} for number, item in enumerate(rows(6))]
    first = steps.score("a.csv", as_csv([*others[:3], *own, *others[3:]]))
    second = steps.score("b.parquet", as_parquet(others))
    # When the subject is erased
    contract = read_contract(steps.world.root / "model")
    subject = Subject(contract, ["me"])
    findings = LakeSurvey(contract, steps.lake, steps.world.store, steps.ledger, subject).find()
    steps.world.store.delete_versions(findings.remove)
    for key, data in findings.rewrites.items():
        steps.world.store.write(key, data)
    # Then no version of any object has the subject, and the others' scores are unchanged
    for version, _ in steps.world.store.all_versions("batch"):
        data = steps.world.store.read(version.key, version.version_id)
        assert b'"me"' not in data, version.key
        assert b",me" not in data, version.key
        assert b"\nme," not in data, version.key
    assert [row["row_id"] for row in steps.output("a.csv")] == [item["row_id"] for item in others]
    assert steps.world.keys(steps.lake.batch_work(first["work"])) == []
    assert len(steps.world.keys(steps.lake.batch_work(second["work"]))) == 5
    assert findings.rows["batches"] == 4
    assert findings.unread == []
