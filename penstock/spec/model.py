"""ModelSpec: `model.yaml` as typed data. Every field but the name has a default and a description.

The folder `training/models/<name>/` is one model in production: `model.yaml` (this), `contract.yaml`
(`penstock.contract.model`) and `train.py` (`fit`).
"""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, field_validator, model_validator

from penstock import yamlfile
from penstock.spec.base import Strict
from penstock.spec.data import Mode, Split, Validating, Window
from penstock.spec.decisions import (
    BESIDE,
    DISPARITIES,
    LOWER_IS_BETTER,
    METRICS,
    MOST_CLASSES,
    RESAMPLED,
    Aim,
    Approval,
    Cost,
    Evaluating,
    Gate,
    Task,
    Threshold,
    first_gates,
)
from penstock.spec.experiments import Experiments
from penstock.spec.operations import Capturing, FeatureStoring, Monitoring, Retraining, Serving, Training
from penstock.spec.rollout import Rollout
from penstock.spec.tuning import Tuning

__all__ = [
    "ARCHIVE",
    "BESIDE",
    "DISPARITIES",
    "LOWER_IS_BETTER",
    "METRICS",
    "MODELS",
    "MOST_CLASSES",
    "NAME",
    "RESAMPLED",
    "Aim",
    "Approval",
    "Capturing",
    "Cost",
    "Evaluating",
    "Experiments",
    "FeatureStoring",
    "Gate",
    "Mode",
    "ModelSpec",
    "Monitoring",
    "Retraining",
    "Rollout",
    "Serving",
    "SpecError",
    "Split",
    "Task",
    "Threshold",
    "Training",
    "Tuning",
    "Validating",
    "Window",
    "model_folders",
    "read_model",
    "schema",
]

MODELS = Path("training") / "models"
ARCHIVE = "code.zip"
"""The model's folder in the input of a run."""
WITHOUT_POSITIVE: dict[Task, str] = {"multiclass": "a multiclass model", "regression": "a regression"}
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


OPERATION: Any = {
    **dict.fromkeys(("description", "validation", "approval", "rollout", "capture", "monitoring", "retraining"), True),
    "training": {"volume_gb", "max_runtime_minutes", "spot", "max_wait_minutes"},
    "serving": set(Serving.model_fields) - {"explain"},
}
"""Fields that no run's result depends on; `serving.explain` is part of the model's file."""


class ModelSpec(Strict):
    """One model: what it predicts, how it is trained, when it may go live, how it is served and watched."""

    name: str
    """The folder's name: lower-case letters, digits and hyphens."""
    description: str = ""
    task: Task = "binary"
    """What the target is: one of two values (`binary`), one of three to fifty (`multiclass`), or an amount
    (`regression`)."""
    dataset: Mode = "append"
    """`append`: uploads add to the data. `replace`: the newest upload is all of the data. A window, `{days: 90}` or
    `{uploads: 12}`: uploads add to the data, and what is older leaves it."""
    decision: Threshold = "f1"
    """The score from which the label is positive: a number, or the best threshold on the validation rows for F1, for
    `{cost: {false_positive: 1, false_negative: 5}}`, `{recall: 0.9}` or `{precision: 0.8}`. A regression has
    no label, its score is the amount; a multiclass label is the most probable class."""
    evaluation: Evaluating = Evaluating()
    split: Split = Split()
    validation: Validating = Validating()
    training: Training = Training()
    tuning: Tuning | None = None
    """Search for the best params: each trial is a training job, and the best one goes through the gates. By
    default there is one training job, with `training.params`."""
    gates: list[Gate] = first_gates("binary")
    """All must pass. Default: `roc_auc` (multiclass: `log_loss`; regression: `r2`) is 0.05 better than the baseline's,
    and not worse than the champion's."""
    approval: Approval = Approval()
    rollout: Rollout = Rollout()
    serving: Serving = Serving()
    capture: Capturing = Capturing()
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    feature_store: FeatureStoring | None = None
    """Keep the latest features of each entity in a SageMaker feature group; `{}` takes the defaults. By
    default there is none."""
    experiments: Experiments | None = None
    """Log every judged run to an MLflow tracking server too. By default runs are recorded in the ledger only."""

    def training_fields(self) -> str:
        """Return the fields that decide what a run trains and how it is judged, as JSON.

        The others say how a version is approved, rolled out, served and watched: their change trains nothing.
        """
        return self.model_dump_json(exclude=OPERATION)

    @model_validator(mode="before")
    @classmethod
    def _gates_of_the_task(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and "gates" not in fields:
            other = next((task for task in METRICS if task == fields.get("task")), None)
            return fields | {"gates": first_gates(other)} if other else fields
        return fields

    @field_validator("tuning")
    @classmethod
    def _searches(cls, tuning: Tuning | None, info: ValidationInfo) -> Tuning | None:
        if tuning is None:
            return None
        measured = METRICS[info.data.get("task", "binary")]
        if tuning.metric and tuning.metric not in measured:
            raise ValueError(f"{tuning.metric!r} is not measured on validation rows; there are {', '.join(measured)}")
        fixed = info.data.get("training", Training()).params
        if both := [name for name in tuning.ranges if name in fixed]:
            raise ValueError(f"{both[0]} is in training.params and in tuning.ranges: take it out of one of them")
        return tuning.model_copy(update={"metric": tuning.metric or measured[0]})

    @field_validator("gates")
    @classmethod
    def _measured(cls, gates: list[Gate], info: ValidationInfo) -> list[Gate]:
        task = info.data.get("task", "binary")
        evaluation = info.data.get("evaluation", Evaluating())
        for gate in gates:
            if gate.metric in DISPARITIES and task != "binary":
                raise ValueError(f"{gate.metric} compares positive labels, which {WITHOUT_POSITIVE[task]} has not")
            if gate.metric in DISPARITIES and not evaluation.groups:
                raise ValueError(f"a gate on {gate.metric} needs columns to compare: name them in evaluation.groups")
            if gate.slice is not None and not evaluation.slices:
                raise ValueError("a gate on the worst slice needs columns: name them in evaluation.slices")
        if strange := [gate.metric for gate in gates if gate.metric not in (*METRICS[task], *BESIDE, *DISPARITIES)]:
            raise ValueError(
                f"{strange[0]!r} is not measured where the task is {task}; there are {', '.join(METRICS[task])}"
            )
        return gates

    @field_validator("evaluation")
    @classmethod
    def _compares_labels(cls, evaluation: Evaluating, info: ValidationInfo) -> Evaluating:
        if evaluation.groups and (kind := WITHOUT_POSITIVE.get(info.data.get("task", "binary"))):
            raise ValueError(f"groups are compared by positive labels, which {kind} has not: name them as slices")
        return evaluation

    @field_validator("decision")
    @classmethod
    def _decides(cls, decision: float | str | Aim, info: ValidationInfo) -> float | str | Aim:
        if info.data.get("task") == "regression":
            raise ValueError("a regression has no label to decide on: take the line out")
        if info.data.get("task") == "multiclass":
            raise ValueError("a multiclass label is the most probable class, without a threshold: take the line out")
        return decision


class SpecError(Exception):
    """A model folder that cannot be used; the message says where and what to change."""


def read_model(folder: Path) -> ModelSpec:
    """Read the specification of a model folder.

    Raises:
        SpecError: naming file, line and field.
    """
    path = folder / "model.yaml"
    try:
        spec = yamlfile.read(path, ModelSpec)
    except yamlfile.FileError as error:
        raise SpecError(str(error)) from None
    if not NAME.fullmatch(spec.name) or len(spec.name) > 30:
        raise SpecError(f"{path}: name: {spec.name!r} is not lower-case letters, digits and hyphens (at most 30)")
    return spec


def model_folders(root: Path) -> list[Path]:
    """List the model folders of a project, sorted by name.

    Raises:
        SpecError: when a folder's name is not the name in its `model.yaml`.
    """
    folders = sorted(path.parent for path in (root / MODELS).glob("*/model.yaml"))
    for folder in folders:
        if (name := read_model(folder).name) != folder.name:
            raise SpecError(f"{folder / 'model.yaml'}: name: {name!r} must be the folder's name, {folder.name!r}")
    return folders


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `model.yaml`, for editors."""
    return ModelSpec.model_json_schema()
