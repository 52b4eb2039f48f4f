"""Drift: counts, distances, and the rate of false alarms."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.monitoring import drift
from penstock.scoring.signature import Field, Scores

FIELDS = (Field("amount", "number"), Field("city", "string"), Field("member", "boolean"))


def sample(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> dict[str, list[Any]]:
    cities = random.choice(["JFK", "LGA", "EWR"], rows, p=[0.5, 0.3, 0.2])
    return {
        "amount": (random.normal(size=rows) + shift).tolist(),
        "city": cities.tolist(),
        "member": (random.random(rows) < 0.4).tolist(),
        drift.SCORE: random.random(rows).tolist(),
    }


def document(rows: int = 4_000) -> dict[str, Any]:
    columns = sample(np.random.default_rng(0), rows)
    scores = np.array(columns.pop(drift.SCORE))
    loaded: dict[str, Any] = json.loads(json.dumps(drift.baseline(FIELDS, columns, scores)))
    return loaded


def compare(window: dict[str, list[Any]], rows: int, **options: Any) -> drift.Drift:
    return drift.compare(document(), window, rows=rows, **({"min_rows": 100, "threshold": 0.1} | options))


@pytest.mark.parametrize(
    ("expected", "actual"),
    [([10, 20, 30], [10, 20, 30]), ([50, 50], [80, 20]), ([100, 0], [0, 100]), ([1, 2, 3, 4], [40, 30, 20, 10])],
)
def test_the_psi_follows_its_formula(expected: list[int], actual: list[int]) -> None:
    # Given shares with half a row added to each bin
    e = [(x + 0.5) / (sum(expected) + 0.5 * len(expected)) for x in expected]
    a = [(x + 0.5) / (sum(actual) + 0.5 * len(actual)) for x in actual]
    # Then the index is the sum of (a - e) ln(a / e)
    assert drift.psi(expected, actual) == pytest.approx(
        math.fsum((y - x) * math.log(y / x) for x, y in zip(e, a, strict=True))
    )


def test_the_psi_of_known_shares() -> None:
    # (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5) = 0.4158883…, with halves of a row in a million
    assert drift.psi([500_000, 500_000], [800_000, 200_000]) == pytest.approx(0.4158883, abs=1e-5)
    assert drift.psi([7, 9], [7, 9]) == 0.0


@given(st.lists(st.one_of(st.none(), st.floats(width=32), st.integers(-5, 5)), max_size=30), st.integers(0, 30))
def test_numeric_counts_can_be_added(values: list[Any], cut: int) -> None:
    # Given bins and values of any kind, missing and NaN among them
    bins = drift.bins_of([1.0, 2.0, 3.0, None, 4.0], numeric=True)
    whole = bins.count(values)
    # Then every value is in one bin, and the counts of two halves add up to those of the whole
    assert sum(whole.values()) == len(values)
    halves = [bins.count(values[:cut]), bins.count(values[cut:])]
    assert {name: halves[0][name] + halves[1][name] for name in whole} == whole
    assert list(whole) == bins.names()


def test_text_has_bins_for_missing_and_other() -> None:
    bins = drift.bins_of(["a", "b", "a", None], numeric=False)
    assert bins.count(["a", "b", "z", None, "a"]) == {"a": 2, "b": 1, drift.OTHER: 1, drift.MISSING: 1}


def test_only_the_commonest_categories_have_a_bin() -> None:
    values = [f"c{number}" for number in range(50) for _ in range(number + 1)]
    bins = drift.bins_of(values, numeric=False)
    assert len(bins.categories) == 20
    assert set(bins.categories) == {f"c{number}" for number in range(30, 50)}


def test_allowed_values_are_the_categories() -> None:
    # Given a sample without one of the values that the contract allows
    bins = drift.bins_of(["a", "b", "a"], numeric=False, allowed=("c", "b", "a"))
    # Then that value has a bin of its own
    assert bins.categories == ("a", "b", "c")
    assert bins.count(["c", "x", None]) == {"a": 0, "b": 0, "c": 1, drift.OTHER: 1, drift.MISSING: 1}


def test_numeric_bins_are_cut_at_distinct_deciles() -> None:
    assert len(drift.bins_of(list(range(1000)), numeric=True).edges or ()) == 9
    assert drift.bins_of([5.0] * 100, numeric=True).edges == (5.0,)
    assert drift.bins_of([None, math.nan], numeric=True) == drift.Bins(edges=(), categories=())


def test_the_baseline_is_json_and_has_every_column() -> None:
    baseline = document()
    assert list(baseline) == ["amount", "city", "member", drift.SCORE]
    assert all(sum(column["counts"].values()) == 4_000 for column in baseline.values())
    assert baseline["city"]["edges"] is None
    assert baseline["city"]["categories"] == ["EWR", "JFK", "LGA"]


def test_no_rows_are_no_data() -> None:
    result = compare({}, 0)
    assert (result.outcome, result.sentence, result.columns) == ("no data", "no new requests since the last look", ())


def test_a_small_window_has_too_little_data() -> None:
    result = compare(sample(np.random.default_rng(1), 99), 99)
    assert (result.outcome, result.rows, result.columns) == ("too little data", 99, ())
    assert result.sentence == "99 new rows, 100 are needed for a verdict"


def test_a_shifted_column_is_found_and_named() -> None:
    result = compare(sample(np.random.default_rng(1), 600, shift=1.0), 600)
    assert result.outcome == "drift"
    assert [column.column for column in result.columns if column.drifted] == ["amount"]
    assert result.columns[0].column == "amount"
    assert result.psi == result.columns[0].psi
    assert result.sentence.startswith("600 rows have drifted from the training data in amount (PSI ")
    assert result.sentence.endswith("the limit is 0.1")


def test_missing_values_where_there_were_none_are_drift() -> None:
    window = sample(np.random.default_rng(1), 600) | {"city": [None] * 600}
    result = compare(window, 600)
    assert [column.column for column in result.columns if column.drifted] == ["city"]


def test_a_new_category_is_drift() -> None:
    window = sample(np.random.default_rng(1), 600) | {"city": ["SFO"] * 300 + ["JFK"] * 300}
    assert [column.column for column in compare(window, 600).columns if column.drifted] == ["city"]


def test_the_rate_of_false_alarms_is_about_alpha() -> None:
    # Given 300 windows of the same distribution, and no threshold except chance
    random = np.random.default_rng(5)
    baseline = document()
    outcomes = [
        drift.compare(baseline, sample(random, 500), rows=500, min_rows=100, threshold=1e-9).outcome for _ in range(300)
    ]
    # Then about ALPHA of them raise an alarm: 3 are expected, 10 have a probability below 1 in 1,000
    assert outcomes.count("drift") < 10
    assert set(outcomes) <= {"drift", "no drift"}


def test_a_difference_above_chance_and_below_the_threshold_is_no_drift() -> None:
    result = compare(sample(np.random.default_rng(1), 2_000, shift=0.2), 2_000, threshold=5.0)
    assert result.outcome == "no drift"
    assert result.columns[0].psi > result.columns[0].noise
    assert result.psi == result.columns[0].psi
    assert "the largest PSI is" in result.sentence


def test_the_noise_limit_is_the_chi_squared_quantile() -> None:
    # 21.666 is the 99 % quantile of chi-squared with 9 degrees of freedom (any table)
    assert drift.noise(10, 1_000, 1_000, 0.01) == pytest.approx(21.666 * 2 / 1_000, rel=0.005)


def test_columns_missing_from_the_window_are_left_out() -> None:
    window = sample(np.random.default_rng(1), 600)
    del window["city"]
    assert {column.column for column in compare(window, 600).columns} == {"amount", "member", drift.SCORE}


SPECIES = (2, 10, 30)


def vectors(random: np.random.Generator, rows: int, *shares: float) -> Scores:
    """Probabilities of three classes, shape (rows, 3)."""
    return random.dirichlet(np.array(shares) * 5, rows)


def multiclass_document(rows: int = 4_000) -> dict[str, Any]:
    columns = sample(np.random.default_rng(0), rows)
    del columns[drift.SCORE]
    scores = vectors(np.random.default_rng(0), rows, 0.5, 0.3, 0.2)
    loaded: dict[str, Any] = json.loads(json.dumps(drift.baseline(FIELDS, columns, scores, SPECIES)))
    return loaded


def window_of(scores: Scores) -> dict[str, list[Any]]:
    """Return a window with the predictions of those scores, the labels as in JSON."""
    columns = sample(np.random.default_rng(1), len(scores))
    return columns | {
        drift.SCORE: scores.max(axis=1).tolist(),
        drift.LABEL: [SPECIES[place] for place in scores.argmax(axis=1)],
    }


def test_a_multiclass_baseline_has_labels_and_their_probability() -> None:
    baseline, scores = multiclass_document(), vectors(np.random.default_rng(0), 4_000, 0.5, 0.3, 0.2)
    assert list(baseline) == ["amount", "city", "member", drift.SCORE, drift.LABEL]
    # Then the labels are counted by class, in the order of the classes
    counts = np.bincount(scores.argmax(axis=1), minlength=3).tolist()
    assert baseline[drift.LABEL]["counts"] == {"2": counts[0], "10": counts[1], "30": counts[2]} | {
        drift.OTHER: 0,
        drift.MISSING: 0,
    }
    assert drift.class_names(baseline) == ["2", "10", "30"]
    assert drift.class_names(document()) == []
    # And the score is the probability of the label, in its deciles
    edges = np.quantile(scores.max(axis=1).astype(np.float32), np.linspace(0, 1, 11)[1:-1])
    np.testing.assert_allclose(baseline[drift.SCORE]["edges"], edges)


@pytest.mark.parametrize(
    ("shares", "drifted"), [((0.5, 0.3, 0.2), set()), ((0.2, 0.3, 0.5), {drift.LABEL}), ((5, 3, 2), {drift.SCORE})]
)
def test_changed_labels_or_probabilities_are_drift(shares: tuple[float, ...], drifted: set[str]) -> None:
    # Given predictions like the baseline's, of other classes, or of another probability
    window = window_of(vectors(np.random.default_rng(3), 2_000, *shares))
    result = drift.compare(multiclass_document(), window, rows=2_000, min_rows=100, threshold=0.1)
    assert drifted <= {column.column for column in result.columns if column.drifted}
    assert (result.outcome == "drift") == bool(drifted)


def test_an_unknown_label_is_drift() -> None:
    window = window_of(vectors(np.random.default_rng(3), 2_000, 0.5, 0.3, 0.2))
    result = drift.compare(
        multiclass_document(), window | {drift.LABEL: [40] * 2_000}, rows=2_000, min_rows=100, threshold=0.1
    )
    assert [column.column for column in result.columns if column.drifted] == [drift.LABEL]


@pytest.mark.parametrize(("shape", "classes"), [((9, 3), ()), ((9, 3), (0, 1)), ((9,), SPECIES), ((9, 4), SPECIES)])
def test_scores_that_do_not_fit_the_classes_are_refused(shape: tuple[int, ...], classes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are not those of"):
        drift.baseline((), {}, np.ones(shape), classes)
