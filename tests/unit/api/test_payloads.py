"""Request bodies and responses in every content type, and content negotiation."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.api import media_types as media
from penstock.api import payloads
from penstock.api.media_types import CSV, JSON, JSON_LINES, SUPPORTED, Media
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from tests.support import tiny
from tests.support.tiny import GOOD, SMALLEST

ROWS: list[dict[str, Any]] = [GOOD, SMALLEST, GOOD | {"note": 'a,"\n', "member": False, "row_id": "r1"}]


@pytest.fixture(scope="module")
def model(tiny_onnx: bytes) -> Model:
    return Model(tiny_onnx, max_rows=3)


def csv_table(*rows: dict[str, Any]) -> bytes:
    """Return rows as a CSV file of a spreadsheet program."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def json_lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def decode(model: Model, body: bytes, kind: Media, *, header: bool = True) -> list[dict[str, Any]]:
    return payloads.decode_rows(
        model, payloads.to_json_request(body, kind, model.signature, header=header, most=model.max_rows)
    )


def refusal(model: Model, body: bytes, kind: Media) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decode(model, body, kind)
    return caught.value


@pytest.mark.parametrize(("kind", "body"), [(CSV, csv_table(*ROWS)), (JSON_LINES, json_lines(*ROWS))])
def test_content_types_decode_to_the_same_rows(model: Model, kind: Media, body: bytes) -> None:
    # Given rows as JSON, and as another content type
    plain = decode(model, json.dumps({"instances": ROWS}).encode(), JSON)
    # When they are decoded, then the rows are equal
    assert decode(model, body, kind) == plain


def test_csv_without_header_has_the_signatures_order(model: Model) -> None:
    bare = csv_table(GOOD).split(b"\r\n", 1)[1]
    assert list(GOOD) == [field.name for field in model.signature.fields]
    assert decode(model, bare, CSV, header=False) == decode(model, csv_table(GOOD), CSV)


@pytest.mark.parametrize("text", ["3", " 3 ", "+3", "03", "3.0", "3.", "3e0", ".3e1"])
def test_integer_cell_may_have_any_numeric_form(model: Model, text: str) -> None:
    (row,) = decode(model, csv_table(SMALLEST | {"level": text}), CSV)
    assert (row["level"], type(row["level"])) == (3, int)


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("yes", True), ("0", False), ("F", False), (" ", None)])
def test_boolean_cells_follow_the_rules_of_an_upload(model: Model, text: str, value: bool | None) -> None:
    assert decode(model, csv_table(SMALLEST | {"member": text}), CSV)[0]["member"] is value


def test_blank_cell_is_missing(model: Model) -> None:
    error = refusal(model, csv_table(GOOD | {"city": "  "}), CSV)
    assert (error.status, error.field, error.row) == (422, "city", 0)
    assert "required" in error.detail


@pytest.mark.parametrize("kind", [JSON, JSON_LINES])
def test_number_with_zero_fraction_is_an_integer(model: Model, kind: Media) -> None:
    rows = [SMALLEST, SMALLEST | {"level": 3.0, "count": 1e3, "amount": 2.5}]
    body = json.dumps({"instances": rows}).encode() if kind == JSON else json_lines(*rows)
    row = decode(model, body, kind)[1]
    assert (row["level"], row["count"], type(row["level"])) == (3, 1000, int)
    assert row["amount"] == 2.5


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
@pytest.mark.parametrize("kind", SUPPORTED)
def test_wrong_value_gives_the_same_message_in_every_content_type(
    model: Model, kind: Media, row: dict[str, Any], field: str
) -> None:
    # Given a good row, and one with a wrong value, in each content type
    rows = [GOOD, row]
    body = {JSON: json.dumps({"instances": rows}).encode(), CSV: csv_table(*rows), JSON_LINES: json_lines(*rows)}[kind]
    # When it is decoded
    error = refusal(model, body, kind)
    # Then the status, field and row are the same
    assert (error.status, error.field) == (422, field)
    assert error.row == 1 or "unknown" in error.detail
    if kind == JSON_LINES:
        assert error.problem() == refusal(model, json.dumps({"instances": rows}).encode(), JSON).problem()


@pytest.mark.parametrize(
    ("body", "kind", "message"),
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
def test_malformed_body_is_a_400(model: Model, body: bytes, kind: Media, message: str) -> None:
    error = refusal(model, body, kind)
    assert (error.status, message in error.detail) == (400, True), error.detail


@pytest.mark.parametrize(
    ("end", "status"),
    [(b'],"instances":3}', 422), (b'],"instances":[4]}', 422), (b"", 422), (b',{"level":1e999}]}', 400)],
)
def test_request_with_an_integral_float_still_reports_other_errors(model: Model, end: bytes, status: int) -> None:
    body = b'{"instances":[{"city":"JFK","amount":1,"level":2.0}'
    assert refusal(model, body + end, JSON).status == status


@pytest.mark.parametrize("body", [b"0.5", b"[0.5]", b'{"instances":0.5}', b'{"instances":[0.5]}'])
def test_float_in_place_of_a_row_is_a_422(model: Model, body: bytes) -> None:
    assert refusal(model, body, JSON).status == 422


@pytest.mark.parametrize("kind", [CSV, JSON_LINES])
def test_too_many_rows_is_a_413_and_no_rows_a_422(model: Model, kind: Media) -> None:
    write = csv_table if kind == CSV else json_lines
    assert refusal(model, write(*[GOOD] * 4), kind).status == 413
    assert refusal(model, b"city,amount\n" if kind == CSV else b"\n", kind).status == 422


@given(body=st.binary(max_size=300), kind=st.sampled_from(SUPPORTED))
@settings(max_examples=300)
def test_any_bytes_give_rows_or_a_request_error(model: Model, body: bytes, kind: Media) -> None:
    try:
        status = 200 if decode(model, body, kind) else 0
    except RequestError as error:
        status = error.problem()["status"]
    assert status in {200, 400, 413, 422}


PREDICTIONS = [{"id": "a-0", "score": 0.5, "label": True}, {"id": "a-1", "score": 1e-7, "label": False}]
ANSWER = {"model": "tiny", "version": 3, "predictions": PREDICTIONS}


def test_responses_in_every_content_type() -> None:
    assert json.loads(payloads.encode_response(ANSWER, JSON)) == ANSWER
    assert [json.loads(line) for line in payloads.encode_response(ANSWER, JSON_LINES).splitlines()] == PREDICTIONS
    assert payloads.encode_response(ANSWER, CSV) == b"id,score,label\r\na-0,0.5,true\r\na-1,1e-07,false\r\n"


def test_multiclass_csv_has_a_column_for_each_class(model: Model) -> None:
    several = Model(tiny.build_multiclass())
    (score,) = several.score_rows([GOOD]).tolist()
    predictions: list[dict[str, Any]] = [{"id": "a-0"} | several.prediction(score)]
    rows = list(csv.DictReader(io.StringIO(payloads.encode_response({"predictions": predictions}, CSV).decode())))
    assert {name: float(rows[0][f"scores.{name}"]) for name in tiny.SIZES} == predictions[0]["scores"]


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
def test_content_type_header_is_parsed(header: str | None, kind: Media, first: bool) -> None:
    assert media.parse_content_type(header) == (kind, first)


@pytest.mark.parametrize(
    "header", ["", "text/html", "application/x-www-form-urlencoded", "text/csv; charset=utf-16", ";"]
)
def test_unsupported_content_type_is_a_415_that_lists_the_supported(header: str) -> None:
    with pytest.raises(RequestError, match="taken") as caught:
        media.parse_content_type(header)
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
def test_accept_header_chooses_the_most_preferred_type(accept: str | None, kind: Media) -> None:
    assert media.negotiate(accept, CSV) == kind


@pytest.mark.parametrize("accept", ["text/html", "", "*/*;q=0", "text/csv;q=x", "text/csv;q=nan", ",;=,"])
def test_unacceptable_accept_header_is_a_406(accept: str) -> None:
    with pytest.raises(RequestError, match="text/csv") as caught:
        media.negotiate(accept, CSV)
    assert caught.value.status == 406
