"""A training job as a trial of a tuning job: hyperparameters in, objective on the validation rows out."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from demo.flights import flights
from penstock.contract.model import Contract
from penstock.contract.row_check import check
from penstock.readers.open_table import read_table
from penstock.scoring.model import Model
from penstock.spec.model import MODELS, ModelSpec
from tests.support import model_code
from tests.unit.training.test_train import PROJECT, prepared, ran
from training.steps.data.container import Container
from training.steps.data.rows import read_sides

TUNED = """
tuning:
  metric: METRIC
  ranges:
    leaves: {min: 4, max: 31, integer: true}
    kind: {values: [1, "1 or so", true]}
    rate: {min: 0.01, max: 0.5, scale: log}
"""
GIVEN = {"leaves": "7", "kind": "true", "rate": "0.25", "model": "flight-delay", "run": "run1", "_tuning_x": "y"}
FIT = """
import json
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline
from sklearn.compose import ColumnTransformer

NUMBERS = ["dep_delay", "distance"]

def fit(train, validation, params):
    print("params", json.dumps(params), flush=True)
    columns = ColumnTransformer([("numbers", "passthrough", NUMBERS)])
    trees = LGBMClassifier(
        n_estimators=params["trees"], num_leaves=params["leaves"], learning_rate=params["rate"], verbosity=-1
    )
    return Pipeline([("columns", columns), ("trees", trees)]).fit(train.select(NUMBERS), train["late"].to_numpy())
"""
Run = Callable[..., tuple[int, Container, str]]


@pytest.fixture(scope="module")
def table(contract: Contract) -> pl.DataFrame:
    return check(contract, read_table(flights([1]).head(1500).write_csv().encode(), "a.csv")).good


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the job of a flight-delay whose spec has a search: exit code, container and log."""

    def job(metric: str, hyperparameters: dict[str, str]) -> tuple[int, Container, str]:
        folder = tmp_path / "project" / MODELS / "flight-delay"
        shutil.copytree(PROJECT / MODELS / "flight-delay", folder)
        text = (folder / "model.yaml").read_text()
        text = text.replace("    leaves: 31\n    learning_rate: 0.1\n", "").replace("trees: 150", "trees: 20")
        (folder / "model.yaml").write_text(text + TUNED.replace("METRIC", metric))
        (folder / "train.py").write_text(FIT)
        container = prepared(tmp_path / "ml", table)
        config = container.root / "input" / "config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        monkeypatch.setattr(model_code, "project", tmp_path / "project")
        code = ran(monkeypatch, container)
        return code, container, capsys.readouterr().out

    return job


@pytest.mark.parametrize("metric", ["log_loss", "f1"])
def test_trial_fits_with_its_params_and_logs_scikit_learns_metric(
    run: Run, metric: str, contract: Contract, spec: ModelSpec
) -> None:
    # Given a trial's hyperparameters, all of them text
    code, container, log = run(metric, GIVEN)
    assert code == 0, log
    # Then `fit` received them with their types, beside the fixed params
    params = {"trees": 20, "leaves": 7, "kind": True, "rate": 0.25}
    reported = re.search(r"^params (.*)$", log, re.MULTILINE)
    assert reported is not None
    assert json.loads(reported.group(1)) == params
    report = json.loads(container.model("report.json").read_text())
    assert report["params"] == params
    assert report["tuned"] == {name: params[name] for name in ("leaves", "kind", "rate")}
    # And the metric equals scikit-learn's, for the file's scores of the validation rows
    sides = read_sides(container.channel("dataset"), ["p1", "p2"], contract, spec.split)
    model = Model(container.model("model.onnx").read_bytes())
    expected = {}
    for side in ("validation", "holdout"):
        truth, scores = np.array(sides[side].truth()), model.score(sides[side].columns())
        labels = scores >= (model.signature.threshold or 0)
        expected[side] = metrics.log_loss(truth, scores) if metric == "log_loss" else metrics.f1_score(truth, labels)
    assert report["validation"][f"validation_{metric}"] == pytest.approx(expected["validation"], abs=1e-12)
    (logged,) = re.findall(rf"^metric validation_{metric}=(\S+)$", log, re.MULTILINE)
    assert float(logged) == pytest.approx(expected["validation"], rel=1e-9)
    # And not for the holdout, which the gates use
    evaluation: dict[str, Any] = json.loads(container.model("evaluation.json").read_text())
    assert evaluation["challenger"][metric] == pytest.approx(expected["holdout"], abs=1e-12)
    assert expected["holdout"] != pytest.approx(expected["validation"], rel=1e-6)


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({}, "the job has no hyperparameter 'leaves', which model.yaml tunes"),
        (
            GIVEN | {"leaves": "99"},
            "the hyperparameter 'leaves' does not fit tuning.ranges: 99 is not between 4 and 31",
        ),
    ],
)
def test_job_with_other_params_fails_with_a_reason(run: Run, hyperparameters: dict[str, str], words: str) -> None:
    code, container, _ = run("log_loss", hyperparameters)
    assert code == 1
    assert (container.root / "output" / "failure").read_text() == words
