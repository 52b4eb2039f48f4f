"""ModelSpec: `model.yaml` as typed data. Every field has a default and says what it does.

The folder `training/models/<name>/` is one model in production: `model.yaml` (this), `contract.yaml`
(`penstock.contract`) and `train.py` (`fit`).
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from penstock import yamlfile

MODELS = Path("training") / "models"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

Share = Annotated[float, Field(gt=0, lt=1)]
Task = Literal["binary", "regression"]
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1", "precision", "recall", "calibration_error"),
    "regression": ("r2", "rmse", "mae", "pinball_10", "pinball_90"),
}
"""What an evaluation measures, the metric that says most first."""
DISPARITIES = ("selection_rate_difference", "selection_rate_ratio", "tpr_difference", "fpr_difference")
"""What is measured between the groups of `evaluation.groups`."""
BESIDE = ("latency_ms", "onnx_mb", "leakage", "instability")
"""What is measured of the challenger beside its metrics."""
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae", "pinball_10", "pinball_90"})
RESAMPLED = frozenset(metric for metrics in METRICS.values() for metric in metrics) - {"calibration_error"}
"""Those of them whose difference has an interval."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Split(Strict):
    """How rows are dealt out."""

    by: Literal["key", "time"] = "key"
    """`key`: by hash of the row key, so a row is always on the same side. `time`: the newest rows by event time are
    the holdout; the boundary is kept with the dataset version and only ever moves on, so that no model is judged on a
    row that an earlier one was trained on. Change it: the champion may then have seen holdout rows."""
    holdout: Share = 0.2
    """Share of rows that no model is ever trained on; gates are decided on them."""
    validation: Share = 0.15
    """Share of rows for early stopping and for choosing the decision threshold."""
    salt: str = "penstock"
    """Change it to deal anew; the champion may then have seen holdout rows."""

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> "Split":
        if self.holdout + self.validation > 0.9:
            raise ValueError("holdout and validation together leave less than a tenth of the rows for training")
        return self


class Window(Strict):
    """A dataset of the newest data only. Give `days` or `uploads`."""

    days: int | None = Field(default=None, ge=1)
    """Rows whose event time is at most this long before the newest one's."""
    uploads: int | None = Field(default=None, ge=1)
    """The rows of this many uploads, the newest; a closed folder is one upload."""

    @model_validator(mode="after")
    def _one_measure(self) -> "Window":
        if (self.days is None) == (self.uploads is None):
            raise ValueError("a window is measured in days or in uploads: give one of them")
        return self


def _names_a_mode(value: Any) -> Any:
    if isinstance(value, dict | Window) or value in ("append", "replace"):
        return value
    raise ValueError("input should be 'append' or 'replace', or a window: {days: 90} or {uploads: 12}")


def _mode_kind(value: Any) -> str:
    return "window" if isinstance(value, dict | Window) else "name"


Mode = Annotated[
    Annotated[Literal["append", "replace"], Tag("name")] | Annotated[Window, Tag("window")],
    Discriminator(_mode_kind),
    BeforeValidator(_names_a_mode),
]


class Validating(Strict):
    """Where uploads are checked: by a function; above a size by a SageMaker Processing job, with the same code."""

    job_above_mb: int = Field(default=1000, ge=0, le=2000)
    """Megabytes of a run's files above which a job checks them, as they are stored (gzip counts as it is)."""
    instance_type: str = "ml.m5.xlarge"
    """SageMaker instance type of that job."""
    volume_gb: int = Field(default=100, ge=1)
    """Its disk: three times the largest file, decompressed, is enough."""
    max_runtime_minutes: int = Field(default=240, ge=1)
    """It is stopped after this time."""


class Training(Strict):
    instance_type: str = "ml.m5.large"
    """SageMaker instance type of the training job."""
    volume_gb: int = Field(default=30, ge=1)
    """Disk of the training job."""
    max_runtime_minutes: int = Field(default=60, ge=1)
    """The job is stopped after this time."""
    spot: bool = True
    """Use spot capacity; a job that is interrupted starts over."""
    max_wait_minutes: int = Field(default=120, ge=1)
    """With spot: how long to wait for capacity and run, together."""
    params: dict[str, JsonValue] = {}
    """Handed to `fit` as they are."""

    @model_validator(mode="after")
    def _waits_long_enough(self) -> "Training":
        if self.spot and self.max_wait_minutes < self.max_runtime_minutes:
            raise ValueError("max_wait_minutes is shorter than max_runtime_minutes: raise it, or set spot to false")
        return self


class Gate(Strict):
    """One condition on a number. Give `min` or `max`, or compare with `against` and `by`."""

    metric: str
    """A metric of the evaluation, e.g. `roc_auc`, `log_loss`, `brier`, `f1`; of a regression `r2`, `rmse`, `mae`.
    With `max` also `latency_ms` (median of scoring one row), `onnx_mb` (size of the file), `leakage` (the ROC AUC, of a
    regression the R², that the best single feature reaches alone), `instability` (mean change of a score when the
    model is fitted again on rows dealt anew and, where `training.params` has a `seed`, with the next one; a
    regression's in standard deviations of the target). Between the groups of `evaluation.groups`:
    `selection_rate_difference`, `tpr_difference`, `fpr_difference` with `max`, `selection_rate_ratio` with `min`."""
    min: float | None = None
    """The metric must be at least this."""
    max: float | None = None
    """The metric must be at most this."""
    against: Literal["baseline", "champion"] | None = None
    """Compare with the naive baseline or with the live model, on the same holdout rows. While no model is live, what
    is against the champion is held against the baseline."""
    by: float = 0.0
    """The challenger must be better by this much; negative: may be worse by it."""
    confidence: float | None = Field(default=None, ge=0.5, lt=1)
    """How sure the comparison must be, e.g. 0.95: the lower end of the difference's interval at this confidence must
    lie above `by`. A challenger that is no better passes `by: 0` in less than 1 - confidence of all cases (in about
    half of that)."""
    slice: Literal["worst"] | None = None
    """`worst`: the condition must hold in each slice of `evaluation.slices` that has enough rows."""

    @model_validator(mode="after")
    def _one_condition(self) -> "Gate":
        given = [name for name in ("min", "max", "against") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a gate has one condition of min, max, against; this one has {' and '.join(given) or 'none'}"
            )
        if self.confidence is not None and self.against is None:
            raise ValueError("a confidence is of a comparison: add against: champion or baseline, or take it out")
        if self.confidence is not None and self.metric not in RESAMPLED:
            raise ValueError(f"{self.metric} has no interval: take confidence out")
        if self.slice is not None and self.confidence is not None:
            raise ValueError("a gate on the worst slice has no confidence: take one of the two out")
        only = "min" if self.metric == "selection_rate_ratio" else "max"
        if self.metric in (*BESIDE, *DISPARITIES) and (given != [only] or self.slice is not None):
            raise ValueError(f"a gate on {self.metric} has {only}, and nothing else")
        return self


class Evaluating(Strict):
    """In which parts of the holdout the model is measured too."""

    slices: list[str] = []
    """Feature columns: metrics for each of their values; of numbers, between the quartiles."""
    groups: list[str] = []
    """Feature columns between whose values a classification must be fair."""
    min_rows: int = Field(default=50, ge=10)
    """Fewer rows than this are no slice and no group; values that fewer have are taken together."""


class Cost(Strict):
    """What a wrong label costs, in any unit."""

    false_positive: float = Field(default=1, gt=0)
    """Of a negative row that is labelled positive."""
    false_negative: float = Field(default=1, gt=0)
    """Of a positive row that is labelled negative."""


class Aim(Strict):
    """What the decision threshold is for. Give one."""

    cost: Cost | None = None
    """The threshold at which wrong labels cost least."""
    recall: Share | None = None
    """The highest threshold at which at least this share of the positive rows is found."""
    precision: Share | None = None
    """The threshold that finds most while at least this share of the positive labels is right."""

    @model_validator(mode="after")
    def _one_aim(self) -> "Aim":
        if sum(aim is not None for aim in (self.cost, self.recall, self.precision)) != 1:
            raise ValueError("a decision has one aim of cost, recall, precision")
        return self


def _aim_kind(value: Any) -> str:
    return "aim" if isinstance(value, dict | Aim) else "value"


Threshold = Annotated[
    Annotated[Literal["f1"] | Share, Tag("value")] | Annotated[Aim, Tag("aim")], Discriminator(_aim_kind)
]


class Approval(Strict):
    policy: Literal["person", "auto"] = "person"
    """`person`: people approve. `auto`: what passed the gates is approved at once, for the stages `local` and `dev`;
    `prod` refuses to deploy it."""
    who: list[str] = ["*"]
    """Patterns (`*` and `?`) on the ARN of whoever approves; one must fit."""
    approvers: int = Field(default=1, ge=1, le=5)
    """How many different principals must approve. A role is one, whatever its sessions are called; people of IAM
    Identity Center are one each."""
    four_eyes: bool = False
    """Whether whoever started the run, or pushed its data, may not approve what it made. Where that is not known, two
    must approve."""
    reason: bool = True
    """Whether an approval must give a reason."""
    max_age_days: int = Field(default=30, ge=1)
    """A version older than this can no longer be approved."""


class Serving(Strict):
    memory_mb: int = Field(default=1769, ge=256, le=10240)
    """Memory of the predict function; 1,769 MB are one vCPU."""
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    """An answer that takes longer is an error."""
    max_rows: int = Field(default=500, ge=1, le=10_000)
    """Most rows in one request."""
    throttle_rate: int = Field(default=200, ge=1)
    """Requests per second that the API admits in the long run."""
    throttle_burst: int = Field(default=400, ge=1)
    """Requests that the API admits at once."""


class Monitoring(Strict):
    schedule_minutes: int = Field(default=60, ge=1)
    """How often the monitor looks."""
    min_rows: int = Field(default=500, ge=30)
    """Fewer new rows than this are too little data for a verdict; they wait for more."""
    psi_threshold: float = Field(default=0.25, gt=0)
    """Population stability index from which a column has drifted (0.1 a little, 0.25 much, by common usage)."""
    label_days: int = Field(default=30, ge=1)
    """How long after an answer its ground truth may come."""


class Retraining(Strict):
    on_drift: bool = True
    """Whether the drift alarm starts a run."""
    cooldown_minutes: int = Field(default=60, ge=0)
    """After a run that an alarm started, alarms start no other for this long."""
    per_day: int = Field(default=4, ge=1)
    """At most this many alarm-started runs in 24 hours."""


class FeatureStoring(Strict):
    """What a SageMaker feature group keeps: the latest features of each entity, so that a request may name it only."""

    entity: str | None = None
    """The contract's column that names the entity, a string or an integer; unless given, the row key."""
    features: list[str] | None = Field(default=None, min_length=1)
    """The contract's feature columns that are stored; unless given, all but the entity."""
    online: bool = True
    """Keep each entity's latest features for requests."""
    offline: bool = True
    """Append every change to Parquet files under `features/` in the lake."""
    generation: int = Field(default=1, ge=1)
    """Raise it for a new group of the same shape, e.g. where going back to an earlier shape finds its group kept."""

    @model_validator(mode="after")
    def _stores_somewhere(self) -> "FeatureStoring":
        if not (self.online or self.offline):
            raise ValueError("a feature store is online, offline or both: set one to true, or take feature_store out")
        return self


def _first_gates(task: Task) -> list[Gate]:
    """Better than the naive baseline, and no worse than the champion, by the task's first metric."""
    first = METRICS[task][0]
    return [Gate(metric=first, against="baseline", by=0.05), Gate(metric=first, against="champion")]


class ModelSpec(Strict):
    """One model: what it predicts, how it is trained, when it may go live, how it is served and watched."""

    name: str
    """The folder's name: lower-case letters, digits and hyphens."""
    description: str = ""
    task: Task = "binary"
    """What the target is: one of two values (`binary`), or an amount (`regression`)."""
    dataset: Mode = "append"
    """`append`: uploads add to the data. `replace`: the newest upload is all of the data. A window, `{days: 90}` or
    `{uploads: 12}`: uploads add to the data, and what is older leaves it."""
    decision: Threshold = "f1"
    """The score from which the label is positive: a number, or what is best on the validation rows for F1, for
    `{cost: {false_positive: 1, false_negative: 5}}`, `{recall: 0.9}` or `{precision: 0.8}`. A regression's score is the
    amount itself, and has no label."""
    evaluation: Evaluating = Evaluating()
    split: Split = Split()
    validation: Validating = Validating()
    training: Training = Training()
    gates: list[Gate] = _first_gates("binary")
    """All must pass. Unless given: `roc_auc` (a regression: `r2`) is 0.05 better than the baseline's, and not worse
    than the champion's."""
    approval: Approval = Approval()
    serving: Serving = Serving()
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    feature_store: FeatureStoring | None = None
    """Keep the latest features of each entity in a SageMaker feature group; `{}` takes the defaults. Unless given,
    there is none."""

    @model_validator(mode="before")
    @classmethod
    def _gates_of_a_regression(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("task") == "regression" and "gates" not in given:
            return given | {"gates": _first_gates("regression")}
        return given

    @field_validator("gates")
    @classmethod
    def _measured(cls, gates: list[Gate], info: ValidationInfo) -> list[Gate]:
        task = info.data.get("task", "binary")
        evaluation = info.data.get("evaluation", Evaluating())
        for gate in gates:
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
        if evaluation.groups and info.data.get("task") == "regression":
            raise ValueError("groups are compared by their labels, which a regression has not: name them as slices")
        return evaluation

    @field_validator("decision")
    @classmethod
    def _decides(cls, decision: float | str | Aim, info: ValidationInfo) -> float | str | Aim:
        if info.data.get("task") == "regression":
            raise ValueError("a regression has no label to decide on: take the line out")
        return decision


class SpecError(Exception):
    """A model folder that cannot be used; the message says where and what to change."""


def read_model(folder: Path) -> ModelSpec:
    """The spec of a model folder.

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
    """The model folders of a project, by name.

    Raises:
        SpecError: when a folder's name is not the name in its `model.yaml`.
    """
    folders = sorted(path.parent for path in (root / MODELS).glob("*/model.yaml"))
    for folder in folders:
        if (name := read_model(folder).name) != folder.name:
            raise SpecError(f"{folder / 'model.yaml'}: name: {name!r} must be the folder's name, {folder.name!r}")
    return folders


def code_digest(root: Path, model: str, *, specification: bool = True) -> str:
    """SHA-256 (hex) over every file that decides what the model's training job does.

    The model's folder, the entry points, the library below them and the locked packages; not the command, the page,
    the laptop cloud or what writes a first model folder, which no job runs.
    Without `specification`, not what `model.yaml` and `contract.yaml` say either.
    """
    folders = [root / MODELS / model, root / "training" / "steps", root / "penstock"]
    said = {"model.yaml", "contract.yaml"} if not specification else set()
    aside = {root / "penstock" / name for name in ("cli", "ui", "local", "init.py", "init_files.py", "init_types.py")}
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name not in said]
    kept = [path for path in files if not aside & {path, *path.parents} and "__pycache__" not in path.parts]
    digest = hashlib.sha256()
    for path in sorted([*kept, root / "uv.lock", root / "training" / "Dockerfile"]):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def schema() -> dict[str, Any]:
    """The JSON Schema of `model.yaml`, for editors."""
    return ModelSpec.model_json_schema()
