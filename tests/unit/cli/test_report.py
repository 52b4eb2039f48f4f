"""`penstock report`: which report, where it goes, what is said where there is none."""

from pathlib import Path

import pytest

from tests.support.world import MODEL, World
from tests.unit.cli.test_cli import Command, command, project, stack, stage

__all__ = ["command", "project", "stack", "stage"]


@pytest.fixture
def reported(stage: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two runs with a report (the first is version 3) and a newer one without."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("PENSTOCK_STAGE", "dev")
    for run in ("r1", "r2"):
        stage.open_run(run)
        key = stage.lake.run_report(run)
        version = stage.store.write(key, f"<p>{run}</p>".encode())
        stage.ledger.note_step(run, "report", "t", key=key, version_id=version)
        stage.end_run(run)
        stage.store.write(key, b"changed since")
    stage.open_run("r3")
    stage.end_run("r3", "failed")
    assert stage.ledger.put_version(3, run="r1")
    return stage


@pytest.mark.parametrize(("named", "run"), [((), "r2"), (("3",), "r1"), (("r1",), "r1")])
def test_it_is_downloaded_as_it_was_written(
    reported: World, command: Command, named: tuple[str, ...], run: str
) -> None:
    said = command("report", *named)
    path = Path(said.out.strip())
    assert (said.code, path.name) == (0, f"{MODEL}-{run}.html")
    assert path.read_text() == f"<p>{run}</p>"


def test_to_names_the_file(reported: World, command: Command, tmp_path: Path) -> None:
    assert command("report", "--to", str(tmp_path / "a.html")).code == 0
    assert (tmp_path / "a.html").read_text() == "<p>r2</p>"


def test_json_says_where_it_lies_and_writes_nothing(reported: World, command: Command, tmp_path: Path) -> None:
    found = command("report", "3", "--json").json
    written = reported.ledger.run("r1")["steps"]["report"]
    assert (found["key"], found["version_id"]) == (written["key"], written["version_id"])
    assert found["uri"] == reported.lake.uri(written["key"])
    assert list((tmp_path / "project").glob("*.html")) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("r3",), 1, "run r3 has no report"),
        (("9",), 1, "the ledger has no version 9"),
        (("nobody",), 1, "the ledger has no run 'nobody'"),
        (("--to", "/nowhere/a.html"), 2, "/nowhere/a.html cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(
    reported: World, command: Command, arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = command("report", *arguments)
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err


def test_before_the_first_run(stage: World, command: Command) -> None:
    assert "flight-delay has no report yet" in command("report", "--stage", "dev").err


def test_a_run_names_its_report(reported: World, command: Command) -> None:
    assert "report: penstock report r1" in command("run", "r1").out
    assert "report:" not in command("run", "r3").out
