"""The comparison of a run's inputs with those of the last finished run."""

from typing import Any

import pytest

from penstock.pipeline.run_inputs import CodeParts, Inputs, compare_inputs

GIVEN: Inputs = {"data": "d1", "code": "c1", "parameters": "p1", "image": "i1", "contract": "k1"}


def run(name: str, outcome: str | None, inputs: Inputs | None) -> dict[str, Any]:
    steps = {"validate": {"inputs": inputs}} if inputs else {}
    return {"id": name, "steps": steps} | ({"outcome": outcome} if outcome else {})


def test_the_inputs_that_differ_are_named() -> None:
    earlier: Inputs = GIVEN | {"data": "d0", "image": "i0"}
    comparison = compare_inputs(GIVEN, [run("run1", "rejected", earlier)], but="run2")
    assert comparison == {"with": "run1", "differ": ["data", "image"], "sentence": "other data and image than run run1"}


PARTS: CodeParts = {"model code": "m1", "training code": "t1", "package versions": "v1"}


@pytest.mark.parametrize(
    ("earlier", "sentence"),
    [
        ({"model code": "m0"}, "other model code than run run1"),
        ({"training code": "t0"}, "other training code than run run1"),
        ({"package versions": "v0"}, "other package versions than run run1"),
        ({"model code": "m0", "package versions": "v0"}, "other model code and package versions than run run1"),
    ],
)
def test_the_part_of_the_code_that_differs_is_named(earlier: CodeParts, sentence: str) -> None:
    # Given a run with other code, which recorded what it consists of
    last = run("run1", "registered", GIVEN | {"code": "c0"})
    last["steps"]["validate"]["code_parts"] = {**PARTS, **earlier}
    # When it is compared with, then the sentence names the part; the input is still the code
    comparison = compare_inputs(GIVEN, [last], but="run2", code_parts=PARTS)
    assert (comparison["differ"], comparison["sentence"]) == (["code"], sentence)


def test_a_run_that_recorded_no_parts_differs_in_its_code() -> None:
    last = run("run1", "registered", GIVEN | {"code": "c0", "data": "d0"})
    comparison = compare_inputs(GIVEN, [last], but="run2", code_parts=PARTS)
    assert comparison["sentence"] == "other data and code than run run1"


def test_equal_inputs_name_the_run() -> None:
    comparison = compare_inputs(GIVEN, [run("run1", "registered", GIVEN)], but="run2")
    assert (comparison["with"], comparison["differ"]) == ("run1", [])
    assert comparison["sentence"] == "equals run run1 in data, code, parameters, image and contract"


def test_only_runs_that_finished_count() -> None:
    # Given this run itself, one that failed, one from before inputs were kept, and an older one
    runs = [
        run("run5", None, GIVEN),
        run("run4", "failed", GIVEN),
        run("run3", "registered", None),
        run("run2", "rejected", GIVEN | {"code": "c0"}),
        run("run1", "registered", GIVEN),
    ]
    assert compare_inputs(GIVEN, runs, but="run5")["sentence"] == "other code than run run2"


def test_the_first_run_has_nothing_to_compare_with() -> None:
    comparison = compare_inputs(GIVEN, [run("run1", None, GIVEN)], but="run1")
    assert comparison == {"with": None, "differ": [], "sentence": "there is no finished run to compare with"}
