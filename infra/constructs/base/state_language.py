"""Building blocks of Amazon States Language: Lambda task, retrier, catcher.

Definitions are plain Amazon States Language in JSONata, as values: readable beside AWS's own documentation, and
testable without a template.
"""

from collections.abc import Mapping
from typing import Any

State = dict[str, Any]
Definition = dict[str, Any]

LAMBDA_ERRORS = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
]
"""Errors of the Lambda service itself, as opposed to the function's own code."""


def retry(errors: list[str], *, seconds: int, attempts: int, most_seconds: int = 60) -> State:
    """Return a retrier with jitter, so that steps that failed together do not retry together."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": seconds,
        "MaxAttempts": attempts,
        "BackoffRate": 2,
        "MaxDelaySeconds": most_seconds,
        "JitterStrategy": "FULL",
    }


CAUSE = "{% [$error.Cause, 'no cause given'][0] %}"
"""JSONata for the cause in the variable `error`; a timeout has none."""


def catch(target: str, **variables: str) -> list[State]:
    """Return a catcher of every error that goes to a state and sets the variable `error`."""
    assign = {"error": "{% $states.errorOutput %}", **variables}
    return [{"ErrorEquals": ["States.ALL"], "Assign": assign, "Next": target}]


def invoke(
    function_arn: str,
    payload: Mapping[str, Any],
    *,
    timeout_seconds: int,
    attempts: int,
    caught: list[State],
    next_state: str,
    assign: Mapping[str, Any] | None = None,
) -> State:
    """Return a task that invokes a function; its reply becomes the state's output.

    Args:
        function_arn: the function.
        payload: its event; values in `{% %}` are JSONata.
        timeout_seconds: of the function, and a little for the way.
        attempts: how often an error of the function's own code is tried again.
        caught: catchers.
        next_state: what follows.
        assign: variables to set.
    """
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function_arn, "Payload": dict(payload)},
        "Output": "{% $states.result.Payload %}",
        "TimeoutSeconds": timeout_seconds + 30,
        "Retry": [
            retry(LAMBDA_ERRORS, seconds=2, attempts=6),
            retry(["States.TaskFailed"], seconds=3, attempts=attempts),
        ],
        "Catch": caught,
        **({"Assign": dict(assign)} if assign else {}),
        "Next": next_state,
    }
