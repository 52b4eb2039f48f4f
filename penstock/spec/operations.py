"""Fields of `model.yaml` for training, serving, capture, monitoring, retraining and the feature store."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from penstock.spec.api import Auth, Cors, Domain, known_stages
from penstock.spec.base import Strict
from penstock.spec.endpoint import Endpoint, Target


class Explaining(Strict):
    """What each field adds to a score, for requests that ask `?explain=true`; from the next trained version on."""

    max_rows: int = Field(default=20, ge=1, le=500)
    """Most rows of one request that are explained."""
    scorings: int = Field(default=4_096, ge=256, le=20_000)
    """How many rows the model scores to explain one row. Up to eight features these are all coalitions, and the result
    is exact; with more features, at least 32 orders of the features are drawn (about 32 scorings a feature)."""


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
    params: dict[str, JsonValue] = Field(default={})
    """Passed to `fit` unchanged."""

    @model_validator(mode="after")
    def _waits_long_enough(self) -> "Training":
        if self.spot and self.max_wait_minutes < self.max_runtime_minutes:
            raise ValueError("max_wait_minutes is shorter than max_runtime_minutes: raise it, or set spot to false")
        return self


FRONT_MB = 1024
"""Memory of a predict function that forwards requests to an endpoint."""


class Serving(Strict):
    target: Target = "lambda"
    """What scores requests: the predict function itself, which costs nothing while there are no requests, or a
    SageMaker `endpoint` behind it, which is billed by the hour."""
    endpoint: Endpoint = Endpoint()
    """Settings for `target: endpoint`."""
    memory_mb: int = Field(default=1769, ge=256, le=10240)
    """Memory of the predict function with `target: lambda`; 1,769 MB are one vCPU."""
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    """An answer that takes longer is an error."""
    max_rows: int = Field(default=500, ge=1, le=10_000)
    """Most rows in one request."""
    throttle_rate: int = Field(default=200, ge=1)
    """Requests per second for predictions that the API admits in the long run."""
    throttle_burst: int = Field(default=400, ge=1)
    """Requests for predictions that the API admits at once."""
    auth: Auth = "iam"
    """How callers authenticate: `iam` (requests signed with AWS credentials), or `{jwt: {issuer, audience}}`. `none`
    requires no authentication, and is for stage `local` only."""
    cors: Cors | None = None
    """Which pages may call from a browser. Default: none."""
    snap_start: bool | Literal["auto"] = "auto"
    """Whether versions start from a snapshot of a process that has loaded the model (Lambda SnapStart): `auto` if the
    region supports it, `off`, or `on` in every region. AWS bills each snapshot by the hour, and each start."""
    domain: Annotated[dict[str, Domain], AfterValidator(known_stages)] = Field(default={})
    """Custom domain by stage: `{prod: {name: predict.example.com, certificate: arn:…}}`."""
    explain: Explaining | None = None
    """Answer `?explain=true` with what each field adds to the score; `{}` takes the defaults. By default
    such a request is refused."""

    @model_validator(mode="after")
    def _of_its_target(self) -> "Serving":
        if self.target == "lambda" and "endpoint" in self.model_fields_set:
            raise ValueError(
                "endpoint is for target endpoint, and target is lambda: write target: endpoint, or take endpoint out"
            )
        if self.target == "endpoint" and "memory_mb" in self.model_fields_set:
            raise ValueError("memory_mb is for target lambda: take it out, endpoint.instance_type sets the memory")
        return self

    @property
    def function_mb(self) -> int:
        """Memory of the predict function, which scores requests or forwards them to an endpoint."""
        return FRONT_MB if self.target == "endpoint" else self.memory_mb


class Capturing(Strict):
    sample: float = Field(default=1.0, gt=0, le=1)
    """Share of the answers that are captured, drawn by inference id; drift and ground truth use only these."""
    after_answer: bool = True
    """Whether an answer is sent before it is captured (by an internal Lambda extension) or after."""

    @property
    def when(self) -> str:
        """The value of the predict function's setting: `AFTER` or `BEFORE` of `penstock.predict_settings`.

        Written out instead of imported: training reads specifications, so each change of those settings would change
        its code digest.
        """
        return "after the answer" if self.after_answer else "before the answer"


class Monitoring(Strict):
    schedule_minutes: int = Field(default=60, ge=1)
    """How often the monitor runs."""
    min_rows: int = Field(default=500, ge=30)
    """Fewest new rows for a verdict; fewer rows wait for the next check."""
    psi_threshold: float = Field(default=0.25, gt=0)
    """Population stability index from which a column counts as drifted (by convention 0.1 is slight, 0.25 strong)."""
    label_days: int = Field(default=30, ge=1)
    """How many days after an answer its ground truth may arrive."""


class Retraining(Strict):
    on_drift: bool = True
    """Whether the drift alarm starts a run."""
    cooldown_minutes: int = Field(default=60, ge=0)
    """How long after a run that an alarm started no alarm starts another."""
    per_day: int = Field(default=4, ge=1)
    """Most runs in 24 hours that alarms start."""


class FeatureStoring(Strict):
    """A SageMaker feature group with the latest features of each entity, so that a request may name the entity only."""

    entity: str | None = None
    """The contract's column that names the entity, a string or an integer. Default: the row key."""
    features: list[str] | None = Field(default=None, min_length=1)
    """The contract's feature columns that are stored. Default: all but the entity."""
    online: bool = True
    """Keep each entity's latest features for requests."""
    offline: bool = True
    """Append every change to Parquet files under `features/` in the lake."""
    generation: int = Field(default=1, ge=1)
    """Raise it to create a new group with the same columns, e.g. when a group with these columns already exists."""

    @model_validator(mode="after")
    def _stores_somewhere(self) -> "FeatureStoring":
        if not (self.online or self.offline):
            raise ValueError("a feature store is online, offline or both: set one to true, or take feature_store out")
        return self
