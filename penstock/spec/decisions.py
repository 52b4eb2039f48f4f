"""The part of `model.yaml` on what a model must prove, and who lets it go live."""

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
"""What an evaluation measures, the metric that says most first. Of many classes that is the log loss: it looks at the
whole answer, each row counts, and no class has to be singled out."""
MOST_CLASSES = 50
"""More values than this are no multiclass target."""
DISPARITIES = ("selection_rate_difference", "selection_rate_ratio", "tpr_difference", "fpr_difference")
"""What is measured between the groups of `evaluation.groups`."""
BESIDE = ("latency_ms", "onnx_mb", "leakage", "instability")
"""What is measured of the challenger beside its metrics."""
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae", "pinball_10", "pinball_90"})
RESAMPLED = frozenset(metric for metrics in METRICS.values() for metric in metrics) - {"calibration_error"}
"""Those of them whose difference has an interval."""


class Gate(Strict):
    """One condition on a number. Give `min` or `max`, or compare with `against` and `by`."""

    metric: str
    """A metric of the evaluation, e.g. `roc_auc`, `log_loss`, `brier`, `f1`; of a regression `r2`, `rmse`, `mae`. Of
    multiclass `roc_auc` is one class against the rest, and it, `f1`, `recall` and `precision` are means over the
    classes, each as heavy as the other; `recall` is then the `balanced_accuracy`.
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
    """In which parts of the holdout the model is measured too."""

    slices: list[str] = Field(default=[])
    """Feature columns: metrics for each of their values; of numbers, between the quartiles."""
    groups: list[str] = Field(default=[])
    """Feature columns between whose values a classification of two classes must be fair."""
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
    who: list[str] = Field(default=["*"])
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


def first_gates(task: Task) -> list[Gate]:
    """Better than the naive baseline, and no worse than the champion, by the task's first metric."""
    first = METRICS[task][0]
    return [Gate(metric=first, against="baseline", by=0.05), Gate(metric=first, against="champion")]
