"""The part of `model.yaml` on tuning: what is searched, by which number, and how a value becomes text and back.

SageMaker hands every hyperparameter over as text, so whoever asks for a search and whoever is a trial of it read the
same ranges.
"""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, model_validator

from penstock.spec.base import Strict

TAKEN = ("model", "run")
"""Hyperparameters that every training job of Penstock has."""
MOST_RANGES, MOST_VALUES, LONGEST = 30, 30, 256
"""What SageMaker takes: ranges, values of one, and characters of a value or a name."""


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    raise ValueError("a value is text, a number or a boolean")


Value = Annotated[StrictBool | StrictInt | StrictFloat | str, BeforeValidator(_plain)]


class TrialError(Exception):
    """Hyperparameters that are no trial of these ranges."""


class Range(Strict):
    """What a param may be. Give `min` and `max`, or `values`."""

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
        """The value that a hyperparameter's text stands for.

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
    """A search for the params with which the model does best on the validation rows; each try is a trial."""

    metric: str = ""
    """What a trial is judged by: a metric of the evaluation, measured on the validation rows. Unless given, the task's
    first: `roc_auc` (multiclass: `log_loss`; a regression: `r2`)."""
    strategy: Literal["bayesian", "random", "grid"] = "bayesian"
    """`bayesian`: each trial learns from those before it (on the laptop cloud it is `random`). `random`: trials are
    drawn from the ranges. `grid`: every combination; its ranges are all `values`."""
    max_jobs: int = Field(default=20, ge=1, le=750)
    """Most trials; of a grid, most combinations."""
    max_parallel_jobs: int = Field(default=2, ge=1, le=100)
    """Trials at once. The fewer, the more a bayesian search learns. The laptop cloud runs no more than it has cores."""
    max_runtime_minutes: int = Field(default=720, ge=2, le=43_200)
    """The search is stopped after this time, and the run fails."""
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    """Of the draws; another one draws other trials. A grid has none."""
    ranges: dict[str, Range] = Field(min_length=1, max_length=MOST_RANGES)
    """Param → what it may be. `fit` finds the trial's value in `params`, beside `training.params`."""

    @model_validator(mode="after")
    def _can_be_searched(self) -> "Tuning":
        for name, searched in self.ranges.items():
            if name in TAKEN or not 0 < len(name) <= LONGEST:
                raise ValueError(f"a tuned param cannot be called {name[:20]!r}: give it another name in ranges")
            if self.strategy == "grid" and searched.values is None:
                raise ValueError(f"a grid has values only, and {name} has none: list them, or change strategy")
        if self.strategy == "grid" and self.combinations > self.max_jobs:
            raise ValueError(f"the grid has {self.combinations} combinations: raise max_jobs, or take values out")
        return self

    @property
    def combinations(self) -> int:
        """How many there are of the values."""
        return math.prod(len(searched.values or []) for searched in self.ranges.values())

    @property
    def objective(self) -> str:
        """The name under which a trial's log gives the metric."""
        return f"validation_{self.metric}"

    def chosen(self, hyperparameters: Mapping[str, str]) -> dict[str, Value]:
        """The params of a trial, out of its hyperparameters.

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
    """A value as a hyperparameter: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
