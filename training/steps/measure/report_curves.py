"""Curves for the report's plots, bounded: few points for lines, ten bins for calibration."""

from typing import Any

import numpy as np
import numpy.typing as npt

from penstock.scoring.signature import Scores

POINTS, BINS = 200, 10
Numbers = npt.NDArray[np.float64]


def thin(x: Numbers, y: Numbers) -> list[list[float]]:
    """Return at most POINTS of a curve's points, evenly along its length, its ends included."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS - 1)).clip(0, len(x) - 1))
    places = np.unique([0, *chosen, len(x) - 1])[-POINTS:]
    return np.column_stack([x[places], y[places]]).tolist()  # type: ignore[no-any-return]


def calibration(truth: Numbers, scores: Scores) -> list[dict[str, Any]]:
    """Return bins of about equally many rows, equal scores in one bin: mean score, share of positives, rows."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)))[1:-1]
    places = np.searchsorted(edges, scores, side="right")
    return [
        {
            "score": float(scores[places == place].mean()),
            "positive": float(truth[places == place].mean()),
            "rows": int((places == place).sum()),
        }
        for place in np.unique(places)
    ]
