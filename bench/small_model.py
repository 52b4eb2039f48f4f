"""A small real model for the benches of predict: logistic regression on two texts and four numbers."""

import numpy as np
import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from penstock.contract.model import Column
from penstock.scoring.signature import Signature
from training.steps.export import onnx_export as export

TEXTS, NUMBERS = ["city", "colour"], ["amount", "level", "free", "count"]
COLUMNS = [*(Column(name, "string", "feature") for name in TEXTS), *(Column(n, "number", "feature") for n in NUMBERS)]
ROW: dict[str, str | float] = {"city": "JFK", "colour": "red", "amount": 10.5, "level": 3.0, "free": -1.25, "count": 4}


def build(rows: int = 200) -> bytes:
    """Train it and return the sealed file, exported as the training job does."""
    random = np.random.default_rng(7)
    numbers = {name: random.uniform(1, 9, rows).astype(np.float32) for name in NUMBERS}
    texts = {"city": random.choice(["JFK", "LGA", "EWR"], rows), "colour": random.choice(["red", "green"], rows)}
    frame = pl.DataFrame(texts | numbers)
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("text", encode, TEXTS), ("numbers", SimpleImputer(), NUMBERS)])
    fitted = Pipeline([("columns", columns), ("regression", LogisticRegression(max_iter=1_000))])
    fitted.fit(frame, numbers["amount"] > 5)
    signature = Signature(
        model="tiny",
        fields=export.fields(COLUMNS),
        classes=(False, True),
        threshold=0.5,
        output=export.OUTPUTS["binary"],
    )
    return export.sealed(export.to_onnx(fitted, COLUMNS), signature)
