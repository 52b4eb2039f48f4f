"""What differed from the last finished run."""

from typing import Any

from penstock.pipeline.run_inputs import Inputs, compared

GIVEN: Inputs = {"data": "d1", "code": "c1", "parameters": "p1", "image": "i1", "contract": "k1"}


def run(name: str, outcome: str | None, inputs: Inputs | None) -> dict[str, Any]:
    steps = {"validate": {"inputs": inputs}} if inputs else {}
    return {"id": name, "steps": steps} | ({"outcome": outcome} if outcome else {})


def test_what_differs_is_named() -> None:
    known: Inputs = GIVEN | {"data": "d0", "image": "i0"}
    found = compared(GIVEN, [run("run1", "rejected", known)], but="run2")
    assert found == {"with": "run1", "differ": ["data", "image"], "sentence": "other data and image than run run1"}


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
