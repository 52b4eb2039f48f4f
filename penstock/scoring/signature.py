"""What goes into a model and what its score means: what its callers, its capture and its monitor share.

Kept apart from `scoring`, whose import loads onnxruntime.
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
"""Metadata of a file whose nodes compute a row alone exactly as they do in company; of another a row is given twice."""
EXPLAINS = "penstock.explains"
"""Metadata of a file whose scores can be explained: what `penstock.api.explain.Background` holds, as JSON."""
Value = str | float | int | bool | None
Class = bool | int | str
Columns = Mapping[str, Sequence[Value]]
Scores = npt.NDArray[np.float64]
"""Shape (rows,); where a target has three or more classes the probability of each, in their order: (rows, classes)."""
Score = float | list[float]
"""One row of `Scores` as JSON has it."""
Kind = Literal["binary", "multiclass", "regression"]


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column that a request may or must give."""

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
    """Scored, but never captured as it is."""
    description: str = ""
    """What the contract says of it."""


class Signature(msgspec.Struct, frozen=True):
    """What goes into a model and what its score means."""

    model: str
    fields: tuple[Field, ...]
    classes: tuple[Class, ...]
    """The target's values, sorted: of two the negative first; a regression has none."""
    threshold: float | None
    """The score from which the label is `classes[1]`; None where there are not two classes."""
    output: str
    """The ONNX output of the probabilities, shape (rows, classes), or of a regression's amounts, shape (rows, 1)."""
    carried: tuple[str, ...] = ()
    """Columns a request may give besides (row key, event time), as text or number: captured, not scored."""
    hidden: tuple[str, ...] = ()
    """Those of them that are personal: never captured."""
    hashed: tuple[str, ...] = ()
    """Personal columns of which captures hold a keyed hash instead."""

    @property
    def task(self) -> Kind:
        """What the target is: an amount, one of two values, or one of more."""
        if not self.classes:
            return "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"
