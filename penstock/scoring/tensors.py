"""Build the tensors of a graph's inputs from columns or from decoded instances.

A graph has one input for all its numeric columns (`training/steps/export/input_packing.py`), or, where the file is
older or the author's own, one for each column. Both ways give the same float32, so that a row scores alike alone and
among others.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.scoring.signature import NUMBERS, Columns, Field, Value

Tensors = dict[str, npt.NDArray[Any]]
Instances = Sequence[Any]
"""Rows as `penstock.scoring.model.Model.instances` decodes them: structs whose attributes stand for columns."""


class Feeds:
    """The inputs of one graph."""

    def __init__(
        self, inputs: Sequence[str], listed: str, fields: Sequence[Field], attributes: Mapping[str, str]
    ) -> None:
        """Match a graph's inputs with fields.

        Args:
            inputs: names of the graph's inputs.
            listed: the metadata entry `NUMBERS`, a JSON list of columns; empty where there is none.
            fields: of the signature.
            attributes: an instance's attribute of each column.
        """
        self._numbers: list[str] = json.loads(listed) if NUMBERS in inputs and listed else []
        self._alone = [field for field in fields if field.name in inputs]
        self.row = _getter([attributes[name] for name in self._numbers]) if self._numbers else None
        """Returns an instance's numbers, in the matrix' order; None where there is no matrix."""
        self._inputs = [field.name for field in self._alone]
        self._attributes = [(field, attributes[field.name]) for field in self._alone]
        self.only_numbers = bool(self._numbers) and not self._alone
        self.names = [*self._numbers, *(field.name for field in self._alone)]

    def in_order(self, tensors: Tensors) -> list[tuple[str, npt.NDArray[Any]]]:
        """Return inputs with their tensors, ordered so that their columns side by side are `names`."""
        return [(name, tensors[name]) for name in (*([NUMBERS] if self._numbers else []), *self._inputs)]

    def of_columns(self, columns: Columns) -> Tensors:
        """Build tensors from values by column, as many as there are rows; None where one is missing."""
        feeds = {field.name: _tensor(field, columns[field.name]) for field in self._alone}
        if self._numbers:
            by_column = np.array([columns[name] for name in self._numbers], dtype=np.float32)
            feeds[NUMBERS] = np.ascontiguousarray(by_column.T)
        return feeds

    def of_instances(self, instances: Instances) -> Tensors:
        """Build tensors from the rows of a request."""
        feeds = {
            field.name: _tensor(field, [getattr(row, attribute) for row in instances])
            for field, attribute in self._attributes
        }
        if self.row is not None:
            feeds[NUMBERS] = np.array([self.row(row) for row in instances], dtype=np.float32)
        return feeds


def _getter(attributes: list[str]) -> Callable[[Any], tuple[Value, ...]]:
    getter: Callable[[Any], Any] = attrgetter(*attributes)
    return getter if len(attributes) > 1 else lambda row: (getter(row),)


def _tensor(field: Field, values: Sequence[Value]) -> npt.NDArray[Any]:
    """Return a column, shape (rows, 1): text with "" for missing, numbers as float32 with NaN for missing."""
    if field.type == "string":
        return np.array([["" if value is None else value] for value in values], dtype=object)
    return np.array([[math.nan if value is None else value] for value in values], dtype=np.float32)
