"""Fixtures of the monitor's tests: real flights, a baseline of them, and the function."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from demo.flights import flights
from penstock.contract.model import Contract
from penstock.monitoring import drift
from tests.support.world import World
from tests.unit.monitoring.captured_rows import BASELINE_ROWS


@pytest.fixture(scope="session")
def rows(contract: Contract) -> list[dict[str, Any]]:
    """Real flights of January as instances with their key, shuffled so that any window is like the whole."""
    names = [contract.key.name, *(column.name for column in contract.features)]
    return flights([1]).sample(6_000, seed=1, shuffle=True).select(names).to_dicts()


@pytest.fixture(scope="session")
def baseline(contract: Contract, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from training.steps.export.onnx_export import fields

    first = rows[:BASELINE_ROWS]
    columns = {column.name: [row[column.name] for row in first] for column in contract.features}
    return drift.baseline(fields(contract.features), columns, np.linspace(0, 1, BASELINE_ROWS))


@pytest.fixture
def function(world: World) -> ModuleType:
    return world.load("monitor")
