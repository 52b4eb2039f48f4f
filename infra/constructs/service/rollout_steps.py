"""Building blocks of the rollout's states: API calls, choices, alias updates, errors."""

from typing import Any

from infra.constructs.base.state_language import State, retry

LIVE = "live"
_BUSY = ["Lambda.ResourceConflictException", "Lambda.TooManyRequestsException", "Lambda.ServiceException"]
"""Another change of the function is under way, or the Lambda service has an error."""


def call(
    action: str,
    arguments: dict[str, Any],
    *,
    caught: list[State],
    next_state: str,
    assign: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    attempts: int = 4,
    errors: list[str] = _BUSY,
) -> State:
    """Return a task that calls an AWS API, Lambda's unless the action names a service (`cloudwatch:putMetricAlarm`)."""
    service_action = action if ":" in action else f"lambda:{action}"
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:{service_action}",
        "Arguments": arguments,
        "TimeoutSeconds": 60,
        "Retry": [retry(errors, seconds=2, attempts=attempts)],
        "Catch": caught,
        **({"Assign": assign} if assign else {}),
        **({"Output": output} if output else {}),
        "Next": next_state,
    }


def point_alias(
    version: str,
    *,
    caught: list[State],
    next_state: str,
    weights: dict[str, Any] | str | None = None,
    assign: dict[str, Any] | None = None,
    attempts: int = 4,
) -> State:
    """Return a task that points the alias at a version; other versions get traffic only by `weights`."""
    arguments = {
        "FunctionName": "{% $function %}",
        "Name": LIVE,
        "FunctionVersion": version,
        "RoutingConfig": {"AdditionalVersionWeights": weights or {}},
    }
    return call("updateAlias", arguments, caught=caught, next_state=next_state, assign=assign, attempts=attempts)


def choice(default: str, **conditions: str) -> State:
    """Return a choice of the first state whose JSONata condition holds."""
    choices = [{"Condition": f"{{% {condition} %}}", "Next": name} for name, condition in conditions.items()]
    return {"Type": "Choice", "Choices": choices, "Default": default}


def error_state(name: str, sentence: str, next_state: str) -> State:
    """Return a state that sets an error of the state machine's own, as if a task had raised it."""
    raised = {"Error": name, "Cause": f"{{% {sentence} %}}"}
    return {"Type": "Pass", "Assign": {"error": raised}, "Next": next_state}
