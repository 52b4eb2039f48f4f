"""`penstock forget`, and its traces in the output of other commands."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from demo.flights import flights
from penstock.aws.feature_store import FeatureStore, StoredGroup
from penstock.cli import target as module
from penstock.cli.app import main
from penstock.cli.commands import forget as forget_module
from penstock.cli.target import Target
from penstock.features.inventory import StoredFeatures
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.spec.model import MODELS
from penstock.stack_outputs import ModelOutputs
from tests.support.fake_runtime import FakeRuntime, refusal
from tests.support.world import BUCKET, FLIGHT_DELAY, MODEL, TABLE, World, client

Command = Callable[..., tuple[int, str, str]]


class FakeLambda:
    """Records the payloads of its invocations."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "start-run"
        self.payloads.append(Payload)
        return {"Payload": io.BytesIO(b"{}")}


@pytest.fixture
def functions() -> FakeLambda:
    return FakeLambda()


@pytest.fixture
def command(
    world: World,
    functions: FakeLambda,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs the command against a stage in moto's AWS."""
    root = tmp_path / "project"
    shutil.copytree(FLIGHT_DELAY, root / MODELS / MODEL)
    (root / "cdk.json").write_text("{}")
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "300")
    names = dict.fromkeys(ModelOutputs.__annotations__, "x") | {"StartRunName": "start-run", "HashSecretArn": ""}
    monkeypatch.setattr(Target, "enter", lambda _: None)
    monkeypatch.setattr(Target, "ledger", property(lambda _: Ledger(TABLE, MODEL)))
    monkeypatch.setattr(Target, "lake", property(lambda _: Lake(BUCKET, MODEL)))
    monkeypatch.setattr(module, "_stack_outputs", lambda _: names)
    monkeypatch.setattr(Target, "client", lambda _, name: functions if name == "lambda" else client(name))

    def run(*words: str, answer: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["penstock", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def key(world: World) -> str:
    """The key of a row that a version was trained on."""
    table: pl.DataFrame = flights([1]).head(50)
    run = world.take("a.csv", table.write_csv().encode())
    result = world.load("validate").handler({"run": run}, None)
    world.ledger.put_version(1, run=run, dataset=result["dataset"], sha256="s1", code="c", metrics={})
    world.end_run(run)
    return str(table["flight_id"][0])


def test_rows_are_removed_and_versions_say_so(
    command: Command, functions: FakeLambda, world: World, key: str, tmp_path: Path
) -> None:
    old = world.ledger.current_dataset()
    assert old is not None
    # When somebody is forgotten
    code, out, _ = command("forget", "--key", key, "--reason", "asked by letter", "--yes")
    # Then the command prints what was removed, and what was trained on it
    assert code == 0
    assert "rows were removed: 1 from parts, 1 from raw" in out
    assert "trained on such rows: version 1" in out
    assert functions.payloads == [b'{"waiting": true}']
    # And the versions say so, old and new
    new = world.ledger.current_dataset()
    assert new not in {None, old}
    code, out, _ = command("data", "show", old)
    assert (code, f"{new[:12] if new else ''} replaced it (asked by letter)" in out) == (0, True)
    assert f"replaced {old[:12]}" in command("data", "show", "current")[1]
    assert json.loads(command("data", "show", old, "--json")[1])["forgotten"]["into"] == new
    assert json.loads(command("data", "show", "current", "--json")[1])["replaces"] == old
    assert f"{old[:12]} (replaced)" in command("data", "list")[1]
    # And the old version can no longer be restored
    code, _, err = command("data", "restore", old, "--to", str(tmp_path / "there"))
    assert (code, "it no longer exists as it was" in err, "asked by letter" in err) == (1, True, True)
    assert command("data", "restore", "current", "--to", str(tmp_path / "there"))[0] == 0
    # And `why` says so of the version that was trained on it
    out = command("why", "--version", "1")[1]
    assert "lost rows that arn:aws:" in out
    assert json.loads(command("why", "--version", "1", "--json")[1])["dataset"]["forgotten"]["into"] == new


def test_a_dry_run_removes_nothing(command: Command, functions: FakeLambda, world: World, key: str) -> None:
    version = world.ledger.current_dataset()
    code, out, _ = command("forget", "--key", key, "--reason", "asked", "--dry-run")
    assert (code, "rows would be removed: 1 from parts, 1 from raw" in out) == (0, True)
    document = json.loads(command("forget", "--key", key, "--reason", "asked", "--dry-run", "--json")[1])
    assert document["rows"] == {"parts": 1, "raw": 1}
    assert (world.ledger.current_dataset(), functions.payloads) == (version, [])


def test_online_features_are_reported_and_deleted(command: Command, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a feature store with a record of the subject
    runtime = FakeRuntime("flight_id", "departs_at")
    runtime.records[key] = {"flight_id": key, "departs_at": "2026-03-04T00:00:00.000Z"}
    path = Path(MODELS) / MODEL / "model.yaml"
    path.write_text(f"{path.read_text()}\nfeature_store: {{}}\n")
    groups = [StoredGroup("g", "flight_id", "departs_at", online=True)]
    gateways: dict[str, Any] = {"list_groups": lambda _: groups, "open_group": lambda name: FeatureStore(name, runtime)}
    monkeypatch.setattr(forget_module, "StoredFeatures", partial(StoredFeatures, **gateways))
    # When it is a dry run, then the record is reported and kept
    words = ["forget", "--key", key, "--reason", "asked"]
    assert "online features would be removed: 1 records" in command(*words, "--dry-run")[1]
    assert json.loads(command(*words, "--dry-run", "--json")[1])["features"] == 1
    # When the store refuses, then that is a sentence
    runtime.failing = [refusal("AccessDeniedException")]
    code, _, err = command(*words, "--yes")
    assert (code, "AccessDeniedException" in err, "nothing was removed" in err) == (1, True, True)
    # When the rows are removed, then the record is deleted
    code, out, _ = command(*words, "--yes")
    assert (code, "online features were removed: 1 records" in out, runtime.records) == (0, True, {})


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("", 1)])
def test_the_command_asks_before_removing(command: Command, world: World, key: str, answer: str, code: int) -> None:
    version = world.ledger.current_dataset()
    exit_code, out, err = command("forget", "--key", key, "--reason", "asked", answer=answer)
    assert (exit_code, "rows are to be removed: 1 from parts" in out) == (code, True)
    assert "cannot be undone" in err
    assert (world.ledger.current_dataset() == version) == (code != 0)


def test_an_unknown_key_has_its_own_exit_code(command: Command, key: str) -> None:
    for words in (["--dry-run"], ["--yes"], []):
        code, out, _ = command("forget", "--key", f"{key}-not", "--reason", "asked", *words)
        assert (code, "no row was found" in out) == (14, True)


def test_wrong_arguments_are_a_sentence(command: Command, key: str) -> None:
    code, _, err = command("forget", "--key", key, "--column", "colour", "--reason", "asked", "--yes")
    assert (code, "the contract has no column 'colour'" in err) == (1, True)
    code, _, err = command("forget", "--key", key, "--reason", f"{key} asked", "--yes")
    assert (code, "write it without the key" in err) == (1, True)


def test_a_hashed_column_needs_a_deployed_secret(command: Command) -> None:
    path = Path(MODELS) / MODEL / "contract.yaml"
    path.write_text(path.read_text().replace("- name: flight_id\n", "- name: flight_id\n        classification: pii\n"))
    code, _, err = command("forget", "--key", "x", "--reason", "asked", "--yes")
    assert (code, "deploy it first" in err) == (2, True)
