"""Why a score is what it is: what each field of a row adds to the score, by Shapley values of the served file itself.

Nothing is known of the graph but its scores, so trees, linear models and networks are explained alike, by what serves
and not by a second model. What a row is held against travels in the file, under its digest. Imported by the first
request that asks: no part of a cold start.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from penstock.api.sagemaker_headers import PARAMETER
from penstock.scoring import shapley
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.scoring.shapley import Floats
from penstock.scoring.signature import Value
from penstock.scoring.tensors import Instances, Tensors

AT_ONCE = 2048
"""Mixtures that are scored in one call: what is in memory at a time."""
Explanation = dict[str, Any]
"""`{"base": score, "contributions": {field: what it adds}}`."""


class Background(msgspec.Struct, frozen=True):
    """What a row is held against, as the model file has it."""

    columns: dict[str, list[Value]]
    """Each feature's usual values, as many of each: `training/steps/measure/background.py`."""
    max_rows: int
    """Most rows of a request that are explained."""
    scorings: int
    """How often the model is asked for one explained row, about."""

    @property
    def rows(self) -> int:
        """How many background rows there are."""
        return len(next(iter(self.columns.values()), []))


class Explainer:
    """Explains scores of one model file."""

    def __init__(self, model: Model) -> None:
        """Read what the file has.

        Raises:
            RequestError: 422, a file that was trained without explanations.
        """
        if not model.explains:
            mend = "put `explain: {}` under `serving` in model.yaml, train, and approve the new version"
            raise RequestError(
                422, f"this version of {model.signature.model} explains nothing: {mend}", field=PARAMETER
            )
        self.background = msgspec.json.decode(model.explains, type=Background)
        self._model, self._names = model, model.feeds.names
        self._plan = shapley.plan(len(self._names), self.background.rows, self.background.scorings)
        self._others = model.feeds.of_columns(self.background.columns)
        places, self._columns = 0, dict[str, slice]()
        for name, tensor in model.feeds.in_order(self._others):
            self._columns[name] = slice(places, places := places + tensor.shape[1])

    def of(self, row: Tensors, prediction: Mapping[str, Any]) -> Explanation:
        """The explanation of a row's score, of several classes of the label's probability.

        A field that the graph does not take adds 0.

        Args:
            row: as the graph takes it (`Model.feeds`), of one row.
            prediction: as it is answered.

        Returns:
            `base` (the mean score over the background) and the sum of the contributions are the score, to the rounding
            of float64; both in the score's own unit.
        """
        several = list(prediction.get("scores", {}).values())
        place = several.index(prediction["score"]) if several else None
        base, added = self._plan.parts(self._scores(row, place), prediction["score"])
        known = dict(zip(self._names, added.tolist(), strict=True))
        fields = [field.name for field in self._model.signature.fields]
        return {"base": base, "contributions": {name: known.get(name, 0.0) for name in fields}}

    def _scores(self, row: Tensors, place: int | None) -> Floats:
        """Of every mixture; of several classes the one at `place`."""
        starts = range(0, len(self._plan.background_rows), AT_ONCE)
        found = [self._model.score_tensors(self._mixed(row, slice(start, start + AT_ONCE))) for start in starts]
        return np.concatenate([part if place is None else part[:, place] for part in found]).astype(np.float64)

    def _mixed(self, row: Tensors, part: slice) -> Tensors:
        taken, others = self._plan.from_row[part], self._plan.background_rows[part]
        return {
            name: np.where(taken[:, columns], row[name], self._others[name][others])
            for name, columns in self._columns.items()
        }


@lru_cache(maxsize=1)
def explainer(model: Model) -> Explainer:
    """One model's, made once.

    Raises:
        RequestError: as `Explainer`.
    """
    return Explainer(model)


def explained(
    model: Model, instances: Instances, predictions: Sequence[Mapping[str, Any]], query: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A request's predictions, each with its `explanation` where that is asked for.

    Args:
        model: that made them.
        instances: the rows, as `Model.instances` decodes them.
        predictions: as they are answered.
        query: the request's; what comes twice is joined by a comma.

    Raises:
        RequestError: as `asked`; a version that explains nothing; more rows than it explains; a row whose explanation
            is no number.
    """
    if not asked(query, strictly=bool(model.explains)):
        return [dict(prediction) for prediction in predictions]
    found = explainer(model)
    if len(instances) > (most := found.background.max_rows):
        said = f"at most {most} rows of a request are explained, this one has {len(instances):,}"
        raise RequestError(413, f"{said}: give fewer, or ask without {PARAMETER}", field="instances")
    rows = zip(instances, predictions, strict=True)
    return [
        {**prediction, "explanation": _finite(found.of(model.feeds.of_instances([instance]), prediction), index)}
        for index, (instance, prediction) in enumerate(rows)
    ]


def asked(query: Mapping[str, str], *, strictly: bool) -> bool:
    """Whether a query asks for explanations.

    Args:
        query: names and values.
        strictly: whether other names are refused. A version that explains has a parameter that can be misspelt; one
            that does not takes no notice of a query, as always.

    Raises:
        RequestError: 400, neither true nor false, or another name.
    """
    if strictly and (strange := [name for name in query if name != PARAMETER]):
        raise RequestError(400, f"{strange[0][:50]!r} is not known in a query: there is {PARAMETER}", field=PARAMETER)
    word = query.get(PARAMETER, "false")
    if word not in {"true", "false"}:
        raise RequestError(400, f"{PARAMETER} is {word[:50]!r}: say true or false", field=PARAMETER)
    return word == "true"


def _finite(explanation: Explanation, index: int) -> Explanation:
    if not np.isfinite([explanation["base"], *explanation["contributions"].values()]).all():
        what = f"the score of row {index} cannot be explained: mixed with usual values the row has no finite score"
        raise RequestError(422, what, row=index)
    return explanation
