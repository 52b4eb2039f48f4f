"""Model files, decoding of requests, scores."""

import json
import math
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.scoring.model import Model, ModelFileError
from penstock.scoring.problems import RequestError
from tests.support import tiny
from tests.support.tiny import GOOD, SMALLEST


@pytest.fixture(scope="module")
def model(tiny_onnx: bytes) -> Model:
    return Model(tiny_onnx, max_rows=3)


def body(*rows: Any) -> bytes:
    return json.dumps({"instances": list(rows)}).encode()


def test_the_signature_travels_in_the_file(model: Model) -> None:
    assert model.signature == tiny.signature()
    assert [field.name for field in model.signature.fields if field.required] == ["city", "amount"]


def test_a_file_with_another_digest_is_refused(tiny_onnx: bytes) -> None:
    digest = sha256(tiny_onnx).hexdigest()
    assert Model(tiny_onnx, sha256=digest).sha256 == digest
    with pytest.raises(ModelFileError, match="it was changed"):
        Model(tiny_onnx + b"\0", sha256=digest)


def test_a_file_that_is_not_onnx() -> None:
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        Model(b"not a model")


def test_a_file_without_signature(tiny_onnx: bytes) -> None:
    graph = onnx.load_from_string(tiny_onnx)
    del graph.metadata_props[:]
    with pytest.raises(ModelFileError, match="no signature in its metadata"):
        Model(graph.SerializeToString())


def test_a_file_with_a_damaged_signature(tiny_onnx: bytes) -> None:
    graph = onnx.load_from_string(tiny_onnx)
    graph.metadata_props[0].value = '{"model": "x"}'
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        Model(graph.SerializeToString())


def test_scores_equal_the_estimators(model: Model) -> None:
    # Given the estimator that the file was made of
    rows = tiny.table()
    own = tiny.estimator(rows).predict_proba(rows)[:, 1]
    # When the file scores the same rows
    scores = model.score({name: rows[name].to_list() for name in rows.columns})
    # Then they agree to float32
    assert scores.shape == (200,)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, own, atol=1e-5)


def test_rows_and_columns_score_alike(model: Model) -> None:
    rows = tiny.table(20).to_dicts()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert model.score_rows(rows).tolist() == model.score(columns).tolist()
    alone = [model.score_rows([row]).tolist()[0] for row in rows]
    np.testing.assert_allclose(alone, model.score_rows(rows), atol=1e-6)


def test_missing_null_and_empty_values_score_alike(model: Model) -> None:
    left_out = model.score_rows([SMALLEST])
    nulls = model.score_rows([dict.fromkeys(GOOD) | SMALLEST])
    empty = model.score_rows([SMALLEST | {"colour": "", "note": ""}])
    assert left_out.tolist() == nulls.tolist() == empty.tolist()
    assert math.isfinite(left_out[0])


def test_the_label_is_positive_from_the_threshold(model: Model) -> None:
    predictions = [model.prediction(score) for score in (0.0, 0.4999, 0.5, 1.0)]
    assert [item["label"] for item in predictions] == [False, False, True, True]
    assert [item["score"] for item in predictions] == [0.0, 0.4999, 0.5, 1.0]


def test_a_valid_request_is_decoded(model: Model) -> None:
    rows = model.decode(body(GOOD, SMALLEST, GOOD | {"row_id": "r1", "at": "2013-01-01T00:00:00Z", "note": None}))
    assert [row["city"] for row in rows] == ["JFK", "LGA", "JFK"]
    assert rows[1]["level"] is None
    assert rows[2]["row_id"] == "r1"
    assert model.score_rows(rows).shape == (3,)


@pytest.mark.parametrize(
    ("row", "score"),
    [(GOOD | {"amount": 10}, 10.0), (GOOD | {"amount": 10.0}, 10.0), (GOOD | {"amount": 1e1}, 10)],
)
def test_numbers_may_be_integers_or_decimals(model: Model, row: dict[str, Any], score: float) -> None:
    assert model.decode(body(row))[0]["amount"] == score


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (GOOD | {"colur": "red"}, "colur"),
        (without("city"), "city"),
        (without("amount"), "amount"),
        (GOOD | {"city": None}, "city"),
        (GOOD | {"amount": None}, "amount"),
        (GOOD | {"amount": "10"}, "amount"),
        (GOOD | {"amount": True}, "amount"),
        (GOOD | {"amount": [1]}, "amount"),
        (GOOD | {"amount": {"value": 1}}, "amount"),
        (GOOD | {"amount": -0.01}, "amount"),
        (GOOD | {"amount": 1000.5}, "amount"),
        (GOOD | {"level": 2.5}, "level"),
        (GOOD | {"level": "3"}, "level"),
        (GOOD | {"level": 0}, "level"),
        (GOOD | {"level": 10}, "level"),
        (GOOD | {"level": True}, "level"),
        (GOOD | {"member": 1}, "member"),
        (GOOD | {"member": "true"}, "member"),
        (GOOD | {"city": 5}, "city"),
        (GOOD | {"city": False}, "city"),
        (GOOD | {"city": "jfk"}, "city"),
        (GOOD | {"city": "JFKX"}, "city"),
        (GOOD | {"city": "JFK\n"}, "city"),
        (GOOD | {"colour": "blue"}, "colour"),
        (GOOD | {"colour": 1}, "colour"),
        (GOOD | {"note": "longer"}, "note"),
        (GOOD | {"row_id": [5]}, "row_id"),
    ],
)
def test_a_bad_field_is_named_with_its_row(model: Model, row: dict[str, Any], field: str) -> None:
    # Given the second row of a request is bad
    # When it is decoded
    with pytest.raises(RequestError) as caught:
        model.decode(body(GOOD, row))
    # Then status, field and row say so, and the sentence names the field
    problem = caught.value.problem()
    assert (problem["status"], problem["field"], problem["row"]) == (422, field, 1)
    assert field in problem["detail"]
    assert problem["title"] == "Unprocessable Content"
    assert problem["type"] == "about:blank"


@pytest.mark.parametrize(("word", "printed"), [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")])
def test_nan_and_infinity_are_refused_with_their_place(model: Model, word: str, printed: str) -> None:
    text = '{"instances": [{"city": "JFK", "amount": 1}, {"city": "JFK", "amount": 1, "free": ' + word + "}]}"
    with pytest.raises(RequestError) as caught:
        model.decode(text.encode())
    assert (caught.value.status, caught.value.field, caught.value.row) == (400, "free", 1)
    assert f"{printed} is no JSON number" in caught.value.detail
    assert "send null" in caught.value.detail


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 400),
        (b"   ", 400),
        (b"not json", 400),
        (b"{", 400),
        (b'{"instances": [', 400),
        (body(GOOD) + b"}", 400),
        (body(GOOD) + body(GOOD), 400),
        (b"\xff\xfe", 400),
        (b'{"instances": [{"city": "\xff\xff\xff", "amount": 1}]}', 400),
        (b"\xef\xbb\xbf" + body(GOOD), 400),
        (b"{'instances': []}", 400),
        (b'{"instances": [{"city": "\\ud800", "amount": 1}]}', 400),
        (b"null", 422),
        (b"3", 422),
        (b'"text"', 422),
        (b"[]", 422),
        (body(GOOD).replace(b"instances", b"rows"), 422),
        (b"{}", 422),
        (b'{"instances": [], "more": 1}', 422),
        (b'{"instances": null}', 422),
        (b'{"instances": {}}', 422),
        (b'{"instances": "JFK"}', 422),
        (b'{"instances": []}', 422),
        (b'{"instances": [null]}', 422),
        (b'{"instances": [3]}', 422),
        (b'{"instances": [[]]}', 422),
        (body([GOOD]), 422),
        (b'{"instances": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", 422),
        (b"[" * 100_000, 400),
        (b'{"instances": [{"city": "JFK", "amount": ' + b"9" * 400 + b"}]}", 422),
        (b'{"instances": [{"city": "JFK", "amount": 1, "count": ' + b"9" * 400 + b"}]}", 422),
        (b'{"instances": [{"city": "JFK", "amount": 1, "free": 1e999}]}', 422),
        (body(GOOD, GOOD, GOOD, GOOD), 413),
    ],
)
def test_a_malformed_body_gets_a_client_error(model: Model, sent: bytes, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        model.decode(sent)
    allowed = {400, 422} if status == 400 or b"[[[[" in sent or b"9999" in sent or b"1e999" in sent else {status}
    assert caught.value.status in allowed
    assert caught.value.detail
    json.dumps(caught.value.problem(), allow_nan=False)


def test_the_error_for_too_many_rows_has_the_limit(model: Model) -> None:
    with pytest.raises(RequestError) as caught:
        model.decode(body(*[SMALLEST] * 4))
    assert caught.value.problem() == {
        "type": "about:blank",
        "title": "Content Too Large",
        "status": 413,
        "detail": "give between 1 and 3 instances in one request",
        "field": "instances",
    }


def test_a_name_given_twice_counts_with_its_last_value(model: Model) -> None:
    rows = model.decode(b'{"instances": [{"city": "JFK", "city": "LGA", "amount": 1}]}')
    assert rows[0]["city"] == "LGA"


def test_large_numbers_score_finite_or_are_refused(model: Model) -> None:
    """No number gives an exception or a score that JSON cannot hold."""
    for number in (1e38, 1e39, 1e300, -1e308, 10**18, 10**40, 10**400, 5e-324, 2**53 + 1):
        for name in ("free", "count"):
            try:
                rows = model.decode(body(SMALLEST | {name: int(number) if name == "count" else number}))
            except RequestError:
                continue
            assert np.isfinite(model.score_rows(rows)).all(), (name, number)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
ROWS = st.dictionaries(st.sampled_from([*GOOD, "row_id", "zzz"]), st.one_of(JSON, st.sampled_from(list(GOOD.values()))))


def check_response(model: Model, sent: bytes) -> None:
    """Check that a body is scored or gets a 4xx, nothing else."""
    try:
        rows = model.decode(sent)
    except RequestError as error:
        refused = error
    else:
        assert 1 <= len(rows) <= model.max_rows
        scores = model.score_rows(rows)
        assert ((scores >= 0) & (scores <= 1)).all()
        return
    assert refused.status in {400, 413, 422}
    json.dumps(refused.problem(), allow_nan=False)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_any_bytes_get_scores_or_a_client_error(tiny_onnx: bytes, sent: bytes) -> None:
    check_response(load(tiny_onnx), sent)


@settings(max_examples=200, deadline=None)
@given(st.one_of(JSON, st.lists(ROWS, max_size=4).map(lambda rows: {"instances": rows})))
def test_any_json_gets_scores_or_a_client_error(tiny_onnx: bytes, document: Any) -> None:
    check_response(load(tiny_onnx), json.dumps(document).encode())


LOADED: dict[int, Model] = {}


def load(data: bytes) -> Model:
    """The model, loaded once for all examples."""
    return LOADED.setdefault(len(data), LOADED.get(len(data)) or Model(data, max_rows=3))


def test_a_field_of_allowed_numbers_can_be_requested() -> None:
    """A contract may allow numbers (`validValues: [1, 2]`), for number columns too."""
    from penstock.contract.model import Column
    from training.steps.export import onnx_export as export

    columns = [
        Column("amount", "number", "feature", required=True, allowed=(0.5, 1, 2)) if c.name == "amount" else c
        for c in tiny.COLUMNS
    ]
    graph = export.to_onnx(tiny.estimator(tiny.table()), columns)
    data = export.sealed(graph, msgspec.structs.replace(tiny.signature(), fields=export.fields(columns)))
    model = Model(data)
    for good in (0.5, 1, 1.0, 2):
        assert model.decode(body(SMALLEST | {"amount": good}))[0]["amount"] == good
    for bad in (0.7, 3, "1"):
        with pytest.raises(RequestError) as caught:
            model.decode(body(SMALLEST | {"amount": bad}))
        assert (caught.value.status, caught.value.field) == (422, "amount")


@pytest.fixture(scope="module")
def several() -> Model:
    return Model(tiny.build_multiclass())


def test_of_several_classes_each_has_its_probability(several: Model) -> None:
    # Given the estimator that the file was made of
    rows = tiny.table()
    own = tiny.estimator(rows, tiny.sizes(rows)).predict_proba(rows)
    # When the file scores the same rows
    scores = several.score({name: rows[name].to_list() for name in rows.columns})
    # Then it gives the whole vectors
    assert scores.shape == (200, 3)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, own, atol=1e-5)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_of_several_classes_the_label_is_the_estimators_own(several: Model) -> None:
    rows = tiny.table()
    fitted = tiny.estimator(rows, tiny.sizes(rows))
    scores = several.score({name: rows[name].to_list() for name in rows.columns})
    # When the scores are answered
    predictions = [several.prediction(score) for score in scores.tolist()]
    # Then the label is what scikit-learn predicts, and its probability is the score
    assert [item["label"] for item in predictions] == fitted.predict(rows).tolist()
    assert {item["label"] for item in predictions} == set(tiny.SIZES)
    assert [item["score"] for item in predictions] == scores.max(axis=1).tolist()
    assert [list(item["scores"]) for item in predictions] == [list(tiny.SIZES)] * 200
    assert [list(item["scores"].values()) for item in predictions] == scores.tolist()


def test_of_equally_probable_classes_the_first_is_the_label(several: Model) -> None:
    assert several.prediction([0.2, 0.4, 0.4])["label"] == tiny.SIZES[1]


def test_classes_that_are_numbers_keep_their_type_in_the_label() -> None:
    # Given classes whose order as numbers is another than as text
    model = Model(tiny.build_multiclass((2, 10, 30)))
    # Then the label is the number, and the names are JSON's
    prediction = model.prediction([0.1, 0.7, 0.2])
    assert prediction == {"score": 0.7, "label": 10, "scores": {"2": 0.1, "10": 0.7, "30": 0.2}}


@pytest.mark.parametrize(
    ("classes", "task"), [((), "regression"), ((0, 1), "binary"), ((0, 1, 2), "multiclass"), (("a", "b"), "binary")]
)
def test_the_classes_determine_the_task(classes: tuple[int | str, ...], task: str) -> None:
    assert msgspec.structs.replace(tiny.signature(), classes=classes).task == task


@pytest.mark.parametrize("build", [tiny.build, tiny.build_regression, tiny.build_multiclass])
def test_a_row_has_the_same_score_alone_and_among_others(build: Callable[[], bytes]) -> None:
    # Given many rows of a linear model, whose sums show the order in which they were added up
    model = Model(build())
    rows = [GOOD | {"amount": number * 1.37, "free": number / 7 - 20} for number in range(300)]
    together = model.score_rows(rows)
    # When they are scored in groups of other sizes, one by one among them
    for size in (1, 2, 3, 17, 100):
        scores = np.concatenate([model.score_rows(rows[start : start + size]) for start in range(0, 300, size)])
        # Then every bit is the same
        assert np.array_equal(scores, together), size
