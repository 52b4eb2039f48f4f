"""A fitted estimator as one ONNX file that takes raw columns and carries its signature."""

from typing import Any

import msgspec
import onnx
from lightgbm import LGBMClassifier
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

from penstock.contract import Column
from penstock.signature import SIGNATURE, Field, Signature
from training.steps.container import StepError

OPSET = {"": 17, "ai.onnx.ml": 3}
PROBABILITIES = "probabilities"

update_registered_converter(
    LGBMClassifier,
    "LightGbmLGBMClassifier",
    calculate_linear_classifier_output_shapes,
    convert_lightgbm,
    options={"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]},
)


def to_onnx(fitted: Any, features: list[Column]) -> onnx.ModelProto:
    """The estimator as ONNX: one input a column, shape (rows, 1); class probabilities, shape (rows, 2).

    Raises:
        StepError: an estimator that has no ONNX form, or a graph that does not take the contract's columns.
    """
    if isinstance(fitted, onnx.ModelProto):
        return _checked(fitted, features)
    if not hasattr(fitted, "predict_proba"):
        raise StepError(
            f"fit must return a fitted classifier (or pipeline) or an ONNX graph, it returned {fitted!r:.80}"
        )
    inputs = [
        (column.name, FloatTensorType([None, 1]) if column.numeric else StringTensorType([None, 1]))
        for column in features
    ]
    try:
        # Without a name the graph gets a random one, and the same data and code another digest.
        model = convert_sklearn(
            fitted, name="model", initial_types=inputs, target_opset=OPSET, options={id(fitted): {"zipmap": False}}
        )
    except (RuntimeError, ValueError, NameError, KeyError, NotImplementedError) as error:
        raise StepError(f"{type(fitted).__name__} cannot be exported to ONNX: {error}") from error
    return _checked(model, features)


def _checked(model: onnx.ModelProto, features: list[Column]) -> onnx.ModelProto:
    known = {column.name for column in features}
    if strange := [item.name for item in model.graph.input if item.name not in known]:
        raise StepError(f"the ONNX graph wants {strange[0]!r}, which is no feature in contract.yaml")
    if PROBABILITIES not in {item.name for item in model.graph.output}:
        raise StepError(f"the ONNX graph has no output {PROBABILITIES!r}: is the estimator a classifier?")
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


def sealed(model: onnx.ModelProto, signature: Signature) -> bytes:
    """The file: the graph with its signature in the metadata."""
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))  # they come out of a set
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    entry = model.metadata_props.add()
    entry.key, entry.value = SIGNATURE, msgspec.json.encode(signature).decode()
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
