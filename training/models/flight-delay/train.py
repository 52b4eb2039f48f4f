"""LightGBM on raw columns: text is one-hot encoded, numbers go in as they are, missing values included."""

from typing import Any

import polars as pl
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

TEXT = ["carrier", "origin", "dest", "manufacturer"]
NUMBERS = [
    "dep_delay",
    "distance",
    "sched_dep_minute",
    "weekday",
    "plane_year",
    "seats",
    "wind_speed",
    "precip",
    "visib",
]


def fit(train: pl.DataFrame, validation: pl.DataFrame, params: dict[str, Any]) -> Pipeline:
    """Return a fitted pipeline from raw columns to the probability of arriving late."""
    del validation  # the number of trees is set; the validation rows choose the decision threshold
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXT),
            ("numbers", "passthrough", NUMBERS),
        ]
    )
    trees = LGBMClassifier(
        n_estimators=params["trees"],
        num_leaves=params["leaves"],
        learning_rate=params["learning_rate"],
        random_state=0,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )
    return Pipeline([("columns", columns), ("trees", trees)]).fit(
        train.select(TEXT + NUMBERS), train["late"].to_numpy()
    )
