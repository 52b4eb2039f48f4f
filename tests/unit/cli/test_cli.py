"""The command: sentences, exit codes, JSON. Against a stage in moto's AWS where it needs one."""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from penstock.aws.model_registry import Registry
from penstock.captures.reader import hour_prefix
from penstock.cli.api_client import example_instance
from penstock.cli.app import main
from penstock.cli.client_snippets import curl_command
from penstock.cli.commands.predict import next_likely, print_answers, read_instances
from penstock.cli.explanations import BASE, HALF, print_explanations
from penstock.cli.output import ago, table, took
from penstock.cli.target import Target, UsageError, project_root
from penstock.contract.model import Contract
from penstock.ledger.ledger import Run, Upload
from penstock.monitoring import drift
from penstock.spec.model import MODELS
from tests.support.world import BUCKET, FLIGHT_DELAY, MODEL, STREAM, TABLE, World

URL = "https://abc.execute-api.us-east-1.amazonaws.com/predict"


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one model, and the working folder inside it."""
    root = tmp_path / "project"
    shutil.copytree(FLIGHT_DELAY, root / MODELS / MODEL)
    (root / "cdk.json").write_text("{}")
    monkeypatch.chdir(root / MODELS)
    monkeypatch.setenv("PENSTOCK_PORT", "1")
    monkeypatch.setenv("COLUMNS", "300")
    return root


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `penstock …` in this process."""

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, found.out, found.err)

    return run


Stack = Callable[[str, dict[str, str]], None]


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """CloudFormation's answer to `describe_stacks`, given through botocore's own hook."""
    deployed: dict[str, list[dict[str, str]]] = {}

    def answer(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        name = params["body"]["StackName"]
        if name in deployed:
            return AWSResponse("", 200, HTTPHeaders(), None), {
                "Stacks": [{"StackName": name, "Outputs": deployed[name]}]
            }
        words = f"Stack with id {name} does not exist"
        return AWSResponse("", 400, HTTPHeaders(), None), {"Error": {"Code": "ValidationError", "Message": words}}

    session = boto3.Session()
    events: Any = session.events  # typed as if hooks gave nothing back
    events.register("before-call.cloudformation.DescribeStacks", answer)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    # A client of the shared cache would have the hooks of another test's session.
    monkeypatch.setattr(boto3, "client", session.client)

    def deploy(name: str, outputs: dict[str, str]) -> None:
        deployed[name] = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]

    return deploy


@pytest.fixture
def stage(world: World, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> World:
    """The stage `dev`, deployed."""
    stack("penstock-dev-lake", {"BucketName": BUCKET, "LedgerName": TABLE, "TopicArn": "arn:topic"})
    stack(
        f"penstock-dev-model-{MODEL}",
        {
            "ApiUrl": URL,
            "PipelineArn": world.pipeline,
            "RolloutArn": world.rollout,
            "GroupName": world.group,
            "PredictName": "predict",
            "MonitorName": "monitor",
            "StartRunName": "start-run",
            "CaptureName": STREAM,
            "DriftAlarmName": "drift",
            "AuthorizeName": "authorize",
        },
    )
    monkeypatch.setenv("PENSTOCK_STAGE", "dev")
    return world


def registered(world: World, version: int = 1) -> str:
    """A run that registered a version, up to its ending."""
    ledger = world.ledger
    upload = Upload(f"raw/{MODEL}/a{version}.csv", "v1", "e", 1, "2026-01-01T00:00:00.000+00:00")
    ledger.record_upload(upload)
    run = f"run{version}"
    ledger.open_run(Run(run, "upload", f"upload of a{version}.csv", (upload,), "2026-01-01T00:00:00.000+00:00"))
    ledger.note_step(run, "gates", "t", verdicts=[{"passed": True, "sentence": "roc_auc 0.9 ≥ 0.8"}])
    part = {"sha256": "p" * 64, "rows": 10, "size": 5, "uploads": [f"s3://{BUCKET}/{upload.key}?versionId=v1"]}
    ledger.put_dataset("d" * 64, rows=10, parts=[part], contract="c" * 64)
    package = Registry(world.group).register(
        run=run,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        description="d",
        image="i",
        artifact="s3://b/a",
        metrics="s3://b/m",
        baseline="s3://b/d",
        properties={"run": run},
    )
    ledger.put_version(
        package.version, arn=package.arn, run=run, dataset="d" * 64, sha256="s" * 64, code="c" * 64,
        registered="2026-01-01T00:00:00.000+00:00", metrics={"roc_auc": 0.9},
    )  # fmt: skip
    ledger.end_run(run, "registered", f"version {package.version}: all gates passed", "2026-01-01T00:01:00.000+00:00")
    return package.arn


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs", "--model", "nope"], "there is no model 'nope' in training/models; there are flight-delay"),
        (["runs", "--stage", "moon"], "'moon' is not one of local, dev, prod"),
        (["runs", "--limit", "0"], "greater than or equal to 1"),
        (["push", "nothing.csv"], "nothing.csv is not a file"),
        (["push"], "Missing argument"),
        (["approve"], "Missing option '--reason'"),
        (["dance"], "No such command 'dance'"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(command: Command, arguments: list[str], words: str) -> None:
    said = command(*arguments)
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_folder_that_is_no_project(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = command("runs")
    assert said.code == 2
    assert "is not in a Penstock project (a folder with cdk.json and training/models)" in said.err


@pytest.mark.parametrize("port", ["0", "65536", "many", "-1"])
def test_a_port_that_is_none(command: Command, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PENSTOCK_PORT", port)
    said = command("status")
    assert said.code == 2
    assert f"PENSTOCK_PORT is {port!r}, a number from 1 to 65535 is needed" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs"],
        ["run", "r1"],
        ["models"],
        ["why"],
        ["drift"],
        ["approve", "--reason", "x"],
        ["retrain", "--reason", "x"],
    ],
)
def test_a_laptop_cloud_that_is_down_is_exit_code_3(command: Command, arguments: list[str]) -> None:
    said = command(*arguments, "--stage", "local")
    assert said.code == 3
    assert "the laptop cloud is down: start it with `penstock up`" in said.err


def test_the_status_of_a_cloud_that_is_down(command: Command) -> None:
    said = command("status")
    assert (said.code, said.out) == (3, "down: start it with `penstock up`\n")
    assert command("status", "--json").json["running"] is False


def test_a_stage_that_is_not_deployed_is_exit_code_3(stack: Stack, command: Command) -> None:
    said = command("runs", "--stage", "dev")
    assert said.code == 3
    assert "the stack penstock-dev-lake is not deployed" in said.err


def test_an_older_deployment_names_what_it_lacks(stack: Stack, command: Command) -> None:
    stack("penstock-dev-lake", {"BucketName": BUCKET})
    said = command("runs", "--stage", "dev")
    assert said.code == 3
    assert "stack penstock-dev-lake lacks the outputs LedgerName, TopicArn: deploy it again" in said.err


def test_a_model_file_with_a_fault_is_a_sentence(command: Command, project: Path) -> None:
    path = project / MODELS / MODEL / "model.yaml"
    path.write_text("name: flight-delay\nspeed: 3\n")
    said = command("up")
    assert said.code == 1
    assert f"{path}:2: speed: is not a field here" in said.err


def test_sentences_are_printed_as_they_are(command: Command, project: Path) -> None:
    """Brackets are text, not markup."""
    path = project / MODELS / MODEL / "model.yaml"
    path.write_text("name: '[/b] [red]x[a-z]'\n")
    said = command("up")
    assert said.code == 1
    assert "'[/b] [red]x[a-z]' is not lower-case letters" in said.err


def test_a_contract_with_a_fault_is_a_sentence_before_anything_starts(command: Command, project: Path) -> None:
    path = project / MODELS / MODEL / "contract.yaml"
    path.write_text(path.read_text().replace("value: target", "value: traget"))
    said = command("up")
    assert said.code == 1
    assert f"{path}: column 'late': role: 'traget' is not one of" in said.err


@pytest.mark.parametrize("arguments", [("up",), ("check", "cdk.json")])
def test_files_that_contradict_each_other_are_a_sentence(
    command: Command, project: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    path = project / MODELS / MODEL / "model.yaml"
    path.write_text(path.read_text().replace("task: binary", "task: regression").partition("gates:")[0])
    said = command(*arguments)
    assert said.code == 1
    assert f"{path}:4: task: a regression predicts an amount, and the target 'late'" in said.err
    assert "Traceback" not in said.err


def test_a_fault_in_a_model_does_not_keep_the_operator_from_its_runs(
    stage: World, command: Command, project: Path
) -> None:
    (project / MODELS / MODEL / "model.yaml").write_text("nmae: x\n")
    assert command("runs").code == 0


def test_runs_are_listed_with_their_endings(stage: World, command: Command) -> None:
    assert "no runs yet" in command("runs").out
    registered(stage)
    said = command("runs")
    assert said.code == 0
    assert "run1" in said.out
    assert "version 1: all gates passed" in said.out
    assert [run["id"] for run in command("runs", "--json").json] == ["run1"]


@pytest.mark.parametrize(
    ("outcome", "code"), [("registered", 0), ("skipped", 0), ("rejected", 10), ("quarantined", 11), ("failed", 12)]
)
def test_a_runs_ending_is_the_exit_code(stage: World, command: Command, outcome: str, code: int) -> None:
    stage.open_run("run1")
    stage.end_run("run1", outcome)
    said = command("run", "run1")
    assert said.code == code
    assert f"{outcome} after" in said.out
    shown = command("run", "run1", "--json")
    assert (shown.code, shown.json["outcome"]) == (code, outcome)


def test_a_run_that_is_not_there(stage: World, command: Command) -> None:
    said = command("run", "nope")
    assert said.code == 1
    assert "the ledger has no run 'nope' of flight-delay" in said.err


def test_what_the_ledger_has_is_shown_as_it_is(stage: World, command: Command) -> None:
    # Given a run with brackets in its cause, its upload's refusal and its reason, as contracts' patterns have them
    run = Run("run1", "operator", "see [/notes] and [bold]x", (), "2026-01-01T00:00:00.000+00:00")
    assert stage.ledger.open_run(run)
    upload = {"key": "raw/m/a.csv", "refusal": "3 × code: not of the form [a-z]{2}", "rows": 3, "bad": 3}
    stage.ledger.note_step("run1", "validate", "t", uploads=[upload])
    stage.ledger.end_run("run1", "quarantined", "code: not of the form [a-z]{2}", "2026-01-01T00:01:00.000+00:00")
    # When it is shown, alone and in the list
    shown, listed = command("run", "run1"), command("runs")
    # Then nothing of it is lost
    assert "see [/notes] and [bold]x" in shown.out
    assert "a.csv: 3 × code: not of the form [a-z]{2}" in shown.out
    assert "60.0 s: code: not of the form [a-z]{2}" in shown.out
    assert "code: not of the form [a-z]{2}" in listed.out


def test_models_and_what_waits(stage: World, command: Command) -> None:
    registered(stage)
    assert command("models", "--json").json == [
        {"model": MODEL, "live": None, "newest": 1, "pending": [1], "url": URL, "endpoint": None}
    ]
    assert URL in command("models").out


def test_show_ends_with_a_curl_line_that_works_as_printed(stage: World, command: Command) -> None:
    registered(stage)
    stage.store.write_json(
        stage.lake.model_file("s" * 64, "golden.json"), [{"instance": {"dest": 'O\'Hare "$X" `y`'}, "score": 0.5}]
    )
    line = command("models", "show").out.splitlines()[-1]
    parts = shlex.split(line)
    assert parts[0] == "curl"
    assert parts[-1] == URL
    assert json.loads(parts[parts.index("-d") + 1]) == {"instances": [{"dest": 'O\'Hare "$X" `y`'}]}
    assert '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"' in line
    assert command("models", "show", "--json").json["curl"] == line


def test_an_example_is_made_from_the_contract_where_there_is_no_version(
    stage: World, project: Path, contract: Contract
) -> None:
    instance = example_instance(Target(project, "dev", MODEL))
    assert set(instance) == {column.name for column in contract.features if column.required}
    assert instance["origin"] == "EWR"
    assert "'" not in shlex.split(curl_command(Target(project, "dev", MODEL), instance))[-1]


def test_an_approval_stands_in_the_registry(stage: World, command: Command) -> None:
    arns = [registered(stage, version) for version in (1, 2)]
    assert "version 2 of flight-delay is approved" in command("approve", "--no-wait", "--reason", "it's better").out
    assert "version 1 of flight-delay is rejected" in command("reject", "--version", "1", "--reason", "old").out
    packages = [Registry(stage.group).describe(arn) for arn in arns]
    assert [(p.status, p.description) for p in packages] == [("Rejected", "old"), ("Approved", "it's better")]


def test_a_rollback_is_asked_for_in_the_registry(stage: World, command: Command) -> None:
    # Given version 2 is live, and version 1 was before it
    arns = [registered(stage, version) for version in (1, 2)]
    nothing = command("rollback", "--reason", "x")
    assert (nothing.code, "no version of flight-delay is live" in nothing.err) == (1, True)
    for number in (1, 2):
        at = f"2026-01-01T00:0{number}:00.000+00:00"
        stage.ledger.decide(number, at, approved=True, decision="approved", by="a", reason="good")
        assert stage.ledger.open_rollout(f"o{number}", number, at, approved=at)
        live = {"version": number, "sha256": "s", "lambda_version": str(number)}
        stage.ledger.end_rollout(f"o{number}", "live", "serves", at, live)
    # When what cannot be is asked for, it is a sentence and nothing changes
    for arguments, code, words in [
        (["--reason", " "], 2, "a reason is needed"),
        (["--reason", "x", "--to", "2"], 1, "version 2 is live already"),
        (["--reason", "x", "--to", "7"], 1, "the ledger has no version 7"),
    ]:
        said = command("rollback", *arguments)
        assert (said.code, words in said.err) == (code, True)
    assert Registry(stage.group).describe(arns[1]).status == "PendingManualApproval"
    # When it is rolled back
    done = command("rollback", "--no-wait", "--reason", " too many late flights ", "--json").json
    # Then the registry says so, in the words that authorize understands
    assert (done["from"], done["to"], done["reason"]) == (2, 1, "too many late flights")
    package = Registry(stage.group).describe(arns[1])
    assert (package.status, package.description) == ("Rejected", "rolled back to version 1: too many late flights")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--reason", "  "], 2, "a reason is needed"),
        (["--reason", "x"], 2, "flight-delay has no version yet: push data first"),
    ],
)
def test_an_approval_that_cannot_be(
    stage: World, command: Command, arguments: list[str], code: int, words: str
) -> None:
    said = command("approve", *arguments)
    assert (said.code, words in said.err) == (code, True)


def test_an_approval_of_a_version_that_is_not_there(stage: World, command: Command) -> None:
    registered(stage)
    said = command("approve", "--version", "7", "--reason", "x")
    assert said.code == 1
    assert "the ledger has no version 7 of flight-delay" in said.err


def test_why_is_one_document_or_a_tree(stage: World, command: Command) -> None:
    said = command("why")
    assert said.code == 1
    assert "approve one first" in said.err
    registered(stage)
    stage.ledger.open_rollout("o1", 1, "t1")
    stage.ledger.end_rollout("o1", "live", "serves", "t2", {"version": 1, "sha256": "s", "lambda_version": "1"})
    assert command("why", "--json").json["run"]["id"] == "run1"
    shown = command("why").out
    assert "flight-delay version 1 live" in shown
    assert f"s3://{BUCKET}/raw/flight-delay/a1.csv?versionId=v1" in shown
    assert {event["job"]["name"] for event in command("why", "--openlineage").json} == {
        "flight-delay.validate", "flight-delay.train",
    }  # fmt: skip


def test_two_versions_are_compared(stage: World, command: Command) -> None:
    for number in (1, 2):
        registered(stage, number)
    found = command("models", "diff", "1", "2", "--json").json
    assert (found["metrics"][0]["change"], found["data"]) == (0, {"same": True})
    shown = command("models", "diff", "1", "2")
    assert (shown.code, "both were trained on the same dataset version" in shown.out) == (0, True)
    assert "the ledger has no version 7 of flight-delay" in command("models", "diff", "1", "7").err


def test_runs_are_compared(stage: World, command: Command) -> None:
    assert "no run was judged by the gates yet" in command("runs", "--compare").out
    for number in (1, 2):
        registered(stage, number)
        evaluation = {"challenger": {"roc_auc": 0.5 + number / 10}}
        stage.ledger.note_step(f"run{number}", "gates", "t", evaluation=evaluation, verdicts=[])
    assert [run["id"] for run in command("runs", "run2", "run1", "--compare", "--json").json["runs"]] == [
        "run2",
        "run1",
    ]
    assert command("runs", "--compare", "--json").json["metrics"][0]["values"].count(0.7) == 1
    shown = command("runs", "--compare").out
    assert "0.7000 *" in shown
    assert "60.0 s" in shown
    assert "the ledger has no run 'run7'" in command("runs", "run7", "--compare").err


def test_why_an_answer(stage: World, command: Command) -> None:
    # Given an answer that was captured an hour ago
    registered(stage)
    at = datetime.now(UTC) - timedelta(hours=1)
    row = {"at": at.isoformat(), "version": 1, "id": "r1-0", "score": 0.25, "instance": {"dest": "IAH"}}
    stage.store.write(hour_prefix(stage.lake, at) + "a", json.dumps(row).encode())
    # When its reason is asked for
    shown = command("why", "--prediction", "r1-0").out
    # Then it begins with what was asked and answered
    assert shown.startswith("prediction r1-0 · ")
    assert "request dest=IAH" in shown
    assert "response score=0.25" in shown
    assert "flight-delay version 1 not live" in shown
    # And what cannot be found is a sentence
    missing = command("why", "--prediction", "r2-0", "--since", at.date().isoformat())
    assert (missing.code, "r2-0 is in none of the 1 capture files" in missing.err) == (1, True)
    assert command("why", "--since", "2026-01-01").code == 2
    assert "is no date" in command("why", "--prediction", "r1-0", "--since", "yesterday").err
    assert "is in the future" in command("why", "--prediction", "r1-0", "--since", "2999-01-01").err


def test_why_an_answer_of_several_classes(stage: World, command: Command) -> None:
    # Given a captured answer of three classes
    registered(stage)
    at = datetime.now(UTC) - timedelta(hours=1)
    row = {"at": at.isoformat(), "version": 1, "id": "r1-0", "label": "b", "score": 0.6, "scores": [0.1, 0.6, 0.3]}
    stage.store.write(hour_prefix(stage.lake, at) + "a", json.dumps(row | {"instance": {"dest": "IAH"}}).encode())
    # When its version's files are gone, then its probabilities are shown as they were captured
    assert "scores=[0.1, 0.6, 0.3]" in command("why", "--prediction", "r1-0").out
    # And else by their classes
    scores = np.array([[0.1, 0.6, 0.3], [0.3, 0.4, 0.3]])
    document = drift.baseline((), {}, scores, ("a", "b", "c"))
    stage.store.write_json(stage.lake.model_file(stage.ledger.version(1)["sha256"], "baseline.json"), document)
    shown = command("why", "--prediction", "r1-0", "--json").json["prediction"]
    assert (shown["label"], shown["scores"]) == ("b", {"a": 0.1, "b": 0.6, "c": 0.3})
    assert "label=b, score=0.6, scores={'a': 0.1, 'b': 0.6, 'c': 0.3}" in command("why", "--prediction", "r1-0").out


@pytest.mark.parametrize(
    ("answer", "next_"),
    [
        ({"label": 10, "scores": {"2": 0.25, "10": 0.5, "30": 0.2, "40": 0.05}}, "2 0.250000, 30 0.200000"),
        ({"label": "a", "scores": {"a": 0.5, "b": 0.25, "c": 0.25}}, "b 0.250000, c 0.250000"),
        ({"label": True}, ""),
        ({}, ""),
    ],
)
def test_beside_the_label_stands_what_is_next_likely(
    answer: dict[str, Any], next_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    item = {"id": "r-0", "score": 0.5} | answer
    assert next_likely(item) == next_
    # And the column is there only where there are several classes
    print_answers({"model": "m", "version": 1, "predictions": [item]})
    shown = capsys.readouterr().out
    assert ("next" in shown) == bool(next_)
    assert "0.500000" in shown


def test_an_explanation_is_bars_with_what_weighs_most_first(capsys: pytest.CaptureFixture[str]) -> None:
    # Given a score that two fields make, one of them half as much and the other way, and one that adds nothing
    added = {"seats": -0.2, "origin": 0.0, "wind": 0.4}
    item = {"id": "r-0", "score": 0.5, "label": True, "explanation": {"base": 0.3, "contributions": added}}
    # When it is printed
    print_explanations([{"wind": 31.5}], [item])
    lines = capsys.readouterr().out.splitlines()
    # Then the score stands above what it is made of, to its own scale
    assert lines[0].strip() == "r-0: 0.500000 (True)"
    assert [line.split()[:3] for line in lines[3:]] == [["wind", "31.5", "+0.400000"], ["seats", "not", "given"]]
    assert [line.count("█") for line in lines[3:]] == [HALF, HALF // 2]
    # And where nothing adds anything, the base stands alone
    print_explanations([{}], [item | {"explanation": {"base": 0.5, "contributions": {"wind": 0.0}}}])
    assert BASE in capsys.readouterr().out.splitlines()[-1]


def test_push_puts_files_and_says_where(stage: World, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "a b.csv"
    file.write_text("x\n1\n")
    assert command("push", str(file)).out == f"uploaded s3://{BUCKET}/raw/flight-delay/a b.csv\n"
    sent = command("push", str(file), "--labels", "--json").json
    assert [(item["key"], item["bytes"]) for item in sent] == [("labels/flight-delay/a b.csv", 4)]
    assert sent[0]["version_id"] != "null"
    assert stage.store.read("raw/flight-delay/a b.csv") == b"x\n1\n"


def test_looks_are_listed(stage: World, command: Command) -> None:
    assert "no monitor results yet" in command("drift").out
    stage.ledger.put_drift("2026-01-01T00:00:00.000+00:00", version=1, outcome="drift", rows=9, sentence="much [a-z]")
    assert "much [a-z]" in command("drift").out
    assert command("drift", "--json").json[0]["outcome"] == "drift"


def test_instances_are_a_files_rows_in_the_contracts_types(contract: Contract, tmp_path: Path) -> None:
    # Given a CSV with gaps, a surplus column and the target
    file = tmp_path / "a.csv"
    file.write_text("flight_id,carrier,dep_delay,seats,late,more\nf1,AA,1.5,,true,x\nf2,00,nan,9,false,y\n")
    # When it is read for `predict`
    rows = read_instances(str(file), contract)
    # Then numbers are numbers, text is text, gaps are left out, and what is no number goes as it is
    assert rows == [
        {"flight_id": "f1", "carrier": "AA", "dep_delay": 1.5},
        {"flight_id": "f2", "carrier": "00", "dep_delay": "nan", "seats": 9},
    ]


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_instances_of_no_file(contract: Contract, name: str) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        read_instances(name, contract)


def test_a_file_that_is_no_table_is_a_sentence(stage: World, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_text("no parquet")
    said = command("predict", str(file))
    assert said.code in {1, 2}
    assert "the content is plain text, not Parquet" in said.err


def test_the_project_is_found_from_within(project: Path) -> None:
    assert project_root() == project
    assert project_root(project / "training" / "models" / MODEL) == project


def test_times_for_people() -> None:
    now = datetime.now(UTC)
    said = [ago((now - timedelta(seconds=seconds)).isoformat()) for seconds in (5, 130, 7_300, 200_000)]
    assert said == ["5 s ago", "2 min ago", "2 h ago", "2 d ago"]
    assert (ago(None), took(None, "x")) == ("", "")
    assert took("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01.500+00:00") == "1.5 s"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    table(["a"], [], title="things")
    assert capsys.readouterr().out == "no things yet\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["push", "--help"], ["models", "--help"], ["models", "show", "--help"]]
)
def test_help_is_there(command: Command, arguments: list[str]) -> None:
    said = command(*arguments)
    assert said.code == 0
    assert said.out.startswith("Usage: penstock")


@pytest.mark.parametrize(("name", "more", "said"), [
    ("absent.csv", [], "absent.csv is not a file"),
    ("a.xlsx", [], "a.xlsx ends in none of .csv, .csv.gz"),
    ("a.csv", ["--to", "."], ". is a folder: --to names a file"),
    ("a.csv", ["--to", "no/where.csv"], "no/where.csv is in a folder that does not exist: --to names a file"),
])  # fmt: skip
def test_what_cannot_be_a_batch_is_said_before_anything_is_sent(
    command: Command, name: str, more: list[str], said: str
) -> None:
    if name != "absent.csv":
        Path(name).write_text("city\nJFK\n")
    found = command("batch", name, *more)
    assert found.code == 2
    assert said in found.err


def test_a_batch_is_sent_and_listed(command: Command, stage: World) -> None:
    # Given a file that is sent, and the batch that its event opens
    Path("a.csv").write_text("city\nJFK\n")
    sent = command("batch", "a.csv", "--json").json
    assert sent["key"] == f"batch/{MODEL}/input/a.csv"
    assert stage.store.read(sent["key"], sent["version_id"]) == b"city\nJFK\n"
    assert command("batches").out.strip() == "no batches yet"
    stage.ledger.open_batch("b1", "2026-01-01T00:00:00+00:00", name="a.csv", live={"version": 3})
    stage.ledger.note_batch("b1", rows=12345, parts=2)
    assert "open" in command("batches").out
    # Then its ending is listed with its numbers and its reason
    assert stage.ledger.end_batch("b1", "refused", "the file is empty", "2026-01-01T00:00:01+00:00")
    listed = command("batches").out
    assert all(word in listed for word in ("b1", "a.csv", "3", "12,345", "refused", "the file is empty"))
    assert [item["id"] for item in command("batches", "--json").json] == ["b1"]
