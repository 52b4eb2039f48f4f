"""Batch invariance: whether a graph scores a single row bit for bit as it does in a batch.

onnxruntime multiplies a single row with vector code and several rows with matrix code, which sum in another order, so
the last digits of a score could depend on the batch. `penstock.scoring.model` passes such a row twice. A graph of
row-wise nodes, such as most trees, does not need that.
"""

import onnx

ROW_WISE = frozenset(
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
"""Operators that move, compare or map single values, with the same instructions for every shape."""


def is_batch_invariant(model: onnx.ModelProto) -> bool:
    """Return whether every node of the graph is known to be row-wise."""
    return all(node.op_type in ROW_WISE for node in model.graph.node)
