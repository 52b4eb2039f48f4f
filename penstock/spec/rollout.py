"""The part of `model.yaml` on how an approved version takes over the traffic."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from penstock.spec.base import Strict

Percent = Annotated[int, Field(ge=1, le=100)]
SHADOW = 0
"""Among the weights of a rollout: the time in which the new version answers unseen."""
CANARY = [10, 50]


class Rollout(Strict):
    """How traffic moves from the live version to an approved one, and what takes it back."""

    strategy: Literal["canary", "linear", "shadow", "all_at_once"] = "canary"
    """`canary`: the new version gets `weights` percent of the requests, one after the other, and then all of them.
    `linear`: `step` percent more each time. `shadow`: it answers what the live version was asked, unseen by any caller,
    and both answers are compared; then it goes on as a canary of `weights` where they are given, and otherwise gets all
    of the requests. `all_at_once`: all of them right after the golden examples, unwatched; so goes the first version,
    which has none to go back to, and a rollback."""
    weights: list[Percent] | None = Field(default=None, min_length=1, max_length=10)
    """Percent of the requests, rising; 100 is all of them, watched like any other. Unless given, of a canary 10 and 50,
    and after a shadow none."""
    step: int = Field(default=20, ge=10, le=50)
    """Of `linear`: percent of the requests that are added at a time."""
    bake_minutes: int = Field(default=10, ge=1, le=1440)
    """How long the new version is watched at each weight, and as a shadow."""
    max_error_rate: float = Field(default=0.01, ge=0, lt=1)
    """Share of a minute's requests to the new version that may raise, and of a shadow's rows that may get no answer;
    more takes it back."""
    max_latency_ms: int = Field(default=3000, ge=1)
    """How long the new version's slowest answers of a minute (99th percentile) may take, loading the model left out;
    longer takes it back."""
    max_score_psi: float = Field(default=0.5, gt=0)
    """How far the new version's scores (of several classes: its labels) may be from the old one's on live traffic, as
    population stability index; as far or farther, and by more than chance, takes it back."""
    min_rows: int = Field(default=500, ge=30)
    """With fewer answered rows than this of either version their scores are not compared; the ending says so."""
    max_changed: float = Field(default=0.2, gt=0, le=1)
    """Share of a shadow's rows whose label may be another than the live version gave; more takes it back."""
    max_difference: float = Field(default=0.5, gt=0)
    """Of a regression: how far a shadow's amounts may be from the live version's, on average over the rows, as a share
    of how far those are from their own median; more takes it back."""
    shadow_rows: int = Field(default=500, ge=1, le=1000)
    """Most captured rows that one look at a shadow asks again; of more, whole requests are drawn."""
    on_second_approval: Literal["wait", "supersede"] = "wait"
    """What becomes of a rollout when another version is approved meanwhile: that one waits for its end, or this one
    is taken back and that one goes at once."""
    on_new_code: Literal["rollout", "wait"] = "rollout"
    """What a deployment that changed the predict function starts: a rollout of the live model with the new code, or
    nothing until an operator says `penstock rollout --new-code`."""
    keep_versions: int | None = Field(default=None, ge=2)
    """How many published versions of the predict function are kept, beside what is live and what was live before;
    unless given, 10, or 2 where `serving.snap_start` is not off: each has a snapshot that AWS bills by the hour."""

    @model_validator(mode="after")
    def _rises(self) -> "Rollout":
        if self.weights is not None and self.weights != sorted(set(self.weights)):
            raise ValueError(f"weights rise from one to the next, and {self.weights} do not: put them in order")
        return self

    @property
    def shadows(self) -> bool:
        """Whether a new version answers unseen first."""
        return self.strategy == "shadow"

    def steps(self) -> list[int]:
        """The percentages at which the new version is watched, before it gets everything; `SHADOW` comes first."""
        if self.shadows:
            return [SHADOW, *(self.weights or [])]
        if self.strategy == "canary":
            return self.weights or CANARY
        return list(range(self.step, 100, self.step)) if self.strategy == "linear" else []
