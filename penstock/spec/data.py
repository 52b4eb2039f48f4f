"""The part of `model.yaml` on data: how datasets are kept, checked and dealt out."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from penstock.spec.base import Share, Strict


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
