"""The record of a tuning job in a run: the best trial, its description, and its parameters in comparisons."""

import io
from typing import Any

from rich.console import Console

from penstock.audit import side_by_side
from penstock.cli.run_progress import render_run
from penstock.evaluation import tuning_record as tuning

JOB = {"job": "m-abc-run1-1-0", "trial": "m-abc-run1-1-0-002-0a", "trials": {"Completed": 3, "NonRetryableError": 1}}
TRAINING = {"tuned": {"leaves": 31, "rate": 0.0123456}, "validation": {"validation_log_loss": 0.41234}}


def test_a_run_records_and_describes_the_best_trial() -> None:
    step = tuning.tuning_step(JOB, TRAINING)
    assert step["params"] == {"leaves": 31, "rate": 0.0123456}
    assert step["trials"] == {"made": 4, "completed": 3, "failed": 1, "stopped": 0}
    assert tuning.sentence(step) == (
        "leaves=31, rate=0.01235: validation_log_loss 0.4123, the best of 4 trials, 1 failed"
    )


def test_runs_are_compared_by_their_effective_parameters() -> None:
    # Given a tuned run, and one with fixed parameters
    configured = {"training": {"params": {"trees": 9}}}
    tuned = {"validate": {"parameters": configured}, "tuning": tuning.tuning_step(JOB, TRAINING)}
    fixed = {"validate": {"parameters": {"training": {"params": {"trees": 9, "leaves": 15}}}}}
    # Then they differ in the parameters that fit received
    rows = side_by_side.parameters([tuning.parameters(tuned), tuning.parameters(fixed)])
    assert {row["parameter"]: row["values"] for row in rows} == {
        "training.params.leaves": [31, 15], "training.params.rate": [0.0123456, None],
    }  # fmt: skip


def test_a_run_shows_the_progress_of_its_search() -> None:
    # Given a run during its search, and one after it
    record = {"id": "r1", "cause": "upload", "state": "open", "opened": "2026-01-01T00:00:00+00:00", "steps": {}}
    tune = {"name": "Tune", "entered": "2026-01-01T00:00:00+00:00", "left": None, "progress": ", 3 of 8 trials"}

    def render(record: dict[str, Any], state: dict[str, Any]) -> str:
        console = Console(width=200, record=True, file=io.StringIO())
        console.print(render_run(record, [state]))
        return console.export_text()

    # Then the first shows how many trials have ended, the second the best one
    assert "tune, 3 of 8 trials" in render(record, tune)
    after = render(record | {"steps": {"tuning": tuning.tuning_step(JOB, TRAINING)}}, tune | {"progress": ""})
    assert "tuned leaves=31, rate=0.01235: validation_log_loss 0.4123, the best of 4 trials, 1 failed" in after
