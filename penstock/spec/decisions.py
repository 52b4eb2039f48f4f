"""Fields of `model.yaml` for evaluation, gates, decision threshold and approval."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from penstock.spec.base import Share, Strict

Task = Literal["binary", "multiclass", "regression"]
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "f1", "precision", "recall", "calibration_error"),
    "multiclass": (
        "log_loss", "roc_auc", "brier", "accuracy", "balanced_accuracy", "f1", "recall", "precision",
        "calibration_error",
    ),
    "regression": ("r2", "rmse", "mae", "pinball_10", "pinball_90"),
}  # fmt: skip
"""Metrics of each task, the main one first. For multiclass that is the log loss: it uses all class probabilities of
every row, and needs no positive class."""
MOST_CLASSES = 50
"""Most classes of a multiclass target."""
DISPARITIES = ("selection_rate_difference", "selection_rate_ratio", "tpr_difference", "fpr_difference")
"""Metrics that compare the groups of `evaluation.groups`."""
BESIDE = ("latency_ms", "onnx_mb", "leakage", "instability")
"""Further measurements of the challenger that a gate can limit."""
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae", "pinball_10", "pinball_90"})
RESAMPLED = frozenset(metric for metrics in METRICS.values() for metric in metrics) - {"calibration_error"}
"""Metrics whose difference between two models has a confidence interval."""


class Gate(Strict):
    """One condition on a number. Give `min` or `max`, or compare with `against` and `by`."""

    metric: str
    """A metric of the evaluation, e.g. `roc_auc`, `log_loss`, `brier`, `f1`; for a regression `r2`, `rmse`, `mae`. For
    multiclass, `roc_auc` compares each class with the rest; it, `f1`, `recall` and `precision` are unweighted means
    over the classes, so `recall` equals `balanced_accuracy`.
    With `max` also `latency_ms` (median of scoring one row), `onnx_mb` (size of the file), `leakage` (the ROC AUC, or
    a regression's R², that the best single feature reaches alone), `instability` (mean change of a score when the
    model is fitted again on rows divided anew and, if `training.params` has a `seed`, with the next seed; for a
    regression in standard deviations of the target). Between the groups of `evaluation.groups`:
    `selection_rate_difference`, `tpr_difference`, `fpr_difference` with `max`, `selection_rate_ratio` with `min`."""
    min: float | None = None
    """The metric must be at least this."""
    max: float | None = None
    """The metric must be at most this."""
    against: Literal["baseline", "champion"] | None = None
    """Compare with the naive baseline or with the live model, on the same holdout rows. While no model is live,
    `champion` compares with the baseline."""
    by: float = 0.0
    """The challenger must be better by this much; a negative number allows it to be worse by as much."""
    confidence: float | None = Field(default=None, ge=0.5, lt=1)
    """How sure the comparison must be, e.g. 0.95: the lower end of the difference's interval at this confidence must
    lie above `by`. A challenger that is no better passes `by: 0` in less than 1 - confidence of all cases (in about
    half of that)."""
    slice: Literal["worst"] | None = None
    """`worst`: the condition must hold in each slice of `evaluation.slices` that has enough rows."""

    @model_validator(mode="after")
    def _one_condition(self) -> "Gate":
        limits = [name for name in ("min", "max", "against") if getattr(self, name) is not None]
        if len(limits) != 1:
            raise ValueError(
                f"a gate has one condition of min, max, against; this one has {' and '.join(limits) or 'none'}"
            )
        if self.confidence is not None and self.against is None:
            raise ValueError("a confidence is of a comparison: add against: champion or baseline, or take it out")
        if self.confidence is not None and self.metric not in RESAMPLED:
            raise ValueError(f"{self.metric} has no interval: take confidence out")
        if self.slice is not None and self.confidence is not None:
            raise ValueError("a gate on the worst slice has no confidence: take one of the two out")
        only = "min" if self.metric == "selection_rate_ratio" else "max"
        if self.metric in (*BESIDE, *DISPARITIES) and (limits != [only] or self.slice is not None):
            raise ValueError(f"a gate on {self.metric} has {only}, and nothing else")
        return self


class Evaluating(Strict):
    """The parts of the holdout on which the model is also measured."""

    slices: list[str] = Field(default=[])
    """Feature columns: metrics are computed for each of their values; for numbers, for each quarter of the values."""
    groups: list[str] = Field(default=[])
    """Feature columns whose values a binary classification must treat fairly."""
    min_rows: int = Field(default=50, ge=10)
    """Fewest rows of a slice or group; values with fewer rows are put together."""


class Cost(Strict):
    """What a wrong label costs, in any unit."""

    false_positive: float = Field(default=1, gt=0)
    """Cost of a negative row that is labelled positive."""
    false_negative: float = Field(default=1, gt=0)
    """Cost of a positive row that is labelled negative."""


class Aim(Strict):
    """What the decision threshold optimises. Give one field."""

    cost: Cost | None = None
    """Choose the threshold at which wrong labels cost least."""
    recall: Share | None = None
    """Choose the highest threshold at which at least this share of the positive rows is labelled positive."""
    precision: Share | None = None
    """Choose the threshold with the highest recall at which at least this share of the positive labels is right."""

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
    """`person`: people approve. `auto`: a version that passed the gates is approved at once, in the stages `local` and
    `dev`; a deployment to `prod` is refused."""
    who: list[str] = Field(default=["*"])
    """Patterns (`*` and `?`) for the ARN of the approving principal; one must match."""
    approvers: int = Field(default=1, ge=1, le=5)
    """How many different principals must approve. All sessions of a role count as one; each person of IAM Identity
    Center counts as one."""
    four_eyes: bool = False
    """Whether the principal who started the run or pushed its data is barred from approving the version. If that
    principal is not known, two must approve."""
    reason: bool = True
    """Whether an approval must give a reason."""
    max_age_days: int = Field(default=30, ge=1)
    """A version older than this can no longer be approved."""


def first_gates(task: Task) -> list[Gate]:
    """Return the default gates: better than the baseline and no worse than the champion, by the task's first metric."""
    first = METRICS[task][0]
    return [Gate(metric=first, against="baseline", by=0.05), Gate(metric=first, against="champion")]
