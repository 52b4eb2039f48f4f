"""Explanations of a served file's scores, against every coalition scored as whole rows by the file itself."""

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

from penstock.api.explain import Background, explained
from penstock.api.explain import asked as query_asks
from penstock.scoring.model import Model
from penstock.scoring.problems import RequestError
from penstock.scoring.signature import Value
from tests.support import tiny
from tests.support.tiny import GOOD, SMALLEST
from training.steps.export import onnx_export as export

GAPS: dict[str, Value] = SMALLEST | {"city": "XXX", "colour": "green", "member": False}
Row = Mapping[str, Value]


def trees(explains: str) -> bytes:
    """Boosted trees that meet missing numbers themselves."""
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


def asked(model: Model, *rows: Row) -> list[dict[str, Any]]:
    """Rows as a request has them; what is answered."""
    instances = model.instances(json.dumps({"instances": rows}).encode())
    scores = model.score_instances(instances)
    return explained(model, instances, [model.prediction(score) for score in scores], {"explain": "true"})


def background(model: Model) -> list[dict[str, Value]]:
    columns = msgspec.json.decode(model.explains, type=Background).columns
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def by_coalitions(model: Model, row: Row, place: int | None) -> tuple[float, dict[str, float]]:
    """The base and the Shapley values, by their definition over sets."""
    names, usual = list(GOOD), background(model)

    def worth(coalition: frozenset[str]) -> float:
        mixed = [other | {name: row.get(name) for name in coalition} for other in usual]
        scores = model.score_rows(mixed)
        return float((scores if place is None else scores[:, place]).mean())

    sets = [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
    worths = {coalition: worth(coalition) for coalition in sets}
    share = {size: 1 / (len(names) * comb(len(names) - 1, size)) for size in range(len(names))}
    found = {
        name: sum(share[len(c)] * (worths[c | {name}] - worths[c]) for c in sets if name not in c) for name in names
    }
    return worths[frozenset()], found


@pytest.mark.parametrize("row", [GOOD, SMALLEST, GAPS])
def test_contributions_are_the_shapley_values_of_the_files_own_scores(model: Model, row: Row) -> None:
    # Given a row, with categories, and values that are missing or were never seen
    [answer] = asked(model, row)
    label = answer.get("label")
    place = model.signature.classes.index(label) if model.signature.task == "multiclass" else None
    # When every coalition is scored as whole rows, without this module
    base, values = by_coalitions(model, row, place)
    # Then it says the same
    assert answer["explanation"]["base"] == pytest.approx(base, abs=1e-6)
    assert answer["explanation"]["contributions"] == pytest.approx(values, abs=1e-6)
    assert list(answer["explanation"]["contributions"]) == [field.name for field in model.signature.fields]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("scorings", [256, 5_000])
def test_an_explanation_sums_up_to_the_score_and_changes_nothing_about_it(build: str, scorings: int) -> None:
    # Given a file that explains, and the same that does not
    model, plain = Model(BUILDS[build](tiny.explains(scorings=scorings))), Model(BUILDS[build](""))
    rows = [GOOD, SMALLEST, GAPS]
    # When rows are explained
    answers = asked(model, *rows)
    # Then each score is the plain file's to the last bit, and base and contributions sum up to it
    scores = plain.score_instances(plain.instances(json.dumps({"instances": rows}).encode()))
    kept = [{name: value for name, value in item.items() if name != "explanation"} for item in answers]
    assert kept == [plain.prediction(score) for score in scores]
    for item in answers:
        total = item["explanation"]["base"] + sum(item["explanation"]["contributions"].values())
        assert total == pytest.approx(item["score"], abs=1e-9 * max(1, abs(item["score"])))


@pytest.mark.parametrize("scorings", [256, 5_000])
def test_the_same_row_is_explained_by_the_same_bytes(scorings: int) -> None:
    found = set()
    for _ in range(2):
        model = Model(trees(tiny.explains(scorings=scorings)))
        found |= {msgspec.json.encode(asked(model, *rows)[0]) for rows in ([GOOD], [GOOD, GAPS])}
    assert len(found) == 1


def test_of_a_linear_amount_a_contribution_is_weight_times_distance_from_the_mean() -> None:
    # Given an amount that is three times `amount`, plus one
    model = Model(tiny.build_regression(tiny.explains(scorings=256)))
    mean = float(np.mean([row["amount"] for row in background(model)]))
    [answer] = asked(model, GOOD)
    # Then `amount` adds three times its distance, and what the graph does not take adds exactly nothing
    added = answer["explanation"]["contributions"]
    assert added.pop("amount") == pytest.approx(3 * (10.5 - mean), abs=1e-4)
    assert answer["explanation"]["base"] == pytest.approx(3 * mean + 1, abs=1e-4)
    assert set(added.values()) == {0.0}


def test_a_row_among_others_is_explained_as_alone() -> None:
    model = Model(BUILDS["trees"](tiny.explains()))
    assert asked(model, GOOD, SMALLEST) == [*asked(model, GOOD), *asked(model, SMALLEST)]


@pytest.mark.parametrize(
    ("entry", "rows", "word", "status", "said"),
    [
        ("", 1, "true", 422, "this version of tiny explains nothing: put `explain: {}` under `serving` in model.yaml"),
        (tiny.explains(max_rows=2), 3, "true", 413, "at most 2 rows of a request are explained, this one has 3"),
        (tiny.explains(), 1, "yes", 400, "explain is 'yes': say true or false"),
        (tiny.explains(), 1, "", 400, "explain is ''"),
    ],
)
def test_what_is_not_explained_says_what_to_do(entry: str, rows: int, word: str, status: int, said: str) -> None:
    model = Model(tiny.build(explains=entry))
    instances = model.instances(json.dumps({"instances": [GOOD] * rows}).encode())
    predictions = [model.prediction(score) for score in model.score_instances(instances)]
    with pytest.raises(RequestError) as caught:
        explained(model, instances, predictions, {"explain": word})
    assert (caught.value.status, said in caught.value.detail) == (status, True), caught.value.detail
    # And a request that asks for none has none
    assert explained(model, instances, predictions, {"explain": "false"}) == predictions


def test_a_row_that_has_no_finite_score_among_usual_values_is_refused() -> None:
    # Given amounts that are the square of a number, and usual values that are too large for it
    from tests.unit.predict.test_api import overflowing

    entry = msgspec.json.encode(Background({"amount": [1e30]}, 3, 256)).decode()
    model = Model(overflowing(entry))
    with pytest.raises(RequestError, match="the score of row 0 cannot be explained"):
        asked(model, {"amount": 3})


def test_a_name_that_a_query_does_not_have_is_refused_where_it_has_one() -> None:
    # Given a misspelt question, then a version that explains says so
    with pytest.raises(RequestError, match="'explian' is not known in a query: there is explain"):
        query_asks({"explian": "true"}, strictly=True)
    # And one that does not takes no notice, as always
    assert not query_asks({"explian": "true"}, strictly=False)
