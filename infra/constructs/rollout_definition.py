"""The rollout's definition: configure → publish → smoke test → shift → ask what is live, and the way back.

The predict function's own published versions and its alias `live` are the means; CloudFormation made both once and
changes neither.
"""

from dataclasses import dataclass
from typing import Any

from infra.constructs.definitions import CAUSE, Definition, State, catch, invoke, retry

LIVE = "live"
SMOKE_TEST_SECONDS, END_SECONDS = 120, 60
MOST_SECONDS = 1800
_BUSY = ["Lambda.ResourceConflictException", "Lambda.TooManyRequestsException", "Lambda.ServiceException"]
"""Another change of the function is under way, or Lambda has trouble of its own."""


@dataclass(frozen=True, kw_only=True)
class RolloutParts:
    """What the definition refers to."""

    model: str
    smoke_test: str
    end_rollout: str
    """ARNs of the functions."""
    poll_seconds: int


def definition(parts: RolloutParts) -> Definition:
    """The state machine; its input is `{"rollout", "package", "package_arn", "function", "environment", …}`."""
    return {
        "Comment": f"Penstock: a version of {parts.model} goes live, or the one before stays",
        "QueryLanguage": "JSONata",
        "StartAt": "Accept",
        "TimeoutSeconds": MOST_SECONDS,
        "States": _publication(parts) | _traffic() | _endings(parts),
    }


def _publication(parts: RolloutParts) -> dict[str, State]:
    return {
        "Accept": {
            "Type": "Pass",
            "Assign": {
                "rollout": "{% $states.input.rollout %}",
                "package": "{% $states.input.package %}",
                "package_arn": "{% $states.input.package_arn %}",
                "function": "{% $states.input.function %}",
                "environment": "{% $states.input.environment %}",
                "description": "{% $states.input.description %}",
            },
            "Next": "Remember",
        },
        "Remember": _lambda(
            "getAlias",
            {"FunctionName": "{% $function %}", "Name": LIVE},
            assign={"previous": "{% $states.result.FunctionVersion %}"},
            caught=catch("EndFailed"),
            next_state="Configure",
        ),
        "Configure": _lambda(
            "updateFunctionConfiguration",
            {"FunctionName": "{% $function %}", "Environment": {"Variables": "{% $environment %}"}},
            caught=catch("EndFailed"),
            next_state="Look",
        ),
        "Look": _lambda(
            "getFunctionConfiguration",
            {"FunctionName": "{% $function %}"},
            output={
                "status": "{% $states.result.LastUpdateStatus %}",
                "revision": "{% $states.result.RevisionId %}",
                "reason": "{% [$states.result.LastUpdateStatusReason, 'no reason given'][0] %}",
            },
            caught=catch("EndFailed"),
            next_state="Configured?",
        ),
        "Configured?": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.status = 'Successful' %}", "Next": "Publish"},
                {"Condition": "{% $states.input.status = 'InProgress' %}", "Next": "Wait"},
            ],
            "Default": "Refused",
        },
        "Wait": {"Type": "Wait", "Seconds": parts.poll_seconds, "Next": "Look"},
        "Refused": _error("NotConfigured", "'Lambda refused the configuration: ' & $states.input.reason", "EndFailed"),
        "Publish": _lambda(
            "publishVersion",
            {
                "FunctionName": "{% $function %}",
                "Description": "{% $description %}",
                # Publishes what was just looked at, or nothing: a deployment may come in between.
                "RevisionId": "{% $states.input.revision %}",
            },
            assign={"version": "{% $states.result.Version %}"},
            caught=catch("EndFailed"),
            next_state="SmokeTest",
        ),
        "SmokeTest": invoke(
            parts.smoke_test,
            {
                "rollout": "{% $rollout %}",
                "package": "{% $package %}",
                "lambda_version": "{% $version %}",
                "environment": "{% $environment %}",
            },
            timeout_seconds=SMOKE_TEST_SECONDS,
            attempts=1,
            caught=catch("Revert"),
            next_state="Ask",
        ),
        # Whoever rejects the version while its rollout is under way is heard.
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeModelPackage",
            "Arguments": {"ModelPackageName": "{% $package_arn %}"},
            "TimeoutSeconds": 60,
            "Retry": [retry(["SageMaker.SageMakerException", "SageMaker.SdkClientException"], seconds=2, attempts=4)],
            "Catch": catch("Revert"),
            "Output": {"status": "{% $states.result.ModelApprovalStatus %}"},
            "Next": "Still approved?",
        },
        "Still approved?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.status = 'Approved' %}", "Next": "Shift"}],
            "Default": "Withdrawn",
        },
        "Withdrawn": _error("Withdrawn", "'the registry has it as ' & $states.input.status & ' by now'", "Revert"),
    }


def _traffic() -> dict[str, State]:
    """What moves traffic; a canary's weights belong between the smoke test and `Shift`."""
    return {
        "Shift": _point("{% $version %}", caught=catch("Revert"), next_state="Confirm"),
        "Confirm": _lambda(
            "getAlias",
            {"FunctionName": "{% $function %}", "Name": LIVE},
            output={"live": "{% $states.result.FunctionVersion %}"},
            caught=catch("Revert"),
            next_state="Is it live?",
        ),
        "Is it live?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.live = $version %}", "Next": "EndLive"}],
            "Default": "Lost",
        },
        "Lost": _error("NotLive", "'the alias is at version ' & $states.input.live & ', not ' & $version", "Revert"),
        "Revert": _point("{% $previous %}", caught=_not_reverted(), next_state="EndRolledBack", attempts=8),
    }


def _not_reverted() -> list[State]:
    """The first error is the one to tell; that the way back failed too is added to it."""
    also = "[$error.Cause, ''][0] & ' And the alias could not be set back: ' & $states.errorOutput.Cause"
    error = {"Error": "NotReverted", "Cause": f"{{% {also} %}}"}
    return [{"ErrorEquals": ["States.ALL"], "Assign": {"error": error}, "Next": "EndFailed"}]


def _endings(parts: RolloutParts) -> dict[str, State]:
    def end(outcome: str, next_state: str, **about: str) -> State:
        return invoke(
            parts.end_rollout,
            {"rollout": "{% $rollout %}", "outcome": outcome, **about},
            timeout_seconds=END_SECONDS,
            attempts=4,
            caught=catch("Failed"),
            next_state=next_state,
        )

    return {
        "EndLive": end("live", "Live", lambda_version="{% $version %}", previous="{% $previous %}"),
        "EndRolledBack": end("rolled back", "Failed", error="{% $error %}"),
        "EndFailed": end("failed", "Failed", error="{% $error %}"),
        "Live": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "{% $error.Error %}", "Cause": CAUSE},
    }


def _point(version: str, *, caught: list[State], next_state: str, attempts: int = 4) -> State:
    """Point the alias at one version, with no share of traffic left to another."""
    arguments = {
        "FunctionName": "{% $function %}",
        "Name": LIVE,
        "FunctionVersion": version,
        "RoutingConfig": {"AdditionalVersionWeights": {}},
    }
    return _lambda("updateAlias", arguments, caught=caught, next_state=next_state, attempts=attempts)


def _lambda(
    action: str,
    arguments: dict[str, Any],
    *,
    caught: list[State],
    next_state: str,
    assign: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    attempts: int = 4,
) -> State:
    """A call of Lambda's own API."""
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:lambda:{action}",
        "Arguments": arguments,
        "TimeoutSeconds": 60,
        "Retry": [retry(_BUSY, seconds=2, attempts=attempts)],
        "Catch": caught,
        **({"Assign": assign} if assign else {}),
        **({"Output": output} if output else {}),
        "Next": next_state,
    }


def _error(name: str, sentence: str, next_state: str) -> State:
    """An error of the state machine's own, as if a task had raised it."""
    error = {"Error": name, "Cause": f"{{% {sentence} %}}"}
    return {"Type": "Pass", "Assign": {"error": error}, "Next": next_state}
