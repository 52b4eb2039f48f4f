"""A model file with external data is refused before the runtime could open another file."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from penstock.scoring.model import Model, ModelFileError
from penstock.scoring.onnx_file import has_external_data
from tests.support import tiny


def tensor(*, outside: bool) -> TensorProto:
    result = numpy_helper.from_array(np.ones(4, np.float32), "w")
    if outside:
        result.ClearField("raw_data")
        result.data_location = TensorProto.EXTERNAL
        result.external_data.add(key="location", value="../../etc/passwd")
    return result


def in_initializer(inner: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "location", [], [], initializer=[inner])


def in_attribute(inner: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([helper.make_node("Constant", [], ["location"], value=inner)], "g", [], [])


def in_subgraph(inner: TensorProto) -> onnx.GraphProto:
    node = helper.make_node(
        "If", ["location"], ["y"], then_branch=in_attribute(inner), else_branch=in_initializer(inner)
    )
    return helper.make_graph([node], "g", [], [])


def in_sparse(inner: TensorProto) -> onnx.GraphProto:
    sparse = onnx.SparseTensorProto(values=inner, dims=[4])
    return helper.make_graph([], "location", [], [], sparse_initializer=[sparse])


@pytest.mark.parametrize("place", [in_initializer, in_attribute, in_subgraph, in_sparse])
def test_external_data_is_found_at_every_place_of_a_tensor(place: object) -> None:
    assert callable(place)
    for outside in (True, False):
        data = helper.make_model(place(tensor(outside=outside))).SerializeToString()
        assert b"location" in data
        assert has_external_data(data) is outside


def test_external_data_in_a_function_of_the_model_is_found() -> None:
    node = helper.make_node("Constant", [], ["y"], value=tensor(outside=True))
    function = helper.make_function("d", "f", [], ["y"], [node], [helper.make_opsetid("", 17)])
    model = helper.make_model(in_initializer(tensor(outside=False)), functions=[function])
    assert has_external_data(model.SerializeToString())


def test_a_file_with_external_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = helper.make_model(in_initializer(tensor(outside=True))).SerializeToString()
    with pytest.raises(ModelFileError, match="keeps tensors in other files: export it as one file"):
        Model(data)


def test_our_files_have_no_external_data_and_invalid_protobuf_counts_as_external() -> None:
    assert not has_external_data(tiny.build())
    assert has_external_data(b"location" + b"\xff" * 40)
    assert has_external_data(b"\x3a\x7flocation")
