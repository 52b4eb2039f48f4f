"""Explain scores by Shapley values of the served file: how much each field of a row adds to its score.

The method uses only the graph's scores, so it is the same for trees, linear models and networks, and needs no second
model. The background rows are in the model file, under its digest. Only the first request for an explanation imports
this module, so that it does not slow cold starts.
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

BATCH = 2048
"""Mixtures scored in one call; limits the memory."""
Explanation = dict[str, Any]
"""`{"base": score, "contributions": {field: what it adds}}`."""


class Background(msgspec.Struct, frozen=True):
    """The background of explanations in the model file: usual values, with which a row's values are mixed."""

    columns: dict[str, list[Value]]
    """Each feature's usual values, equally many for each (`training/steps/measure/background.py`)."""
    max_rows: int
    """Most rows of a request with explanations."""
    scorings: int
    """Approximate number of scorings for one explained row."""

    @property
    def rows(self) -> int:
        """The number of background rows."""
        return len(next(iter(self.columns.values()), []))


class Explainer:
    """Explainer of one model file's scores."""

    def __init__(self, model: Model) -> None:
        """Read the background from the file's metadata.

        Raises:
            RequestError: 422, the file was trained without explanations.
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
        """Explain a row's score; with more than two classes, the label's probability.

        A field that is no input of the graph adds 0.

        Args:
            row: the graph's inputs (`Model.feeds`) of one row.
            prediction: the row's prediction.

        Returns:
            `base`, the mean score over the background, and `contributions`, in the score's own unit. Together they sum
            up to the score, to the rounding of float64.
        """
        class_scores = list(prediction.get("scores", {}).values())
        place = class_scores.index(prediction["score"]) if class_scores else None
        base, added = self._plan.parts(self._scores(row, place), prediction["score"])
        contributions = dict(zip(self._names, added.tolist(), strict=True))
        fields = [field.name for field in self._model.signature.fields]
        return {"base": base, "contributions": {name: contributions.get(name, 0.0) for name in fields}}

    def _scores(self, row: Tensors, place: int | None) -> Floats:
        """Score every mixture; `place` selects one of several classes."""
        starts = range(0, len(self._plan.background_rows), BATCH)
        batches = [self._model.score_tensors(self._mixtures(row, slice(start, start + BATCH))) for start in starts]
        return np.concatenate([part if place is None else part[:, place] for part in batches]).astype(np.float64)

    def _mixtures(self, row: Tensors, part: slice) -> Tensors:
        mask, others = self._plan.from_row[part], self._plan.background_rows[part]
        return {
            name: np.where(mask[:, columns], row[name], self._others[name][others])
            for name, columns in self._columns.items()
        }


@lru_cache(maxsize=1)
def explainer(model: Model) -> Explainer:
    """Return the model's explainer; build it once.

    Raises:
        RequestError: as for `Explainer`.
    """
    return Explainer(model)


def add_explanations(
    model: Model, instances: Instances, predictions: Sequence[Mapping[str, Any]], query: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Add an `explanation` to each prediction, if the query requests it.

    Args:
        model: the model that made the predictions.
        instances: the rows, as `Model.instances` decodes them.
        predictions: one for each row.
        query: the request's query; repeated values are joined by a comma.

    Raises:
        RequestError: as for `wants_explanation`; the version has no explanations; too many rows; an explanation that is
            not finite.
    """
    if not wants_explanation(query, strictly=bool(model.explains)):
        return [dict(prediction) for prediction in predictions]
    own = explainer(model)
    if len(instances) > (most := own.background.max_rows):
        message = f"at most {most} rows of a request are explained, this one has {len(instances):,}"
        raise RequestError(413, f"{message}: give fewer, or ask without {PARAMETER}", field="instances")
    rows = zip(instances, predictions, strict=True)
    return [
        {**prediction, "explanation": _finite(own.of(model.feeds.of_instances([instance]), prediction), index)}
        for index, (instance, prediction) in enumerate(rows)
    ]


def wants_explanation(query: Mapping[str, str], *, strictly: bool) -> bool:
    """Return whether a query requests explanations.

    Args:
        query: names and values.
        strictly: whether to refuse other names. A version with explanations has a parameter that can be misspelt;
            a version without them ignores the query.

    Raises:
        RequestError: 400, a value that is neither true nor false, or an unknown name.
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
