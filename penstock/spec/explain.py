"""The part of `model.yaml` on explanations of single scores."""

from pydantic import Field

from penstock.spec.base import Strict


class Explaining(Strict):
    """What each field adds to a score, for requests that ask `?explain=true`; from the next trained version on."""

    max_rows: int = Field(default=20, ge=1, le=500)
    """Most rows of one request that are explained."""
    scorings: int = Field(default=4_096, ge=256, le=20_000)
    """How often the model is asked for one explained row. Up to eight features that is every coalition, and exact; of
    more, orders of the features are drawn, at least 32 (about 32 scorings a feature)."""
