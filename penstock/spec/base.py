"""What every part of a specification is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

STAGES = ("local", "dev", "prod")
"""Names of the stages that a model is deployed to."""
Share = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
