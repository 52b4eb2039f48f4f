"""The training job, end to end on real flights; most tests share one fit."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from demo.flights import flights
from penstock.api.explain import Background, add_explanations
from penstock.aws.s3_store import sha256
from penstock.contract.model import Column, Contract
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import check
from penstock.datasets.split import side
from penstock.evaluation.gates import decide
from penstock.monitoring import drift
from penstock.readers.open_table import read_table
from penstock.scoring.model import Model
from penstock.spec.model import MODELS, ModelSpec, read_model
from tests.support import model_code, tiny
from training.steps import __main__ as entry
from training.steps.data.container import Container, StepError
from training.steps.data.rows import Rows, read_sides
from training.steps.export import onnx_export as export
from training.steps.measure.leakage import strongest
from training.steps.task import export_check as comparing
from training.steps.task import tasks

ROWS = 3_000
PROJECT = Path(__file__).parents[3]


def prepared(root: Path, table: pl.DataFrame, champion: bytes | None = None, model: str = "flight-delay") -> Container:
    """A job's input: two parts, as SageMaker lays it out."""
    dataset, run = root / "input/data/dataset", root / "input/data/run"
    for folder in (dataset, run):
        folder.mkdir(parents=True)
    table.head(table.height // 2).write_parquet(dataset / "p1.parquet")
    table.slice(table.height // 2).write_parquet(dataset / "p2.parquet")
    if champion:
        (run / "champion.onnx").write_bytes(champion)
    about = {"version": 4, "sha256": sha256(champion)} if champion else None
    request = {"model": model, "run": "run1", "dataset": "d1", "parts": ["p1", "p2"], "champion": about}
    (run / "request.json").write_text(json.dumps(request))
    return Container(root)


@pytest.fixture(scope="module")
def table(contract: Contract) -> pl.DataFrame:
    return check(contract, read_table(flights([1]).head(ROWS).write_csv().encode(), "a.csv")).good


@dataclass(frozen=True)
class Trained:
    container: Container
    code: int
    log: str

    def json(self, name: str) -> Any:
        return json.loads((self.container.root / "model" / name).read_text())

    @property
    def onnx(self) -> bytes:
        return (self.container.root / "model" / "model.onnx").read_bytes()


def ran(monkeypatch: pytest.MonkeyPatch, container: Container) -> int:
    model_code.hand_over(container.root)
    monkeypatch.setenv("PENSTOCK_ML_ROOT", str(container.root))
    return entry.main(["train"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame) -> Trained:
    root = tmp_path_factory.mktemp("job")
    container = prepared(root, table)
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr(Container, "say", staticmethod(lines.append))
        code = ran(patch, container)
    return Trained(container, code, "\n".join(lines))


@pytest.fixture(scope="module")
def holdout(trained: Trained, contract: Contract, spec: ModelSpec) -> Any:
    folder = trained.container.channel("dataset")
    return read_sides(folder, ["p1", "p2"], contract, spec.split)["holdout"]


def test_job_writes_the_model_folder(trained: Trained) -> None:
    assert trained.code == 0
    names = {path.name for path in (trained.container.root / "model").iterdir()}
    assert names == {"model.onnx", "evaluation.json", "baseline.json", "golden.json", "report.json", "report-data.json"}
    assert not (trained.container.root / "output" / "failure").exists()


def test_report_data_agrees_with_the_evaluation(trained: Trained) -> None:
    report, evaluation = trained.json("report-data.json"), trained.json("evaluation.json")
    challenger = report["models"]["challenger"]
    assert challenger["threshold"] == pytest.approx(evaluation["threshold"], rel=1e-5)
    (_, wrong), (missed, hit) = challenger["confusion"]["rows"]
    assert hit / (hit + missed) == pytest.approx(evaluation["challenger"]["recall"])
    assert hit / (hit + wrong) == pytest.approx(evaluation["challenger"]["precision"])
    assert report["importance"]["columns"][0]["column"] == "dep_delay"
    assert report["importance"]["left_out"] == []
    assert report["profile"]["rows"] == trained.json("report.json")["rows"]["train"]


def test_golden_scores_are_exactly_those_of_the_file(trained: Trained) -> None:
    golden = trained.json("golden.json")
    scores = Model(trained.onnx).score_rows([example["instance"] for example in golden])
    assert [example["score"] for example in golden] == scores.tolist()
    assert len(golden) == 25


def test_golden_examples_are_valid_requests(trained: Trained) -> None:
    # Given the golden examples as a request, through JSON
    golden = trained.json("golden.json")
    model = Model(trained.onnx)
    rows = model.decode(json.dumps({"instances": [example["instance"] for example in golden]}).encode())
    # Then they score the same
    assert model.score_rows(rows).tolist() == [example["score"] for example in golden]


def test_evaluation_is_scikit_learns_on_the_scores_of_the_file(trained: Trained, holdout: Any) -> None:
    evaluation = trained.json("evaluation.json")
    truth, scores = np.array(holdout.truth()), Model(trained.onnx).score(holdout.columns())
    assert evaluation["holdout_rows"] == len(truth)
    assert evaluation["challenger"]["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)
    assert evaluation["challenger"]["log_loss"] == pytest.approx(metrics.log_loss(truth, scores), abs=1e-12)
    assert evaluation["challenger"]["f1"] == metrics.f1_score(truth, scores >= evaluation["threshold"])
    assert evaluation["challenger"]["roc_auc"] > 0.8
    assert evaluation["baseline"]["roc_auc"] == 0.5
    assert (evaluation["champion"], evaluation["champion_version"]) == (None, None)


def test_no_holdout_row_was_trained_on(table: pl.DataFrame, trained: Trained, spec: ModelSpec) -> None:
    rows = trained.json("report.json")["rows"]
    sides = [side(key, spec.split) for key in table["flight_id"]]
    assert rows == {name: sides.count(name) for name in ("train", "validation", "holdout")}
    assert sum(rows.values()) == ROWS


def test_signature_has_the_fields_of_the_contract(trained: Trained, contract: Contract) -> None:
    model = Model(trained.onnx)
    assert [field.name for field in model.signature.fields] == [column.name for column in contract.features]
    assert model.signature.classes == (False, True)
    assert model.signature.carried == ("flight_id", "departs_at")
    assert model.signature.threshold == trained.json("evaluation.json")["threshold"]


def test_estimator_and_file_give_the_same_scores(trained: Trained) -> None:
    assert 0 <= trained.json("report.json")["largest_export_difference"] < comparing.EXPORT_TOLERANCE


def test_holdout_does_not_drift_from_its_own_baseline(trained: Trained, holdout: Any) -> None:
    scores = Model(trained.onnx).score(holdout.columns())
    window = dict(holdout.columns()) | {drift.SCORE: scores.tolist()}
    comparison = drift.compare(trained.json("baseline.json"), window, rows=len(scores), min_rows=1, threshold=0.05)
    assert (comparison.outcome, comparison.psi) == ("no drift", 0.0)


def test_log_has_the_metrics_in_sagemakers_format(trained: Trained) -> None:
    assert "metric roc_auc=0." in trained.log
    assert "fit on " in trained.log


FIT = """
import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

NUMBERS = ["dep_delay", "distance"]

def fit(train, validation, params):
    columns = ColumnTransformer([("numbers", SimpleImputer(), NUMBERS)])
    return Pipeline([("columns", columns), ("regression", LogisticRegression(max_iter=2000))]).fit(
        train.select(NUMBERS), train["late"].to_numpy()
    )
"""

Project = Callable[[str], None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Another project, whose model has the flight-delay contract and a `train.py` of the test's."""

    def write(code: str) -> None:
        folder = tmp_path / "project" / MODELS / "flight-delay"
        shutil.copytree(PROJECT / MODELS / "flight-delay", folder)
        (folder / "train.py").write_text(code)
        monkeypatch.setattr(model_code, "project", tmp_path / "project")

    return write


def failure(container: Container) -> str:
    return (container.root / "output" / "failure").read_text()


def test_job_is_deterministic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pl.DataFrame, trained: Trained
) -> None:
    again = prepared(tmp_path / "ml", table)

    assert ran(monkeypatch, again) == 0

    assert sha256((again.root / "model" / "model.onnx").read_bytes()) == sha256(trained.onnx)


def test_the_champion_is_compared_on_the_same_rows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    project: Project,
    table: pl.DataFrame,
    trained: Trained,
    holdout: Any,
) -> None:
    # Given the first model is live, and a simpler one is trained
    project(FIT)
    container = prepared(tmp_path / "ml", table, champion=trained.onnx)
    assert ran(monkeypatch, container) == 0
    # Then the champion's metrics come from its own scores of these rows, and the graph has only the inputs that it uses
    evaluation = json.loads((container.root / "model" / "evaluation.json").read_text())
    assert evaluation["champion_version"] == 4
    assert evaluation["champion"] == trained.json("evaluation.json")["challenger"]
    assert evaluation["challenger"] != evaluation["champion"]


def test_changed_champion_file_fails_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame, trained: Trained
) -> None:
    project(FIT)
    container = prepared(tmp_path / "ml", table, champion=trained.onnx)
    (container.channel("run") / "champion.onnx").write_bytes(trained.onnx + b"\0")
    assert ran(monkeypatch, container) == 1
    assert "it was changed" in failure(container)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def fit(train, validation, params):\n    raise ValueError('too few trees')\n", "ValueError: too few trees"),
        ("x = 1\n", "flight-delay/train.py has no function fit(train, validation, params)"),
        ("fit = 3\n", "flight-delay/train.py has no function fit(train, validation, params)"),
        ("import a_package_that_is_not_there\n", "a_package_that_is_not_there"),
        ("def fit(\n", "SyntaxError"),
        (
            "def fit(train, validation, params):\n    return object()\n",
            "fit must return a fitted estimator (or pipeline) or an ONNX graph, it returned <object",
        ),
        ("def fit(train, validation, params):\n    return None\n", "it returned None"),
    ],
)
def test_code_without_a_model_fails_the_job_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame, code: str, words: str
) -> None:
    project(code)
    container = prepared(tmp_path / "ml", table)
    assert ran(monkeypatch, container) == 1
    assert words in failure(container)
    assert len(failure(container)) <= 1024
    assert not (container.root / "model" / "model.onnx").exists()


def test_rows_of_one_class_fail_the_job_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame
) -> None:
    project(FIT)
    container = prepared(tmp_path / "ml", table.filter(pl.col("late")))
    assert ran(monkeypatch, container) == 1
    assert failure(container) == "the target 'late' has 1 values in the training rows, it needs 2"


def test_too_few_rows_fail_the_job_with_the_empty_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame
) -> None:
    project(FIT)
    container = prepared(tmp_path / "ml", table.head(2))
    assert ran(monkeypatch, container) == 1
    assert "side empty: more data, or another split, is needed" in failure(container)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("input/data/dataset", "the job has no input channel 'dataset'"),
        ("input/data/run", "the job has no input channel 'run'"),
        ("input/data/run/request.json", "request.json is not there"),
        ("input/data/dataset/p2.parquet", "the channel lacks the part p2.parquet"),
    ],
)
def test_job_without_its_input_fails_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pl.DataFrame, lost: str, words: str
) -> None:
    container = prepared(tmp_path / "ml", table.head(10))
    path = container.root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert ran(monkeypatch, container) == 1
    assert words in failure(container)


@pytest.mark.parametrize("arguments", [[], ["evaluate"], ["train", "more"]])
def test_unknown_step_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setenv("PENSTOCK_ML_ROOT", str(tmp_path))
    assert entry.main(arguments) == 1
    assert "expected one step of train" in (tmp_path / "output" / "failure").read_text()


def test_row_of_the_later_part_replaces_the_earlier_one(tmp_path: Path, spec: ModelSpec, table: pl.DataFrame) -> None:
    # Given a second part with other values for the first part's keys
    contract = read_contract(PROJECT / MODELS / "flight-delay")
    first = table.head(200)
    second = first.with_columns(distance=pl.lit(7.0))
    first.write_parquet(tmp_path / "p1.parquet")
    second.write_parquet(tmp_path / "p2.parquet")
    # When the sides are read
    sides = read_sides(tmp_path, ["p1", "p2"], contract, spec.split)
    # Then each key occurs once, with the values of the later part
    assert sum(rows.table.height for rows in sides.values()) == 200
    assert {value for rows in sides.values() for value in rows.columns()["distance"]} == {7.0}


def test_container_is_sagemakers_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_ML_ROOT", raising=False)
    assert Container.here().root == Path("/opt/ml")
    with pytest.raises(StepError, match="no input channel 'x'"):
        Container(Path("/nowhere")).channel("x")


AMOUNT_FIT = """
from lightgbm import LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

def fit(train, validation, params):
    columns = ColumnTransformer([("numbers", "passthrough", ["distance", "sched_dep_minute"])])
    trees = LGBMRegressor(n_estimators=30, random_state=0, verbosity=-1)
    return Pipeline([("columns", columns), ("trees", trees)]).fit(train, train["dep_delay"].to_numpy())
"""


@pytest.fixture
def regression(project: Project, tmp_path: Path) -> Callable[[str], None]:
    """The flight-delay model as a regression on the departure delay."""

    def write(code: str) -> None:
        project(code)
        folder = tmp_path / "project" / MODELS / "flight-delay"
        lines = (folder / "contract.yaml").read_text()
        role = "        customProperties: [{property: role, value: target}]\n"
        assert lines.count(role) == 1
        target = "        description: Minutes, negative is early.\n"
        lines = lines.replace(role, role.replace("target", "ignore")).replace(target, target + role)
        (folder / "contract.yaml").write_text(lines)
        (folder / "model.yaml").write_text("name: flight-delay\ntask: regression\n")

    return write


def test_a_regression_is_trained_scored_and_measured(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    regression: Project,
    table: pl.DataFrame,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Given a target that depends on the distance, in thousands of millions
    regression(AMOUNT_FIT)
    amounts = table.with_columns(dep_delay=2e9 + 1e6 * pl.col("distance"))
    container = prepared(tmp_path / "ml", amounts)
    # When it is trained
    assert ran(monkeypatch, container) == 0
    # Then the file's scores are amounts, and the evaluation measures them
    evaluation = json.loads((container.root / "model" / "evaluation.json").read_text())
    model = Model((container.root / "model" / "model.onnx").read_bytes())
    folder = tmp_path / "project" / MODELS / "flight-delay"
    rows = read_sides(container.channel("dataset"), ["p1", "p2"], read_contract(folder), read_model(folder).split)
    truth, scores = np.array(rows["holdout"].truth()), model.score(rows["holdout"].columns())
    assert evaluation["task"] == "regression"
    assert evaluation["challenger"]["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, scores))
    assert evaluation["challenger"]["r2"] > 0.9
    assert evaluation["baseline"]["r2"] == pytest.approx(0, abs=0.01)
    assert (model.signature.classes, model.signature.threshold) == ((), None)
    # And golden examples, baseline and log are as for any model
    golden = json.loads((container.root / "model" / "golden.json").read_text())
    assert golden[0]["score"] > 2e9
    baseline = json.loads((container.root / "model" / "baseline.json").read_text())
    window = dict(rows["holdout"].columns()) | {drift.SCORE: scores.tolist()}
    looked = drift.compare(baseline, window, rows=len(scores), min_rows=1, threshold=0.05)
    assert (looked.outcome, looked.psi) == ("no drift", 0.0)
    assert "metric rmse=" in capsys.readouterr().out


def test_regression_champion_is_compared_by_its_amounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regression: Project, table: pl.DataFrame, trained: Trained
) -> None:
    regression(AMOUNT_FIT)
    first = prepared(tmp_path / "first", table)
    assert ran(monkeypatch, first) == 0
    data = (first.root / "model" / "model.onnx").read_bytes()
    # When the same model is trained again, and once a classification is live
    for name, champion in (("same", data), ("other", trained.onnx)):
        assert ran(monkeypatch, prepared(tmp_path / name, table, champion=champion)) == 0
    # Then the same model is as good, and the classification was not compared
    same, other = (json.loads((tmp_path / name / "model/evaluation.json").read_text()) for name in ("same", "other"))
    assert same["champion"] == same["challenger"]
    assert (other["champion"], other["champion_version"]) == (None, None)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            FIT,
            "`fit` gave a classifier (Pipeline), the task in model.yaml is regression: return a regressor, or change",
        ),
        (AMOUNT_FIT.replace('["distance"', '["dep_delay"'), "dep_delay"),
    ],
)
def test_code_without_a_regressor_fails_the_job_with_a_reason(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    regression: Project,
    table: pl.DataFrame,
    code: str,
    words: str,
) -> None:
    regression(code.replace('train["late"]', "(train['dep_delay'] > 15)"))
    container = prepared(tmp_path / "ml", table)
    assert ran(monkeypatch, container) == 1
    assert words in failure(container)


def test_regressor_for_a_classification_fails_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame
) -> None:
    project(AMOUNT_FIT)
    container = prepared(tmp_path / "ml", table)
    assert ran(monkeypatch, container) == 1
    assert "`fit` gave a regressor (Pipeline), the task in model.yaml is binary: return a classifier" in failure(
        container
    )


@pytest.mark.parametrize(
    ("task", "type_", "values", "words"),
    [
        ("regression", "boolean", [True, False], "the target 'y' is boolean: it needs a number"),
        (
            "binary",
            "string",
            ["a", "b", "c"],
            "has 3 values in the training rows, it needs 2; more than two: task: multiclass, a column",
        ),
        ("binary", "string", ["a", "a"], "has 1 values in the training rows, it needs 2"),
    ],
)
def test_target_that_does_not_fit_the_task_is_refused(task: Any, type_: Any, values: list[Any], words: str) -> None:
    columns = (Column("k", "string", "key"), Column("x", "number", "feature"), Column("y", type_, "target"))
    contract = Contract(name="a", version="", columns=columns, tolerance=0.0, digest="")
    rows = Rows(pl.DataFrame({"y": values}), contract)
    with pytest.raises(StepError, match=words):
        tasks.task_of(ModelSpec(name="a", task=task), rows)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        Ridge(),
        RandomForestRegressor(n_estimators=10, random_state=0),
        GradientBoostingRegressor(n_estimators=10, random_state=0),
        LGBMRegressor(n_estimators=10, random_state=0, verbosity=-1),
        LGBMRegressor(n_estimators=10, objective="poisson", random_state=0, verbosity=-1),
    ],
    ids=lambda value: f"{type(value).__name__}-{getattr(value, 'objective', '')}",
)
def test_regressors_are_exported_exactly(estimator: Any) -> None:
    # Given a regressor on text and numbers, fitted to large amounts
    rows = tiny.table()
    steps = [
        ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), tiny.TEXT),
        ("numbers", "passthrough", tiny.NUMBERS),
    ]
    truth = 1_000 + 50 * rows["amount"].to_numpy().astype(np.float64) + 3 * (rows["city"].to_numpy() == "JFK")
    fitted = Pipeline([("columns", ColumnTransformer(steps)), ("last", estimator)]).fit(rows, truth)
    # When it is exported
    about = msgspec.structs.replace(tiny.signature(), classes=(), threshold=None, output=export.OUTPUTS["regression"])
    model = Model(export.sealed(export.to_onnx(fitted, tiny.COLUMNS, "regression"), about))
    scores = model.score({column.name: rows[column.name].to_list() for column in tiny.COLUMNS})
    # Then the file gives the same amounts
    assert scores.shape == (rows.height,)
    assert np.abs(scores - fitted.predict(rows)).max() < 1e-4 * np.std(truth) + 1e-6 * truth.max()


def test_value_equal_to_a_tree_threshold_takes_the_same_branch() -> None:
    # Given decimal data, in which the middle of two training rows is another row's value
    train = pl.DataFrame({"x": np.repeat(np.array([1.374, 1.378], dtype=np.float32), 50)})
    between = pl.DataFrame({"x": np.array([1.3759999, 1.376, 1.3760001], dtype=np.float32)})
    truth = (train["x"].to_numpy() > 1.376).astype(np.int64)
    columns = ColumnTransformer([("numbers", "passthrough", ["x"])])
    trees = LGBMClassifier(n_estimators=5, verbosity=-1)
    fitted = Pipeline([("columns", columns), ("trees", trees)]).fit(train, truth)
    # When it is exported
    features = [Column("x", "number", "feature")]
    about = msgspec.structs.replace(tiny.signature(), fields=export.fields(features))
    model = Model(export.sealed(export.to_onnx(fitted, features), about))
    # Then the file scores that value as the estimator does
    assert model.score({"x": between["x"].to_list()}) == pytest.approx(fitted.predict_proba(between)[:, 1], abs=1e-6)


def test_columns_may_have_any_name() -> None:
    # Given column names that are no identifiers, some of which become equal when they are converted
    names = ["mean radius", "mean_radius", "mean_radius1", "2nd (cm)", "Größe", "a+b"]
    random = np.random.default_rng(2)
    rows = pl.DataFrame({name: random.uniform(0, 9, 100).astype(np.float32) for name in names})
    truth = sum((index + 1) * rows[name].to_numpy().astype(np.float64) for index, name in enumerate(names))
    columns = ColumnTransformer([("numbers", "passthrough", names)])
    fitted = Pipeline([("columns", columns), ("last", LinearRegression())]).fit(rows, truth)
    # When it is exported
    features = [Column(name, "number", "feature") for name in names]
    about = msgspec.structs.replace(
        tiny.signature(),
        classes=(),
        threshold=None,
        output=export.OUTPUTS["regression"],
        fields=export.fields(features),
    )
    model = Model(export.sealed(export.to_onnx(fitted, features, "regression"), about))
    # Then each input has the column's own name
    scores = model.score({name: rows[name].to_list() for name in names})
    assert scores == pytest.approx(np.asarray(truth), rel=1e-4)
    assert model.decode(json.dumps({"instances": [dict.fromkeys(names, 1.5)]}).encode()) == [
        dict.fromkeys(names, 1.5) | {"row_id": None, "at": None}
    ]


GATED = """
name: flight-delay
decision: {cost: {false_negative: 5}}
training: {params: {seed: 3}}
evaluation: {slices: [origin, distance], groups: [origin], min_rows: 20}
gates:
  - {metric: roc_auc, against: champion, confidence: 0.9}
  - {metric: roc_auc, min: 0.5, slice: worst}
  - {metric: selection_rate_difference, max: 0.9}
  - {metric: leakage, max: 0.99}
  - {metric: instability, max: 0.5}
  - {metric: latency_ms, max: 1000}
  - {metric: onnx_mb, max: 10}
"""


def test_job_measures_everything_that_the_gates_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame, trained: Trained
) -> None:
    # Given a model whose score depends on its seed, gates of every kind, and a champion
    project(FIT.replace("LogisticRegression(max_iter=2000)", "SGDClassifier('log_loss', random_state=params['seed'])")
            .replace("import LogisticRegression", "import SGDClassifier"))  # fmt: skip
    folder = tmp_path / "project" / MODELS / "flight-delay"
    (folder / "model.yaml").write_text(GATED)
    container = prepared(tmp_path / "ml", table, champion=trained.onnx)
    # When it is trained
    assert ran(monkeypatch, container) == 0, failure(container)
    # Then everything was measured, on the file's own scores
    evaluation = json.loads((container.root / "model" / "evaluation.json").read_text())
    data = (container.root / "model" / "model.onnx").read_bytes()
    assert [(item["metric"], item["against"], item["confidence"]) for item in evaluation["intervals"]] == [
        ("roc_auc", "champion", 0.9),
    ]  # fmt: skip
    difference = evaluation["challenger"]["roc_auc"] - evaluation["champion"]["roc_auc"]
    assert evaluation["intervals"][0]["difference"] == pytest.approx(difference, abs=1e-9)
    by_origin = [part for part in evaluation["slices"] if part["column"] == "origin"]
    assert sum(part["rows"] for part in by_origin) == evaluation["holdout_rows"]
    assert set(by_origin[0]["metrics"]) == {"challenger", "champion", "baseline"}
    assert sum(part["column"] == "distance" for part in evaluation["slices"]) == 4
    assert 0 <= evaluation["disparities"][0]["selection_rate_difference"] <= 1
    assert evaluation["beside"]["onnx_mb"] == len(data) / 1e6
    assert 0 < evaluation["beside"]["latency_ms"] < 1000
    assert 0 < evaluation["beside"]["instability"] < 1
    # And the departure delay is the strongest single feature
    assert evaluation["leaking"] == "dep_delay"
    assert 0.7 < evaluation["beside"]["leakage"] < 1
    # And the gates have a verdict with a number on each
    gates = read_model(folder).gates
    decision = decide(
        gates,
        evaluation["challenger"],
        baseline=evaluation["baseline"],
        champion=evaluation["champion"],
        evaluation=evaluation,
    )
    assert [verdict.number is not None for verdict in decision.verdicts] == [True] * 7
    # And as a missed row is expensive, fewer are missed than with the threshold for F1
    assert evaluation["threshold"] == Model(data).signature.threshold


def test_file_explains_its_own_scores(trained: Trained, holdout: Any) -> None:
    # Given the flights' model, whose spec asks for explanations, and the job's log about them
    assert "explain a row: " in trained.log
    model = Model(trained.onnx)
    rows = holdout.instances(20)
    instances = model.instances(json.dumps({"instances": rows}).encode())
    predictions = [model.prediction(score) for score in model.score_instances(instances)]
    # When rows that it never saw are explained
    explanations = [
        item["explanation"] for item in add_explanations(model, instances, predictions, {"explain": "true"})
    ]
    # Then each sums up to the score, and the departure delay usually contributes most, as expected
    for item, prediction in zip(explanations, predictions, strict=True):
        assert item["base"] + sum(item["contributions"].values()) == pytest.approx(prediction["score"], abs=1e-9)
    most = [max(item["contributions"], key=lambda name: abs(item["contributions"][name])) for item in explanations]
    assert most.count("dep_delay") > len(most) / 2
    # And the file contains no row of the dataset
    usual = msgspec.json.decode(model.explains, type=Background)
    numbers = sorted(set(usual.columns["distance"]), key=float)  # type: ignore[arg-type]
    assert (usual.rows, len(numbers)) == (16, 16)


def test_slow_measures_need_a_gate(trained: Trained) -> None:
    evaluation = trained.json("evaluation.json")
    assert set(evaluation["beside"]) == {"latency_ms", "onnx_mb"}
    assert (evaluation["intervals"], evaluation["slices"], evaluation["disparities"]) == ([], [], [])


def test_unreachable_aim_fails_the_job_with_the_best_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Project, table: pl.DataFrame
) -> None:
    project(FIT.replace('["dep_delay", "distance"]', '["distance"]'))
    folder = tmp_path / "project" / MODELS / "flight-delay"
    (folder / "model.yaml").write_text("name: flight-delay\ndecision: {precision: 0.999}\n")
    container = prepared(tmp_path / "ml", table)
    assert ran(monkeypatch, container) == 1
    assert "no threshold reaches a precision of 0.999 on the validation rows (the best is 0." in failure(container)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_leaking_feature_is_the_strongest(task: Any) -> None:
    # Given three features, of which a text determines the target, and another has a value for each row
    random = np.random.default_rng(1)
    truth = random.random(2_000) < 0.5
    rows = pl.DataFrame(
        {
            "noise": random.random(2_000).astype(np.float32),
            "answer": [f"{'yes' if value else 'no'}{index % 3}" for index, value in enumerate(truth)],
            "name": [f"n{index}" for index in range(2_000)],
            "y": truth if task == "binary" else truth * 100.0 + random.random(2_000),
        }
    ).with_columns(noise=pl.when(pl.col("noise") > 0.1).then(pl.col("noise")))
    columns = (
        Column("noise", "number", "feature"),
        Column("answer", "string", "feature"),
        Column("name", "string", "feature"),
        Column("y", "boolean" if task == "binary" else "number", "target"),
    )
    contract = Contract(name="a", version="", columns=columns, tolerance=0.0, digest="")
    train, holdout = Rows(rows.head(1_500), contract), Rows(rows.tail(500), contract)
    kind = tasks.task_of(ModelSpec(name="a", task=task), train)
    # Then that feature is named; without it, no feature is strong
    name, number = strongest(kind, train, holdout)
    assert (name, number > 0.99) == ("answer", True)
    less = Contract(name="a", version="", columns=(columns[0], *columns[2:]), tolerance=0.0, digest="")
    assert strongest(kind, Rows(train.table, less), Rows(holdout.table, less))[1] < 0.6
