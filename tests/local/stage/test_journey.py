"""The whole loop on the laptop cloud, by the real `cdk deploy`, and its failure paths.

The tests follow one model through its life, so their order matters: they are the journey.
"""

import gzip
import html
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest

from demo import flights
from penstock.lake import split_uri
from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import free_port, until
from tests.local.stage.deployed import MODEL, Client, bucket, exported
from tests.local.stage.project import Project, copy_project

ROWS = 4000


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights.flights([1, 7])


@pytest.fixture(scope="module")
def january(table: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first flights of January, as a file."""
    file = tmp_path_factory.mktemp("data") / "january.csv"
    table.head(ROWS).write_csv(file)
    return file


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the project, deployed to a laptop cloud of its own by `penstock up`."""
    project = copy_project(tmp_path_factory.mktemp("project"), free_port())
    project.run("up")
    yield project
    project.run("down")


def captured(client: Client) -> int:
    """Count the captured rows that Firehose has delivered."""
    name = bucket(client)
    listed = client("s3").list_objects_v2(Bucket=name, Prefix=f"captures/{MODEL}/").get("Contents", [])
    bodies = [client("s3").get_object(Bucket=name, Key=item["Key"])["Body"].read() for item in listed]
    return sum(gzip.decompress(body).count(b"\n") for body in bodies)


def versions_of(client: Client) -> Iterator[tuple[str, bytes]]:
    """Read every version of every object, decompressed."""
    name = bucket(client)
    for page in client("s3").get_paginator("list_object_versions").paginate(Bucket=name):
        for item in page.get("Versions", []):
            data = client("s3").get_object(Bucket=name, Key=item["Key"], VersionId=item["VersionId"])["Body"].read()
            if item["Key"].endswith(".parquet"):
                data = pl.read_parquet(io.BytesIO(data)).write_ndjson().encode()
            yield item["Key"], gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def models(project: Project) -> dict[str, Any]:
    return {item["model"]: item for item in project.json("models")}


def sdk(cloud: LaptopCloud, *arguments: str) -> dict[str, Any]:
    """Run the SageMaker Python SDK in a process of its own: it reads its environment at import."""
    script = str(Path(__file__).with_name("sdk_user.py"))
    environment = cloud.command_environment(dict(os.environ))
    command = [sys.executable, "-W", "ignore", script, *arguments]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    result: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return result


def curl(project: Project, body: str) -> tuple[int, dict[str, Any]]:
    """Run the printed curl line with another body; return status and document."""
    words = shlex.split(project.json("models", "show", MODEL)["curl"])
    words[words.index("-d") + 1] = body
    completed = subprocess.run([*words, "-s", "-w", "\n%{http_code}"], capture_output=True, text=True, check=True)
    document, _, status = completed.stdout.rpartition("\n")
    return int(status), json.loads(document)


def test_nothing_live_is_a_clear_503(project: Project) -> None:
    status, answer = curl(project, '{"instances": []}')

    assert status == 503
    assert "no version of flight-delay is live yet" in answer["detail"]


def test_an_upload_becomes_a_registered_version(project: Project, january: Path) -> None:
    completed = project.run("push", str(january), "--model", MODEL, "--wait")

    assert "registered" in completed.stdout
    assert "roc_auc" in completed.stdout
    (run,) = project.json("runs", "--model", MODEL)
    assert run["outcome"] == "registered"
    assert run["steps"]["validate"]["uploads"][0]["rows"] == ROWS
    assert all(verdict["passed"] for verdict in run["steps"]["gates"]["verdicts"])


def test_the_version_has_a_report_and_a_model_card(project: Project, client: Client, tmp_path: Path) -> None:
    # Given the report of version 1, downloaded
    page = tmp_path / "report.html"
    project.run("report", "1", "--model", MODEL, "--to", str(page))

    # Then it tells of this version, and nothing in it reaches out
    text = page.read_text()
    assert "flight-delay version 1" in text
    assert "ROC curve" in text
    assert "january.csv" in text
    assert not [word for word in ("http://", "https://", "<script", "src=") if word in text]

    # And the registry has the same numbers
    listed = client("sagemaker").list_model_packages(ModelPackageGroupName=exported(client)["GroupName"])
    arn = listed["ModelPackageSummaryList"][0]["ModelPackageArn"]
    about = client("sagemaker").describe_model_package(ModelPackageName=arn)
    card = json.loads(about["ModelCard"]["ModelCardContent"])
    metrics = card["evaluation_details"][0]["metric_groups"][0]["metric_data"]
    assert {item["name"] for item in metrics} >= {"roc_auc", "log_loss"}


def test_the_same_event_five_times_gives_one_run_and_one_dataset(project: Project, client: Client) -> None:
    # Given the event that S3 sent for the upload
    name = bucket(client)
    key = f"raw/{MODEL}/january.csv"
    head = client("s3").head_object(Bucket=name, Key=key)
    item = {"key": key, "size": head["ContentLength"], "etag": head["ETag"].strip('"'), "version-id": head["VersionId"]}
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": datetime.now(UTC).isoformat(),
        "detail": {"bucket": {"name": name}, "object": item | {"sequencer": "0"}},
    }

    # When it comes five times more
    for _ in range(5):
        function = exported(client)["StartRunName"]
        reply = client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        assert "FunctionError" not in reply

    # Then nothing has changed
    assert len(project.json("runs", "--model", MODEL)) == 1
    listed = client("s3").list_objects_v2(Bucket=name, Prefix=f"datasets/{MODEL}/versions/")
    assert listed["KeyCount"] == 1


def test_the_official_sdk_lists_describes_and_approves(project: Project, cloud: LaptopCloud, client: Client) -> None:
    result = sdk(cloud, "approve", exported(client)["GroupName"])

    assert result["listed"] == ["PendingManualApproval"]
    assert result["approved_by"].endswith(":user/operator")
    until(lambda: models(project)[MODEL]["live"] == 1, 60)


def test_the_printed_curl_line_gets_a_prediction(project: Project) -> None:
    line = project.json("models", "show", MODEL)["curl"]

    completed = subprocess.run(["bash", "-c", line + " -s"], capture_output=True, text=True, check=True)

    answer = json.loads(completed.stdout)
    assert answer["model"] == MODEL
    assert answer["version"] == 1
    assert 0 <= answer["predictions"][0]["score"] <= 1


def test_answers_equal_the_scores_of_the_registered_file_bit_for_bit(project: Project, client: Client) -> None:
    # Given the file that is live, and rows of the holdout with the scores that the evaluating job gave them
    live = project.json("why", MODEL)
    folder = client("s3").list_objects_v2(Bucket=bucket(client), Prefix=f"models/{MODEL}/{live['sha256']}/")
    read = {item["Key"].rpartition("/")[2]: item["Key"] for item in folder["Contents"]}
    file, recorded = (
        client("s3").get_object(Bucket=bucket(client), Key=read[name])["Body"].read()
        for name in ("model.onnx", "golden.json")
    )
    assert sha256(file).hexdigest() == live["sha256"]
    rows = [example["instance"] for example in json.loads(recorded)]

    # When onnxruntime scores them, and HTTPS answers them all at once and one by one
    directly = scored_by_onnxruntime(file, rows)
    status, answer = curl(project, json.dumps({"instances": rows}))
    alone = [curl(project, json.dumps({"instances": [row]}))[1]["predictions"][0] for row in rows[:3]]

    # Then all have the same numbers, to the last bit
    assert status == 200
    assert len(set(directly)) > 5
    assert [item["score"].hex() for item in answer["predictions"]] == directly
    assert [item["score"].hex() for item in alone] == directly[:3]
    assert [example["score"].hex() for example in json.loads(recorded)] == directly


def scored_by_onnxruntime(file: bytes, rows: list[dict[str, Any]]) -> list[str]:
    """The last column of the probabilities as exact hexadecimal numbers, without any of our own code."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    numbers = json.loads(session.get_modelmeta().custom_metadata_map["penstock_numbers"])
    feeds = {}
    for model_input in session.get_inputs():
        text = model_input.type == "tensor(string)"
        missing: Any = "" if text else float("nan")
        columns = [model_input.name] if text else numbers
        values = [[missing if row.get(name) is None else row[name] for name in columns] for row in rows]
        feeds[model_input.name] = np.array(values, dtype=object if text else np.float32)
    (probabilities,) = session.run(["probabilities"], feeds)
    return [float(row[-1]).hex() for row in np.asarray(probabilities)]


def test_an_unsigned_request_is_refused(project: Project) -> None:
    words = shlex.split(project.json("models", "show", MODEL)["curl"])
    start = words.index("--aws-sigv4")
    del words[start : start + 2]
    start = words.index("--user")
    del words[start : start + 2]

    completed = subprocess.run([*words, "-s", "-w", "%{http_code}"], capture_output=True, text=True, check=True)

    assert completed.stdout.endswith("403")


GOOD = {
    "carrier": "UA",
    "origin": "EWR",
    "dest": "IAH",
    "dep_delay": 2.0,
    "distance": 1400.0,
    "sched_dep_minute": 315,
    "weekday": 2,
}


def body(**changes: Any) -> str:
    return json.dumps({"instances": [GOOD, GOOD | changes]})


def without(name: str) -> str:
    return json.dumps({"instances": [GOOD, {key: value for key, value in GOOD.items() if key != name}]})


@pytest.mark.parametrize(
    ("request_body", "status", "field", "row"),
    [
        (body(gate="A7"), 422, "gate", 1),
        (without("carrier"), 422, "carrier", 1),
        (body(dep_delay="two"), 422, "dep_delay", 1),
        (body(carrier=7), 422, "carrier", 1),
        (body(dep_delay=None), 422, "dep_delay", 1),
        (body(dep_delay=float("nan")), 400, "dep_delay", 1),
        (body(distance=float("inf")), 400, "distance", 1),
        (body(weekday=9), 422, "weekday", 1),
        (body(weekday=1.5), 422, "weekday", 1),
        (body(origin="SFO"), 422, "origin", 1),
        (body(dest="houston"), 422, "dest", 1),
        (json.dumps({"instances": []}), 422, "instances", None),
        (json.dumps({"instances": [GOOD] * 501}), 413, "instances", None),
        (json.dumps({"instances": GOOD}), 422, "instances", None),
        (json.dumps({"rows": [GOOD]}), 422, "rows", None),
        ("carrier=UA", 400, None, None),
        ("", 400, None, None),
    ],
)
def test_a_malformed_request_is_a_4xx_naming_field_and_row(
    project: Project, request_body: str, status: int, field: str | None, row: int | None
) -> None:
    answered_status, answer = curl(project, request_body)

    assert (answered_status, answer["status"]) == (status, status)
    assert (answer.get("field"), answer.get("row")) == (field, row)
    assert answer["detail"]


def test_answers_are_captured_and_monitored(
    project: Project, client: Client, table: pl.DataFrame, tmp_path: Path
) -> None:
    # Given answers on what the model was trained on
    file = tmp_path / "january.csv"
    table.head(ROWS).sample(400, seed=0).drop("late").write_csv(file)
    answers = project.json("predict", str(file), "--model", MODEL)
    assert len(answers["predictions"]) == 400

    # When they have been captured and the monitor looks
    def look() -> Any:
        record = project.json("drift", MODEL, "--check", check=False)
        return record if record["outcome"] not in {"no data", "too little data"} else None

    record = until(look, 60)

    # Then nothing has drifted, and a second look has nothing new
    assert record["outcome"] == "no drift", record["sentence"]
    assert project.json("drift", MODEL, "--check")["outcome"] == "no data"


def test_drift_raises_the_alarm_and_the_alarm_retrains(
    project: Project, client: Client, table: pl.DataFrame, tmp_path: Path
) -> None:
    # Given answers on flights that look otherwise, and what became of them
    file, labels = tmp_path / "july.csv", tmp_path / "labels.csv"
    july = table.tail(20_000).sample(600, seed=0).with_columns(wind_speed=pl.lit(40.0), distance=pl.col("distance") * 2)
    july.drop("late").write_csv(file)
    july.select("flight_id", "late").write_csv(labels)
    project.run("predict", str(file), "--model", MODEL)
    until(lambda: captured(client) >= 400 + 600, 60)  # labels find what has been delivered
    project.run("push", str(labels), "--labels", "--model", MODEL)
    waiting = {"Bucket": bucket(client), "Prefix": f"labelled/{MODEL}/"}
    until(lambda: client("s3").list_objects_v2(**waiting)["KeyCount"], 60)

    # When the monitor looks
    completed = project.run("drift", MODEL, "--check", "--json", check=False)

    # Then there is drift, and a run that the alarm opened takes the labelled rows to a decision
    assert completed.returncode == 13, completed.stdout
    drifted = {item["column"] for item in json.loads(completed.stdout)["columns"] if item["drifted"]}
    assert {"wind_speed", "distance"} <= drifted

    def retrained() -> Any:
        ended = [run for run in project.json("runs", "--model", MODEL) if run["trigger"] == "alarm"]
        return ended if ended and ended[0]["state"] == "ended" else None

    (run,) = until(retrained, 90)
    assert run["outcome"] in {"registered", "rejected"}, run["reason"]
    assert run["uploads"][0]["key"].startswith(f"labelled/{MODEL}/")


def test_a_bad_file_ends_in_quarantine_with_reasons(
    project: Project, client: Client, table: pl.DataFrame, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    table.head(300).with_columns(origin=pl.lit("SFO")).write_csv(file)

    completed = project.run("push", str(file), "--model", MODEL, "--wait", check=False)

    assert completed.returncode == 11
    assert "origin: not one of EWR, JFK, LGA" in completed.stdout
    listed = client("s3").list_objects_v2(Bucket=bucket(client), Prefix=f"quarantine/{MODEL}/")
    assert any(item["Key"].endswith(".parquet") for item in listed["Contents"])


def test_why_names_approval_run_dataset_and_uploads(project: Project) -> None:
    answer = project.json("why", MODEL, "--version", "1")

    assert answer["approvals"][0]["by"].endswith(":user/operator")
    assert answer["approvals"][0]["reason"] == "looks right to the SDK's user"
    assert answer["run"]["outcome"] == "registered"
    assert len(answer["dataset"]["version"]) == 64
    assert "january.csv?versionId=" in answer["dataset"]["uploads"][0]["upload"]
    assert "january.csv" in project.run("why", MODEL, "--version", "1").stdout


def test_the_same_data_and_code_is_skipped_and_says_so(project: Project, january: Path) -> None:
    first = project.run("push", str(january), "--model", "rejects", "--wait", check=False)
    assert first.returncode == 10
    assert "0.9990" in first.stdout

    again = project.run("push", str(january), "--model", "rejects", "--wait")

    runs = project.json("runs", "--model", "rejects")
    assert [run["outcome"] for run in runs] == ["skipped", "rejected"]
    assert runs[1]["id"] in runs[0]["reason"]
    assert runs[1]["id"] in again.stdout


def test_a_rejected_run_shows_its_numbers_and_has_a_report(project: Project, tmp_path: Path) -> None:
    # Given a run that a gate rejected, and a later one that was skipped
    rejected = next(run for run in project.json("runs", "--model", "rejects") if run["outcome"] == "rejected")
    (verdict,) = rejected["steps"]["gates"]["verdicts"]
    assert (verdict["passed"], verdict["threshold"]) == (False, 0.999)

    # When it is looked at
    completed = project.run("run", rejected["id"], "--model", "rejects", check=False)

    # Then it is rejected, with the number and its limit
    assert completed.returncode == 10
    assert "rejected" in completed.stdout
    assert verdict["sentence"] in completed.stdout
    assert f"{verdict['number']:.4f}" in verdict["sentence"]
    assert f"report: penstock report {rejected['id']}" in completed.stdout

    # And its page is the newest report, and says the same
    assert project.json("report", "--model", "rejects")["run"] == rejected["id"]
    page = tmp_path / "rejected.html"
    project.run("report", rejected["id"], "--model", "rejects", "--to", str(page))
    text = html.unescape(page.read_text())
    assert "rejected" in text
    assert rejected["reason"] in text
    assert verdict["sentence"] in text
    assert not project.json("models", "show", "rejects")["versions"]


def test_a_folder_is_one_upload_and_the_same_again_is_skipped(
    project: Project, client: Client, table: pl.DataFrame, tmp_path: Path
) -> None:
    # Given three files in a folder, one of them deeper, and another that is no data
    folder = tmp_path / "winter"
    (folder / "deeper").mkdir(parents=True)
    for index, name in enumerate(["a.csv", "b.csv", "deeper/c.csv"]):
        table.slice(ROWS + index * 500, 500).write_csv(folder / name)
    (folder / "_notes.txt").write_text("left out")
    before = project.json("runs", "--model", "rejects")

    # When the folder is pushed
    completed = project.run("push", str(folder), "--model", "rejects", "--wait", check=False)

    # Then one run took all three: the function may list versions, under IAM, below the model's own prefix
    assert completed.returncode == 10, completed.stdout + completed.stderr
    run, *older = project.json("runs", "--model", "rejects")
    assert [item["id"] for item in older] == [item["id"] for item in before]
    uploads = run["steps"]["validate"]["uploads"]
    assert [(item["key"].split("/", 3)[3], item["rows"]) for item in uploads] == [
        ("a.csv", 500),
        ("b.csv", 500),
        ("deeper/c.csv", 500),
    ]
    assert run["cause"].startswith("upload of winter-")

    # And pushed again, nothing is sent, and the run that looks says so
    again = project.run("push", str(folder), "--model", "rejects", "--wait")
    assert "only _SUCCESS was sent again" in again.stdout
    newest = project.json("runs", "--model", "rejects")[0]
    assert (newest["outcome"], newest["steps"]["validate"]["same_as"]) == ("skipped", run["id"])
    listed = client("s3").list_object_versions(Bucket=bucket(client), Prefix=f"raw/rejects/{run['cause'][10:]}")
    assert sorted(item["Key"].rpartition("/")[2] for item in listed["Versions"]) == [
        "_SUCCESS", "_SUCCESS", "a.csv", "b.csv", "c.csv",
    ]  # fmt: skip


def test_training_that_raises_fails_with_its_own_message(project: Project, january: Path) -> None:
    completed = project.run("push", str(january), "--model", "raises", "--wait", check=False)

    assert completed.returncode == 12
    assert "the spline needs at least four knots" in completed.stdout.replace("\n", " ")


def test_a_large_upload_is_checked_by_a_job_and_gives_the_same_data(
    project: Project, client: Client, january: Path
) -> None:
    # Given a model whose uploads are all too large for validate
    completed = project.run("push", str(january), "--model", "large", "--wait")

    # Then a processing job has checked the file, and the run went on to its end
    assert "registered" in completed.stdout
    assert "check large files" in completed.stdout
    (run,) = project.json("runs", "--model", "large")
    (job,) = client("sagemaker").list_processing_jobs(NameContains=f"{run['id']}-check")["ProcessingJobSummaries"]
    assert job["ProcessingJobStatus"] == "Completed"
    log = client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=job["ProcessingJobName"]
    )
    lines = [event["message"] for event in log["events"]]
    assert f"file 1 of 1: raw/large/january.csv: {ROWS} rows, 0 of them bad" in lines

    # And its dataset has the very parts that the same file gave without a job
    without = project.json("runs", "--model", MODEL)[-1]
    steps = [one["steps"]["validate"] for one in (run, without)]
    assert steps[0]["inputs"]["data"] == steps[1]["inputs"]["data"]
    assert steps[0]["uploads"][0]["parts"] == steps[1]["uploads"][0]["parts"]


def test_a_check_that_is_stopped_by_hand_fails_the_run_with_a_sentence(
    project: Project, client: Client, table: pl.DataFrame, tmp_path: Path
) -> None:
    # Given a run whose processing job is under way
    file = tmp_path / "february.csv"
    table.tail(ROWS).write_csv(file)
    project.run("push", str(file), "--model", "large")
    sagemaker = client("sagemaker")

    def under_way() -> Any:
        return sagemaker.list_processing_jobs(StatusEquals="InProgress")["ProcessingJobSummaries"]

    (job,) = until(under_way, 60)

    # When somebody stops it
    sagemaker.stop_processing_job(ProcessingJobName=job["ProcessingJobName"])

    # Then the run has failed, and says why
    newest = project.json("runs", "--model", "large")[0]["id"]
    run = until(lambda: _ended(project, newest, "large"), 60)
    assert run["outcome"] == "failed"
    assert run["reason"] == "inspection failed: the processing job was stopped, by hand or at the end of its time"
    assert "-check-" in job["ProcessingJobName"]


def test_a_check_that_breaks_fails_the_run_with_its_own_message(
    project: Project, client: Client, january: Path
) -> None:
    # Given a job that finds a contract that it cannot read
    place = _archive(client, "large")
    archive = client("s3").get_object(**place)["Body"].read()
    client("s3").put_object(**place, Body=replace_member(archive, "contract.yaml", "apiVersion: ["))
    before = len(project.json("runs", "--model", "large"))

    # When a file comes
    client("s3").put_object(Bucket=bucket(client), Key="raw/large/again.csv", Body=january.read_bytes())
    newest = until(lambda: project.json("runs", "--model", "large")[:-before], 60)[0]["id"]
    run = until(lambda: _ended(project, newest, "large"), 60)
    client("s3").put_object(**place, Body=archive)

    # Then the run has failed, in the words that the job left
    assert run["outcome"] == "failed"
    assert run["reason"].startswith("inspection failed: ")
    assert "contract.yaml" in run["reason"]
    assert "{" not in run["reason"]


def _archive(client: Client, model: str) -> dict[str, str]:
    """Return the bucket and key of the deployed archive of a model's folder."""
    pages = client("lambda").get_paginator("list_functions").paginate()
    (uri,) = [
        function["Environment"]["Variables"]["PENSTOCK_ARCHIVE"]
        for page in pages
        for function in page["Functions"]
        if f"-model-{model}-PipelineValidate" in function["FunctionName"]
    ]
    name, key = split_uri(uri)
    return {"Bucket": name, "Key": key}


def replace_member(archive: bytes, ending: str, text: str) -> bytes:
    """Return a zip file in which the members whose names end so hold another text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        assert any(name.endswith(ending) for name in names), names
        for name in names:
            new.writestr(name, text if name.endswith(ending) else old.read(name))
    return buffer.getvalue()


def test_the_official_sdk_trains_with_our_image(cloud: LaptopCloud, client: Client) -> None:
    # Given the dataset of the journey and a role that SageMaker may assume
    name = bucket(client)
    source = client("s3").list_objects_v2(Bucket=name, Prefix=f"runs/{MODEL}/")["Contents"]
    request = next(item["Key"] for item in source if item["Key"].endswith("input/request.json"))
    inputs = f"s3://{name}/{request.removesuffix('request.json')}"

    result = sdk(cloud, "train", f"s3://{name}/datasets/{MODEL}/parts/", inputs, f"s3://{name}/sdk")

    assert result["status"] == "Completed"
    assert result["artifact"].endswith("/output/model.tar.gz")


def test_a_forgotten_flight_is_in_no_object_version(
    project: Project, client: Client, table: pl.DataFrame, tmp_path: Path
) -> None:
    # Given a flight that was trained on and asked about, under a hash in the captures
    key = table.head(ROWS).sample(400, seed=0)["flight_id"][0]
    old = next(item for item in project.json("data", "list", "--model", MODEL) if item["current"])["version"]
    captures = [data for name, data in versions_of(client) if name.startswith(f"captures/{MODEL}/")]
    assert captures
    assert not [data for data in captures if key.encode() in data]
    assert any(key.encode() in data for name, data in versions_of(client) if name.startswith(f"datasets/{MODEL}/"))

    # When it is forgotten
    result = project.json("forget", "--key", key, "--reason", "the passenger asked", "--yes", "--model", MODEL)

    # Then no version of any object of the model has it, and the version it was in is gone
    assert {"parts", "raw", "captures"} <= set(result["rows"])
    assert result["datasets"][old]
    assert not [name for name, data in versions_of(client) if f"/{MODEL}/" in name and key.encode() in data]
    completed = project.run("data", "restore", old, "--to", str(tmp_path / "old"), "--model", MODEL, check=False)
    assert (completed.returncode, "the passenger asked" in completed.stderr) == (1, True)
    assert (
        project.run("forget", "--key", key, "--reason", "again", "--yes", "--model", MODEL, check=False).returncode
        == 14
    )


def test_a_rollback_restores_the_previous_version(project: Project, table: pl.DataFrame, tmp_path: Path) -> None:
    # Given a later version is live
    file = tmp_path / "more.csv"
    table.slice(ROWS, ROWS).write_csv(file)
    project.run("push", str(file), "--model", MODEL, "--wait")
    project.run("approve", MODEL, "--reason", "more data")
    later = models(project)[MODEL]["live"]
    assert later > 1

    # When it is taken back
    result = project.json("rollback", MODEL, "--reason", "it calls every flight late")

    # Then the one before answers, and the records say who took the later one back, and why
    assert (result["from"], result["to"], result["outcome"]) == (later, 1, "live")
    status, answer = curl(project, json.dumps({"instances": [GOOD]}))
    assert (status, answer["version"]) == (200, 1)
    decision = project.json("why", MODEL, "--version", str(later))["approvals"][-1]
    assert (decision["decision"], decision["reason"]) == ("rolled back", "it calls every flight late")
    assert decision["by"].endswith(":user/operator")
    again = project.run("rollback", MODEL, "--to", str(later), "--reason", "after all", check=False)
    assert (again.returncode, "it needs a new approval" in again.stderr) == (1, True)

    # And the answer leads back to that, once it is captured
    prediction_id = answer["predictions"][0]["id"]
    captured_answer = ("why", MODEL, "--prediction", prediction_id)
    until(lambda: project.run(*captured_answer, check=False).returncode == 0, 60)
    explained = project.json(*captured_answer)
    assert (explained["prediction"]["instance"]["dest"], explained["rollouts"][0]["rolls_back"]) == ("IAH", later)
    assert explained["prediction"]["rollout"] == explained["rollouts"][0]["id"]


def test_a_cloud_killed_in_mid_training_leaves_nothing_in_progress(
    project: Project, cloud: LaptopCloud, january: Path
) -> None:
    # Given a run whose training job is under way
    project.run("push", str(january), "--model", "slow")
    (run,) = until(lambda: project.json("runs", "--model", "slow"), 60)
    until(lambda: any(s["name"] == "Train" for s in project.json("run", run["id"], "--model", "slow")["states"]), 60)
    until(lambda: cloud.status().jobs, 60)
    # And saved, which the cloud does every few seconds
    state = cloud.home / "state"
    saved = [state / "dynamodb.json", state / "stepfunctions.json"]
    until(lambda: all(run["id"] in path.read_text(encoding="utf-8") for path in saved), 60)
    pid = cloud.status().pid
    assert pid is not None

    # When the cloud is killed and started again
    os.kill(pid, signal.SIGKILL)
    project.run("up", "--no-deploy")

    # Then the run has failed with a sentence, and the next one can start
    ended_run = until(lambda: _ended(project, run["id"]), 60)
    assert ended_run["outcome"] == "failed"
    assert ended_run["reason"]
    assert cloud.status().jobs == 0


def _ended(project: Project, run: str, model: str = "slow") -> Any:
    record = project.json("run", run, "--model", model, check=False)
    return record if record["state"] == "ended" else None
