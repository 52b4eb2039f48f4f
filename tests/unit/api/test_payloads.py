"""Bodies of every content type, as the JSON request that they stand for; and answers."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.api import media_types as media
from penstock.api import payloads
from penstock.api.media_types import CSV, JSON, JSON_LINES, TAKEN, Media
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from tests.support import tiny
from tests.support.tiny import GOOD, SMALLEST

ROWS: list[dict[str, Any]] = [GOOD, SMALLEST, GOOD | {"note": 'a,"\n', "member": False, "row_id": "r1"}]


@pytest.fixture(scope="module")
def model(tiny_onnx: bytes) -> Model:
    return Model(tiny_onnx, max_rows=3)


def table(*rows: dict[str, Any]) -> bytes:
    """Rows as a spreadsheet would write them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    written = io.StringIO()
    writer = csv.DictWriter(written, names)
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def decoded(model: Model, body: bytes, kind: Media, *, header: bool = True) -> list[dict[str, Any]]:
    return payloads.rows(model, payloads.request(body, kind, model.signature, header=header, most=model.max_rows))


def refused(model: Model, body: bytes, kind: Media) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decoded(model, body, kind)
    return caught.value


@pytest.mark.parametrize(("kind", "body"), [(CSV, table(*ROWS)), (JSON_LINES, lines(*ROWS))])
def test_the_same_rows_are_the_same_request(model: Model, kind: Media, body: bytes) -> None:
    # Given rows as JSON, and as another content type
    plain = decoded(model, json.dumps({"instances": ROWS}).encode(), JSON)
    # When they are decoded, then nothing tells them apart
    assert decoded(model, body, kind) == plain


def test_a_csv_without_header_goes_by_the_signatures_order(model: Model) -> None:
    bare = table(GOOD).split(b"\r\n", 1)[1]
    assert list(GOOD) == [field.name for field in model.signature.fields]
    assert decoded(model, bare, CSV, header=False) == decoded(model, table(GOOD), CSV)


@pytest.mark.parametrize("written", ["3", " 3 ", "+3", "03", "3.0", "3.", "3e0", ".3e1"])
def test_a_whole_number_in_a_cell_may_be_written_many_ways(model: Model, written: str) -> None:
    (row,) = decoded(model, table(SMALLEST | {"level": written}), CSV)
    assert (row["level"], type(row["level"])) == (3, int)


@pytest.mark.parametrize(("written", "value"), [("TRUE", True), ("yes", True), ("0", False), ("F", False), (" ", None)])
def test_truth_is_written_as_in_an_upload(model: Model, written: str, value: bool | None) -> None:
    assert decoded(model, table(SMALLEST | {"member": written}), CSV)[0]["member"] is value


def test_a_cell_of_blanks_is_missing(model: Model) -> None:
    error = refused(model, table(GOOD | {"city": "  "}), CSV)
    assert (error.status, error.field, error.row) == (422, "city", 0)
    assert "required" in error.detail


@pytest.mark.parametrize("kind", [JSON, JSON_LINES])
def test_a_whole_number_with_a_point_is_an_integer(model: Model, kind: Media) -> None:
    rows = [SMALLEST, SMALLEST | {"level": 3.0, "count": 1e3, "amount": 2.5}]
    body = json.dumps({"instances": rows}).encode() if kind == JSON else lines(*rows)
    found = decoded(model, body, kind)[1]
    assert (found["level"], found["count"], type(found["level"])) == (3, 1000, int)
    assert found["amount"] == 2.5


BAD: list[tuple[dict[str, Any], str]] = [
    (GOOD | {"level": "many"}, "level"),
    (GOOD | {"level": 3.5}, "level"),
    (GOOD | {"level": 99}, "level"),
    (GOOD | {"colour": "blue"}, "colour"),
    (GOOD | {"member": "maybe"}, "member"),
    (GOOD | {"city": "nowhere"}, "city"),
    (GOOD | {"amount": "nan"}, "amount"),
    (GOOD | {"amount": "1_0"}, "amount"),
    (GOOD | {"colur": "red"}, "colur"),
]


@pytest.mark.parametrize(("row", "field"), BAD)
@pytest.mark.parametrize("kind", TAKEN)
def test_a_wrong_cell_is_named_in_the_same_words(model: Model, kind: Media, row: dict[str, Any], field: str) -> None:
    # Given a good row, and one with a wrong value, in each content type
    rows = [GOOD, row]
    body = {JSON: json.dumps({"instances": rows}).encode(), CSV: table(*rows), JSON_LINES: lines(*rows)}[kind]
    # When it is decoded
    error = refused(model, body, kind)
    # Then the answer is the same
    assert (error.status, error.field) == (422, field)
    assert error.row == 1 or "unknown" in error.detail
    if kind == JSON_LINES:
        assert error.problem() == refused(model, json.dumps({"instances": rows}).encode(), JSON).problem()


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", CSV, "the body is empty"),
        (b"\n\n", CSV, "the body is empty"),
        (b"city,city\nJFK,JFK\n", CSV, "'city' more than once"),
        (b"city,amount\nJFK,1,2\n", CSV, "row 0 has 3 cells, there are 2 columns"),
        (b'city,amount\n"JFK,1\n', CSV, "not CSV"),
        (b"city\n\xff\n", CSV, "not UTF-8"),
        (b'{"city":"JFK"},{"city":"LGA"}\n', JSON_LINES, "row 0 is not one line of JSON"),
        (b'{"city":"JFK"\n,"amount":1}\n', JSON_LINES, "row 0 is not one line of JSON"),
        (b'{"city":"NaN"},{"city":"LGA"}\n', JSON_LINES, "row 0 is not one line of JSON"),
        (b'{"city":"JFK","amount":NaN}\n', JSON_LINES, "leave a missing value out"),
        (b'{"city":"JFK","amount":1}]}\n', JSON_LINES, "row 0 is not one line of JSON"),
        (b"[" * 100_000, JSON_LINES, "row 0 is not one line of JSON"),
        (b'{"city":"\xff"}', JSON_LINES, "not JSON"),
    ],
)
def test_a_body_that_is_not_what_it_says(model: Model, body: bytes, kind: Media, said: str) -> None:
    error = refused(model, body, kind)
    assert (error.status, said in error.detail) == (400, True), error.detail


@pytest.mark.parametrize(
    ("end", "status"),
    [(b'],"instances":3}', 422), (b'],"instances":[4]}', 422), (b"", 422), (b',{"level":1e999}]}', 400)],
)
def test_a_second_look_finds_what_else_is_wrong(model: Model, end: bytes, status: int) -> None:
    body = b'{"instances":[{"city":"JFK","amount":1,"level":2.0}'
    assert refused(model, body + end, JSON).status == status


@pytest.mark.parametrize("body", [b"0.5", b"[0.5]", b'{"instances":0.5}', b'{"instances":[0.5]}'])
def test_a_number_with_a_point_where_none_belongs(model: Model, body: bytes) -> None:
    assert refused(model, body, JSON).status == 422


@pytest.mark.parametrize("kind", [CSV, JSON_LINES])
def test_no_rows_and_too_many(model: Model, kind: Media) -> None:
    write = table if kind == CSV else lines
    assert refused(model, write(*[GOOD] * 4), kind).status == 413
    assert refused(model, b"city,amount\n" if kind == CSV else b"\n", kind).status == 422


@given(body=st.binary(max_size=300), kind=st.sampled_from(TAKEN))
@settings(max_examples=300)
def test_whatever_the_bytes_it_is_rows_or_a_request_error(model: Model, body: bytes, kind: Media) -> None:
    try:
        status = 200 if decoded(model, body, kind) else 0
    except RequestError as error:
        status = error.problem()["status"]
    assert status in {200, 400, 413, 422}


PREDICTIONS = [{"id": "a-0", "score": 0.5, "label": True}, {"id": "a-1", "score": 1e-7, "label": False}]
ANSWER = {"model": "tiny", "version": 3, "predictions": PREDICTIONS}


def test_answers() -> None:
    assert json.loads(payloads.encoded(ANSWER, JSON)) == ANSWER
    assert [json.loads(line) for line in payloads.encoded(ANSWER, JSON_LINES).splitlines()] == PREDICTIONS
    assert payloads.encoded(ANSWER, CSV) == b"id,score,label\r\na-0,0.5,true\r\na-1,1e-07,false\r\n"


def test_of_several_classes_a_csv_has_a_column_each(model: Model) -> None:
    several = Model(tiny.build_multiclass())
    (score,) = several.score_rows([GOOD]).tolist()
    predictions: list[dict[str, Any]] = [{"id": "a-0"} | several.prediction(score)]
    found = list(csv.DictReader(io.StringIO(payloads.encoded({"predictions": predictions}, CSV).decode())))
    assert {name: float(found[0][f"scores.{name}"]) for name in tiny.SIZES} == predictions[0]["scores"]


@pytest.mark.parametrize(
    ("header", "kind", "first"),
    [
        (None, JSON, True),
        ("application/json; charset=UTF-8", JSON, True),
        ("Text/CSV", CSV, True),
        ("text/csv; header=absent", CSV, False),
        ('text/csv; header="present"', CSV, True),
        ("application/x-ndjson", JSON_LINES, True),
    ],
)
def test_what_is_sent(header: str | None, kind: Media, first: bool) -> None:
    assert media.sent(header) == (kind, first)


@pytest.mark.parametrize(
    "header", ["", "text/html", "application/x-www-form-urlencoded", "text/csv; charset=utf-16", ";"]
)
def test_what_is_not_taken_is_a_415_that_says_what_is(header: str) -> None:
    with pytest.raises(RequestError, match="taken") as caught:
        media.sent(header)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, CSV),
        ("*/*", CSV),
        ("text/*", CSV),
        ("application/json", JSON),
        ("text/html, application/json;q=0.5, */*;q=0.1", JSON),
        ("text/csv;q=0.1, application/jsonl", JSON_LINES),
        ("text/csv;q=0, */*", JSON),
        ("application/json, text/csv", CSV),
    ],
)
def test_the_most_wanted_is_answered(accept: str | None, kind: Media) -> None:
    assert media.wanted(accept, CSV) == kind


@pytest.mark.parametrize("accept", ["text/html", "", "*/*;q=0", "text/csv;q=x", "text/csv;q=nan", ",;=,"])
def test_what_cannot_be_answered_is_a_406(accept: str) -> None:
    with pytest.raises(RequestError, match="text/csv") as caught:
        media.wanted(accept, CSV)
    assert caught.value.status == 406
