"""`model.yaml` as typed data, its errors, and what the code digest covers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.spec.model import MODELS, SpecError, model_folders, read_model, schema

Write = Callable[[str, str], Path]
PROJECT = Path(__file__).parents[3]


def test_every_field_has_its_documented_default(model_folder: Write) -> None:
    # Given a file with nothing but the name
    # When it is read
    spec = read_model(model_folder("name: small\n", ""))
    # Then everything else is the default
    assert spec.model_dump() == {
        "name": "small",
        "description": "",
        "task": "binary",
        "dataset": "append",
        "decision": "f1",
        "split": {"by": "key", "holdout": 0.2, "validation": 0.15, "salt": "penstock"},
        "training": {
            "instance_type": "ml.m5.large",
            "volume_gb": 30,
            "max_runtime_minutes": 60,
            "spot": True,
            "max_wait_minutes": 120,
            "params": {},
        },
        "gates": [
            {
                "metric": "roc_auc",
                "min": None,
                "max": None,
                "against": "baseline",
                "by": 0.05,
                "confidence": None,
                "slice": None,
            },
            {
                "metric": "roc_auc",
                "min": None,
                "max": None,
                "against": "champion",
                "by": 0.0,
                "confidence": None,
                "slice": None,
            },
        ],
        "approval": {
            "policy": "person",
            "who": ["*"],
            "approvers": 1,
            "four_eyes": False,
            "reason": True,
            "max_age_days": 30,
        },
        "serving": {
            "target": "lambda",
            "endpoint": {
                "instance_type": "ml.m5.large",
                "instances": {"min": 1, "max": 1},
                "invocations_per_instance": 3000,
                "startup_minutes": 10,
            },
            "memory_mb": 1769,
            "timeout_seconds": 10,
            "max_rows": 500,
            "throttle_rate": 200,
            "throttle_burst": 400,
            "auth": "iam",
            "cors": None,
            "snap_start": "auto",
            "domain": {},
            "explain": None,
        },
        "monitoring": {"schedule_minutes": 60, "min_rows": 500, "psi_threshold": 0.25, "label_days": 30},
        "retraining": {"on_drift": True, "cooldown_minutes": 60, "per_day": 4},
    } | {
        # Fields that came after this test was written have defaults too; the table above must not change.
        name: value
        for name, value in spec.model_dump().items()
        if name not in WRITTEN
    }


ARN = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
WRITTEN = {
    "name", "description", "task", "dataset", "decision", "split", "training", "gates", "approval", "serving",
    "monitoring", "retraining",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("name: a\ncolour: red\n", 2, "colour", "is not a field here"),
        ("name: a\n\nserving:\n  memory: 3\n", 4, "serving.memory", "is not a field here"),
        ("description: x\n", 1, "name", "field required"),
        ("name: a\ntask: ranking\n", 2, "task", "input should be 'binary', 'multiclass' or 'regression'"),
        (
            "name: a\ntask: regression\ngates:\n  - {metric: roc_auc, min: 1}\n",
            3,
            "gates",
            "'roc_auc' is not measured where the task is regression; there are r2, rmse",
        ),
        (
            "name: a\ngates:\n  - {metric: rmse, max: 1}\n",
            2,
            "gates",
            "'rmse' is not measured where the task is binary",
        ),
        ("name: a\ntask: regression\ndecision: 0.5\n", 3, "decision", "a regression has no label to decide on"),
        ("name: a\ndataset: both\n", 2, "dataset", "input should be 'append' or 'replace'"),
        ("name: a\ndataset: {days: 0}\n", 2, "dataset.window.days", "greater than or equal to 1"),
        ("name: a\ndataset: {}\n", 2, "dataset.window", "measured in days or in uploads: give one of them"),
        ("name: a\nsplit:\n  holdout: 1\n", 3, "split.holdout", "input should be less than 1"),
        ("name: a\nsplit:\n  holdout: 0.6\n  validation: 0.4\n", 2, "split", "less than a tenth of the rows"),
        ("name: a\nserving:\n  target: edge\n", 3, "serving.target", "'lambda' or 'endpoint'"),
        (
            "name: a\nserving:\n  endpoint: {startup_minutes: 5}\n",
            2,
            "serving",
            "endpoint is for target endpoint, and target is lambda: write target: endpoint, or take endpoint out",
        ),
        (
            "name: a\nserving:\n  target: endpoint\n  memory_mb: 1769\n",
            2,
            "serving",
            "memory_mb is for target lambda: take it out",
        ),
        (
            "name: a\nserving:\n  target: endpoint\n  endpoint: {instances: {min: 0}}\n",
            4,
            "serving.endpoint.instances",
            "target: lambda, which costs nothing while there are no requests",
        ),
        (
            "name: a\nserving:\n  target: endpoint\n  endpoint: {instances: {min: 3, max: 2}}\n",
            4,
            "serving.endpoint.instances",
            "max is 2 and min is 3: raise max",
        ),
        (
            "name: a\nserving:\n  target: endpoint\n  endpoint: {instance_type: m5.large}\n",
            4,
            "serving.endpoint.instance_type",
            "give one such as ml.m5.large",
        ),
        ("name: a\nserving:\n  max_rows: 0\n", 3, "serving.max_rows", "greater than or equal to 1"),
        ("name: a\nserving:\n  explain: {rows: 3}\n", 3, "serving.explain.rows", "is not a field here"),
        (
            "name: a\nserving:\n  explain: {scorings: 9}\n",
            3,
            "serving.explain.scorings",
            "greater than or equal to 256",
        ),
        ("name: a\nserving:\n  max_rows: many\n", 3, "serving.max_rows", "valid integer"),
        ("name: a\nserving:\n  auth: basic\n", 3, "serving.auth", "'basic' is no authentication: write iam"),
        (
            "name: a\nserving:\n  auth: {jwt: {issuer: 'http://id', audience: [a]}}\n",
            3,
            "serving.auth.tokens.jwt.issuer",
            "give its https:// address",
        ),
        (
            "name: a\nserving:\n  auth: {jwt: {issuer: 'https://id', audience: []}}\n",
            3,
            "serving.auth.tokens.jwt.audience",
            "at least 1 item",
        ),
        ("name: a\nserving:\n  cors: {origins: ['https://a.b/c']}\n", 3, "serving.cors.origins", "is no origin"),
        ("name: a\nserving:\n  cors: {origins: ['http://a.b']}\n", 3, "serving.cors.origins", "is no origin"),
        (
            "name: a\nserving:\n  domain: {test: {name: a.bc, certificate: %ARN}}\n".replace("%ARN", ARN),
            3,
            "serving.domain",
            "there is no stage 'test': there are local, dev, prod",
        ),
        (
            "name: a\nserving:\n  domain: {prod: {name: A.bc, certificate: %ARN}}\n".replace("%ARN", ARN),
            3,
            "serving.domain.prod.name",
            "no host",
        ),
        (
            "name: a\nserving:\n  domain: {prod: {name: a.bc, certificate: x}}\n",
            3,
            "serving.domain.prod.certificate",
            "is no certificate",
        ),
        ("name: a\ntraining:\n  spot: true\n  max_wait_minutes: 5\n", 2, "training", "or set spot to false"),
        (
            "name: a\ngates:\n  - {metric: f1, min: 0.5}\n  - {metric: f1, min: 0.5, max: 0.9}\n",
            4,
            "gates.1",
            "min and max",
        ),
        (
            "name: a\ngates:\n  - {metric: f1, min: 0.5, confidence: 0.9}\n",
            3,
            "gates.0",
            "a confidence is of a comparison",
        ),
        (
            "name: a\ngates:\n  - {metric: calibration_error, against: champion, confidence: 0.9}\n",
            3,
            "gates.0",
            "calibration_error has no interval: take confidence out",
        ),
        (
            "name: a\ngates:\n  - {metric: f1, against: baseline, slice: worst, confidence: 0.9}\n",
            3,
            "gates.0",
            "a gate on the worst slice has no confidence",
        ),
        ("name: a\ngates:\n  - {metric: latency_ms, min: 1}\n", 3, "gates.0", "latency_ms has max, and nothing else"),
        (
            "name: a\nevaluation: {groups: [x]}\ngates:\n  - {metric: selection_rate_ratio, max: 1}\n",
            4,
            "gates.0",
            "selection_rate_ratio has min, and nothing else",
        ),
        ("name: a\ngates:\n  - {metric: f1, min: 0.1, slice: worst}\n", 2, "gates", "name them in evaluation.slices"),
        ("name: a\ngates:\n  - {metric: tpr_difference, max: 1}\n", 2, "gates", "name them in evaluation.groups"),
        (
            "name: a\ntask: regression\nevaluation: {groups: [x]}\n",
            3,
            "evaluation",
            "by positive labels, which a regression has not: name them as slices",
        ),
        (
            "name: a\ntask: multiclass\nevaluation: {groups: [x]}\n",
            3,
            "evaluation",
            "by positive labels, which a multiclass model has not: name them as slices",
        ),
        (
            "name: a\ntask: multiclass\ngates:\n  - {metric: tpr_difference, max: 1}\n",
            3,
            "gates",
            "tpr_difference compares positive labels, which a multiclass model has not",
        ),
        (
            "name: a\ntask: multiclass\ngates:\n  - {metric: pr_auc, min: 0.1}\n",
            3,
            "gates",
            "'pr_auc' is not measured where the task is multiclass; there are log_loss, roc_auc",
        ),
        ("name: a\ntask: multiclass\ndecision: f1\n", 3, "decision", "a multiclass label is the most probable class"),
        ("name: a\ndecision: {cost: {}, recall: 0.9}\n", 2, "decision.aim", "one aim of cost, recall, precision"),
        ("name: a\ngates:\n  - metric: f1\n", 3, "gates.0", "this one has none"),
        ("name: a\ngates:\n  - {metric: f1, against: nobody}\n", 3, "gates.0.against", "'baseline' or 'champion'"),
        ("name: a\nmonitoring:\n  min_rows: 2\n", 3, "monitoring.min_rows", "greater than or equal to 30"),
        ("name: a\nretraining:\n\n\n  per_day: 0\n", 5, "retraining.per_day", "greater than or equal to 1"),
        ("name: a\napproval: [x]\n", 2, "approval", "valid dictionary"),
    ],
)
def test_a_fault_is_named_with_file_line_and_field(
    model_folder: Write, text: str, line: int, field: str, words: str
) -> None:
    folder = model_folder(text, "")
    with pytest.raises(SpecError) as caught:
        read_model(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'model.yaml'}:{line}: {field}: ")
    assert words in message
    assert "\n" not in message


def test_every_fault_has_its_own_line(model_folder: Write) -> None:
    folder = model_folder("name: a\none: 1\ntwo: 2\n", "")
    with pytest.raises(SpecError) as caught:
        read_model(folder)
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        f"{folder / 'model.yaml'}:2",
        f"{folder / 'model.yaml'}:3",
    ]


@pytest.mark.parametrize("name", ["Upper", "a_b", "1a", "a--b", "-a", "a-", "a" * 31, "ä", "'a b'", "''"])
def test_a_name_that_no_resource_could_have(model_folder: Write, name: str) -> None:
    with pytest.raises(SpecError, match="is not lower-case letters, digits and hyphens"):
        read_model(model_folder(f"name: {name}\n", ""))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: [\n", "not YAML"),
        (b"- a\n- b\n", "expected fields"),
        (b"", "expected fields"),
        (b"name: \xff\n", "cannot be read as UTF-8 text"),
        (b"name: !!python/object:os.system x\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "model.yaml").write_bytes(content)
    with pytest.raises(SpecError, match=words) as caught:
        read_model(tmp_path)
    assert str(tmp_path / "model.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_model_yaml_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        read_model(tmp_path)


def test_a_folder_that_is_named_otherwise(tmp_path: Path) -> None:
    # Given two folders, one of which is a renamed copy
    for folder in ("one", "two"):
        path = tmp_path / MODELS / folder
        path.mkdir(parents=True)
        (path / "model.yaml").write_text("name: one\n")
    # When the project's models are listed
    # Then the error names the copy and both model names
    with pytest.raises(SpecError, match="'one' must be the folder's name, 'two'"):
        model_folders(tmp_path)


def test_the_projects_own_models_are_read() -> None:
    assert "flight-delay" in [folder.name for folder in model_folders(PROJECT)]


def test_every_field_of_the_schema_is_described() -> None:
    # Given the JSON Schema that editors complete from
    document = schema()
    # When the descriptions of all fields are collected
    sections = [document, *document["$defs"].values()]
    bare = [
        f"{section['title']}.{name}"
        for section in sections
        for name, about in section.get("properties", {}).items()
        if "description" not in about and "$ref" not in about and name not in {"description", "gates", "params"}
    ]
    # Then no field lacks one
    assert bare == []


def test_a_regression_has_gates_of_its_own(model_folder: Write) -> None:
    spec = read_model(model_folder("name: a\ntask: regression\n", ""))
    assert [(gate.metric, gate.against, gate.by) for gate in spec.gates] == [
        ("r2", "baseline", 0.05),
        ("r2", "champion", 0.0),
    ]


def test_many_classes_have_gates_of_their_own(model_folder: Write) -> None:
    spec = read_model(model_folder("name: a\ntask: multiclass\n", ""))
    assert [(gate.metric, gate.against, gate.by) for gate in spec.gates] == [
        ("log_loss", "baseline", 0.05),
        ("log_loss", "champion", 0.0),
    ]
