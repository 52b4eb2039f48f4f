"""A tiny real model on text, numbers and a boolean, exported as by the training job."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from penstock.contract.model import Column, Contract
from penstock.scoring.signature import Class, Signature, Value
from penstock.spec.operations import Explaining
from training.steps.data.rows import Rows
from training.steps.export import onnx_export as export
from training.steps.measure import background

COLUMNS = [
    Column("city", "string", "feature", required=True, pattern="[A-Z]{3}"),
    Column("colour", "string", "feature", allowed=("red", "green")),
    Column("note", "string", "feature", min_length=1, max_length=5, personal=True),
    Column("amount", "number", "feature", required=True, minimum=0, maximum=1000),
    Column("level", "integer", "feature", minimum=1, maximum=9),
    Column("member", "boolean", "feature"),
    Column("free", "number", "feature"),
    Column("count", "integer", "feature"),
]
TEXT = [column.name for column in COLUMNS if not column.numeric]
NUMBERS = [column.name for column in COLUMNS if column.numeric]
GOOD: dict[str, Value] = {
    "city": "JFK",
    "colour": "red",
    "note": "n",
    "amount": 10.5,
    "level": 3,
    "member": True,
    "free": -1.25,
    "count": 4,
}
SMALLEST: dict[str, Value] = {"city": "LGA", "amount": 1}
THRESHOLD = 0.5
SIZES = ("a large", "b mid", "c small")


def table(rows: int = 200) -> pl.DataFrame:
    """Return seeded rows with the types of training."""
    random = np.random.default_rng(7)
    numbers = {name: random.uniform(1, 9, rows).astype(np.float32) for name in NUMBERS}
    return pl.DataFrame(
        {
            "city": random.choice(["JFK", "LGA", "EWR"], rows),
            "colour": random.choice(["red", "green", ""], rows),
            "note": random.choice(["n", "o", ""], rows),
            **numbers,
        }
    )


def estimator(rows: pl.DataFrame, truth: npt.NDArray[Any] | None = None) -> Pipeline:
    """Fit a logistic regression; by default the label depends on the amount and the city."""
    if truth is None:
        truth = (rows["amount"].to_numpy() + 3 * (rows["city"].to_numpy() == "JFK")) > 6
    columns = ColumnTransformer(
        [
            ("text", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXT),
            ("numbers", SimpleImputer(), NUMBERS),
        ]
    )
    return Pipeline([("columns", columns), ("regression", LogisticRegression(max_iter=1_000))]).fit(rows, truth)


def sizes(rows: pl.DataFrame) -> npt.NDArray[np.str_]:
    """Return a target of three values that depends on the amount. Shape (rows,)."""
    return np.array([SIZES[(amount > 3) + (amount > 6)] for amount in rows["amount"]])


def signature(threshold: float = THRESHOLD, name: str = "tiny") -> Signature:
    return Signature(
        model=name,
        fields=export.fields(COLUMNS),
        classes=(False, True),
        threshold=threshold,
        output=export.OUTPUTS["binary"],
        carried=("row_id", "at"),
    )


def explains(max_rows: int = 3, scorings: int = 5_000) -> str:
    """Return the metadata entry for explanations; exact over all coalitions, unless `scorings` is too small."""
    target = Column("won", "boolean", "target", required=True)
    rows = table().with_columns(won=pl.lit(value=True))
    train = Rows(rows, Contract("tiny", "1", (*COLUMNS, target), 0.0, "digest"))
    return background.entry(train, Explaining(max_rows=max_rows, scorings=scorings))


def build(
    threshold: float = THRESHOLD, hidden: tuple[str, ...] = (), hashed: tuple[str, ...] = (), explains: str = ""
) -> bytes:
    """Build the model file of a binary classification."""
    about = msgspec.structs.replace(signature(threshold), hidden=hidden, hashed=hashed)
    return export.sealed(export.to_onnx(estimator(table()), COLUMNS), about, explains)


def build_regression(explains: str = "") -> bytes:
    """Build the model file of a regression: three times `amount`, plus one."""
    rows = table()
    truth = 3 * rows["amount"].to_numpy() + 1
    columns = ColumnTransformer([("numbers", SimpleImputer(), ["amount"])])
    fitted = Pipeline([("columns", columns), ("regression", LinearRegression())]).fit(rows, truth)
    about = msgspec.structs.replace(signature(), classes=(), threshold=None, output=export.OUTPUTS["regression"])
    return export.sealed(export.to_onnx(fitted, COLUMNS, "regression"), about, explains)


def build_multiclass(classes: tuple[Class, ...] = SIZES, explains: str = "") -> bytes:
    """Build the model file of a multiclass classification with three sizes."""
    rows = table()
    about = msgspec.structs.replace(signature(), classes=classes, threshold=None)
    return export.sealed(export.to_onnx(estimator(rows, sizes(rows)), COLUMNS), about, explains)
