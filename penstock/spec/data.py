"""Fields of `model.yaml` for data: dataset mode, split and validation of uploads."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from penstock.spec.base import Share, Strict


class Split(Strict):
    """How rows are divided into training, validation and holdout."""

    by: Literal["key", "time"] = "key"
    """`key`: by hash of the row key, so a row is always on the same side. `time`: the newest rows by event time are
    the holdout; the boundary is kept with the dataset version and only ever moves forward, so that no model is judged
    on a row that an earlier model was trained on. After a change of `by` the champion may have been trained on holdout
    rows."""
    holdout: Share = 0.2
    """Share of rows that no model is ever trained on; gates are decided on them."""
    validation: Share = 0.15
    """Share of rows for early stopping and for choosing the decision threshold."""
    salt: str = "penstock"
    """Change it to divide the rows anew; the champion may then have been trained on holdout rows."""

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> "Split":
        if self.holdout + self.validation > 0.9:
            raise ValueError("holdout and validation together leave less than a tenth of the rows for training")
        return self


class Window(Strict):
    """A dataset of the newest data only. Give `days` or `uploads`."""

    days: int | None = Field(default=None, ge=1)
    """Keep rows whose event time is at most this many days before the newest row's."""
    uploads: int | None = Field(default=None, ge=1)
    """Keep the rows of this many newest uploads; a closed folder is one upload."""

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
    """Where uploads are checked: in a function, or above a size in a SageMaker Processing job with the same code."""

    job_above_mb: int = Field(default=1000, ge=0, le=2000)
    """Size of a run's files above which a job checks them, as stored (a gzip file counts with its compressed size)."""
    instance_type: str = "ml.m5.xlarge"
    """SageMaker instance type of that job."""
    volume_gb: int = Field(default=100, ge=1)
    """Disk of that job: three times the largest file, decompressed, is enough."""
    max_runtime_minutes: int = Field(default=240, ge=1)
    """The job is stopped after this time."""
