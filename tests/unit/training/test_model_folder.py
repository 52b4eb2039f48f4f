"""The model's folder as a job unpacks it."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

import training
from tests.support.model_code import packed
from training.steps.data.container import Container, StepError
from training.steps.data.model_folder import unpack_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    (folder / "words").mkdir(parents=True)
    (folder / "helper.py").write_text("ANSWER = 42\n")
    (folder / "words" / "stop.txt").write_text("the\n")
    return folder


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Container:
    monkeypatch.setattr(training, "__path__", list(training.__path__))
    for name in [name for name in sys.modules if name.startswith("training.models")]:
        monkeypatch.delitem(sys.modules, name)
    return Container(tmp_path / "ml")


def test_the_model_folder_is_unpacked_with_its_subfolders(folder: Path, container: Container) -> None:
    target = unpack_model(container, "churn", packed(folder))
    assert target.is_relative_to(container.root)
    assert (target / "words" / "stop.txt").read_text() == "the\n"


def test_modules_of_the_model_folder_can_be_imported_by_their_name_in_the_project(
    folder: Path, container: Container
) -> None:
    unpack_model(container, "churn", packed(folder))
    assert import_module("training.models.churn.helper").ANSWER == 42
    del sys.modules["training.models.churn.helper"]


def test_files_of_an_earlier_job_are_removed(folder: Path, container: Container) -> None:
    target = unpack_model(container, "churn", packed(folder))
    (target / "old.py").write_text("")
    assert not (unpack_model(container, "churn", packed(folder)) / "old.py").exists()


def test_a_run_without_code_zip_fails_with_a_sentence(container: Container) -> None:
    (container.root / "input" / "data" / "run").mkdir(parents=True)
    with pytest.raises(StepError, match=r"the run's input has no code\.zip: deploy the project again"):
        container.run_file("code.zip")


def test_a_broken_archive_fails_with_a_sentence(container: Container) -> None:
    with pytest.raises(StepError, match="the model's folder cannot be unpacked: File is not a zip file"):
        unpack_model(container, "churn", b"no zip")
