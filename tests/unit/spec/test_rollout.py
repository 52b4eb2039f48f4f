"""The weights of a rollout's strategy."""

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.spec.model import Rollout


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [10, 50]),
        ({"weights": [5, 25, 100]}, [5, 25, 100]),
        ({"strategy": "linear"}, [20, 40, 60, 80]),
        ({"strategy": "linear", "step": 30}, [30, 60, 90]),
        ({"strategy": "linear", "step": 50}, [50]),
        ({"strategy": "shadow"}, [0]),
        ({"strategy": "shadow", "weights": [5, 25]}, [0, 5, 25]),
        ({"strategy": "all_at_once"}, []),
    ],
)
def test_the_weights_of_a_strategy(fields: dict[str, Any], expected: list[int]) -> None:
    assert Rollout(**fields).steps() == expected


@pytest.mark.parametrize("weights", [[50, 10], [10, 10], [0], [101], []])
def test_invalid_weights(weights: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"rise|greater|less|at least 1"):
        Rollout(weights=weights)
