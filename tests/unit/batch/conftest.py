"""The steps of a batch with the tiny model live."""

import pytest

from tests.support.batch_steps import Steps, go_live
from tests.support.world import World


@pytest.fixture
def steps(world: World, tiny_onnx: bytes) -> Steps:
    """The steps with the tiny model live and its row key in the contract."""
    path = world.root / "model" / "contract.yaml"
    path.write_text(path.read_text().replace("name: flight_id", "name: row_id"))
    go_live(world, tiny_onnx)
    return Steps.load(world)
