"""Fields of `model.yaml` for the rollout of an approved version."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from penstock.spec.base import Strict

Percent = Annotated[int, Field(ge=1, le=100)]
SHADOW = 0
"""The weight that stands for the shadow: the new version answers copies of requests, and no caller gets its answers."""
CANARY = [10, 50]


class Rollout(Strict):
    """How traffic moves from the live version to an approved one, and the limits that move it back."""

    strategy: Literal["canary", "linear", "shadow", "all_at_once"] = "canary"
    """`canary`: the new version gets `weights` percent of the requests, one weight after the other, and then all of
    them. `linear`: `step` percent more each time. `shadow`: the new version answers copies of the live version's
    requests, no caller gets its answers, and both answers are compared; then it continues as a canary if `weights` are
    given, and otherwise gets all requests. `all_at_once`: all requests right after the golden examples, unwatched; the
    first version, which has no predecessor to go back to, and a rollback always go this way."""
    weights: list[Percent] | None = Field(default=None, min_length=1, max_length=10)
    """Percent of the requests, rising; 100 is watched like any other weight. Default: 10 and 50 for a canary, none
    after a shadow."""
    step: int = Field(default=20, ge=10, le=50)
    """For `linear`: percent of the requests that each step adds."""
    bake_minutes: int = Field(default=10, ge=1, le=1440)
    """How long the new version is watched at each weight and as a shadow."""
    max_error_rate: float = Field(default=0.01, ge=0, lt=1)
    """Share of a minute's requests to the new version that may fail, and of a shadow's rows that may get no answer;
    more reverts the rollout."""
    max_latency_ms: int = Field(default=3000, ge=1)
    """How long the new version's slowest answers of a minute (99th percentile) may take, without loading the model;
    longer reverts the rollout."""
    max_score_psi: float = Field(default=0.5, gt=0)
    """How far the new version's scores (multiclass: labels) may be from the old version's on live traffic, as
    population stability index; as far or farther, and by more than chance, reverts the rollout."""
    min_rows: int = Field(default=500, ge=30)
    """Fewest answered rows of each version for a comparison of their scores; with fewer, the rollout's report says that
    they were not compared."""
    max_changed: float = Field(default=0.2, gt=0, le=1)
    """Share of a shadow's rows whose label may differ from the live version's; more reverts the rollout."""
    max_difference: float = Field(default=0.5, gt=0)
    """For a regression: mean distance of a shadow's amounts from the live version's, as a share of the mean distance of
    the live version's amounts from their own median; more reverts the rollout."""
    shadow_rows: int = Field(default=500, ge=1, le=1000)
    """Most captured rows that one check sends to the shadow; if there are more, whole requests are drawn."""
    on_second_approval: Literal["wait", "supersede"] = "wait"
    """What happens when another version is approved during a rollout: `wait`, it waits for the end; `supersede`, the
    running rollout is reverted and the other one starts at once."""
    on_new_code: Literal["rollout", "wait"] = "rollout"
    """What a deployment that changed the predict function starts: a rollout of the live model with the new code, or
    nothing until an operator runs `penstock rollout --new-code`."""
    keep_versions: int | None = Field(default=None, ge=2)
    """How many published versions of the predict function are kept, beside the live and the previous one. Default: 10,
    or 2 if `serving.snap_start` is not off: each then has a snapshot that AWS bills by the hour."""

    @model_validator(mode="after")
    def _rises(self) -> "Rollout":
        if self.weights is not None and self.weights != sorted(set(self.weights)):
            raise ValueError(f"weights rise from one to the next, and {self.weights} do not: put them in order")
        return self

    @property
    def shadows(self) -> bool:
        """Whether a new version starts as a shadow, whose answers no caller gets."""
        return self.strategy == "shadow"

    def steps(self) -> list[int]:
        """Return the percentages at which the new version is watched before it gets all requests, `SHADOW` first."""
        if self.shadows:
            return [SHADOW, *(self.weights or [])]
        if self.strategy == "canary":
            return self.weights or CANARY
        return list(range(self.step, 100, self.step)) if self.strategy == "linear" else []
