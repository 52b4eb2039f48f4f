"""Explanations of a served file's scores, compared with exact Shapley values over all coalitions."""

import json
from collections.abc import Callable, Mapping
from itertools import combinations
from math import comb
from typing import Any

import msgspec
import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from penstock.api.explain import Background, add_explanations, wants_explanation
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Value
from tests.support import tiny
from tests.support.tiny import GOOD, SMALLEST
from training.steps.export import onnx_export as export

GAPS: dict[str, Value] = SMALLEST | {"city": "XXX", "colour": "green", "member": False}
Row = Mapping[str, Value]


def trees(explains: str) -> bytes:
    """Return a model of boosted trees, which accept missing numbers."""
    rows = tiny.table()
    steps = [("text", OneHotEncoder(handle_unknown="ignore"), tiny.TEXT), ("numbers", "passthrough", tiny.NUMBERS)]
    truth = rows["amount"].to_numpy() * rows["level"].to_numpy() > 20 + 10 * (rows["city"].to_numpy() == "JFK")
    last = LGBMClassifier(n_estimators=20, random_state=0, verbosity=-1)
    fitted = Pipeline([("columns", ColumnTransformer(steps, sparse_threshold=0)), ("last", last)]).fit(rows, truth)
    return export.sealed(export.to_onnx(fitted, tiny.COLUMNS), tiny.signature(), explains)


BUILDS: dict[str, Callable[[str], bytes]] = {
    "linear": lambda entry: tiny.build(explains=entry),
    "trees": trees,
    "regression": tiny.build_regression,
    "multiclass": lambda entry: tiny.build_multiclass(explains=entry),
}


@pytest.fixture(scope="module", params=BUILDS)
def model(request: pytest.FixtureRequest) -> Model:
    return Model(BUILDS[request.param](tiny.explains()))


def explain(model: Model, *rows: Row) -> list[dict[str, Any]]:
    """Send the rows as a request and return its explained predictions."""
    instances = model.instances(json.dumps({"instances": rows}).encode())
    scores = model.score_instances(instances)
    return add_explanations(model, instances, [model.prediction(score) for score in scores], {"explain": "true"})


def background(model: Model) -> list[dict[str, Value]]:
    columns = msgspec.json.decode(model.explains, type=Background).columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def by_coalitions(model: Model, row: Row, place: int | None) -> tuple[float, dict[str, float]]:
    """Return the base and the Shapley values by their definition over sets."""
    names, usual = list(GOOD), background(model)

    def coalition_value(coalition: frozenset[str]) -> float:
        mixed = [other | {name: row.get(name) for name in coalition} for other in usual]
        scores = model.score_rows(mixed)
        return float((scores if place is None else scores[:, place]).mean())

    sets = [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
    values = {coalition: coalition_value(coalition) for coalition in sets}
    share = {size: 1 / (len(names) * comb(len(names) - 1, size)) for size in range(len(names))}
    contributions = {
        name: sum(share[len(c)] * (values[c | {name}] - values[c]) for c in sets if name not in c) for name in names
    }
    return values[frozenset()], contributions


@pytest.mark.parametrize("row", [GOOD, SMALLEST, GAPS])
def test_contributions_are_the_shapley_values_of_the_files_own_scores(model: Model, row: Row) -> None:
    # Given a row with categories, and values that are missing or unknown
    [answer] = explain(model, row)
    label = answer.get("label")
    place = model.signature.classes.index(label) if model.signature.task == "multiclass" else None
    # When every coalition is scored as whole rows, without this module
    base, values = by_coalitions(model, row, place)
    # Then base and contributions are equal
    assert answer["explanation"]["base"] == pytest.approx(base, abs=1e-6)
    assert answer["explanation"]["contributions"] == pytest.approx(values, abs=1e-6)
    assert list(answer["explanation"]["contributions"]) == [field.name for field in model.signature.fields]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("scorings", [256, 5_000])
def test_explanation_sums_up_to_the_unchanged_score(build: str, scorings: int) -> None:
    # Given a file with explanations, and the same file without
    model, plain = Model(BUILDS[build](tiny.explains(scorings=scorings))), Model(BUILDS[build](""))
    rows = [GOOD, SMALLEST, GAPS]
    # When rows are explained
    answers = explain(model, *rows)
    # Then each score is the plain file's to the last bit, and base and contributions sum up to it
    scores = plain.score_instances(plain.instances(json.dumps({"instances": rows}).encode()))
    predictions = [{name: value for name, value in item.items() if name != "explanation"} for item in answers]
    assert predictions == [plain.prediction(score) for score in scores]
    for item in answers:
        total = item["explanation"]["base"] + sum(item["explanation"]["contributions"].values())
        assert total == pytest.approx(item["score"], abs=1e-9 * max(1, abs(item["score"])))


@pytest.mark.parametrize("scorings", [256, 5_000])
def test_explanation_of_a_row_is_deterministic(scorings: int) -> None:
    encodings = set()
    for _ in range(2):
        model = Model(trees(tiny.explains(scorings=scorings)))
        encodings |= {msgspec.json.encode(explain(model, *rows)[0]) for rows in ([GOOD], [GOOD, GAPS])}
    assert len(encodings) == 1


def test_contribution_in_a_linear_model_is_weight_times_distance_from_the_mean() -> None:
    # Given an amount that is three times `amount`, plus one
    model = Model(tiny.build_regression(tiny.explains(scorings=256)))
    mean = float(np.mean([row["amount"] for row in background(model)]))
    [answer] = explain(model, GOOD)
    # Then `amount` adds three times its distance, and a field that is no input of the graph exactly 0
    added = answer["explanation"]["contributions"]
    assert added.pop("amount") == pytest.approx(3 * (10.5 - mean), abs=1e-4)
    assert answer["explanation"]["base"] == pytest.approx(3 * mean + 1, abs=1e-4)
    assert set(added.values()) == {0.0}


def test_explanation_does_not_depend_on_the_other_rows() -> None:
    model = Model(BUILDS["trees"](tiny.explains()))
    assert explain(model, GOOD, SMALLEST) == [*explain(model, GOOD), *explain(model, SMALLEST)]


@pytest.mark.parametrize(
    ("entry", "rows", "word", "status", "message"),
    [
        ("", 1, "true", 422, "this version of tiny explains nothing: put `explain: {}` under `serving` in model.yaml"),
        (tiny.explains(max_rows=2), 3, "true", 413, "at most 2 rows of a request are explained, this one has 3"),
        (tiny.explains(), 1, "yes", 400, "explain is 'yes': say true or false"),
        (tiny.explains(), 1, "", 400, "explain is ''"),
    ],
)
def test_refused_explanation_says_what_to_do(entry: str, rows: int, word: str, status: int, message: str) -> None:
    model = Model(tiny.build(explains=entry))
    instances = model.instances(json.dumps({"instances": [GOOD] * rows}).encode())
    predictions = [model.prediction(score) for score in model.score_instances(instances)]
    with pytest.raises(RequestError) as caught:
        add_explanations(model, instances, predictions, {"explain": word})
    assert (caught.value.status, message in caught.value.detail) == (status, True), caught.value.detail
    # And without the parameter there is no explanation
    assert add_explanations(model, instances, predictions, {"explain": "false"}) == predictions


def test_row_without_a_finite_mixed_score_is_refused() -> None:
    # Given amounts that are the square of a number, and usual values that are too large for it
    from tests.unit.predict.test_api import overflowing

    entry = msgspec.json.encode(Background({"amount": [1e30]}, 3, 256)).decode()
    model = Model(overflowing(entry))
    with pytest.raises(RequestError, match="the score of row 0 cannot be explained"):
        explain(model, {"amount": 3})


def test_unknown_query_parameter_is_refused_only_by_versions_with_explanations() -> None:
    # Given a misspelt parameter, a version with explanations refuses it
    with pytest.raises(RequestError, match="'explian' is not known in a query: there is explain"):
        wants_explanation({"explian": "true"}, strictly=True)
    # And a version without them ignores it
    assert not wants_explanation({"explian": "true"}, strictly=False)
