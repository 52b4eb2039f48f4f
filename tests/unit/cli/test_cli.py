"""Sentences, exit codes and JSON of the commands, on a stage in moto's AWS where they need one."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.aws.model_registry import Registry
from penstock.captures.reader import hour_prefix
from penstock.cli.api_client import example_instance
from penstock.cli.client_snippets import curl_command
from penstock.cli.commands.predict import next_likely, print_answers, read_instances
from penstock.cli.explanations import BASE, HALF, print_explanations
from penstock.cli.output import ago, table, took
from penstock.cli.target import Target, UsageError, project_root
from penstock.contract.model import Contract
from penstock.ledger.ledger import Run
from penstock.monitoring import drift
from penstock.spec.model import MODELS
from tests.support.command import URL, Command, Stack, register_version
from tests.support.world import BUCKET, MODEL, World


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
    result = command(*arguments)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_folder_outside_a_project_is_refused(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command("runs")
    assert result.code == 2
    assert "is not in a Penstock project (a folder with cdk.json and training/models)" in result.err


@pytest.mark.parametrize("port", ["0", "65536", "many", "-1"])
def test_an_invalid_port_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PENSTOCK_PORT", port)
    result = command("status")
    assert result.code == 2
    assert f"PENSTOCK_PORT is {port!r}, a number from 1 to 65535 is needed" in result.err


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
    result = command(*arguments, "--stage", "local")
    assert result.code == 3
    assert "the laptop cloud is down: start it with `penstock up`" in result.err


def test_the_status_of_a_cloud_that_is_down(command: Command) -> None:
    result = command("status")
    assert (result.code, result.out) == (3, "down: start it with `penstock up`\n")
    assert command("status", "--json").json["running"] is False


def test_a_stage_that_is_not_deployed_is_exit_code_3(stack: Stack, command: Command) -> None:
    result = command("runs", "--stage", "dev")
    assert result.code == 3
    assert "the stack penstock-dev-lake is not deployed" in result.err


def test_an_older_deployment_names_what_it_lacks(stack: Stack, command: Command) -> None:
    stack("penstock-dev-lake", {"BucketName": BUCKET})
    result = command("runs", "--stage", "dev")
    assert result.code == 3
    assert "stack penstock-dev-lake lacks the outputs LedgerName, TopicArn: deploy it again" in result.err


def test_a_model_file_with_a_fault_is_a_sentence(command: Command, project: Path) -> None:
    path = project / MODELS / MODEL / "model.yaml"
    path.write_text("name: flight-delay\nspeed: 3\n")
    result = command("up")
    assert result.code == 1
    assert f"{path}:2: speed: is not a field here" in result.err


def test_sentences_are_printed_as_they_are(command: Command, project: Path) -> None:
    """Brackets are text, not markup."""
    path = project / MODELS / MODEL / "model.yaml"
    path.write_text("name: '[/b] [red]x[a-z]'\n")
    result = command("up")
    assert result.code == 1
    assert "'[/b] [red]x[a-z]' is not lower-case letters" in result.err


def test_a_contract_with_a_fault_is_a_sentence_before_anything_starts(command: Command, project: Path) -> None:
    path = project / MODELS / MODEL / "contract.yaml"
    path.write_text(path.read_text().replace("value: target", "value: traget"))
    result = command("up")
    assert result.code == 1
    assert f"{path}: column 'late': role: 'traget' is not one of" in result.err


@pytest.mark.parametrize("arguments", [("up",), ("check", "cdk.json")])
def test_files_that_contradict_each_other_are_a_sentence(
    command: Command, project: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    path = project / MODELS / MODEL / "model.yaml"
    path.write_text(path.read_text().replace("task: binary", "task: regression").partition("gates:")[0])
    result = command(*arguments)
    assert result.code == 1
    assert f"{path}:4: task: a regression predicts an amount, and the target 'late'" in result.err
    assert "Traceback" not in result.err


def test_runs_are_listed_despite_a_fault_in_model_yaml(stage: World, command: Command, project: Path) -> None:
    (project / MODELS / MODEL / "model.yaml").write_text("nmae: x\n")
    assert command("runs").code == 0


def test_runs_are_listed_with_their_outcomes(stage: World, command: Command) -> None:
    assert "no runs yet" in command("runs").out
    register_version(stage)
    result = command("runs")
    assert result.code == 0
    assert "run1" in result.out
    assert "version 1: all gates passed" in result.out
    assert [run["id"] for run in command("runs", "--json").json] == ["run1"]


@pytest.mark.parametrize(
    ("outcome", "code"), [("registered", 0), ("skipped", 0), ("rejected", 10), ("quarantined", 11), ("failed", 12)]
)
def test_the_outcome_of_a_run_is_its_exit_code(stage: World, command: Command, outcome: str, code: int) -> None:
    stage.open_run("run1")
    stage.end_run("run1", outcome)
    result = command("run", "run1")
    assert result.code == code
    assert f"{outcome} after" in result.out
    result = command("run", "run1", "--json")
    assert (result.code, result.json["outcome"]) == (code, outcome)


def test_an_unknown_run_is_a_sentence(stage: World, command: Command) -> None:
    result = command("run", "nope")
    assert result.code == 1
    assert "the ledger has no run 'nope' of flight-delay" in result.err


def test_texts_of_the_ledger_are_printed_unchanged(stage: World, command: Command) -> None:
    # Given a run with brackets in its cause, its upload's refusal and its reason, as contracts' patterns have them
    run = Run("run1", "operator", "see [/notes] and [bold]x", (), "2026-01-01T00:00:00.000+00:00")
    assert stage.ledger.open_run(run)
    upload = {"key": "raw/m/a.csv", "refusal": "3 × code: not of the form [a-z]{2}", "rows": 3, "bad": 3}
    stage.ledger.note_step("run1", "validate", "t", uploads=[upload])
    stage.ledger.end_run("run1", "quarantined", "code: not of the form [a-z]{2}", "2026-01-01T00:01:00.000+00:00")
    # When it is shown, alone and in the list
    one, every = command("run", "run1"), command("runs")
    # Then nothing of it is lost
    assert "see [/notes] and [bold]x" in one.out
    assert "a.csv: 3 × code: not of the form [a-z]{2}" in one.out
    assert "60.0 s: code: not of the form [a-z]{2}" in one.out
    assert "code: not of the form [a-z]{2}" in every.out


def test_models_are_listed_with_what_waits_for_approval(stage: World, command: Command) -> None:
    register_version(stage)
    assert command("models", "--json").json == [
        {"model": MODEL, "live": None, "newest": 1, "pending": [1], "url": URL, "endpoint": None}
    ]
    assert URL in command("models").out


def test_show_ends_with_a_curl_command_that_works_as_printed(stage: World, command: Command) -> None:
    register_version(stage)
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


def test_the_example_instance_follows_the_contract_without_a_version(
    stage: World, project: Path, contract: Contract
) -> None:
    instance = example_instance(Target(project, "dev", MODEL))
    assert set(instance) == {column.name for column in contract.features if column.required}
    assert instance["origin"] == "EWR"
    assert "'" not in shlex.split(curl_command(Target(project, "dev", MODEL), instance))[-1]


def test_decisions_are_recorded_in_the_registry(stage: World, command: Command) -> None:
    arns = [register_version(stage, version) for version in (1, 2)]
    assert "version 2 of flight-delay is approved" in command("approve", "--no-wait", "--reason", "it's better").out
    assert "version 1 of flight-delay is rejected" in command("reject", "--version", "1", "--reason", "old").out
    packages = [Registry(stage.group).describe(arn) for arn in arns]
    assert [(p.status, p.description) for p in packages] == [("Rejected", "old"), ("Approved", "it's better")]


def test_a_rollback_is_requested_in_the_registry(stage: World, command: Command) -> None:
    # Given version 2 is live, and version 1 was before it
    arns = [register_version(stage, version) for version in (1, 2)]
    nothing = command("rollback", "--reason", "x")
    assert (nothing.code, "no version of flight-delay is live" in nothing.err) == (1, True)
    for number in (1, 2):
        at = f"2026-01-01T00:0{number}:00.000+00:00"
        stage.ledger.decide(number, at, approved=True, decision="approved", by="a", reason="good")
        assert stage.ledger.open_rollout(f"o{number}", number, at, approved=at)
        live = {"version": number, "sha256": "s", "lambda_version": str(number)}
        stage.ledger.end_rollout(f"o{number}", "live", "serves", at, live)
    # When an impossible rollback is requested, then it is a sentence and nothing changes
    for arguments, code, words in [
        (["--reason", " "], 2, "a reason is needed"),
        (["--reason", "x", "--to", "2"], 1, "version 2 is live already"),
        (["--reason", "x", "--to", "7"], 1, "the ledger has no version 7"),
    ]:
        result = command("rollback", *arguments)
        assert (result.code, words in result.err) == (code, True)
    assert Registry(stage.group).describe(arns[1]).status == "PendingManualApproval"
    # When it is rolled back
    document = command("rollback", "--no-wait", "--reason", " too many late flights ", "--json").json
    # Then the registry has it, in the form that authorize reads
    assert (document["from"], document["to"], document["reason"]) == (2, 1, "too many late flights")
    package = Registry(stage.group).describe(arns[1])
    assert (package.status, package.description) == ("Rejected", "rolled back to version 1: too many late flights")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--reason", "  "], 2, "a reason is needed"),
        (["--reason", "x"], 2, "flight-delay has no version yet: push data first"),
    ],
)
def test_an_impossible_approval_is_refused(
    stage: World, command: Command, arguments: list[str], code: int, words: str
) -> None:
    result = command("approve", *arguments)
    assert (result.code, words in result.err) == (code, True)


def test_an_approval_of_an_unknown_version_is_refused(stage: World, command: Command) -> None:
    register_version(stage)
    result = command("approve", "--version", "7", "--reason", "x")
    assert result.code == 1
    assert "the ledger has no version 7 of flight-delay" in result.err


def test_why_prints_a_document_or_a_tree(stage: World, command: Command) -> None:
    result = command("why")
    assert result.code == 1
    assert "approve one first" in result.err
    register_version(stage)
    stage.ledger.open_rollout("o1", 1, "t1")
    stage.ledger.end_rollout("o1", "live", "serves", "t2", {"version": 1, "sha256": "s", "lambda_version": "1"})
    assert command("why", "--json").json["run"]["id"] == "run1"
    text = command("why").out
    assert "flight-delay version 1 live" in text
    assert f"s3://{BUCKET}/raw/flight-delay/a1.csv?versionId=v1" in text
    assert {event["job"]["name"] for event in command("why", "--openlineage").json} == {
        "flight-delay.validate", "flight-delay.train",
    }  # fmt: skip


def test_two_versions_are_compared(stage: World, command: Command) -> None:
    for number in (1, 2):
        register_version(stage, number)
    document = command("models", "diff", "1", "2", "--json").json
    assert (document["metrics"][0]["change"], document["data"]) == (0, {"same": True})
    result = command("models", "diff", "1", "2")
    assert (result.code, "both were trained on the same dataset version" in result.out) == (0, True)
    assert "the ledger has no version 7 of flight-delay" in command("models", "diff", "1", "7").err


def test_runs_are_compared(stage: World, command: Command) -> None:
    assert "no run was judged by the gates yet" in command("runs", "--compare").out
    for number in (1, 2):
        register_version(stage, number)
        evaluation = {"challenger": {"roc_auc": 0.5 + number / 10}}
        stage.ledger.note_step(f"run{number}", "gates", "t", evaluation=evaluation, verdicts=[])
    assert [run["id"] for run in command("runs", "run2", "run1", "--compare", "--json").json["runs"]] == [
        "run2",
        "run1",
    ]
    assert command("runs", "--compare", "--json").json["metrics"][0]["values"].count(0.7) == 1
    text = command("runs", "--compare").out
    assert "0.7000 *" in text
    assert "60.0 s" in text
    assert "the ledger has no run 'run7'" in command("runs", "run7", "--compare").err


def test_why_shows_a_prediction(stage: World, command: Command) -> None:
    # Given a prediction that was captured an hour ago
    register_version(stage)
    at = datetime.now(UTC) - timedelta(hours=1)
    row = {"at": at.isoformat(), "version": 1, "id": "r1-0", "score": 0.25, "instance": {"dest": "IAH"}}
    stage.store.write(hour_prefix(stage.lake, at) + "a", json.dumps(row).encode())
    # When its provenance is requested
    text = command("why", "--prediction", "r1-0").out
    # Then it begins with request and response
    assert text.startswith("prediction r1-0 · ")
    assert "request dest=IAH" in text
    assert "response score=0.25" in text
    assert "flight-delay version 1 not live" in text
    # And an unknown prediction is a sentence
    missing = command("why", "--prediction", "r2-0", "--since", at.date().isoformat())
    assert (missing.code, "r2-0 is in none of the 1 capture files" in missing.err) == (1, True)
    assert command("why", "--since", "2026-01-01").code == 2
    assert "is no date" in command("why", "--prediction", "r1-0", "--since", "yesterday").err
    assert "is in the future" in command("why", "--prediction", "r1-0", "--since", "2999-01-01").err


def test_why_shows_a_multiclass_prediction(stage: World, command: Command) -> None:
    # Given a captured prediction of three classes
    register_version(stage)
    at = datetime.now(UTC) - timedelta(hours=1)
    row = {"at": at.isoformat(), "version": 1, "id": "r1-0", "label": "b", "score": 0.6, "scores": [0.1, 0.6, 0.3]}
    stage.store.write(hour_prefix(stage.lake, at) + "a", json.dumps(row | {"instance": {"dest": "IAH"}}).encode())
    # When its version's files are gone, then its probabilities are shown as they were captured
    assert "scores=[0.1, 0.6, 0.3]" in command("why", "--prediction", "r1-0").out
    # And with them, by class
    scores = np.array([[0.1, 0.6, 0.3], [0.3, 0.4, 0.3]])
    document = drift.baseline((), {}, scores, ("a", "b", "c"))
    stage.store.write_json(stage.lake.model_file(stage.ledger.version(1)["sha256"], "baseline.json"), document)
    prediction = command("why", "--prediction", "r1-0", "--json").json["prediction"]
    assert (prediction["label"], prediction["scores"]) == ("b", {"a": 0.1, "b": 0.6, "c": 0.3})
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
def test_the_next_likely_classes_are_printed_after_the_label(
    answer: dict[str, Any], next_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    item = {"id": "r-0", "score": 0.5} | answer
    assert next_likely(item) == next_
    # And the column is there only where there are several classes
    print_answers({"model": "m", "version": 1, "predictions": [item]})
    text = capsys.readouterr().out
    assert ("next" in text) == bool(next_)
    assert "0.500000" in text


def test_an_explanation_is_printed_as_bars_the_largest_first(capsys: pytest.CaptureFixture[str]) -> None:
    # Given a score with two contributions, one half as large and negative, and one of zero
    contributions = {"seats": -0.2, "origin": 0.0, "wind": 0.4}
    item = {"id": "r-0", "score": 0.5, "label": True, "explanation": {"base": 0.3, "contributions": contributions}}
    # When it is printed
    print_explanations([{"wind": 31.5}], [item])
    lines = capsys.readouterr().out.splitlines()
    # Then the score is above its contributions, which have a common scale
    assert lines[0].strip() == "r-0: 0.500000 (True)"
    assert [line.split()[:3] for line in lines[3:]] == [["wind", "31.5", "+0.400000"], ["seats", "not", "given"]]
    assert [line.count("█") for line in lines[3:]] == [HALF, HALF // 2]
    # And without contributions only the base is printed
    print_explanations([{}], [item | {"explanation": {"base": 0.5, "contributions": {"wind": 0.0}}}])
    assert BASE in capsys.readouterr().out.splitlines()[-1]


def test_push_prints_where_files_were_uploaded(stage: World, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "a b.csv"
    file.write_text("x\n1\n")
    assert command("push", str(file)).out == f"uploaded s3://{BUCKET}/raw/flight-delay/a b.csv\n"
    uploads = command("push", str(file), "--labels", "--json").json
    assert [(item["key"], item["bytes"]) for item in uploads] == [("labels/flight-delay/a b.csv", 4)]
    assert uploads[0]["version_id"] != "null"
    assert stage.store.read("raw/flight-delay/a b.csv") == b"x\n1\n"


def test_results_of_the_monitor_are_listed(stage: World, command: Command) -> None:
    assert "no monitor results yet" in command("drift").out
    stage.ledger.put_drift("2026-01-01T00:00:00.000+00:00", version=1, outcome="drift", rows=9, sentence="much [a-z]")
    assert "much [a-z]" in command("drift").out
    assert command("drift", "--json").json[0]["outcome"] == "drift"


def test_rows_of_a_file_become_instances_of_the_contracts_types(contract: Contract, tmp_path: Path) -> None:
    # Given a CSV with gaps, a surplus column and the target
    file = tmp_path / "a.csv"
    file.write_text("flight_id,carrier,dep_delay,seats,late,more\nf1,AA,1.5,,true,x\nf2,00,nan,9,false,y\n")
    # When it is read for `predict`
    rows = read_instances(str(file), contract)
    # Then numbers are numbers, text is text, gaps are left out, and what is not a number is unchanged
    assert rows == [
        {"flight_id": "f1", "carrier": "AA", "dep_delay": 1.5},
        {"flight_id": "f2", "carrier": "00", "dep_delay": "nan", "seats": 9},
    ]


@pytest.mark.parametrize("name", ["nothing.csv", "."])
def test_a_missing_file_has_no_instances(contract: Contract, name: str) -> None:
    with pytest.raises(UsageError, match="is not a file"):
        read_instances(name, contract)


def test_an_unreadable_table_is_a_sentence(stage: World, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_text("no parquet")
    result = command("predict", str(file))
    assert result.code in {1, 2}
    assert "the content is plain text, not Parquet" in result.err


def test_the_project_is_found_from_a_folder_inside(project: Path) -> None:
    assert project_root() == project
    assert project_root(project / "training" / "models" / MODEL) == project


def test_times_are_printed_in_a_suitable_unit() -> None:
    now = datetime.now(UTC)
    texts = [ago((now - timedelta(seconds=seconds)).isoformat()) for seconds in (5, 130, 7_300, 200_000)]
    assert texts == ["5 s ago", "2 min ago", "2 h ago", "2 d ago"]
    assert (ago(None), took(None, "x")) == ("", "")
    assert took("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01.500+00:00") == "1.5 s"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    table(["a"], [], title="things")
    assert capsys.readouterr().out == "no things yet\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["push", "--help"], ["models", "--help"], ["models", "show", "--help"]]
)
def test_help_is_printed(command: Command, arguments: list[str]) -> None:
    result = command(*arguments)
    assert result.code == 0
    assert result.out.startswith("Usage: penstock")


@pytest.mark.parametrize(("name", "options", "message"), [
    ("absent.csv", [], "absent.csv is not a file"),
    ("a.xlsx", [], "a.xlsx ends in none of .csv, .csv.gz"),
    ("a.csv", ["--to", "."], ". is a folder: --to names a file"),
    ("a.csv", ["--to", "no/where.csv"], "no/where.csv is in a folder that does not exist: --to names a file"),
])  # fmt: skip
def test_an_invalid_batch_is_refused_before_the_upload(
    command: Command, name: str, options: list[str], message: str
) -> None:
    if name != "absent.csv":
        Path(name).write_text("city\nJFK\n")
    result = command("batch", name, *options)
    assert result.code == 2
    assert message in result.err


def test_a_batch_is_uploaded_and_listed(command: Command, stage: World) -> None:
    # Given a file that is uploaded, and the batch that its event starts
    Path("a.csv").write_text("city\nJFK\n")
    upload = command("batch", "a.csv", "--json").json
    assert upload["key"] == f"batch/{MODEL}/input/a.csv"
    assert stage.store.read(upload["key"], upload["version_id"]) == b"city\nJFK\n"
    assert command("batches").out.strip() == "no batches yet"
    stage.ledger.open_batch("b1", "2026-01-01T00:00:00+00:00", name="a.csv", live={"version": 3})
    stage.ledger.note_batch("b1", rows=12345, parts=2)
    assert "open" in command("batches").out
    # Then its outcome is listed with its numbers and its reason
    assert stage.ledger.end_batch("b1", "refused", "the file is empty", "2026-01-01T00:00:01+00:00")
    text = command("batches").out
    assert all(word in text for word in ("b1", "a.csv", "3", "12,345", "refused", "the file is empty"))
    assert [item["id"] for item in command("batches", "--json").json] == ["b1"]
