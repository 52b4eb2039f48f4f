"""What differed from the last finished run."""

from typing import Any

import pytest

from penstock.pipeline.run_inputs import CodeParts, Inputs, compared

GIVEN: Inputs = {"data": "d1", "code": "c1", "parameters": "p1", "image": "i1", "contract": "k1"}


def run(name: str, outcome: str | None, inputs: Inputs | None) -> dict[str, Any]:
    steps = {"validate": {"inputs": inputs}} if inputs else {}
    return {"id": name, "steps": steps} | ({"outcome": outcome} if outcome else {})


def test_what_differs_is_named() -> None:
    known: Inputs = GIVEN | {"data": "d0", "image": "i0"}
    found = compared(GIVEN, [run("run1", "rejected", known)], but="run2")
    assert found == {"with": "run1", "differ": ["data", "image"], "sentence": "other data and image than run run1"}


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
    found = compared(GIVEN, [last], but="run2", code_parts=PARTS)
    assert (found["differ"], found["sentence"]) == (["code"], sentence)


def test_a_run_that_recorded_no_parts_differs_in_its_code() -> None:
    last = run("run1", "registered", GIVEN | {"code": "c0", "data": "d0"})
    found = compared(GIVEN, [last], but="run2", code_parts=PARTS)
    assert found["sentence"] == "other data and code than run run1"


def test_that_nothing_differs_is_said_with_the_run_that_it_equals() -> None:
    found = compared(GIVEN, [run("run1", "registered", GIVEN)], but="run2")
    assert (found["with"], found["differ"]) == ("run1", [])
    assert found["sentence"] == "equals run run1 in data, code, parameters, image and contract"


def test_only_runs_that_finished_count() -> None:
    # Given this run itself, one that failed, one from before inputs were kept, and an older one
    runs = [
        run("run5", None, GIVEN),
        run("run4", "failed", GIVEN),
        run("run3", "registered", None),
        run("run2", "rejected", GIVEN | {"code": "c0"}),
        run("run1", "registered", GIVEN),
    ]
    assert compared(GIVEN, runs, but="run5")["sentence"] == "other code than run run2"


def test_the_first_run_has_nothing_to_compare_with() -> None:
    found = compared(GIVEN, [run("run1", None, GIVEN)], but="run1")
    assert found == {"with": None, "differ": [], "sentence": "there is no finished run to compare with"}
