"""`penstock report`: choose a report and download it, or say that there is none."""

from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.world import MODEL, World


@pytest.fixture
def stage_with_reports(stage: World, project: Path, monkeypatch: pytest.MonkeyPatch) -> World:
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


@pytest.mark.parametrize(("arguments", "run"), [((), "r2"), (("3",), "r1"), (("r1",), "r1")])
def test_the_report_is_downloaded_unchanged(
    stage_with_reports: World, command: Command, arguments: tuple[str, ...], run: str
) -> None:
    result = command("report", *arguments)
    path = Path(result.out.strip())
    assert (result.code, path.name) == (0, f"{MODEL}-{run}.html")
    assert path.read_text() == f"<p>{run}</p>"


def test_the_option_to_names_the_file(stage_with_reports: World, command: Command, tmp_path: Path) -> None:
    assert command("report", "--to", str(tmp_path / "a.html")).code == 0
    assert (tmp_path / "a.html").read_text() == "<p>r2</p>"


def test_json_prints_the_location_and_writes_nothing(
    stage_with_reports: World, command: Command, tmp_path: Path
) -> None:
    document = command("report", "3", "--json").json
    location = stage_with_reports.ledger.run("r1")["steps"]["report"]
    assert (document["key"], document["version_id"]) == (location["key"], location["version_id"])
    assert document["uri"] == stage_with_reports.lake.uri(location["key"])
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
def test_a_missing_report_is_a_sentence(
    stage_with_reports: World, command: Command, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = command("report", *arguments)
    assert result.code == code
    assert words in result.err
    assert "Traceback" not in result.err


def test_without_runs_there_is_no_report(stage: World, command: Command) -> None:
    assert "flight-delay has no report yet" in command("report", "--stage", "dev").err


def test_a_run_shows_its_report_command(stage_with_reports: World, command: Command) -> None:
    assert "report: penstock report r1" in command("run", "r1").out
    assert "report:" not in command("run", "r3").out
