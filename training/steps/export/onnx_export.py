"""Export a fitted estimator as one ONNX file that takes raw columns and has its signature as metadata."""

import itertools
import re
from typing import Any

import msgspec
import numpy as np
import onnx
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from penstock.contract.model import Column
from penstock.scoring.signature import ALONE, EXPLAINS, NUMBERS, SIGNATURE, Field, Signature
from penstock.spec.model import Task
from training.steps.data.container import StepError
from training.steps.export.batch_invariance import is_batch_invariant
from training.steps.export.input_packing import matrix_columns, name_matrix_columns, pack_inputs

OPSET = {"": 17, "ai.onnx.ml": 3}
OUTPUTS: dict[Task, str] = {"binary": "probabilities", "multiclass": "probabilities", "regression": "variable"}
"""Name of the graph's output with the scores, as the exporter names it."""
ESTIMATOR_KINDS: dict[Task, str] = {"binary": "a classifier", "multiclass": "a classifier", "regression": "a regressor"}


class _RoundingDown:
    """The exporter's container, which rounds thresholds of trees down to float32.

    A column's values are float32, so `value <= threshold` has the same result for the rounded threshold. Rounded to
    nearest, a threshold between two training values may become equal to a value of another row, which then takes the
    other branch.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *about: Any, **attributes: Any) -> Any:
        if "nodes_values" in attributes:
            exact = np.array(attributes["nodes_values"], dtype=np.float64)
            nearest = exact.astype(np.float32)
            below = np.nextafter(nearest, np.float32(-np.inf))
            is_less_or_equal = np.array(attributes["nodes_modes"]) == "BRANCH_LEQ"
            attributes["nodes_values"] = np.where(is_less_or_equal & (nearest > exact), below, nearest).tolist()
        return self._container.add_node(*about, **attributes)


def _convert_exactly(scope: Any, operator: Any, container: Any) -> None:
    convert_lightgbm(scope, operator, _RoundingDown(container))


update_registered_converter(
    LGBMClassifier,
    "LightGbmLGBMClassifier",
    calculate_linear_classifier_output_shapes,
    _convert_exactly,
    options={"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]},
)
update_registered_converter(
    LGBMRegressor,
    "LightGbmLGBMRegressor",
    calculate_linear_regressor_output_shapes,
    _convert_exactly,
    options={"split": None},
)


def to_onnx(fitted: Any, features: list[Column], task: Task = "binary") -> onnx.ModelProto:
    """Convert the estimator to ONNX: one float32 input of all numeric columns, one input (rows, 1) per text column.

    The output is class probabilities, shape (rows, classes), or a regression's amounts, shape (rows, 1).

    Raises:
        StepError: the estimator cannot be converted, or the graph's inputs are not the contract's columns.
    """
    if isinstance(fitted, onnx.ModelProto):
        return pack_inputs(_require_known_inputs(fitted, features, task), features)
    if not hasattr(fitted, "predict"):
        raise StepError(
            f"fit must return a fitted estimator (or pipeline) or an ONNX graph, it returned {fitted!r:.80}"
        )
    _require_kind(fitted, task)
    matrix = matrix_columns(fitted, features)
    inputs = [(NUMBERS, FloatTensorType([None, len(matrix)]))] if matrix else _inputs(features)
    try:
        # The default name is random, which would change the digest for the same data and code.
        model = convert_sklearn(
            fitted,
            name="model",
            initial_types=inputs,
            target_opset=OPSET,
            options={id(fitted): {"zipmap": False}} if task != "regression" else None,
        )
    except (RuntimeError, ValueError, NameError, KeyError, NotImplementedError) as error:
        # Some errors print a whole tree.
        raise StepError(f"{type(fitted).__name__} cannot be exported to ONNX: {str(error)[:500]}") from error
    if matrix:
        return name_matrix_columns(_require_output(model, task), matrix)
    return pack_inputs(_require_known_inputs(_with_own_names(model, features), features, task), features)


def _inputs(features: list[Column]) -> list[tuple[str, Any]]:
    return [
        (column.name, FloatTensorType([None, 1]) if column.numeric else StringTensorType([None, 1]))
        for column in features
    ]


def _with_own_names(model: onnx.ModelProto, features: list[Column]) -> onnx.ModelProto:
    """Rename the inputs to the columns' names, which the exporter turned into identifiers (`a b` to `a_b`)."""
    names: dict[str, str] = {}
    for column in features:
        identifier = re.sub(r"[^\w+]", "_", column.name)
        identifier = f"_{identifier}" if identifier[0].isdigit() else identifier
        candidates = (f"{identifier}{index or ''}" for index in itertools.count())
        names[next(name for name in candidates if name not in names)] = column.name
    for item in model.graph.input:
        item.name = names.get(item.name, item.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return model


def _require_kind(fitted: Any, task: Task) -> None:
    is_wrong = is_classifier if task == "regression" else is_regressor
    if isinstance(fitted, BaseEstimator) and is_wrong(fitted):
        kind = ESTIMATOR_KINDS["binary" if task == "regression" else "regression"]
        raise StepError(
            f"`fit` gave {kind} ({type(fitted).__name__}), the task in model.yaml is {task}: "
            f"return {ESTIMATOR_KINDS[task]}, or change the task"
        )


def _require_known_inputs(model: onnx.ModelProto, features: list[Column], task: Task) -> onnx.ModelProto:
    names = {column.name for column in features}
    if unknown := [item.name for item in model.graph.input if item.name not in names]:
        raise StepError(f"the ONNX graph wants {unknown[0]!r}, which is no feature in contract.yaml")
    return _require_output(model, task)


def _require_output(model: onnx.ModelProto, task: Task) -> onnx.ModelProto:
    if OUTPUTS[task] not in {item.name for item in model.graph.output}:
        raise StepError(f"the ONNX graph has no output {OUTPUTS[task]!r}: is the estimator {ESTIMATOR_KINDS[task]}?")
    return model


def fields(features: list[Column]) -> tuple[Field, ...]:
    """Return the signature's fields of the contract's columns."""
    return tuple(
        msgspec.convert(
            {name: getattr(column, name) for name in Field.__struct_fields__},
            Field,
        )
        for column in features
    )


def sealed(model: onnx.ModelProto, signature: Signature, explains: str = "") -> bytes:
    """Serialise the graph with its signature, and the explanations' background if there is one, as metadata."""
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))  # their order is that of a set
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    entry = model.metadata_props.add()
    entry.key, entry.value = SIGNATURE, msgspec.json.encode(signature).decode()
    if is_batch_invariant(model):
        entry = model.metadata_props.add()
        entry.key, entry.value = ALONE, "exact"
    if explains:
        entry = model.metadata_props.add()
        entry.key, entry.value = EXPLAINS, explains
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
