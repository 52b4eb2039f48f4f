"""Fields of `model.yaml` for a hyperparameter search, and the conversion of values to text and back.

SageMaker passes every hyperparameter as text. The state machine that starts a search and its trials use the same
ranges.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, model_validator

from penstock.spec.base import Strict

RESERVED = ("model", "run")
"""Hyperparameters of every training job; a tuned param cannot have one of these names."""
MOST_RANGES, MOST_VALUES, LONGEST = 30, 30, 256
"""SageMaker's limits: ranges, values of one range, characters of a value or a name."""


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError("a value is text, a number or a boolean")


Value = Annotated[StrictBool | StrictInt | StrictFloat | str, BeforeValidator(_plain)]


class TrialError(Exception):
    """Hyperparameters that do not fit the ranges."""


class Range(Strict):
    """The values that a param may have. Give `min` and `max`, or `values`."""

    min: float | None = Field(default=None, allow_inf_nan=False)
    """The lowest number."""
    max: float | None = Field(default=None, allow_inf_nan=False)
    """The highest number."""
    integer: bool = False
    """Whether the numbers are whole."""
    scale: Literal["linear", "log"] = "linear"
    """`log`: search each power of ten alike, e.g. for a learning rate from 0.001 to 0.3."""
    values: list[Value] | None = Field(default=None, min_length=2, max_length=MOST_VALUES)
    """The values themselves: text, numbers or booleans."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_range(cls, value: Any) -> Any:
        if isinstance(value, dict | cls):
            return value
        raise ValueError("a range is {min: 1, max: 9} or {values: [1, 9]}; a single value belongs in training.params")

    @model_validator(mode="after")
    def _one_kind(self) -> "Range":
        if self.values is not None:
            self._listed(self.values)
        elif self.min is None or self.max is None:
            raise ValueError("a range has min and max, or values: give one of the two")
        else:
            self._numbers(self.min, self.max)
        return self

    def _listed(self, values: list[Value]) -> None:
        if {"min", "max", "integer", "scale"} & self.model_fields_set:
            raise ValueError("a range of values has no min, max, integer or scale: take them out, or values")
        texts = [text(value) for value in values]
        if twice := [name for name in texts if texts.count(name) > 1]:
            raise ValueError(f"{twice[0]!r} is twice among the values: take one out")
        if strange := [name for name in texts if not 0 < len(name) <= LONGEST]:
            raise ValueError(f"a value is text of 1 to {LONGEST} characters, and {strange[0][:20]!r} is not")
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            raise ValueError("a value is a finite number, text or a boolean")

    def _numbers(self, low: float, high: float) -> None:
        if low >= high:
            raise ValueError(f"min {low:g} is not below max {high:g}: swap them, or fix the param in training.params")
        if self.scale == "log" and low <= 0:
            raise ValueError(f"a range on a log scale lies above 0, and min is {low:g}: raise it, or take scale out")
        if self.integer and not (low.is_integer() and high.is_integer()):
            raise ValueError("a range of integers has whole numbers as min and max")

    def value(self, text_value: str) -> Value:
        """Parse the text of a hyperparameter.

        Raises:
            TrialError: it is not in the range.
        """
        if self.values is not None:
            matches = [value for value in self.values if text(value) == text_value]
            if not matches:
                raise TrialError(f"{text_value!r} is none of its values")
            return matches[0]
        try:
            number = float(text_value)
        except ValueError:
            raise TrialError(f"{text_value!r} is no number") from None
        if self.min is None or self.max is None or not self.min <= number <= self.max:
            raise TrialError(f"{text_value} is not between {self.min:g} and {self.max:g}")
        if not self.integer:
            return number
        if not number.is_integer():
            raise TrialError(f"{text_value} is no whole number")
        return int(number)


class Tuning(Strict):
    """A search for the params with the best metric on the validation rows; each training job is a trial."""

    metric: str = ""
    """Metric of the evaluation that trials are compared by, measured on the validation rows. Default: `roc_auc`
    (multiclass: `log_loss`; regression: `r2`)."""
    strategy: Literal["bayesian", "random", "grid"] = "bayesian"
    """`bayesian`: each trial uses the results of earlier ones (the laptop cloud runs `random` instead). `random`:
    trials are drawn from the ranges. `grid`: every combination; its ranges are all `values`."""
    max_jobs: int = Field(default=20, ge=1, le=750)
    """Most trials; for a grid, most combinations."""
    max_parallel_jobs: int = Field(default=2, ge=1, le=100)
    """Trials at once. With fewer, a bayesian search learns more. The laptop cloud runs at most one per core."""
    max_runtime_minutes: int = Field(default=720, ge=2, le=43_200)
    """The search is stopped after this time, and the run fails."""
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    """Seed for drawing trials; a grid ignores it."""
    ranges: dict[str, Range] = Field(min_length=1, max_length=MOST_RANGES)
    """Param → its range. `fit` gets the trial's value in `params`, beside `training.params`."""

    @model_validator(mode="after")
    def _can_be_searched(self) -> "Tuning":
        for name, searched in self.ranges.items():
            if name in RESERVED or not 0 < len(name) <= LONGEST:
                raise ValueError(f"a tuned param cannot be called {name[:20]!r}: give it another name in ranges")
            if self.strategy == "grid" and searched.values is None:
                raise ValueError(f"a grid has values only, and {name} has none: list them, or change strategy")
        if self.strategy == "grid" and self.combinations > self.max_jobs:
            raise ValueError(f"the grid has {self.combinations} combinations: raise max_jobs, or take values out")
        return self

    @property
    def combinations(self) -> int:
        """Number of combinations of the values of all ranges."""
        return math.prod(len(searched.values or []) for searched in self.ranges.values())

    @property
    def objective(self) -> str:
        """Name of the metric in a trial's log."""
        return f"validation_{self.metric}"

    def parse(self, hyperparameters: Mapping[str, str]) -> dict[str, Value]:
        """Parse the params of a trial from its hyperparameters.

        Raises:
            TrialError: one is missing, or not in its range.
        """
        values: dict[str, Value] = {}
        for name, searched in self.ranges.items():
            if name not in hyperparameters:
                raise TrialError(f"the job has no hyperparameter {name!r}, which model.yaml tunes")
            try:
                values[name] = searched.value(hyperparameters[name])
            except TrialError as error:
                raise TrialError(f"the hyperparameter {name!r} does not fit tuning.ranges: {error}") from None
        return values


def text(value: Value) -> str:
    """Write a value as a hyperparameter: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
