"""Golden examples: rows of the holdout with their scores, which a version must reproduce before it gets traffic.

People see them and they are stored with the model, so they contain no personal values: such a field is absent or, if
it is required, has the same neutral value in every example. The scores are those of the changed rows, so exact.
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
    """Return instances in the form of a request, each with the file's score.

    With more than two classes it is the whole prediction, with each class' probability in `scores`.
    """
    personal = [column for column in holdout.contract.features if column.personal]
    names = {column.name for column in personal}
    fixed = {column.name: neutral(column, holdout) for column in personal if column.required}
    instances = [
        {name: value for name, value in row.items() if name not in names} | fixed for row in holdout.instances(COUNT)
    ]
    scores = scorer.score_rows(instances).tolist()
    return [{"instance": row} | _golden_score(scorer, score) for row, score in zip(instances, scores, strict=True)]


def _golden_score(scorer: Model, score: Score) -> dict[str, Any]:
    return scorer.prediction(score) if isinstance(score, list) else {"score": score}


def neutral(column: Column, holdout: Rows) -> Value:
    """Return a value that is valid under the contract and identifies nobody."""
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
    return mask(str(holdout.table[column.name][0]), column.pattern)


def mask(value: str, pattern: str) -> str:
    """Replace every character of a value that the pattern allows to replace."""
    regex = re.compile(pattern)
    for index in range(len(value)):
        texts = (f"{value[:index]}{neutral}{value[index + 1 :]}" for neutral in NEUTRAL)
        value = next((text for text in texts if regex.fullmatch(text)), value)
    return value
