"""State machine of a batch: plan → score each part that has no scores yet → join → end.

The parts are a Distributed Map: each is a child execution, so that neither their number nor their history counts
against the limits of this one. A child execution sees no variable of this one, so each item holds all of its input.
"""

from dataclasses import dataclass
from typing import Any

from infra.constructs.base.state_language import CAUSE, Definition, State, catch, invoke

PLAN_SECONDS, SCORE_SECONDS, JOIN_SECONDS, END_SECONDS = 900, 300, 900, 60
MOST_SECONDS = 86_400
BATCH = "{% $batch %}"


@dataclass(frozen=True, kw_only=True)
class BatchParts:
    """ARNs and limits that the definition refers to."""

    model: str
    plan_batch: str
    score_part: str
    join_batch: str
    end_batch: str
    """ARNs of the functions."""
    at_once: int
    """Number of parts that are scored concurrently."""


def definition(parts: BatchParts) -> Definition:
    """Return the state machine's definition; its input is `{"batch", …}`."""
    return {
        "Comment": f"Penstock: the rows of a file are scored by the live version of {parts.model}",
        "QueryLanguage": "JSONata",
        "StartAt": "Accept",
        "TimeoutSeconds": MOST_SECONDS,
        "States": _planning(parts) | _scoring(parts) | _endings(parts),
    }


def _planning(parts: BatchParts) -> dict[str, State]:
    return {
        "Accept": {"Type": "Pass", "Assign": {"batch": "{% $states.input.batch %}"}, "Next": "Plan"},
        "Plan": invoke(
            parts.plan_batch,
            {"batch": BATCH},
            timeout_seconds=PLAN_SECONDS,
            attempts=1,
            caught=catch("EndFailed", step="planning"),
            assign={
                "ending": {
                    "outcome": "{% $states.result.Payload.outcome %}",
                    "reason": "{% $states.result.Payload.reason %}",
                }
            },
            next_state="What is left?",
        ),
        "What is left?": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.outcome = 'score' %}", "Next": "Items"},
                {"Condition": "{% $states.input.outcome = 'join' %}", "Next": "Join"},
            ],
            "Default": "End",
        },
    }


def _scoring(parts: BatchParts) -> dict[str, State]:
    return {
        "Items": {"Type": "Pass", "Output": "{% $states.input.items %}", "Next": "Score"},
        "Score": {
            "Type": "Map",
            "Items": "{% $states.input %}",
            "MaxConcurrency": parts.at_once,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Part",
                "States": {"Part": _part(parts)},
            },
            "Catch": catch("EndFailed", step="scoring"),
            "Next": "Join",
        },
        "Join": invoke(
            parts.join_batch,
            {"batch": BATCH},
            timeout_seconds=JOIN_SECONDS,
            attempts=1,
            caught=catch("EndFailed", step="joining"),
            assign={"ending": "{% $states.result.Payload %}"},
            next_state="End",
        ),
    }


def _part(parts: BatchParts) -> State:
    """Score one part; a failure ends the batch and keeps the scores of the other parts."""
    task: State = invoke(
        parts.score_part,
        {"work": "{% $states.input.work %}", "part": "{% $states.input.part %}"},
        timeout_seconds=SCORE_SECONDS,
        attempts=2,
        caught=[],
        next_state="",
    )
    return {name: value for name, value in task.items() if name not in {"Catch", "Next"}} | {"End": True}


def _endings(parts: BatchParts) -> dict[str, State]:
    def end(payload: dict[str, Any] | str, next_state: str) -> State:
        state = invoke(
            parts.end_batch,
            {},
            timeout_seconds=END_SECONDS,
            attempts=4,
            caught=catch("Failed"),
            next_state=next_state,
        )
        state["Arguments"]["Payload"] = payload
        return state

    failed = {"batch": BATCH, "outcome": "failed", "step": "{% $step %}", "error": "{% $error %}"}
    return {
        "End": end("{% $merge([$ending, {'batch': $batch}]) %}", "Ended"),
        "EndFailed": end(failed, "Failed"),
        "Ended": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "{% $error.Error %}", "Cause": CAUSE},
    }
