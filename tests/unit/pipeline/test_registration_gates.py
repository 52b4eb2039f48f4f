"""Real evaluations through gates and registration: a worse model is rejected, a better one registered."""

import json
from typing import Any

import numpy as np
import pytest

from penstock.aws.model_registry import Registry
from penstock.contract.odcs import read_contract
from penstock.evaluation import metrics as evaluation
from penstock.evaluation.confidence import Scored, intervals
from penstock.pipeline.registration import Registration
from penstock.spec.model import Gate, ModelSpec
from tests.support.training_artifact import archive_of, list_packages, record_trained_run
from tests.support.world import STAGE, World

RANDOM = np.random.default_rng(11)
ROWS = 4_000
TRUTH = RANDOM.random(ROWS) < 0.3
EVIDENCE = TRUTH + RANDOM.standard_normal(ROWS)
"""A good model's view of the truth; the more noise, the worse the model."""
NOISE = RANDOM.standard_normal(ROWS)
BETTER = Gate(metric="roc_auc", against="champion", confidence=0.95)
NOT_WORSE = Gate(metric="roc_auc", against="champion", by=-0.01, confidence=0.95)


def model(noise: float) -> Any:
    return 1 / (1 + np.exp(-(EVIDENCE + noise * NOISE)))


def evaluate(gates: list[Gate], challenger: Any, champion: Any = None) -> dict[str, Any]:
    """The evaluation as the training job writes it, through JSON."""
    baseline = np.full(ROWS, 0.3)
    live = (1, champion, 0.5) if champion is not None else None
    results = evaluation.evaluate(TRUTH, challenger=challenger, threshold=0.5, baseline=baseline, champion=live)
    rivals: Any = {"baseline": Scored(baseline, 0.5)}
    if champion is not None:
        rivals["champion"] = Scored(champion, 0.5)
    results["intervals"] = intervals(gates, TRUTH, Scored(challenger, 0.5), rivals)
    decoded: dict[str, Any] = json.loads(json.dumps(results))
    return decoded


def register(world: World, gates: list[Gate], results: dict[str, Any]) -> dict[str, Any]:
    step = Registration(
        stage=STAGE,
        spec=ModelSpec(name="flight-delay", gates=gates),
        contract=read_contract(world.root / "model"),
        lake=world.lake,
        store=world.store,
        ledger=world.ledger,
        registry=Registry(world.group),
    )
    others: dict[str, Any] = {"evaluation": results, "baseline": {}, "golden": [], "report": {}, "report-data": {}}
    files = {f"{name}.json": json.dumps(about).encode() for name, about in others.items()}
    event = record_trained_run(world, archive_of({"model.onnx": b"a model"} | files))
    return dict(
        step.run(event["run"], event["dataset"], event["artifact"], event["image"], "2026-01-01T00:00:00+00:00")
    )


@pytest.mark.parametrize(
    ("gate", "noise", "outcome", "verdict"),
    [
        (BETTER, 1.5, "rejected", "not all above +0"),
        (BETTER, 0.5, "rejected", "not all above +0"),
        (BETTER, 0.0, "registered", "all above +0"),
        (NOT_WORSE, 1.5, "rejected", "not all above -0.01"),
        (NOT_WORSE, 0.5, "registered", "all above -0.01"),
        (NOT_WORSE, 0.0, "registered", "all above -0.01"),
    ],
    ids=["worse-better", "equal-better", "better-better", "worse-not_worse", "equal-not_worse", "better-not_worse"],
)
def test_a_challenger_against_the_champion(world: World, gate: Gate, noise: float, outcome: str, verdict: str) -> None:
    # Given a champion, and a challenger with more, the same or less noise
    results = evaluate([gate], model(noise), champion=model(0.5))
    # When it is judged
    result = register(world, [gate], results)
    # Then the outcome is the spec's, with the interval in its reason, in the registry and in the ledger
    assert result["outcome"] == outcome
    interval = results["intervals"][0]
    clause = f"0.95 interval {interval['low']:+.4f} to {interval['high']:+.4f}, {verdict}"
    assert clause in result["reason"]
    assert [clause in package["ModelPackageDescription"] for package in list_packages()] == [True] * (
        outcome == "registered"
    )
    verdict_record = world.ledger.run("run1")["steps"]["gates"]["verdicts"][0]
    assert (verdict_record["number"], verdict_record["threshold"]) == (pytest.approx(interval["low"]), gate.by)


def test_a_first_model_is_compared_with_the_baseline(world: World) -> None:
    result = register(world, [BETTER], evaluate([BETTER], model(0.5)))
    assert result["outcome"] == "registered"
    assert "against the baseline's 0.5000: better by +0." in result["reason"]
    assert result["reason"].endswith(", as there is no champion yet")


def test_a_first_model_of_noise_is_rejected(world: World) -> None:
    result = register(world, [BETTER], evaluate([BETTER], RANDOM.random(ROWS)))
    assert result["outcome"] == "rejected"
    assert "against the baseline's 0.5000" in result["reason"]


def test_a_gate_without_a_measured_interval_rejects(world: World) -> None:
    # Given a job that was trained before the spec asked for a confidence
    results = evaluate([], model(0), champion=model(1)) | {"intervals": []}
    result = register(world, [BETTER], results)
    assert result["outcome"] == "rejected"
    assert result["reason"].endswith("no interval at 0.95 was measured; train with this model.yaml")
