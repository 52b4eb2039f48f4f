"""`make bench-gate`: how often the gates pass a challenger that is no better, because both models are pure noise.

Each repetition has new truth, and a champion and a challenger whose scores are independent of it. The gates themselves
decide whether the challenger is better than the champion, with and without a confidence.
"""

import sys
from typing import Any

import numpy as np

from bench import report
from penstock.evaluation import gates
from penstock.evaluation.confidence import Scored, intervals
from penstock.spec.model import Gate

REPETITIONS, ROWS, CONFIDENCE = 2_000, 1_000, 0.95
STATED = 1 - CONFIDENCE
"""The largest false-pass rate that the spec promises. An exact interval would let through half of it, at its lower end;
a bootstrap interval is a little narrower than an exact one."""
METRICS = ("roc_auc", "log_loss")


def passes(gate: Gate, seed: int) -> bool:
    """Return whether a challenger of pure noise passes."""
    random = np.random.default_rng([seed, 1])
    truth = random.random(ROWS) < 0.3
    challenger, champion = (Scored(random.beta(3, 7, ROWS), 0.5) for _ in range(2))
    numbers: Any = intervals(
        [gate.model_copy(update={"confidence": gate.confidence or 0.5})],
        truth,
        challenger,
        {"baseline": Scored(np.full(ROWS, 0.3), 0.5), "champion": champion},
    )
    # A gate without confidence compares two numbers: the difference as the challenger's, and 0 as the champion's.
    sign = -1 if gate.metric == "log_loss" else 1
    first = {gate.metric: sign * numbers[0]["difference"]}
    decision = gates.decide([gate], first, baseline={}, champion={gate.metric: 0.0}, evaluation={"intervals": numbers})
    return decision.passed


def main() -> int:
    """Print the rates; return 1 where one is above what the spec promises."""
    rates = {
        (metric, confidence): float(
            np.mean(
                [
                    passes(Gate(metric=metric, against="champion", confidence=confidence), seed)
                    for seed in range(REPETITIONS)
                ]
            )
        )
        for metric in METRICS
        for confidence in (None, CONFIDENCE)
    }
    rows = [
        [
            metric,
            "none" if confidence is None else f"{confidence:g}",
            f"{rate:.2%}",
            f"{STATED:.2%}" if confidence else "",
        ]
        for (metric, confidence), rate in rates.items()
    ]
    report.table(
        f"challengers of pure noise that pass `against: champion` ({REPETITIONS:,} of them, {ROWS:,} rows each)",
        ["metric", "confidence", "let through", "stated, at most"],
        rows,
    )
    report.close(
        "gate",
        {"repetitions": REPETITIONS, "stated": STATED}
        | {f"{metric}_{confidence or 'none'}": rate for (metric, confidence), rate in rates.items()},
    )
    return 0 if all(rate <= STATED for (_, confidence), rate in rates.items() if confidence) else 1


if __name__ == "__main__":
    sys.exit(main())
