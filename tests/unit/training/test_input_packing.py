"""Numeric columns are packed into one matrix without changing a bit of a score."""

import json
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from penstock.contract.model import Column
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import NUMBERS
from tests.support import tiny
from training.steps.data.container import StepError
from training.steps.export import onnx_export as export
from training.steps.export.input_packing import pack_inputs

TREES = LGBMClassifier(n_estimators=20, random_state=0, verbosity=-1)
TEXT = ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), tiny.TEXT)
ALL = ("all", "passthrough", ["free", "amount", "count", "member", "level"])
ONLY = [column for column in tiny.COLUMNS if column.numeric]
SHAPES: dict[str, tuple[list[Any], Any, bool]] = {
    "joined at once, in an order of its own": ([TEXT, ALL], TREES, False),
    "joined twice": (
        [("a", "passthrough", ["amount", "level", "free"]), ("b", StandardScaler(), ["count", "member"]), TEXT],
        LogisticRegression(max_iter=1_000),
        True,
    ),
    "one of them alone": (
        [("a", "passthrough", ["amount", "level"]), ("b", StandardScaler(), ["free"])],
        LogisticRegression(max_iter=1_000),
        True,
    ),
    "one of them twice": (
        [("a", "passthrough", ["amount", "level"]), ("b", StandardScaler(), ["free", "amount"])],
        LogisticRegression(max_iter=1_000),
        True,
    ),
    "one alone": ([("a", "passthrough", ["amount"]), TEXT], TREES, False),
}


def export_unpacked(transformers: list[Any], last: Any) -> onnx.ModelProto:
    rows = tiny.table()
    fitted = Pipeline([("columns", ColumnTransformer(transformers)), ("last", last)])
    fitted.fit(rows, rows["amount"].to_numpy() + rows["free"].to_numpy() > 9)
    inputs = [
        (column.name, FloatTensorType([None, 1]) if column.numeric else StringTensorType([None, 1]))
        for column in tiny.COLUMNS
    ]
    model: onnx.ModelProto = convert_sklearn(
        fitted, name="m", initial_types=inputs, target_opset=export.OPSET, options={id(fitted): {"zipmap": False}}
    )
    return model


def random_rows(count: int = 300) -> dict[str, npt.NDArray[Any]]:
    """Return columns of shape (rows, 1), a tenth of the numbers missing and some large."""
    random = np.random.default_rng(11)
    rows: dict[str, npt.NDArray[Any]] = {}
    for column in tiny.COLUMNS:
        if column.numeric:
            numbers = (random.normal(5, 5, (count, 1)) * 10.0 ** random.integers(-3, 6, (count, 1))).astype(np.float32)
            rows[column.name] = np.where(random.random((count, 1)) < 0.1, np.float32(np.nan), numbers)
        else:
            rows[column.name] = random.choice(np.array(["JFK", "red", "n", ""], dtype=object), (count, 1))
    return rows


def score(model: onnx.ModelProto, rows: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString())
    input_names = {item.name for item in session.get_inputs()}
    feeds = {name: values for name, values in rows.items() if name in input_names}
    scores: npt.NDArray[np.float32] = session.run(["probabilities"], feeds)[0]
    return scores


@pytest.mark.parametrize("shape", SHAPES)
def test_packed_graph_gives_the_same_scores(shape: str) -> None:
    # Given a graph with an input a column
    transformers, last, split = SHAPES[shape]
    before = export_unpacked(transformers, last)
    after = onnx.ModelProto()
    after.CopyFrom(before)
    # When its numeric columns are packed
    pack_inputs(after, tiny.COLUMNS)
    onnx.checker.check_model(after)
    # Then they are one input, split only if the graph uses them separately
    [entry] = [entry for entry in after.metadata_props if entry.key == NUMBERS]
    order = json.loads(entry.value)
    used = {name for node in before.graph.node for name in node.input} & {column.name for column in ONLY}
    assert {item.name for item in after.graph.input} & set(order) == set()
    assert sorted(order) == sorted(used)
    assert ("Split" in {node.op_type for node in after.graph.node}) == split
    # And the scores are the same to the last bit, missing values included
    rows = random_rows()
    matrix = np.concatenate([rows[name] for name in order], axis=1)
    np.testing.assert_array_equal(score(after, rows | {NUMBERS: matrix}), score(before, rows))


def test_score_of_a_row_does_not_depend_on_the_batch() -> None:
    # Given a file of trees on text and numbers
    graph = pack_inputs(export_unpacked([TEXT, ALL], TREES), tiny.COLUMNS)
    model = Model(export.sealed(graph, tiny.signature()))
    rows = [row | {"amount": float(row["amount"])} for row in tiny.table(50).to_dicts()]
    rows = [{name: value for name, value in row.items() if value != ""} for row in rows]
    for index, row in enumerate(rows):
        row.update(level=1 + index % 9, count=index, member=index % 2 == 0, free=None if index % 3 else row["free"])
    body = json.dumps({"instances": rows}).encode()
    # When they are scored together as columns, together as a request, and each alone
    columns = model.score({column.name: [row.get(column.name) for row in rows] for column in tiny.COLUMNS}).tolist()
    together = model.score_instances(model.instances(body))
    alone = [model.score_instances(model.instances(json.dumps({"instances": [row]}).encode()))[0] for row in rows]
    # Then it is the same number each time
    assert columns == together == alone
    assert len(set(alone)) > 5


def test_file_with_one_input_per_column_still_works() -> None:
    # Given a file with one input per column, as older versions exported it, and the same one packed
    old = export_unpacked([TEXT, ALL], TREES)
    new = onnx.ModelProto()
    new.CopyFrom(old)
    files = [Model(export.sealed(graph, tiny.signature())) for graph in (old, pack_inputs(new, tiny.COLUMNS))]
    # When both score a request
    body = json.dumps({"instances": [tiny.GOOD, tiny.SMALLEST]}).encode()
    first, second = [model.score_instances(model.instances(body)) for model in files]
    # Then they agree
    assert first == second
    assert files[0].score_rows([tiny.GOOD, tiny.SMALLEST]).tolist() == first


@pytest.mark.parametrize(
    "estimator",
    [
        TREES,
        RandomForestClassifier(n_estimators=5, random_state=0),
        LogisticRegression(),
        Pipeline([("s", StandardScaler()), ("l", LogisticRegression())]),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimator_without_column_transformer_takes_all_columns(estimator: Any) -> None:
    # Given an estimator without a ColumnTransformer, fitted to numbers
    rows = tiny.table().select(tiny.NUMBERS)
    fitted = estimator.fit(rows, rows["amount"].to_numpy() > 5)
    # When it is exported
    about = msgspec.structs.replace(tiny.signature(), fields=export.fields(ONLY))
    model = Model(export.sealed(export.to_onnx(fitted, ONLY), about))
    # Then the file gives the estimator's scores
    scores = model.score({name: rows[name].to_list() for name in rows.columns})
    np.testing.assert_allclose(scores, fitted.predict_proba(rows)[:, 1], atol=1e-5)


def test_estimator_fitted_to_fewer_columns_is_refused() -> None:
    rows = tiny.table()
    fitted = LGBMRegressor(n_estimators=2, verbosity=-1).fit(rows.select("amount", "free"), rows["amount"].to_numpy())
    with pytest.raises(StepError, match="LGBMRegressor was fitted to 2 columns of 5 features: fit it to all of them"):
        export.to_onnx(fitted, ONLY, "regression")


def own_graph(opset: int, kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(name, kind, [None, 1]) for name in ("amount", "free")]
    output = helper.make_tensor_value_info("probabilities", kind, [None, 2])
    node = helper.make_node("Concat", ["amount", "free"], ["probabilities"], axis=1)
    graph = helper.make_graph([node], "own", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_graph_whose_output_is_the_joined_columns() -> None:
    # Given a graph whose only node joins two columns into the output
    graph = export.to_onnx(own_graph(17), tiny.COLUMNS)
    # Then the matrix is split for that node and does not replace the output
    model = Model(export.sealed(graph, tiny.signature()))
    assert model.score_rows([{"amount": 1.0, "free": 0.25}]).tolist() == [0.25]


@pytest.mark.parametrize(("opset", "kind"), [(12, TensorProto.FLOAT), (17, TensorProto.DOUBLE)])
def test_graph_that_cannot_be_packed_is_unchanged(opset: int, kind: int) -> None:
    graph = own_graph(opset, kind)
    assert [item.name for item in pack_inputs(graph, tiny.COLUMNS).graph.input] == ["amount", "free"]
    assert not graph.metadata_props


@pytest.mark.parametrize("classes", [2, 3])
def test_score_of_a_row_of_numbers_does_not_depend_on_the_batch(classes: int) -> None:
    # Given a file with numeric columns only
    rows = tiny.table().select(tiny.NUMBERS)
    truth = (rows["amount"].to_numpy() // 3).clip(max=classes - 1).astype(np.int64)
    fitted = LGBMClassifier(n_estimators=20, random_state=0, verbosity=-1).fit(rows, truth)
    about = msgspec.structs.replace(tiny.signature(), fields=export.fields(ONLY), classes=tuple(range(classes)))
    model = Model(export.sealed(export.to_onnx(fitted, ONLY), about))
    assert model._score_single is not None
    # When rows are scored together and each alone: missing values, booleans, and numbers that float32 rounds
    large_numbers = [1, 2**53 + 1, 2**62 + 1, -3, 16_777_217]
    requests = [
        {"amount": 0.1 * index, "level": 1 + index % 9, "count": large_numbers[index % 5]}
        | ({"free": 1e38 / (index + 1)} if index % 3 else {"free": None})
        | ({"member": index % 2 == 0} if index % 4 else {})
        for index in range(60)
    ]
    together = [model.instances(json.dumps({"instances": [row]}).encode())[0] for row in requests]
    alone = [model.score_instances([instance])[0] for instance in together]
    # Then it is the same number each time
    assert alone == model.score_instances(together) == model.score_rows(requests).tolist()
    assert len({str(score) for score in alone}) > 1


def test_score_that_is_not_finite_is_refused() -> None:
    # Given a sum of two columns, each of which may be as large as float32 allows
    rows = tiny.table().select("amount", "free")
    fitted = LinearRegression().fit(rows, rows["amount"].to_numpy() + rows["free"].to_numpy())
    columns = [Column(name, "number", "feature") for name in rows.columns]
    about = msgspec.structs.replace(
        tiny.signature(), fields=export.fields(columns), classes=(), threshold=None, output="variable"
    )
    model = Model(export.sealed(export.to_onnx(fitted, columns, "regression"), about))
    large, small = {"amount": 3e38, "free": 3e38}, {"amount": 1, "free": 1}
    # When a request has such a row, alone or in a batch, then the row is named
    for requests, row in (([large], 0), ([small, large], 1)):
        with pytest.raises(RequestError, match=f"score of row {row} is not a finite number") as caught:
            model.score_instances(model.instances(json.dumps({"instances": requests}).encode()))
        assert (caught.value.status, caught.value.row) == (422, row)
