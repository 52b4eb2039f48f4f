"""Fields of `model.yaml` for explanations of single scores."""

from pydantic import Field

from penstock.spec.base import Strict


class Explaining(Strict):
    """What each field adds to a score, for requests that ask `?explain=true`; from the next trained version on."""

    max_rows: int = Field(default=20, ge=1, le=500)
    """Most rows of one request that are explained."""
    scorings: int = Field(default=4_096, ge=256, le=20_000)
    """How many rows the model scores to explain one row. Up to eight features these are all coalitions, and the result
    is exact; with more features, at least 32 orders of the features are drawn (about 32 scorings a feature)."""
