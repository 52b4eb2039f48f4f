"""Whether a graph computes a row alone exactly as it does among others.

onnxruntime multiplies a single row by a vector's code and several by a matrix', which add up in another order, so the
last digits of a score could depend on the company. `penstock.scoring.model` gives such a row twice; a graph of nodes
that treat every row for itself needs no such thing, and is what most trees are.
"""

import onnx

EACH_FOR_ITSELF = frozenset(
    {
        "Add",
        "ArrayFeatureExtractor",
        "Cast",
        "Concat",
        "Div",
        "Gather",
        "Identity",
        "Imputer",
        "LabelEncoder",
        "Mul",
        "OneHotEncoder",
        "Reshape",
        "Scaler",
        "Split",
        "Squeeze",
        "Sub",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
        "Unsqueeze",
    }
)
"""Operators that move values, compare them or compute one from one, by the same instructions whatever the shape."""


def alike_alone(model: onnx.ModelProto) -> bool:
    """Whether every node of the graph is known to treat a row alike alone and in company."""
    return all(node.op_type in EACH_FOR_ITSELF for node in model.graph.node)
