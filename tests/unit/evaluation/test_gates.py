"""Gates: each kind of condition, and its sentence."""

from typing import Any

import pytest

from penstock.evaluation.gates import Decision, decide
from penstock.spec.model import Gate

CHALLENGER = {"roc_auc": 0.9, "log_loss": 0.3, "brier": 0.1, "f1": 0.6}
BASELINE = {"roc_auc": 0.5, "log_loss": 0.6, "brier": 0.2}


def decide_one(gate: dict[str, Any], champion: dict[str, float] | None = None) -> Decision:
    return decide([Gate(**gate)], CHALLENGER, baseline=BASELINE, champion=champion)


@pytest.mark.parametrize(
    ("gate", "champion", "passed", "sentence"),
    [
        ({"min": 0.85}, None, True, "roc_auc 0.9000 ≥ 0.8500 (the minimum)"),
        ({"min": 0.9}, None, True, "roc_auc 0.9000 ≥ 0.9000 (the minimum)"),
        ({"min": 0.95}, None, False, "roc_auc 0.9000 < 0.9500 (the minimum)"),
        ({"metric": "brier", "max": 0.1}, None, True, "brier 0.1000 ≤ 0.1000 (the maximum)"),
        ({"metric": "brier", "max": 0.05}, None, False, "brier 0.1000 > 0.0500 (the maximum)"),
        ({"against": "baseline", "by": 0.3}, None, True, "roc_auc 0.9000 ≥ 0.8000 (the baseline's 0.5000, 0.3 better)"),
        (
            {"against": "baseline", "by": 0.5},
            None,
            False,
            "roc_auc 0.9000 < 1.0000 (the baseline's 0.5000, 0.5 better)",
        ),
        (
            {"metric": "log_loss", "against": "baseline", "by": 0.25},
            None,
            True,
            "log_loss 0.3000 ≤ 0.3500 (the baseline's 0.6000, 0.25 better)",
        ),
        (
            {"metric": "log_loss", "against": "baseline", "by": 0.35},
            None,
            False,
            "log_loss 0.3000 > 0.2500 (the baseline's 0.6000, 0.35 better)",
        ),
        ({"against": "champion"}, {"roc_auc": 0.9}, True, "roc_auc 0.9000 ≥ 0.9000 (the champion's 0.9000)"),
        ({"against": "champion"}, {"roc_auc": 0.91}, False, "roc_auc 0.9000 < 0.9100 (the champion's 0.9100)"),
        (
            {"against": "champion", "by": -0.02},
            {"roc_auc": 0.91},
            True,
            "roc_auc 0.9000 ≥ 0.8900 (the champion's 0.9100, 0.02 worse at most)",
        ),
        (
            {"metric": "brier", "against": "champion", "by": -0.02},
            {"brier": 0.09},
            True,
            "brier 0.1000 ≤ 0.1100 (the champion's 0.0900, 0.02 worse at most)",
        ),
        (
            {"against": "champion"},
            None,
            True,
            "roc_auc 0.9000 ≥ 0.5000 (the baseline's 0.5000), as there is no champion yet",
        ),
        (
            {"against": "champion", "by": 0.5},
            None,
            False,
            "roc_auc 0.9000 < 1.0000 (the baseline's 0.5000, 0.5 better), as there is no champion yet",
        ),
        ({"against": "champion"}, {"f1": 0.1}, False, "roc_auc of the champion was not measured"),
        ({"metric": "rmse", "min": 1}, None, False, "rmse was not measured; there are brier, f1, log_loss, roc_auc"),
    ],
)
def test_gate_passes_or_fails_with_a_sentence(
    gate: dict[str, Any], champion: dict[str, float] | None, passed: bool, sentence: str
) -> None:
    decision = decide_one({"metric": "roc_auc"} | gate, champion)
    assert (decision.passed, decision.verdicts[0].sentence) == (passed, sentence)
    assert decision.reason == ("all 1 gates passed" if passed else sentence)


def test_nan_passes_no_gate() -> None:
    for gate in (Gate(metric="f1", min=0), Gate(metric="f1", max=1), Gate(metric="f1", against="baseline")):
        assert not decide([gate], {"f1": float("nan")}, baseline={"f1": 0.1}, champion=None).passed


def test_all_gates_must_pass_and_the_reason_has_every_failure() -> None:
    # Given three gates of which two do not hold
    gates = [Gate(metric="roc_auc", min=0.95), Gate(metric="f1", min=0.5), Gate(metric="brier", max=0.01)]
    # When they are decided
    decision = decide(gates, CHALLENGER, baseline=BASELINE, champion=None)
    # Then the reason has both, and every gate its verdict with number and threshold
    assert not decision.passed
    assert decision.reason == "roc_auc 0.9000 < 0.9500 (the minimum); brier 0.1000 > 0.0100 (the maximum)"
    assert [(v.gate, v.number, v.threshold, v.passed) for v in decision.verdicts] == [
        ("roc_auc min", 0.9, 0.95, False),
        ("f1 min", 0.6, 0.5, True),
        ("brier max", 0.1, 0.01, False),
    ]


@pytest.mark.parametrize("metric", ["rmse", "mae", "pinball_10", "pinball_90"])
def test_lower_regression_error_is_better(metric: str) -> None:
    gate = Gate(metric=metric, against="champion", by=2)
    assert decide([gate], {metric: 8.0}, baseline={}, champion={metric: 10.0}).passed
    assert not decide([gate], {metric: 9.0}, baseline={}, champion={metric: 10.0}).passed


def test_higher_r2_is_better() -> None:
    gate = Gate(metric="r2", against="baseline", by=0.05)
    decision = decide([gate], {"r2": 0.4}, baseline={"r2": -0.01}, champion=None)
    assert decision.verdicts[0].sentence == "r2 0.4000 ≥ 0.0400 (the baseline's -0.0100, 0.05 better)"


def part(value: str, rows: int, **metrics: dict[str, float]) -> dict[str, Any]:
    return {"column": "origin", "value": value, "rows": rows, "metrics": metrics}


SLICES = [
    part("JFK", 90, challenger={"roc_auc": 0.9, "brier": 0.1}, champion={"roc_auc": 0.95}, baseline={"roc_auc": 0.5}),
    part("LGA", 80, challenger={"roc_auc": 0.7, "brier": 0.2}, champion={"roc_auc": 0.6}, baseline={"roc_auc": 0.5}),
    part("EWR", 3),
]
DISPARITIES = [
    {"column": "sex", "tpr_difference": 0.1, "selection_rate_ratio": 0.9, "fpr_difference": None},
    {"column": "age", "tpr_difference": 0.3, "selection_rate_ratio": 0.7, "fpr_difference": 0.1},
]
EVALUATION = {
    "slices": SLICES,
    "disparities": DISPARITIES,
    "beside": {"latency_ms": 2.0, "leakage": 0.97},
    "leaking": "arr_delay",
}


@pytest.mark.parametrize(
    ("gate", "passed", "sentence"),
    [
        (
            {"metric": "roc_auc", "min": 0.7, "slice": "worst"},
            True,
            "roc_auc 0.7000 ≥ 0.7000 (the minimum), in the worst of 2 slices, origin LGA (80 rows)",
        ),
        (
            {"metric": "brier", "max": 0.15, "slice": "worst"},
            False,
            "brier 0.2000 > 0.1500 (the maximum), in the worst of 2 slices, origin LGA (80 rows)",
        ),
        (
            {"metric": "roc_auc", "against": "champion", "by": -0.01, "slice": "worst"},
            False,
            "roc_auc 0.9000 < 0.9400 (the champion's 0.9500, 0.01 worse at most), in the worst of 2 slices, "
            "origin JFK (90 rows)",
        ),
        (
            {"metric": "f1", "min": 0.1, "slice": "worst"},
            False,
            "no slice has enough rows to measure f1 on: fewer min_rows, or other slices, are needed",
        ),
        (
            {"metric": "tpr_difference", "max": 0.2},
            False,
            "tpr_difference 0.3000 > 0.2000 (the maximum), between the groups of age",
        ),
        (
            {"metric": "selection_rate_ratio", "min": 0.6},
            True,
            "selection_rate_ratio 0.7000 ≥ 0.6000 (the minimum), between the groups of age",
        ),
        (
            {"metric": "fpr_difference", "max": 0.2},
            False,
            "fpr_difference was not measured: sex has fewer than two groups with enough rows for it",
        ),
        ({"metric": "latency_ms", "max": 5}, True, "latency_ms 2.0000 ≤ 5.0000 (the maximum)"),
        ({"metric": "onnx_mb", "max": 5}, False, "onnx_mb was not measured: train with this model.yaml"),
        (
            {"metric": "leakage", "max": 0.95},
            False,
            "leakage 0.9700 > 0.9500 (the maximum), which the feature 'arr_delay' reaches alone",
        ),
    ],
)
def test_gates_on_slices_groups_and_other_measures(gate: dict[str, Any], passed: bool, sentence: str) -> None:
    decision = decide([Gate(**gate)], CHALLENGER, baseline=BASELINE, champion=None, evaluation=EVALUATION)
    assert (decision.passed, decision.verdicts[0].sentence) == (passed, sentence)


def test_gate_on_groups_fails_without_groups() -> None:
    decision = decide([Gate(metric="tpr_difference", max=1)], CHALLENGER, baseline=BASELINE, champion=None)
    assert not decision.passed
    assert decision.reason.startswith("tpr_difference was not measured: any column has fewer")


def test_slice_without_the_rivals_metric_is_the_worst() -> None:
    # Given a slice whose baseline was not measured
    lacking = {"slices": [SLICES[0], part("LGA", 80, challenger={"roc_auc": 0.9})]}
    gate = Gate(metric="roc_auc", against="baseline", slice="worst")
    decision = decide([gate], CHALLENGER, baseline=BASELINE, champion=None, evaluation=lacking)
    assert not decision.passed
    assert decision.reason.startswith("roc_auc of the baseline was not measured, in the worst")


def test_slice_with_nan_is_the_worst() -> None:
    decision = decide(
        [Gate(metric="roc_auc", min=0.5, slice="worst")],
        CHALLENGER,
        baseline=BASELINE,
        champion=None,
        evaluation={"slices": [SLICES[0], part("LGA", 80, challenger={"roc_auc": float("nan")})]},
    )
    assert (decision.passed, "origin LGA" in decision.reason) == (False, True)
