"""A model file that names other files is refused before the runtime could open one."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from penstock.scoring.model import Model, ModelFileError
from penstock.scoring.onnx_external_data import refers_elsewhere
from tests.support import tiny


def tensor(*, outside: bool) -> TensorProto:
    made = numpy_helper.from_array(np.ones(4, np.float32), "w")
    if outside:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value="../../etc/passwd")
    return made


def in_initializer(found: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "location", [], [], initializer=[found])


def in_attribute(found: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([helper.make_node("Constant", [], ["location"], value=found)], "g", [], [])


def in_subgraph(found: TensorProto) -> onnx.GraphProto:
    node = helper.make_node(
        "If", ["location"], ["y"], then_branch=in_attribute(found), else_branch=in_initializer(found)
    )
    return helper.make_graph([node], "g", [], [])


def in_sparse(found: TensorProto) -> onnx.GraphProto:
    sparse = onnx.SparseTensorProto(values=found, dims=[4])
    return helper.make_graph([], "location", [], [], sparse_initializer=[sparse])


@pytest.mark.parametrize("place", [in_initializer, in_attribute, in_subgraph, in_sparse])
def test_a_tensor_elsewhere_is_found_wherever_it_is(place: object) -> None:
    assert callable(place)
    for outside in (True, False):
        data = helper.make_model(place(tensor(outside=outside))).SerializeToString()
        assert b"location" in data
        assert refers_elsewhere(data) is outside


def test_a_function_of_the_model_may_hold_one() -> None:
    node = helper.make_node("Constant", [], ["y"], value=tensor(outside=True))
    function = helper.make_function("d", "f", [], ["y"], [node], [helper.make_opsetid("", 17)])
    model = helper.make_model(in_initializer(tensor(outside=False)), functions=[function])
    assert refers_elsewhere(model.SerializeToString())


def test_it_is_refused_before_a_session_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = helper.make_model(in_initializer(tensor(outside=True))).SerializeToString()
    with pytest.raises(ModelFileError, match="keeps tensors in other files: export it as one file"):
        Model(data)


def test_ours_are_one_file_and_what_is_no_protobuf_is_not_trusted() -> None:
    assert not refers_elsewhere(tiny.build())
    assert refers_elsewhere(b"location" + b"\xff" * 40)
    assert refers_elsewhere(b"\x3a\x7flocation")
