"""Golden examples: rows of the holdout with their scores, which a version must repeat before it gets traffic.

They are shown to people and kept with the model, so they hold no personal value: such a field is absent, or where a
request must have it the same neutral value in every example. They are scored as they stand, so they stay exact.
"""

import math
import re
from typing import Any

from penstock.contract.model import Column
from penstock.scoring.model import Model
from penstock.scoring.signature import Score, Value
from training.steps.data.rows import Rows

COUNT = 25
NEUTRAL = "x0X "


def examples(holdout: Rows, scorer: Model) -> list[dict[str, Any]]:
    """Instances as a request has them, each with the score that the file gives it.

    Of several classes that is all that is answered: each class' probability is in `scores`.
    """
    personal = [column for column in holdout.contract.features if column.personal]
    names = {column.name for column in personal}
    fixed = {column.name: neutral(column, holdout) for column in personal if column.required}
    instances = [
        {name: value for name, value in row.items() if name not in names} | fixed for row in holdout.instances(COUNT)
    ]
    scores = scorer.score_rows(instances).tolist()
    return [{"instance": row} | _recorded(scorer, score) for row, score in zip(instances, scores, strict=True)]


def _recorded(scorer: Model, score: Score) -> dict[str, Any]:
    return scorer.prediction(score) if isinstance(score, list) else {"score": score}


def neutral(column: Column, holdout: Rows) -> Value:
    """A value that the contract takes and nobody is known by."""
    if column.allowed:
        return column.allowed[0]
    if column.type == "boolean":
        return False
    if column.numeric:
        low = max(0, column.minimum if column.minimum is not None else 0)
        number = min(low, column.maximum if column.maximum is not None else low)
        return math.ceil(number) if column.type == "integer" else float(number)
    if column.pattern is None:
        return NEUTRAL[0] * max(column.min_length or 1, 1)
    return masked(str(holdout.table[column.name][0]), column.pattern)


def masked(value: str, pattern: str) -> str:
    """A value of which only those characters are left that its pattern leaves no choice of."""
    form = re.compile(pattern)
    for index in range(len(value)):
        tried = (f"{value[:index]}{neutral}{value[index + 1 :]}" for neutral in NEUTRAL)
        value = next((text for text in tried if form.fullmatch(text)), value)
    return value
