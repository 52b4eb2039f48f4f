"""One HTTPS request, from API Gateway's event to its response."""

import base64
import gzip
import json
from types import ModuleType
from typing import Any

import pytest

from penstock.aws.s3_store import sha256
from penstock.captures import reader as captures
from penstock.captures.pseudonyms import Pseudonyms
from penstock.scoring.model import Model, ModelFileError
from tests.support import tiny
from tests.support.tiny import GOOD, SIZES, SMALLEST, build_multiclass, build_regression
from tests.support.world import ACCOUNT, BUCKET, STREAM, World, client


def stream() -> None:
    """A delivery stream that writes under `captures/`."""
    destination = {
        "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/firehose",
        "BucketARN": f"arn:aws:s3:::{BUCKET}",
        "Prefix": "captures/flight-delay/",
    }
    client("firehose").create_delivery_stream(DeliveryStreamName=STREAM, ExtendedS3DestinationConfiguration=destination)


@pytest.fixture
def function(world: World, tiny_onnx: bytes) -> ModuleType:
    """Load the version that a rollout published."""
    world.store.write("models/m/model.onnx", tiny_onnx)
    return world.load(
        "predict", version="3", model_key="models/m/model.onnx", model_sha256=sha256(tiny_onnx), max_rows="4"
    )


def request(*rows: Any, **about: Any) -> dict[str, Any]:
    """Return an HTTP API's event, payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "POST /predict",
        "rawPath": "/predict",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "JKJaXmPLvHcESHA=", "http": {"method": "POST", "path": "/predict"}},
        "body": json.dumps({"instances": list(rows)}),
        "isBase64Encoded": False,
    } | about


def respond_to(function: ModuleType, event: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
    reply = function.handler(event, None)
    return reply["statusCode"], reply["headers"]["content-type"], json.loads(reply["body"])


def captured_rows(world: World) -> list[dict[str, Any]]:
    rows = []
    for key in world.keys("captures/"):
        data = world.store.read(key)
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        rows += [json.loads(line) for line in text.splitlines()]
    return rows


def test_no_version_yet_is_a_clear_503(world: World) -> None:
    status, kind, problem = respond_to(world.load("predict"), request(GOOD))
    assert (status, kind, problem["title"]) == (503, "application/problem+json", "Service Unavailable")
    assert (
        problem["detail"]
        == "no version of flight-delay is live yet: approve one with `penstock approve flight-delay --reason …`"
    )


def test_the_registered_object_version_is_served(world: World, tiny_onnx: bytes) -> None:
    # Given a model file that was swapped at its key after it was registered
    key, digest = "models/m/model.onnx", sha256(tiny_onnx)
    registered = world.store.write(key, tiny_onnx)
    about = {"version": "3", "model_key": key, "model_sha256": digest, "model_version_id": registered}
    swapped = world.store.write(key, b"another")
    # When the function starts, then it reads the registered version
    assert respond_to(world.load("predict", **about), request(GOOD))[0] == 200
    # And where S3 has that version no more, or settings have another, it does not start and names key and digests
    for changed in ({"model_version_id": swapped}, {"model_version_id": ""}):
        with pytest.raises(ModelFileError) as caught:
            world.load("predict", **(about | changed))
        assert all(word in str(caught.value) for word in (key, digest, sha256(b"another")))
    world.store.delete_versions([(key, registered)])
    with pytest.raises(ModelFileError, match=key):
        world.load("predict", **about)


def test_a_changed_model_file_never_serves(world: World) -> None:
    world.store.write("models/m/model.onnx", b"changed")
    with pytest.raises(ModelFileError, match="it was changed"):
        world.load("predict", version="3", model_key="models/m/model.onnx", model_sha256="0" * 64)


def test_a_prediction(world: World, function: ModuleType, tiny_onnx: bytes) -> None:
    # Given a published version
    stream()
    # When two rows are asked for
    status, kind, answer = respond_to(function, request(GOOD, SMALLEST))
    # Then each has an id, the file's own score, and the label of the threshold
    own = Model(tiny_onnx).score_rows([GOOD, SMALLEST]).tolist()
    assert (status, kind) == (200, "application/json")
    assert answer == {
        "model": "flight-delay",
        "version": 3,
        "predictions": [
            {"id": f"JKJaXmPLvHcESHA=-{index}", "score": score, "label": score >= 0.5}
            for index, score in enumerate(own)
        ],
    }


def test_all_probabilities_of_several_classes_are_returned_and_captured(world: World) -> None:
    # Given a published version of a model of three classes
    stream()
    data = build_multiclass()
    world.store.write("models/m/sizes.onnx", data)
    function = world.load("predict", version="3", model_key="models/m/sizes.onnx", model_sha256=sha256(data))
    # When a row is asked for
    status, _, answer = respond_to(function, request(GOOD))
    # Then it has the label, its probability, and that of every class
    (own,) = Model(data).score_rows([GOOD]).tolist()
    (prediction,) = answer["predictions"]
    assert (status, set(prediction)) == (200, {"id", "score", "label", "scores"})
    assert prediction["scores"] == dict(zip(SIZES, own, strict=True))
    assert (prediction["label"], prediction["score"]) == (SIZES[own.index(max(own))], max(own))
    # And what is captured says the same without the names, in as many digits as float32 has
    (row,) = captured_rows(world)
    assert (row["label"], row["score"]) == (prediction["label"], prediction["score"])
    assert row["scores"] == pytest.approx(own, abs=1e-7)
    assert all(len(f"{score:e}".partition("e")[0].rstrip("0")) <= len("1.234567") for score in row["scores"])
    assert captures.probabilities(row, SIZES) == pytest.approx(prediction["scores"], abs=1e-7)
    assert captures.probabilities(row, ["of", "another", "version", "these"]) == {}


def test_a_response_beyond_lambdas_limit_is_a_413(
    world: World, function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a limit that an answer is just beyond, its quotes escaped, and then just within
    stream()
    whole = function.handler(request(GOOD, GOOD), None)
    size = len(json.dumps(whole["body"])) - len('""')
    for limit, status in ((size - 1, 413), (size, 200)):
        monkeypatch.setattr(function, "MAX_RESPONSE_BYTES", limit)
        code, _, answer = respond_to(function, request(GOOD, GOOD))
        # Then it is answered, or the problem tells the client what to do
        assert code == status
        assert status == 200 or answer["detail"].startswith("the answer to 2 rows has more than")
    # And unanswered rows are not captured
    assert len(captured_rows(world)) == 4


def test_the_prediction_of_a_regression_has_no_label(world: World) -> None:
    # Given a published version of a regression
    data = build_regression()
    world.store.write("models/m/amounts.onnx", data)
    function = world.load("predict", version="3", model_key="models/m/amounts.onnx", model_sha256=sha256(data))
    stream()
    # When a row is asked for
    status, _, answer = respond_to(function, request(GOOD | {"amount": 10}))
    # Then its score is the amount, and the capture is the same
    (prediction,) = answer["predictions"]
    assert (status, set(prediction)) == (200, {"id", "score"})
    assert prediction["score"] == pytest.approx(31, rel=1e-5)
    assert captured_rows(world)[0] | prediction == captured_rows(world)[0]
    assert "label" not in captured_rows(world)[0]


def test_a_body_in_base64_gets_the_same_response(world: World, function: ModuleType) -> None:
    stream()
    plain = request(GOOD)
    packed = plain | {"body": base64.b64encode(plain["body"].encode()).decode(), "isBase64Encoded": True}
    assert respond_to(function, packed) == respond_to(function, plain)


@pytest.mark.parametrize(
    ("event", "status", "field"),
    [
        (request(GOOD | {"city": "nowhere"}), 422, "city"),
        (request(GOOD, GOOD, GOOD, GOOD, GOOD), 413, "instances"),
        (request(body="not json"), 400, None),
        (request(body=None), 400, None),
        (request(body="x" * 6_000_001), 413, None),
    ],
)
def test_a_bad_request_is_a_problem_document(
    world: World, function: ModuleType, event: dict[str, Any], status: int, field: str | None
) -> None:
    stream()
    code, kind, problem = respond_to(function, event)
    assert (code, kind, problem["status"], problem.get("field")) == (status, "application/problem+json", status, field)
    assert captured_rows(world) == []


def test_a_row_is_captured_without_its_personal_columns(world: World, function: ModuleType) -> None:
    # Given a row with a personal field (`note`) and its key
    stream()
    _, _, answer = respond_to(function, request(GOOD | {"row_id": "r1"}, SMALLEST))
    # Then the capture has all the rest
    rows = captured_rows(world)
    assert [row["id"] for row in rows] == [item["id"] for item in answer["predictions"]]
    assert [row["score"] for row in rows] == [item["score"] for item in answer["predictions"]]
    assert rows[0]["version"] == 3
    assert "note" not in rows[0]["instance"]
    assert (rows[0]["instance"]["city"], rows[0]["instance"]["row_id"]) == ("JFK", "r1")


@pytest.fixture
def hashing(world: World) -> ModuleType:
    """Load a version whose `at` is hidden, and whose `city` and row key are hashed."""
    data = tiny.build(hidden=("at",), hashed=("city", "row_id"))
    world.store.write("models/m/model.onnx", data)
    about = {"version": "3", "model_key": "models/m/model.onnx", "model_sha256": sha256(data)}
    arn = client("secretsmanager").create_secret(Name="hashes", SecretString="s3cret")["ARN"]
    return world.load("predict", **about, hash_secret=arn)


def test_a_hashed_column_is_captured_as_the_keyed_hash_of_its_value(world: World, hashing: ModuleType) -> None:
    # Given answered rows of two subjects
    stream()
    row = GOOD | {"row_id": "ann@example.org", "at": "2026-01-01"}
    respond_to(hashing, request(row, row | {"city": "EWR"}, SMALLEST | {"row_id": 7}))
    rows = [row["instance"] for row in captured_rows(world)]
    # Then their values are nowhere, and rows of one subject still join
    whole = json.dumps(rows)
    assert all(word not in whole for word in ("ann@example.org", "JFK", "EWR", "2026-01-01"))
    assert rows[0]["row_id"] == rows[1]["row_id"] == Pseudonyms(b"s3cret").of("row_id", "ann@example.org")
    assert rows[2]["row_id"] == Pseudonyms(b"s3cret").of("row_id", "7")
    assert len({row["city"] for row in rows}) == 3
    assert rows[0]["amount"] == GOOD["amount"]
    # And what is missing has no hash
    assert "at" not in rows[0]
    respond_to(hashing, request(SMALLEST))
    assert sum("row_id" in row["instance"] for row in captured_rows(world)) == 3


def test_without_the_hash_key_hashed_columns_are_not_captured_and_rows_are_answered(
    world: World, hashing: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a function that may not read the secret (any more)
    stream()
    settings = hashing.settings
    about = {name: getattr(settings, name) for name in ("version", "model_key", "model_sha256")}
    function = world.load("predict", **about, hash_secret="gone")
    assert "city, row_id dropped from captures" in capsys.readouterr().err
    # When a request comes
    status, _, _ = respond_to(function, request(GOOD | {"row_id": "ann@example.org"}))
    # Then it answers, and captures the rest
    (row,) = captured_rows(world)
    assert (status, row["instance"]["amount"]) == (200, GOOD["amount"])
    assert {"city", "row_id", "note"} & set(row["instance"]) == set()


def test_the_metrics_of_a_request_are_in_the_log(
    world: World, function: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    stream()
    respond_to(function, request(GOOD, SMALLEST))
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    directive = document["_aws"]["CloudWatchMetrics"][0]
    assert directive["Namespace"] == "Penstock/dev/flight-delay"
    assert {item["Name"] for item in directive["Metrics"]} <= set(document)
    assert (document["Rows"], document["CapturesDropped"]) == (2, 0)


def test_a_failed_capture_does_not_fail_the_response(function: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    # Given there is no delivery stream
    status, _, answer = respond_to(function, request(GOOD))
    # Then the row is answered, and the drop is counted and logged
    assert (status, len(answer["predictions"])) == (200, 1)
    captured_text = capsys.readouterr()
    assert json.loads(captured_text.out.splitlines()[-1])["CapturesDropped"] == 1
    assert "capture dropped" in captured_text.err


@pytest.mark.parametrize("mark", ["smoke_test", "shadow"])
def test_synthetic_requests_are_not_captured(world: World, function: ModuleType, mark: str) -> None:
    stream()
    status, _, _ = respond_to(function, request(GOOD, **{mark: True}))
    assert status == 200
    assert captured_rows(world) == []
