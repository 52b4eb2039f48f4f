"""Pack all numeric columns of a graph into one input.

Each input costs the caller about 3 µs, whatever its size: ten inputs of one row cost more than 200 trees. The columns
are in the order in which the graph first joins them, so that in most graphs the matrix replaces that `Concat` and no
node is added.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer

from penstock.contract.model import Column
from penstock.scoring.signature import NUMBERS
from training.steps.data.container import StepError

OLDEST = 13
"""The first opset in which `Split` has its sizes as an input."""
Block = tuple[list[str], str]
"""Adjacent columns, and their name in the graph."""


def matrix_columns(fitted: Any, features: list[Column]) -> list[str]:
    """Return the columns that an estimator takes as one matrix, in order; empty if it selects them by name.

    Raises:
        StepError: it was fitted to another number of columns.
    """
    names = [column.name for column in features]
    if _selects_columns(fitted) or not all(column.numeric for column in features):
        return []
    if (count := getattr(fitted, "n_features_in_", len(names))) != len(names):
        mend = "fit it to all of them, or begin with a ColumnTransformer"
        raise StepError(f"{type(fitted).__name__} was fitted to {count} columns of {len(names)} features: {mend}")
    return names


def _selects_columns(fitted: Any) -> bool:
    parts = fitted.get_params().values() if isinstance(fitted, BaseEstimator) else ()
    return any(isinstance(part, ColumnTransformer) for part in [fitted, *parts])


def pack_inputs(model: onnx.ModelProto, features: list[Column]) -> onnx.ModelProto:
    """Replace the numeric inputs by the input `NUMBERS`, float32 (rows, columns); changes the graph in place."""
    graph = model.graph
    uses = Counter(name for node in graph.node for name in node.input)
    # The caller would fill an unused input for nothing.
    used = [item for item in graph.input if uses[item.name]]
    kinds = {item.name: item.type.tensor_type.elem_type for item in used}
    numbers = [column.name for column in features if column.numeric and kinds.get(column.name) == TensorProto.FLOAT]
    if not numbers or NUMBERS in kinds or not _is_packable(model):
        return model
    blocks = _blocks(graph, numbers, uses)
    order = [name for names, _ in blocks for name in names]
    other_inputs = [item for item in used if item.name not in numbers]
    del graph.input[:]
    graph.input.extend([helper.make_tensor_value_info(NUMBERS, TensorProto.FLOAT, [None, len(order)]), *other_inputs])
    _connect(graph, blocks)
    return name_matrix_columns(model, order)


def name_matrix_columns(model: onnx.ModelProto, order: Sequence[str]) -> onnx.ModelProto:
    """Write the names of the columns of `NUMBERS` to the metadata."""
    helper.set_model_props(model, {NUMBERS: json.dumps(list(order))})
    return model


def _is_packable(model: onnx.ModelProto) -> bool:
    """Return whether the graph has this `Split` operator and no nested graphs, which could use a column too."""
    has_split = any(opset.domain == "" and opset.version >= OLDEST for opset in model.opset_import)
    graph_types = {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}
    return has_split and not any(
        attribute.type in graph_types for node in model.graph.node for attribute in node.attribute
    )


def _blocks(graph: onnx.GraphProto, numbers: list[str], uses: Counter[str]) -> list[Block]:
    """Group the columns in the graph's order: those joined by a `Concat` that is their only use, then single ones.

    Such a `Concat` is removed, and its block has the name of its output.
    """
    single = {name for name in numbers if uses[name] == 1}
    joins = [node for node in graph.node if _is_concat_of_columns(node) and single.issuperset(node.input)]
    blocks = [(list(node.input), node.output[0]) for node in joins]
    for node in joins:
        graph.node.remove(node)
    joined = {name for names, _ in blocks for name in names}
    return blocks + [([name], name) for name in numbers if name not in joined]


def _is_concat_of_columns(node: onnx.NodeProto) -> bool:
    return node.op_type == "Concat" and node.domain == "" and any(a.name == "axis" and a.i == 1 for a in node.attribute)


def _connect(graph: onnx.GraphProto, blocks: list[Block]) -> None:
    """Connect the blocks to the matrix: a single block is the matrix itself, several are split off it."""
    if len(blocks) == 1 and blocks[0][1] not in {item.name for item in graph.output}:
        for node in graph.node:
            node.input[:] = [NUMBERS if name == blocks[0][1] else name for name in node.input]
        return
    sizes = helper.make_tensor(
        f"{NUMBERS}_sizes", TensorProto.INT64, [len(blocks)], [len(names) for names, _ in blocks]
    )
    graph.initializer.append(sizes)
    split = helper.make_node("Split", [NUMBERS, sizes.name], [name for _, name in blocks], axis=1)
    graph.node.insert(0, split)
