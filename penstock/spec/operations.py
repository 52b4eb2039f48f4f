"""The part of `model.yaml` on how a model is trained, served, watched and retrained."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from penstock.spec.api import Auth, Cors, Domain, known_stages
from penstock.spec.base import Strict
from penstock.spec.endpoint import Endpoint, Target
from penstock.spec.explain import Explaining


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
    """Handed to `fit` as they are."""

    @model_validator(mode="after")
    def _waits_long_enough(self) -> "Training":
        if self.spot and self.max_wait_minutes < self.max_runtime_minutes:
            raise ValueError("max_wait_minutes is shorter than max_runtime_minutes: raise it, or set spot to false")
        return self


FRONT_MB = 1024
"""Memory of a predict function that stands in front of an endpoint."""


class Serving(Strict):
    target: Target = "lambda"
    """What scores requests: the predict function itself, which costs nothing while nothing is asked, or a SageMaker
    `endpoint` behind it, which bills by the hour."""
    endpoint: Endpoint = Endpoint()
    """Of `target: endpoint`."""
    memory_mb: int = Field(default=1769, ge=256, le=10240)
    """Memory of the predict function, of `target: lambda`; 1,769 MB are one vCPU."""
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    """An answer that takes longer is an error."""
    max_rows: int = Field(default=500, ge=1, le=10_000)
    """Most rows in one request."""
    throttle_rate: int = Field(default=200, ge=1)
    """Requests per second for predictions that the API admits in the long run."""
    throttle_burst: int = Field(default=400, ge=1)
    """Requests for predictions that the API admits at once."""
    auth: Auth = "iam"
    """How callers show who they are: `iam` (requests signed with AWS credentials), or `{jwt: {issuer, audience}}`.
    `none` asks nobody, and is for stage `local` only."""
    cors: Cors | None = None
    """Which pages may call from a browser; unless given, none."""
    snap_start: bool | Literal["auto"] = "auto"
    """Versions start from a snapshot of a process that has the model loaded: `auto` where the region has it, `off`, or
    `on` wherever it is. AWS bills each snapshot by the hour, and each start."""
    domain: Annotated[dict[str, Domain], AfterValidator(known_stages)] = Field(default={})
    """A name of your own, by stage: `{prod: {name: predict.example.com, certificate: arn:…}}`."""
    explain: Explaining | None = None
    """Answer `?explain=true` with what each field adds to the score; `{}` takes the defaults. Unless given, such a
    request is refused."""

    @model_validator(mode="after")
    def _of_its_target(self) -> "Serving":
        if self.target == "lambda" and "endpoint" in self.model_fields_set:
            raise ValueError(
                "endpoint is of target endpoint, and target is lambda: say target: endpoint, or take it out"
            )
        if self.target == "endpoint" and "memory_mb" in self.model_fields_set:
            raise ValueError("memory_mb is of target lambda: take it out, endpoint.instance_type says what answers")
        return self

    @property
    def function_mb(self) -> int:
        """Memory of the predict function, which scores or stands in front of what does."""
        return FRONT_MB if self.target == "endpoint" else self.memory_mb


class Capturing(Strict):
    sample: float = Field(default=1.0, gt=0, le=1)
    """Share of the answers that are captured, drawn by inference id; drift and ground truth know of these only."""
    after_answer: bool = True
    """Whether an answer goes out before its capture, by an internal Lambda extension, or waits for it."""

    @property
    def when(self) -> str:
        """The value of the predict function's setting: `AFTER` or `BEFORE` of `penstock.predict_settings`.

        Training reads specifications, and an import would make each change of those settings a change of its code.
        """
        return "after the answer" if self.after_answer else "before the answer"


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
