"""The base model and the common types of a model specification."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

STAGES = ("local", "dev", "prod")
"""Names of the stages that a model is deployed to."""
Share = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
