"""The training job with a target of three classes or more, from rows to evaluation, report and gates."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from penstock.contract.model import Column, Contract
from penstock.contract.odcs import read_contract
from penstock.datasets.split import side
from penstock.evaluation.gates import decide
from penstock.monitoring import drift
from penstock.report.page import Report, render
from penstock.scoring.model import Model
from penstock.spec.model import METRICS, MODELS, ModelSpec, read_model
from tests.support import model_code, tiny
from tests.unit.training.test_train import failure, prepared, ran
from training.steps.data.container import Container, StepError
from training.steps.data.rows import Rows, read_sides
from training.steps.export import onnx_export as export
from training.steps.measure.leakage import strongest
from training.steps.task import export_check as comparing
from training.steps.task import tasks
from training.steps.task.multiclass import Multiclass

NAME = "punctuality"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: urn:penstock:punctuality
version: 1.0.0
status: active
schema:
  - name: flights
    logicalType: object
    properties:
      - {name: id, logicalType: string, primaryKey: true, required: true}
      - {name: delay, logicalType: number, required: true}
      - {name: origin, logicalType: string, required: true}
      - {name: noise, logicalType: number}
      - name: when
        logicalType: string
        required: true
        customProperties: [{property: role, value: target}]
"""
SPEC = """
name: punctuality
task: multiclass
split: {holdout: 0.3}
training: {params: {seed: 3}}
evaluation: {slices: [origin], min_rows: 30}
gates:
  - {metric: log_loss, against: baseline, by: 0.1, confidence: 0.95}
  - {metric: log_loss, against: champion, by: -0.01}
  - {metric: roc_auc, min: 0.7}
  - {metric: recall, min: 0.3, slice: worst}
  - {metric: leakage, max: 0.9999}
  - {metric: instability, max: 0.5}
"""
FIT = """
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

def fit(train, validation, params):
    text = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("text", text, ["origin"]), ("numbers", "passthrough", ["delay", "noise"])])
    trees = LGBMClassifier(n_estimators=20, n_jobs=1, random_state=params.get("seed", 0), verbosity=-1)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(train, train["when"].to_numpy())
"""
TARGET = 'train["when"].to_numpy()'
LINEAR = """
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

def fit(train, validation, params):
    columns = ColumnTransformer([("numbers", "passthrough", ["delay"])])
    last = LogisticRegression(max_iter=500)
    return Pipeline([("columns", columns), ("last", last)]).fit(train, train["when"].to_numpy())
"""
ROWS = 1_500

Project = Callable[..., None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of one model with a target of three classes."""

    def write(code: str = FIT, spec: str = SPEC) -> None:
        folder = tmp_path / "project" / MODELS / NAME
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "contract.yaml").write_text(CONTRACT)
        (folder / "model.yaml").write_text(spec)
        (folder / "train.py").write_text(code)
        monkeypatch.setattr(model_code, "project", tmp_path / "project")

    return write


def table(rows: int = ROWS) -> pl.DataFrame:
    """Rows whose class follows the delay and the origin."""
    random = np.random.default_rng(4)
    delay = random.normal(10, 20, rows)
    origin = random.choice(["EWR", "JFK", "LGA"], rows)
    signal = delay + 10 * (origin == "EWR") + random.normal(0, 8, rows)
    return pl.DataFrame(
        {
            "id": [f"r{index}" for index in range(rows)],
            "delay": delay,
            "origin": origin,
            "noise": random.random(rows),
            "when": np.select([signal < 0, signal < 20], ["early", "on time"], "late"),
        }
    )


def four_classes() -> pl.DataFrame:
    """The same rows, some of which are later than late."""
    late = pl.when(pl.col("delay") > 30).then(pl.lit("very late"))
    return table().with_columns(when=late.otherwise(pl.col("when")))


def document(container: Container, name: str) -> Any:
    return json.loads((container.root / "model" / f"{name}.json").read_text())


def job(root: Path, rows: pl.DataFrame | None = None, champion: bytes | None = None) -> Container:
    return prepared(root, table() if rows is None else rows, champion, NAME)


def test_multiclass_job_trains_scores_measures_and_passes_the_gates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a simple model that is live
    project(LINEAR)
    first = job(tmp_path / "first")
    assert ran(monkeypatch, first) == 0, failure(first)
    live = (first.root / "model" / "model.onnx").read_bytes()
    # When another is trained on the same rows
    project(FIT)
    container = job(tmp_path / "ml", champion=live)
    assert ran(monkeypatch, container) == 0, failure(container)
    # Then the file returns a probability for each class, in sorted order
    folder = tmp_path / "project" / MODELS / NAME
    model = Model((container.root / "model" / "model.onnx").read_bytes())
    sides = read_sides(container.channel("dataset"), ["p1", "p2"], read_contract(folder), read_model(folder).split)
    truth, scores = np.array(sides["holdout"].truth()), model.score(sides["holdout"].columns())
    assert (model.signature.classes, model.signature.threshold) == (("early", "late", "on time"), None)
    assert (scores.shape, model.signature.task) == ((len(truth), 3), "multiclass")
    # And golden examples and baseline contain all probabilities
    examples, baseline = document(container, "golden"), document(container, "baseline")
    answers = [model.prediction(row) for row in model.score_rows([item["instance"] for item in examples]).tolist()]
    assert [{name: item[name] for name in ("score", "label", "scores")} for item in examples] == answers
    assert drift.class_names(baseline) == ["early", "late", "on time"]
    counted = [baseline[drift.LABEL]["counts"][name] for name in drift.class_names(baseline)]
    assert counted == np.bincount(scores.argmax(axis=1), minlength=3).tolist()
    # And the evaluation is scikit-learn's on the file's own scores
    evaluation = document(container, "evaluation")
    assert (evaluation["task"], evaluation["holdout_rows"]) == ("multiclass", len(truth))
    whole = scores / scores.sum(axis=1, keepdims=True)
    assert evaluation["challenger"]["log_loss"] == pytest.approx(metrics.log_loss(truth, whole), abs=1e-9)
    assert evaluation["challenger"]["roc_auc"] == pytest.approx(
        metrics.roc_auc_score(truth, scores, multi_class="ovr"), abs=1e-9
    )
    labels = np.array(model.signature.classes)[scores.argmax(axis=1)]
    assert evaluation["challenger"]["f1"] == pytest.approx(metrics.f1_score(truth, labels, average="macro"), abs=1e-9)
    assert evaluation["challenger"]["accuracy"] > 0.7
    assert evaluation["baseline"]["roc_auc"] == 0.5
    assert evaluation["champion"] == document(first, "evaluation")["challenger"]
    assert tuple(evaluation["challenger"]) == METRICS["multiclass"]
    assert 0 <= document(container, "report")["largest_export_difference"] < comparing.EXPORT_TOLERANCE
    assert "metric log_loss=0." in capsys.readouterr().out
    # And each gate has a verdict with a number
    decision = decide(
        read_model(folder).gates,
        evaluation["challenger"],
        baseline=evaluation["baseline"],
        champion=evaluation["champion"],
        evaluation=evaluation,
    )
    assert [verdict.number is not None for verdict in decision.verdicts] == [True] * 6
    assert evaluation["leaking"] == "delay"
    assert 0 < evaluation["beside"]["instability"] < 0.5
    assert decision.verdicts[0].passed
    # And the report is drawn from the same numbers
    data = document(container, "report-data")
    assert np.trace(data["models"]["challenger"]["confusion"]["rows"]) / len(truth) == pytest.approx(
        evaluation["challenger"]["accuracy"]
    )
    assert [item["name"] for item in data["models"]["champion"]["roc_by_class"]] == ["early", "late", "on time"]
    assert (data["importance"]["metric"], data["importance"]["columns"][0]["column"]) == ("log_loss", "delay")
    page = render(
        Report(model=NAME, description="", target="when", outcome="registered", reason="", version=2, verdicts=[],
               evaluation=evaluation, data=data, training={}, run={"id": "r"}, dataset={})
    )  # fmt: skip
    assert "actual on time" in page
    assert "ROC curve: late" in page


def test_job_is_deterministic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    project()
    files = []
    for name in ("one", "two"):
        container = job(tmp_path / name)
        assert ran(monkeypatch, container) == 0, failure(container)
        files.append((container.root / "model" / "model.onnx").read_bytes())
    assert files[0] == files[1]


def test_champion_with_other_classes_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a live model of three classes
    project(LINEAR)
    first = job(tmp_path / "first")
    assert ran(monkeypatch, first) == 0, failure(first)
    # When the rows have a fourth
    second = job(tmp_path / "second", four_classes(), (first.root / "model" / "model.onnx").read_bytes())
    assert ran(monkeypatch, second) == 0, failure(second)
    # Then the champion is not compared, as it has other classes
    evaluation = document(second, "evaluation")
    assert (evaluation["champion"], evaluation["champion_version"]) == (None, None)
    assert "the champion answers another question" in capsys.readouterr().out


def test_class_without_validation_rows_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project
) -> None:
    project(LINEAR)
    rows = table()
    folder = tmp_path / "project" / MODELS / NAME
    whole = job(tmp_path / "whole", rows)
    sides = read_sides(whole.channel("dataset"), ["p1", "p2"], read_contract(folder), read_model(folder).split)
    lone = sides["validation"].table.filter(pl.col("when") == "late")["delay"].to_list()
    container = job(tmp_path / "ml", rows.filter(~pl.col("delay").cast(pl.Float32).is_in(lone)))
    sides = read_sides(container.channel("dataset"), ["p1", "p2"], read_contract(folder), read_model(folder).split)
    assert set(sides["validation"].truth()) == {"early", "on time"}
    assert ran(monkeypatch, container) == 0, failure(container)
    assert document(container, "evaluation")["per_class"][1]["recall"] > 0.5


@pytest.mark.parametrize(
    ("only_side", "words"),
    [
        ("holdout", "the class 'very late' of the target 'when' has rows on the holdout side and none to train on"),
        ("train", "the class 'very late' of the target 'when' has no row in the holdout, so nothing would be known"),
    ],
)
def test_class_on_one_side_only_fails_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, only_side: str, words: str
) -> None:
    # Given rows of which one class is on one side only
    project(LINEAR)
    split = read_model(tmp_path / "project" / MODELS / NAME).split
    sides = pl.Series([side(key, split) for key in table()["id"]])
    container = job(tmp_path / "ml", four_classes().filter((pl.col("when") != "very late") | (sides == only_side)))
    # Then the job says so, before it fits anything
    assert ran(monkeypatch, container) == 1
    assert failure(container).startswith(words)


def test_two_classes_fail_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    project(LINEAR)
    container = job(tmp_path / "ml", table().filter(pl.col("when") != "late"))
    assert ran(monkeypatch, container) == 1
    assert failure(container).endswith(
        "has 2 values in the training rows, multiclass needs 3: make the task binary, or bring more data"
    )


def contract(kind: Any = "string", *, personal: bool = False) -> Contract:
    columns = (
        Column("k", "string", "key"),
        Column("x", "number", "feature"),
        Column("y", kind, "target", personal=personal),
    )
    return Contract(name="a", version="", columns=columns, tolerance=0.0, digest="")


def rows_of(values: list[Any], kind: Any = "string", *, personal: bool = False) -> Rows:
    return Rows(pl.DataFrame({"y": values}), contract(kind, personal=personal))


ABC = ["a", "b", "c"] * 10
MANY = ModelSpec(name="a", task="multiclass")


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([True, False] * 10, "boolean", "'y' has 2 values in the training rows, multiclass needs 3: make the task bin"),
        (["a"] * 10, "string", "'y' has 1 values in the training rows, multiclass needs 3: bring more data"),
        (list(range(51)) * 10, "integer", "'y' has 51 values in the training rows, multiclass takes 50: give"),
        ([1.5, 2.5, 3.5] * 10, "number", "the target 'y' is number: it needs an integer or a string"),
        ([*ABC, "d"], "string", "the class 'd' of the target 'y' has 1 training rows, it needs 10: more rows"),
        ([*ABC, "d", "e"], "string", r"the class 'd' \(and 1 more\) of the target 'y'"),
    ],
)  # fmt: skip
def test_target_that_does_not_fit_the_task_is_refused(values: list[Any], kind: Any, words: str) -> None:
    with pytest.raises(StepError, match=words):
        tasks.task_of(MANY, rows_of(values, kind))


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"holdout": ["a", "b"]}, "the class 'c' of the target 'y' has no row in the holdout, so nothing would"),
        ({"holdout": [*ABC, "d"]}, "the class 'd' of the target 'y' has rows on the holdout side and none to train on"),
        ({"validation": ["d"]}, "the class 'd' of the target 'y' has rows on the validation side and none to train on"),
    ],
)  # fmt: skip
def test_sides_with_other_classes_are_refused(others: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(StepError, match=words):
        tasks.task_of(MANY, rows_of(ABC), {name: rows_of(values) for name, values in others.items()})


def test_personal_class_is_not_named() -> None:
    with pytest.raises(StepError, match=r"^a class of the target 'y' has 1 training rows"):
        tasks.task_of(MANY, rows_of([*ABC, "Jane"], personal=True))


def test_the_classes_are_the_sorted_values_of_up_to_fifty() -> None:
    assert tasks.task_of(MANY, rows_of(ABC[::-1]), {"validation": rows_of(["a"])}).classes == ("a", "b", "c")
    assert len(tasks.task_of(MANY, rows_of([*range(50)] * 10, "integer")).classes) == 50


GRAPH = """
import numpy as np
from onnx import TensorProto, helper, numpy_helper

def fit(train, validation, params):
    weights = numpy_helper.from_array(np.zeros((1, {columns}), dtype=np.float32), "w")
    nodes = [helper.make_node("MatMul", ["delay", "w"], ["z"]), helper.make_node({last!r}, ["z"], ["probabilities"])]
    graph = helper.make_graph(
        nodes, "model",
        [helper.make_tensor_value_info("delay", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, {columns}])], [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
"""


def test_onnx_graph_of_the_user_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    project(GRAPH.format(columns=3, last="Softmax"))
    container = job(tmp_path / "ml")
    assert ran(monkeypatch, container) == 0, failure(container)
    assert document(container, "evaluation")["challenger"]["log_loss"] == pytest.approx(np.log(3), abs=1e-6)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (GRAPH.format(columns=2, last="Softmax"), "classes"),
        (GRAPH.format(columns=3, last="Exp"), "the model's answers are no probabilities: a row's must be from 0 to 1"),
        (FIT.replace(TARGET, f"('x' + {TARGET})"), "the estimator tells ['xearly', 'xlate', 'xon time'] apart,"),
        (FIT.replace("):", "):\n    train = train.filter(train['when'] != 'late')"), "classes"),
        (FIT.replace("LGBMClassifier", "LGBMRegressor").replace(TARGET, 'train["delay"].to_numpy()'),
         "`fit` gave a regressor (Pipeline), the task in model.yaml is multiclass: return a classifier"),
    ],
    ids=["too few columns", "no probabilities", "other classes", "fewer classes", "a regressor"],
)  # fmt: skip
def test_code_without_such_a_model_fails_the_job_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, code: str, words: str
) -> None:
    project(code)
    container = job(tmp_path / "ml")
    assert ran(monkeypatch, container) == 1
    assert words in failure(container)


ESTIMATORS = [
    LogisticRegression(max_iter=500),
    LGBMClassifier(n_estimators=10, random_state=0, verbosity=-1),
    RandomForestClassifier(n_estimators=10, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
]


@pytest.mark.parametrize("classes", [("late", "on time", "späť"), (-1, 0, 7), (1, 2, 3), ("False", "True", "unknown")])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda value: type(value).__name__)
def test_classifiers_are_exported_exactly(estimator: Any, classes: tuple[Any, ...]) -> None:
    # Given a classifier on text and numbers, fitted to text, integers or what looks like a boolean
    rows = tiny.table(400)
    steps = [
        ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), tiny.TEXT),
        ("numbers", "passthrough", tiny.NUMBERS),
    ]
    signal = rows["amount"].to_numpy() + 3 * (rows["city"].to_numpy() == "JFK")
    truth = np.array(classes)[np.digitize(signal, [4, 7])]
    fitted = Pipeline([("columns", ColumnTransformer(steps)), ("last", estimator)]).fit(rows, truth)
    # When it is exported
    about = msgspec.structs.replace(tiny.signature(), classes=classes, threshold=None)
    model = Model(export.sealed(export.to_onnx(fitted, tiny.COLUMNS, "multiclass"), about))
    scores = model.score({column.name: rows[column.name].to_list() for column in tiny.COLUMNS})
    # Then the file gives the same probability of each class
    assert model.signature.classes == classes
    assert list(fitted.classes_) == list(classes)
    assert scores.shape == (400, 3)
    assert np.abs(scores - fitted.predict_proba(rows)).max() < comparing.EXPORT_TOLERANCE


def test_leaking_feature_is_the_strongest() -> None:
    # Given a text that determines the class, and noise
    random = np.random.default_rng(1)
    truth = random.choice(["a", "b", "c"], 2_000)
    rows = pl.DataFrame(
        {
            "noise": random.random(2_000).astype(np.float32),
            "answer": [f"{value}{index % 3}" for index, value in enumerate(truth)],
            "y": truth,
        }
    )
    noise, answer, target = (
        Column("noise", "number", "feature"),
        Column("answer", "string", "feature"),
        Column("y", "string", "target"),
    )
    leaking = Contract(name="a", version="", columns=(noise, answer, target), tolerance=0.0, digest="")
    sides = Rows(rows.head(1_500), leaking), Rows(rows.tail(500), leaking)
    kind = Multiclass(("a", "b", "c"))
    # Then that feature is named; without it, no feature is strong
    name, number = strongest(kind, *sides)
    assert (name, number > 0.99) == ("answer", True)
    less = Contract(name="a", version="", columns=(noise, target), tolerance=0.0, digest="")
    assert strongest(kind, *(Rows(side.table, less) for side in sides))[1] < 0.6


def test_change_between_two_models_is_the_moved_probability() -> None:
    first, second = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]), np.array([[0.0, 0.5, 0.5], [0.2, 0.3, 0.5]])
    assert Multiclass(("a", "b", "c")).change(first, second).tolist() == [0.5, 0.0]
