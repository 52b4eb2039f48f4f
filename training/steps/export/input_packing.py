"""One input for all numeric columns of a graph, instead of one each.

An input costs the caller about 3 µs, whatever is in it: ten columns of one row cost more than 200 trees. The columns
are ordered as the graph first joins them, so that in most graphs the matrix takes the place of that `Concat`, and no
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
"""The opset from which `Split` takes its sizes as an input."""
Block = tuple[list[str], str]
"""Columns side by side, and what the graph calls them."""


def whole(fitted: Any, features: list[Column]) -> list[str]:
    """The columns that an estimator takes as one matrix, in its order; none where it picks them by their names.

    Raises:
        StepError: it was fitted to fewer or more.
    """
    names = [column.name for column in features]
    if _picks(fitted) or not all(column.numeric for column in features):
        return []
    if (count := getattr(fitted, "n_features_in_", len(names))) != len(names):
        mend = "fit it to all of them, or begin with a ColumnTransformer"
        raise StepError(f"{type(fitted).__name__} was fitted to {count} columns of {len(names)} features: {mend}")
    return names


def _picks(fitted: Any) -> bool:
    parts = fitted.get_params().values() if isinstance(fitted, BaseEstimator) else ()
    return any(isinstance(part, ColumnTransformer) for part in [fitted, *parts])


def packed(model: onnx.ModelProto, features: list[Column]) -> onnx.ModelProto:
    """The graph with its numeric columns as the input `NUMBERS`, float32 (rows, columns); changed in place."""
    graph = model.graph
    uses = Counter(name for node in graph.node for name in node.input)
    # An input that no node takes is one that the caller would fill for nothing.
    used = [item for item in graph.input if uses[item.name]]
    kinds = {item.name: item.type.tensor_type.elem_type for item in used}
    numbers = [column.name for column in features if column.numeric and kinds.get(column.name) == TensorProto.FLOAT]
    if not numbers or NUMBERS in kinds or not _plain(model):
        return model
    blocks = _blocks(graph, numbers, uses)
    order = [name for names, _ in blocks for name in names]
    kept = [item for item in used if item.name not in numbers]
    del graph.input[:]
    graph.input.extend([helper.make_tensor_value_info(NUMBERS, TensorProto.FLOAT, [None, len(order)]), *kept])
    _feed(graph, blocks)
    return listed(model, order)


def listed(model: onnx.ModelProto, order: Sequence[str]) -> onnx.ModelProto:
    """The graph, its metadata naming the columns of `NUMBERS`."""
    helper.set_model_props(model, {NUMBERS: json.dumps(list(order))})
    return model


def _plain(model: onnx.ModelProto) -> bool:
    """A graph whose `Split` is the one used here, and whose nodes hold no graph that could name a column too."""
    known = any(opset.domain == "" and opset.version >= OLDEST for opset in model.opset_import)
    nested = {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}
    return known and not any(attribute.type in nested for node in model.graph.node for attribute in node.attribute)


def _blocks(graph: onnx.GraphProto, numbers: list[str], uses: Counter[str]) -> list[Block]:
    """The columns in the graph's own order: those that a `Concat` alone takes together, then the others by themselves.

    Such a `Concat` is taken out, the block having its name.
    """
    single = {name for name in numbers if uses[name] == 1}
    joins = [node for node in graph.node if _joins(node) and single.issuperset(node.input)]
    blocks = [(list(node.input), node.output[0]) for node in joins]
    for node in joins:
        graph.node.remove(node)
    joined = {name for names, _ in blocks for name in names}
    return blocks + [([name], name) for name in numbers if name not in joined]


def _joins(node: onnx.NodeProto) -> bool:
    return node.op_type == "Concat" and node.domain == "" and any(a.name == "axis" and a.i == 1 for a in node.attribute)


def _feed(graph: onnx.GraphProto, blocks: list[Block]) -> None:
    """The blocks from the matrix: the only one is the matrix itself, more are split off it."""
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
