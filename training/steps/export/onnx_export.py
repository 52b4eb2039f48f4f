"""A fitted estimator as one ONNX file that takes raw columns and carries its signature."""

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
from training.steps.export.batch_invariance import alike_alone
from training.steps.export.input_packing import listed, packed, whole

OPSET = {"": 17, "ai.onnx.ml": 3}
OUTPUTS: dict[Task, str] = {"binary": "probabilities", "multiclass": "probabilities", "regression": "variable"}
"""The graph's output that holds the scores, by the exporter's own names."""
WANTED: dict[Task, str] = {"binary": "a classifier", "multiclass": "a classifier", "regression": "a regressor"}


class _RoundingDown:
    """The exporter's container, with thresholds of trees rounded down to float32.

    A column's values are float32, so `value <= threshold` stays the same question. Rounded to the nearest, a threshold
    between two values of the training rows may become the very value of another row, and that row changes sides.
    """

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *about: Any, **attributes: Any) -> Any:
        if "nodes_values" in attributes:
            exact = np.array(attributes["nodes_values"], dtype=np.float64)
            near = exact.astype(np.float32)
            below = np.nextafter(near, np.float32(-np.inf))
            asked = np.array(attributes["nodes_modes"]) == "BRANCH_LEQ"
            attributes["nodes_values"] = np.where(asked & (near > exact), below, near).tolist()
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
    """The estimator as ONNX: one float32 input of all numeric columns (`packing`), one input (rows, 1) a text column.

    Its output is class probabilities, shape (rows, classes), or a regression's amounts, shape (rows, 1).

    Raises:
        StepError: an estimator that has no ONNX form, or a graph that does not take the contract's columns.
    """
    if isinstance(fitted, onnx.ModelProto):
        return packed(_checked(fitted, features, task), features)
    if not hasattr(fitted, "predict"):
        raise StepError(
            f"fit must return a fitted estimator (or pipeline) or an ONNX graph, it returned {fitted!r:.80}"
        )
    _check_kind(fitted, task)
    bare = whole(fitted, features)
    inputs = [(NUMBERS, FloatTensorType([None, len(bare)]))] if bare else _inputs(features)
    try:
        # Without a name the graph gets a random one, and the same data and code another digest.
        model = convert_sklearn(
            fitted,
            name="model",
            initial_types=inputs,
            target_opset=OPSET,
            options={id(fitted): {"zipmap": False}} if task != "regression" else None,
        )
    except (RuntimeError, ValueError, NameError, KeyError, NotImplementedError) as error:
        # Some errors list a whole tree.
        raise StepError(f"{type(fitted).__name__} cannot be exported to ONNX: {str(error)[:500]}") from error
    if bare:
        return listed(_answering(model, task), bare)
    return packed(_checked(_with_own_names(model, features), features, task), features)


def _inputs(features: list[Column]) -> list[tuple[str, Any]]:
    return [
        (column.name, FloatTensorType([None, 1]) if column.numeric else StringTensorType([None, 1]))
        for column in features
    ]


def _with_own_names(model: onnx.ModelProto, features: list[Column]) -> onnx.ModelProto:
    """The graph with the columns' own names at its inputs: the exporter makes identifiers of them, `a b` is `a_b`."""
    own: dict[str, str] = {}
    for column in features:
        made = re.sub(r"[^\w+]", "_", column.name)
        made = f"_{made}" if made[0].isdigit() else made
        unique = (f"{made}{index or ''}" for index in itertools.count())
        own[next(name for name in unique if name not in own)] = column.name
    for item in model.graph.input:
        item.name = own.get(item.name, item.name)
    for node in model.graph.node:
        node.input[:] = [own.get(name, name) for name in node.input]
    return model


def _check_kind(fitted: Any, task: Task) -> None:
    wrong = is_classifier if task == "regression" else is_regressor
    if isinstance(fitted, BaseEstimator) and wrong(fitted):
        kind = WANTED["binary" if task == "regression" else "regression"]
        raise StepError(
            f"`fit` gave {kind} ({type(fitted).__name__}), the task in model.yaml is {task}: "
            f"return {WANTED[task]}, or change the task"
        )


def _checked(model: onnx.ModelProto, features: list[Column], task: Task) -> onnx.ModelProto:
    known = {column.name for column in features}
    if strange := [item.name for item in model.graph.input if item.name not in known]:
        raise StepError(f"the ONNX graph wants {strange[0]!r}, which is no feature in contract.yaml")
    return _answering(model, task)


def _answering(model: onnx.ModelProto, task: Task) -> onnx.ModelProto:
    if OUTPUTS[task] not in {item.name for item in model.graph.output}:
        raise StepError(f"the ONNX graph has no output {OUTPUTS[task]!r}: is the estimator {WANTED[task]}?")
    return model


def fields(features: list[Column]) -> tuple[Field, ...]:
    """The request's fields as the contract has them."""
    return tuple(
        msgspec.convert(
            {name: getattr(column, name) for name in Field.__struct_fields__},
            Field,
        )
        for column in features
    )


def sealed(model: onnx.ModelProto, signature: Signature, explains: str = "") -> bytes:
    """The file: the graph with its signature in the metadata, and what explanations need where they are asked for."""
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))  # they come out of a set
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    entry = model.metadata_props.add()
    entry.key, entry.value = SIGNATURE, msgspec.json.encode(signature).decode()
    if alike_alone(model):
        entry = model.metadata_props.add()
        entry.key, entry.value = ALONE, "exact"
    if explains:
        entry = model.metadata_props.add()
        entry.key, entry.value = EXPLAINS, explains
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
