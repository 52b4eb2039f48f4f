"""A model's signature: its input fields and the meaning of its score; shared by callers, capture and monitor.

Apart from `model`, whose import loads onnxruntime.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

SIGNATURE = "penstock.signature"
NUMBERS = "penstock_numbers"
"""The graph's one input for its numeric columns, float32 (rows, columns), and the metadata entry that lists them."""
ALONE = "penstock.alone"
"""Metadata of a file whose nodes score a row alone exactly as among others; to any other file a row is passed twice."""
EXPLAINS = "penstock.explains"
"""Metadata of a file whose scores can be explained: `penstock.api.explain.Background` as JSON."""
Value = str | float | int | bool | None
Class = bool | int | str
Columns = Mapping[str, Sequence[Value]]
Scores = npt.NDArray[np.float64]
"""Shape (rows,); with three or more classes the probability of each, in their order: (rows, classes)."""
Score = float | list[float]
"""One row of `Scores`, as in JSON."""
Kind = Literal["binary", "multiclass", "regression"]


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column that a request may or must have."""

    name: str
    type: Literal["string", "integer", "number", "boolean"]
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str | int | float, ...] = ()
    personal: bool = False
    """Scored, but never captured unchanged."""
    description: str = ""
    """From the contract."""


class Signature(msgspec.Struct, frozen=True):
    """A model's input fields, its target's values and its threshold."""

    model: str
    fields: tuple[Field, ...]
    classes: tuple[Class, ...]
    """The target's values, sorted; of two, the negative first; empty for a regression."""
    threshold: float | None
    """The score from which the label is `classes[1]`; None where there are not two classes."""
    output: str
    """The ONNX output of the probabilities, shape (rows, classes), or of a regression's amounts, shape (rows, 1)."""
    carried: tuple[str, ...] = ()
    """Further columns that a request may have (row key, event time), as text or number: captured, not scored."""
    hidden: tuple[str, ...] = ()
    """The personal ones of `carried`: never captured."""
    hashed: tuple[str, ...] = ()
    """Personal columns of which captures hold a keyed hash."""

    @property
    def task(self) -> Kind:
        """The kind of target: an amount, one of two values, or one of more."""
        if not self.classes:
            return "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"
