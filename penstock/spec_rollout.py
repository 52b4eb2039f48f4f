"""The part of `model.yaml` on how a version goes live."""

from typing import Literal

from penstock.spec_base import Strict


class Rollout(Strict):
    on_new_code: Literal["rollout", "wait"] = "rollout"
    """What a deployment that changed the predict function starts: a rollout of the live model with the new code, or
    nothing until an operator says `penstock rollout --new-code`."""
