"""The container's server: each request's reply, what is captured of it, and the process that SageMaker starts."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.serve.sink import Sink
from penstock.api import sagemaker_headers as inference
from penstock.aws.s3_store import sha256
from penstock.captures.record import RECORD_BYTES, CaptureLines, is_sampled, pack_records
from penstock.scoring.model import Model, ModelFileError
from penstock.settings import ServeSettings
from tests.support import tiny
from tests.support.tiny import GOOD, SMALLEST
from training.steps.data.container import Container, StepError
from training.steps.serve import app as serve_app
from training.steps.serve import captures as serve_captures
from training.steps.serve import server as serve
from training.steps.serve.app import App
from training.steps.serve.captures import CALL_BYTES, Captures

PROJECT = Path(__file__).parents[3]
SETTINGS = ServeSettings(stage="dev", model="tiny", version="3")


class Firehose:
    """Stores lines; refuses, raises or waits as configured."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.fails: Callable[[], int] | None = None
        self.calls = list[int]()
        """Bytes of each."""

    def deliver(self, lines: list[bytes]) -> int:
        self.calls.append(sum(map(len, lines)))
        if self.fails is not None:
            return self.fails()
        self.lines += [json.loads(line) for line in lines]
        return 0


class Server:
    """An application on a tiny model, without a socket."""

    def __init__(self, data: bytes, *, most_bytes: int = 10_000, start: bool = True, share: float = 1.0) -> None:
        self.model = Model(data, max_rows=4)
        self.firehose, self.metrics = Firehose(), list[Mapping[str, Any]]()
        lines = CaptureLines(self.model.signature, "3")
        self.captures = Captures(lines, self.firehose.deliver, self.metrics.append, most_bytes, share)
        self.app = App(self.model, SETTINGS, self.captures)
        if start:
            self.captures.start()

    def ask(
        self, body: bytes, kind: str = "application/json", query: str = "", **headers: str
    ) -> tuple[int, str, bytes]:
        all_headers = {"content-type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.answer("POST", "/invocations", all_headers, body, query)

    def rows(self, *rows: Mapping[str, Any], **headers: str) -> Any:
        return json.loads(self.ask(json.dumps({"instances": rows}).encode(), **headers)[2])


@pytest.fixture
def server(tiny_onnx: bytes) -> Iterator[Server]:
    instance = Server(tiny_onnx)
    yield instance
    instance.captures.stop()


def test_json_response_is_that_of_the_predict_function(server: Server) -> None:
    # Given two rows, and the id that SageMaker gives the request
    answer = server.rows(GOOD, SMALLEST, x_amzn_sagemaker_inference_id="mine")
    # Then each has an id derived from the request's, the file's score, and the label by the threshold
    own = server.model.score_rows([GOOD, SMALLEST]).tolist()
    expected = [{"id": f"mine-{i}", "score": score, "label": score >= 0.5} for i, score in enumerate(own)]
    assert answer == {"model": "tiny", "version": 3, "predictions": expected}


@pytest.mark.parametrize(
    "question", [{"query": "explain=true"}, {"x_amzn_sagemaker_custom_attributes": "explain=true"}]
)
def test_explanations_are_those_of_the_predict_function(question: dict[str, str]) -> None:
    # Given a file with explanations, requested by the query or by SageMaker's custom attributes
    server = Server(tiny.build(explains=tiny.explains()))
    answer = server.rows(GOOD, SMALLEST, **question)
    plain = server.rows(GOOD, SMALLEST)
    server.captures.stop()
    # Then each prediction has its explanation, which changes nothing else and is not captured
    for item, other in zip(answer["predictions"], plain["predictions"], strict=True):
        explanation = item.pop("explanation")
        assert explanation["base"] + sum(explanation["contributions"].values()) == pytest.approx(item["score"])
        assert item | {"id": ""} == other | {"id": ""}
    assert all("explanation" not in line for line in server.firehose.lines)
    assert len(server.firehose.lines) == 4


@pytest.mark.parametrize("query", ["explain=yes", "explain=true&explain=true", "explain="])
def test_explain_parameter_is_true_or_false(server: Server, query: str) -> None:
    status, _, answer = server.ask(json.dumps({"instances": [GOOD]}).encode(), query=query)
    assert (status, "say true or false" in json.loads(answer)["detail"]) == (400, True)


def test_other_custom_attributes_are_ignored() -> None:
    server = Server(tiny.build(explains=tiny.explains()))
    answer = server.rows(GOOD, x_amzn_sagemaker_custom_attributes="trace=1")
    server.captures.stop()
    assert "explanation" not in answer["predictions"][0]


def test_request_without_an_id_gets_one(server: Server) -> None:
    ids = {server.rows(SMALLEST)["predictions"][0]["id"] for _ in range(5)}
    assert len(ids) == 5


def test_headers_of_the_predict_function_set_the_id_and_the_capture(server: Server) -> None:
    # Given the custom attributes of a request, and of one that is a smoke test
    for captured in (True, False):
        attributes = inference.headers("mine=", {}, captured=captured)[inference.ATTRIBUTES]
        assert re.fullmatch(r"[!-~]{1,1024}", attributes)
        assert server.rows(SMALLEST, x_amzn_sagemaker_custom_attributes=attributes)["predictions"][0]["id"] == "mine=-0"
    server.captures.stop()
    # Then both have their id, and one was captured
    assert [line["id"] for line in server.firehose.lines] == ["mine=-0"]


def test_multiclass_scores_are_named_by_class() -> None:
    server = Server(tiny.build_multiclass())
    [prediction] = server.rows(GOOD)["predictions"]
    server.captures.stop()
    assert list(prediction["scores"]) == list(tiny.SIZES)
    # And the captured line has no class names
    assert server.firehose.lines[0]["scores"] == pytest.approx(list(prediction["scores"].values()), abs=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        b"city,amount\nJFK,10.5\nLGA,1\n",
        b'{"city": "JFK", "amount": 10.5}\n{"city": "LGA", "amount": 1}\n',
    ],
)
def test_csv_and_json_lines_decode_to_the_same_rows(server: Server, body: bytes) -> None:
    # Given the rows in JSON, and in another content type
    kind = "application/jsonlines" if body.startswith(b"{") else "text/csv"
    scores = [item["score"] for item in server.rows({"city": "JFK", "amount": 10.5}, SMALLEST)["predictions"]]
    # When JSON is accepted, then the answer is the document
    status, content_type, answer = server.ask(body, kind, accept="application/json")
    assert (status, content_type) == (200, "application/json")
    assert [item["score"] for item in json.loads(answer)["predictions"]] == scores
    # And otherwise it is as the request was
    status, content_type, answer = server.ask(body, kind)
    assert (status, content_type) == (200, kind)
    lines = answer.decode().splitlines()
    if kind == "text/csv":
        assert lines[0] == "id,score,label"
        assert [float(line.split(",")[1]) for line in lines[1:]] == scores
    else:
        assert [json.loads(line)["score"] for line in lines] == scores


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", "application/json", 400, "not JSON"),
        (b'{"instances": [{"city": "JFK"}]}', "application/json", 422, "amount"),
        (b'{"instances": [{"city": "JFK", "amount": 1, "colour": "blue"}]}', "application/json", 422, "colour"),
        (json.dumps({"instances": [SMALLEST] * 5}).encode(), "application/json", 413, "between 1 and 4"),
        (b" " * 6_000_001, "application/json", 413, "more than the 6,000,000 bytes"),
        (b"city,amount\nJFK,much\n", "text/csv", 422, "amount"),
        (b"a", "application/x-npy", 415, "application/x-npy"),
    ],
)
def test_bad_request_gets_a_problem_document(server: Server, body: bytes, kind: str, status: int, message: str) -> None:
    code, content_type, answer = server.ask(body, kind)
    assert (code, content_type) == (status, "application/problem+json")
    assert message in json.loads(answer)["detail"]
    # And it is counted
    server.captures.stop()
    assert sum(values["Refused"] for values in server.metrics) == 1
    assert server.firehose.lines == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/ping", 200), ("GET", "/invocations", 405), ("POST", "/invoke", 404), ("GET", "/", 404)],
)
def test_status_of_each_path(server: Server, method: str, path: str, status: int) -> None:
    assert server.app.answer(method, path, {}, b"")[0] == status


def test_capture_is_the_row_with_its_prediction(server: Server) -> None:
    # Given a row with its key, and a value that is personal
    answer = server.rows(GOOD | {"row_id": "r1"}, x_amzn_sagemaker_inference_id="mine")["predictions"][0]
    server.captures.stop()
    # Then the line equals the predict function's, without the personal value
    [line] = server.firehose.lines
    assert line.pop("at").endswith("+00:00")
    instance = {name: value for name, value in GOOD.items() if name != "note"} | {"row_id": "r1", "at": None}
    assert line == {"version": 3, **answer, "instance": instance}


def test_many_captures_go_in_many_calls_and_few_in_one(tiny_onnx: bytes) -> None:
    # Given more answers than one call takes, all of them waiting when the thread begins
    server = Server(tiny_onnx, start=False, most_bytes=10 * CALL_BYTES)
    rows_sent = 0
    while server.captures.waiting < 2.5 * CALL_BYTES:
        server.rows(SMALLEST, SMALLEST, SMALLEST, SMALLEST)
        rows_sent += 4
    longest = CALL_BYTES + 1000
    # When they are delivered
    server.captures.start()
    server.captures.stop()
    # Then each went once, in order, in three calls
    assert len({line["id"] for line in server.firehose.lines}) == len(server.firehose.lines) == rows_sent
    assert [CALL_BYTES <= size <= longest for size in server.firehose.calls] == [True, True, False]


def test_full_queue_drops_and_counts_captures(tiny_onnx: bytes) -> None:
    # Given a queue for one line, and a delivery thread that has not started
    server = Server(tiny_onnx, most_bytes=1, start=False)
    # When three requests are answered
    for _ in range(3):
        assert len(server.rows(SMALLEST)["predictions"]) == 1
    # Then the first is captured when the thread starts, and the others are counted as dropped
    server.captures.start()
    server.captures.stop()
    assert len(server.firehose.lines) == 1
    assert [sum(values[name] for values in server.metrics) for name in ("Rows", "CapturesDropped")] == [3, 2]


def test_sample_of_captures_is_chosen_by_id(tiny_onnx: bytes) -> None:
    server = Server(tiny_onnx, share=0.5)
    for index in range(40):
        server.rows(SMALLEST, x_amzn_sagemaker_inference_id=f"r{index}")
    server.captures.stop()
    expected = [f"r{index}-0" for index in range(40) if is_sampled(f"r{index}-0", 0.5)]
    assert [line["id"] for line in server.firehose.lines] == expected
    assert 0 < len(expected) < 40


def unreachable() -> int:
    raise ConnectionError("no such host")


@pytest.mark.parametrize("fails", [unreachable, lambda: 1])
def test_undelivered_captures_are_counted_and_delivery_continues(tiny_onnx: bytes, fails: Callable[[], int]) -> None:
    # Given a Firehose that fails
    server = Server(tiny_onnx)
    server.firehose.fails = fails
    # When a request is answered, and the thread has tried to deliver it
    server.rows(SMALLEST)
    until(lambda: not server.captures._queue and bool(server.captures._undelivered))
    # Then the next is captured
    server.firehose.fails = None
    server.rows(SMALLEST)
    server.captures.stop()
    assert len(server.firehose.lines) == 1
    assert sum(values["CapturesDropped"] for values in server.metrics) == 1


def test_captures_waiting_for_firehose_at_the_end_are_counted(
    tiny_onnx: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Firehose that does not answer, one line that is being sent and two that wait
    monkeypatch.setattr(serve_captures, "GRACE_SECONDS", 0.05)
    server, called, over = Server(tiny_onnx), threading.Event(), threading.Event()

    def silent() -> int:
        called.set()
        over.wait(30)
        return 0

    server.firehose.fails = silent
    server.rows(SMALLEST)
    assert called.wait(30)
    server.rows(SMALLEST, SMALLEST)
    # When the worker ends, then it waits no longer than its limit, and all three are counted
    server.captures.stop()
    assert [sum(values[name] for values in server.metrics) for name in ("Rows", "CapturesDropped")] == [3, 3]
    over.set()


def test_lines_are_packed_and_too_long_ones_dropped() -> None:
    half = b"x" * (RECORD_BYTES // 2)
    records, dropped = pack_records([half, half, b"y" * (RECORD_BYTES + 1), b"z"])
    assert [(len(data), count) for data, count in records] == [(2 * len(half), 2), (1, 1)]
    assert dropped == 1


def test_worker_loads_only_the_registered_file(
    tiny_onnx: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an artifact, and the settings of a version
    Container(tmp_path).model("model.onnx").write_bytes(tiny_onnx)
    for name, value in {"ML_ROOT": str(tmp_path), "STAGE": "dev", "MODEL": "tiny"}.items():
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    # When the digest is the registered one, then it serves
    monkeypatch.setenv("PENSTOCK_MODEL_SHA256", sha256(tiny_onnx))
    assert serve_app.build().answer("GET", "/ping", {}, b"")[0] == 200
    # And another is refused
    monkeypatch.setenv("PENSTOCK_MODEL_SHA256", "0" * 64)
    with pytest.raises(ModelFileError, match="it was changed"):
        serve_app.build()


class Process:
    """`python -m training.steps serve`, as SageMaker starts the container."""

    def __init__(self, root: Path, **settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        variables = {f"PENSTOCK_{name.upper()}": value for name, value in settings.items()}
        inherited = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("AWS_")}
        about = {**inherited, "PENSTOCK_ML_ROOT": str(root), "SAGEMAKER_BIND_TO_PORT": str(self.port)}
        command = [sys.executable, "-m", "training.steps", "serve"]
        self.process = subprocess.Popen(
            command, cwd=PROJECT, env=about | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def get(self, path: str, body: bytes | None = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - our own address
                return reply.status, json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except OSError:
            return 0, None

    def ended(self) -> tuple[int, str]:
        text, _ = self.process.communicate(timeout=60)
        return self.process.returncode, text


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.02)


@pytest.fixture
def stream() -> Iterator[str]:
    """The address of a Firehose that accepts and counts every line."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("workers", ["1", "3"])
def test_process_answers_on_its_port_and_ends_on_sigterm(
    tiny_onnx: bytes, tmp_path: Path, stream: str, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    # Given the layout of a serving container, and a delivery stream
    Container(tmp_path).model("model.onnx").write_bytes(tiny_onnx)
    monkeypatch.setenv("AWS_ENDPOINT_URL", stream)
    before = Sink.lines
    served = Process(tmp_path, stage="dev", model="tiny", version="3", host="127.0.0.1", workers=workers, capture="s")
    # When it is up
    until(lambda: served.process.poll() is not None or served.get("/ping")[0] == 200)
    # Then it answers, good and bad
    status, answer = served.get("/invocations", json.dumps({"instances": [GOOD]}).encode())
    assert (status, len(answer["predictions"])) == (200, 1)
    assert served.get("/invocations", b"{")[0] == 400
    # And SIGTERM ends it, after it delivered its captures and reported its last counts
    served.process.send_signal(signal.SIGTERM)
    code, log = served.ended()
    assert code == 0, log
    assert Sink.lines - before == 1
    metrics = [json.loads(line) for line in log.splitlines() if line.startswith('{"_aws"')]
    assert [sum(values[name] for values in metrics) for name in ("Requests", "Rows", "Refused")] == [1, 1, 1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_client_that_connects_during_shutdown_is_refused_at_once(
    tiny_onnx: bytes, tmp_path: Path, workers: str
) -> None:
    # Given a server in the middle of a request
    Container(tmp_path).model("model.onnx").write_bytes(tiny_onnx)
    served = Process(tmp_path, stage="dev", model="tiny", host="127.0.0.1", workers=workers)
    until(lambda: served.process.poll() is not None or served.get("/ping")[0] == 200)
    with socket.create_connection(("127.0.0.1", served.port)) as busy:
        busy.sendall(b"GET /ping HTTP/1.1\r\n")
        time.sleep(0.2)
        # When it gets SIGTERM, then it accepts no new connection
        served.process.send_signal(signal.SIGTERM)
        until(lambda: not listens(served.port), 5)
        # And that request is answered first
        busy.sendall(b"\r\n")
        assert busy.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert served.ended()[0] == 0


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "ServeSettings needs PENSTOCK_STAGE, PENSTOCK_MODEL"),
        ({"stage": "dev", "model": "tiny"}, "model.onnx is not there"),
    ],
)
def test_container_that_cannot_serve_fails_with_a_reason(
    settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    code, log = Process(tmp_path, **settings).ended()
    assert code == 1
    assert message in log
    assert message in (tmp_path / "output" / "failure").read_text(encoding="utf-8")


def test_worker_that_cannot_load_its_model_ends_the_container(tmp_path: Path) -> None:
    Container(tmp_path).model("model.onnx").write_bytes(b"not a model")
    code, log = Process(tmp_path, stage="dev", model="tiny", host="127.0.0.1").ended()
    assert code == 1
    assert "the model file cannot be loaded" in log
    assert "a worker of the server ended" in (tmp_path / "output" / "failure").read_text(encoding="utf-8")


def test_occupied_port_fails_with_a_reason(tiny_onnx: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a port that is in use
    Container(tmp_path).model("model.onnx").write_bytes(tiny_onnx)
    settings = {"STAGE": "dev", "MODEL": "tiny", "HOST": "127.0.0.1"}
    for name, value in settings.items():
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    with socket.create_server(("127.0.0.1", 0)) as other_socket:
        monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", str(other_socket.getsockname()[1]))
        # When the container starts, then it fails with that reason
        with pytest.raises(StepError, match=r"cannot listen at 127\.0\.0\.1:\d+: Address already in use"):
            serve.run(Container(tmp_path))


def test_captures_without_a_region_fail_with_a_reason(
    tiny_onnx: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Container(tmp_path).model("model.onnx").write_bytes(tiny_onnx)
    for name, value in {"STAGE": "dev", "MODEL": "tiny", "CAPTURE": "s"}.items():
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StepError, match="captures are to go to s, and AWS_REGION is not set"):
        serve.run(Container(tmp_path))
