"""Parameter values for the trials of a tuning job: every combination of a grid, or random draws from the ranges.

The same request gives the same trials: the generator is seeded with RandomSeed, or else with the ranges. A Bayesian
search is replaced by random draws here, which find an equally good trial with a few more of them.
"""

import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator
from typing import Any

from penstock.local.sagemaker.protocol.errors import validation

Values = dict[str, str]
STRATEGIES = ("Bayesian", "Random", "Grid")
KINDS = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
_SCALES = ("Auto", "Linear", "Logarithmic")
_MAX_REPEATS = 100
"""Repeated draws in a row after which the ranges count as exhausted."""


def suggestions(config: dict[str, Any]) -> Iterator[Values]:
    """Yield the trials of a HyperParameterTuningJobConfig, each once: parameter → value as text.

    Raises:
        SageMakerError: SageMaker refuses the ranges, or the laptop cloud does not support them.
    """
    ranges = config.get("ParameterRanges", {})
    _check(config, ranges)
    return _grid(ranges) if config["Strategy"] == "Grid" else _draws(config, ranges)


def _grid(ranges: dict[str, Any]) -> Iterator[Values]:
    categories = ranges.get("CategoricalParameterRanges", [])
    for combination in itertools.product(*(item["Values"] for item in categories)):
        yield {item["Name"]: value for item, value in zip(categories, combination, strict=True)}


def _draws(config: dict[str, Any], ranges: dict[str, Any]) -> Iterator[Values]:
    text = json.dumps(ranges, sort_keys=True)
    seed = config.get("RandomSeed", int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
    generator, earlier, repeats = random.Random(seed), set[str](), 0  # noqa: S311 - no secret
    while repeats < _MAX_REPEATS:
        values = _draw(generator, ranges)
        if (key := json.dumps(values, sort_keys=True)) in earlier:
            repeats += 1
            continue
        earlier.add(key)
        repeats = 0
        yield values


def _draw(generator: random.Random, ranges: dict[str, Any]) -> Values:
    values = {item["Name"]: generator.choice(item["Values"]) for item in ranges.get("CategoricalParameterRanges", [])}
    for item in ranges.get("ContinuousParameterRanges", []):
        low, high = float(item["MinValue"]), float(item["MaxValue"])
        values[item["Name"]] = repr(_number(generator, item, low, high))
    for item in ranges.get("IntegerParameterRanges", []):
        low, high = int(item["MinValue"]), int(item["MaxValue"])
        # Half a step beyond each end, so that the ends are as likely as the values between.
        number = _number(generator, item, max(low - 0.5, low / 2) if low > 0 else low - 0.5, high + 0.5)
        values[item["Name"]] = str(min(max(round(number), low), high))
    return values


def _number(generator: random.Random, item: dict[str, Any], low: float, high: float) -> float:
    if item.get("ScalingType") == "Logarithmic":
        return min(max(math.exp(generator.uniform(math.log(low), math.log(high))), low), high)
    return generator.uniform(low, high)


def _check(config: dict[str, Any], ranges: dict[str, Any]) -> None:
    if config["Strategy"] not in STRATEGIES:
        raise validation(f"The laptop cloud has no strategy {config['Strategy']}; it has {', '.join(STRATEGIES)}.")
    if ranges.get("AutoParameters"):
        raise validation("The laptop cloud has no AutoParameters: give each parameter its range.")
    names = [item["Name"] for kind in KINDS for item in ranges.get(kind, [])]
    if not names or len(set(names)) != len(names):
        raise validation("ParameterRanges must name at least one parameter, and each of them once.")
    if config["Strategy"] == "Grid" and any(ranges.get(kind) for kind in KINDS[:2]):
        raise validation("The Grid strategy takes categorical parameters only.")
    for kind, number in zip(KINDS[:2], (int, float), strict=True):
        for item in ranges.get(kind, []):
            _check_numbers(item, number)


def _check_numbers(item: dict[str, Any], number: type[int] | type[float]) -> None:
    try:
        low, high = number(item["MinValue"]), number(item["MaxValue"])
    except ValueError:
        raise validation(f"The range of {item['Name']} is not one of {number.__name__} values.") from None
    if not low < high:
        raise validation(f"MinValue of {item['Name']} must be less than its MaxValue.")
    if item.get("ScalingType", "Auto") not in _SCALES:
        raise validation(f"The laptop cloud has the scales {', '.join(_SCALES)}, for {item['Name']} too.")
    if item.get("ScalingType") == "Logarithmic" and low <= 0:
        raise validation(f"A logarithmic range must be above 0; that of {item['Name']} is not.")
