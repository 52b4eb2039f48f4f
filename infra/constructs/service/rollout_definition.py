"""State machine of a rollout: endpoint → publish → smoke test → weights → shift → confirm, and the revert.

The predict function's own published versions and its alias `live` are the means; CloudFormation made both once and
changes neither. An execution whose input has a sentence in `back` is the way back alone, for a rollout that died.
"""

from dataclasses import dataclass

from infra.constructs.base.state_language import CAUSE, Definition, State, catch, invoke
from infra.constructs.service import rollout_canary, rollout_endpoint
from infra.constructs.service.rollout_canary import WatchPlan, delete_alarms
from infra.constructs.service.rollout_endpoint import EndpointWaits
from infra.constructs.service.rollout_steps import LIVE, call, choice, error_state, point_alias
from penstock.settings import PredictSettings

SMOKE_TEST_SECONDS, END_SECONDS = 120, 60
_MOST_SECONDS = 1800
"""Longest duration of everything but the watch."""


@dataclass(frozen=True, kw_only=True)
class RolloutParts:
    """ARNs and settings that the definition refers to."""

    model: str
    smoke_test: str
    watch_rollout: str
    end_rollout: str
    """ARNs of the functions."""
    poll_seconds: int
    watching: WatchPlan
    starting: EndpointWaits
    snap_start: str
    """`SnapStart.ApplyOn`. Version 1, which CloudFormation publishes without a model, has no snapshot to pay for."""


def definition(parts: RolloutParts) -> Definition:
    """Return the state machine's definition; its input is what `penstock/release/rollout_input.py` writes."""
    watch = rollout_canary.states(parts.watching, parts.watch_rollout)
    return {
        "Comment": f"Penstock: a version of {parts.model} goes live, or the one before stays",
        "QueryLanguage": "JSONata",
        "StartAt": "Accept",
        "TimeoutSeconds": _MOST_SECONDS + parts.watching.most_seconds + parts.starting.most_seconds,
        "States": _publication(parts)
        | rollout_endpoint.states(parts.starting)
        | watch
        | _arrival(parts)
        | _endings(parts),
    }


_INPUTS = (
    "rollout",
    "package",
    "package_arn",
    "function",
    "environment",
    "description",
    "version",
    "back",
    "endpoint",
    "drains",
)


def _publication(parts: RolloutParts) -> dict[str, State]:
    variables = {name: f"{{% $states.input.{name} %}}" for name in _INPUTS}
    # Within brackets, so that no weights and a single one are lists too.
    weights = {"weights": "{% [$states.input.weights] %}", "at": -1, "ends": 0, "since": "", "saw": ""}
    return {
        "Accept": {"Type": "Pass", "Assign": variables | weights, "Next": "Remember"},
        "Remember": call(
            "getAlias",
            {"FunctionName": "{% $function %}", "Name": LIVE},
            assign={"previous": "{% $states.result.FunctionVersion %}"},
            caught=catch("EndFailed"),
            next_state="Only back?",
        ),
        "Only back?": choice("Interrupted", **{"Endpoint?": "$back = ''"}),
        "Interrupted": error_state("Interrupted", "$back", "Revert"),
        "Configure": call(
            "updateFunctionConfiguration",
            {
                "FunctionName": "{% $function %}",
                "Environment": {"Variables": "{% $environment %}"},
                "SnapStart": {"ApplyOn": parts.snap_start},
            },
            caught=catch("EndFailed"),
            next_state="Look",
        ),
        "Look": call(
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
        "Configured?": choice(
            "Refused",
            Publish="$states.input.status = 'Successful'",
            Wait="$states.input.status = 'InProgress'",
        ),
        "Wait": {"Type": "Wait", "Seconds": parts.poll_seconds, "Next": "Look"},
        "Refused": error_state(
            "NotConfigured", "'Lambda refused the configuration: ' & $states.input.reason", "EndFailed"
        ),
        "Publish": call(
            "publishVersion",
            {
                "FunctionName": "{% $function %}",
                "Description": "{% $description %}",
                # Publishes what was just looked at, or nothing: a deployment may come in between.
                "RevisionId": "{% $states.input.revision %}",
            },
            assign={
                "version": "{% $states.result.Version %}",
                # Lambda gives the last version's number where nothing has changed since. Where that is live, it cannot
                # take a share beside itself, and there is nothing to compare.
                "weights": "{% $states.result.Version = $previous ? [] : [$weights] %}",
            },
            caught=catch("EndFailed"),
            next_state="Look at version",
        ),
        # With SnapStart a version is pending until its snapshot is taken, and nobody can invoke it before.
        "Look at version": call(
            "getFunctionConfiguration",
            {"FunctionName": "{% $function %}", "Qualifier": "{% $version %}"},
            output={
                "state": "{% $states.result.State %}",
                "reason": "{% [$states.result.StateReason, 'no reason given'][0] %}",
            },
            caught=catch("Revert"),
            next_state="Active?",
        ),
        "Active?": choice(
            "Not active",
            SmokeTest="$states.input.state = 'Active'",
            **{"Wait for version": "$states.input.state = 'Pending'"},
        ),
        "Wait for version": {"Type": "Wait", "Seconds": parts.poll_seconds, "Next": "Look at version"},
        "Not active": error_state(
            "NotActive",
            "'Lambda version ' & $version & ' does not start: ' & $states.input.reason",
            "Revert",
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
            next_state="Watched?",
        ),
    }


def _arrival(parts: RolloutParts) -> dict[str, State]:
    """Return the states that shift all traffic, confirm it with Lambda and SageMaker, or revert."""
    alone = f"$live = $version and $shared = 0 and $states.input.model = {_bound('$environment')}"
    return {
        "Shift": point_alias("{% $version %}", caught=catch("Revert"), next_state="Confirm"),
        "Confirm": call(
            "getAlias",
            {"FunctionName": "{% $function %}", "Name": LIVE},
            assign={
                "live": "{% $states.result.FunctionVersion %}",
                "shared": "{% $count($keys($states.result.RoutingConfig.AdditionalVersionWeights)) %}",
            },
            caught=catch("Revert"),
            next_state="Confirm model",
        ),
        "Confirm model": call(
            "getFunctionConfiguration",
            {"FunctionName": "{% $function %}", "Qualifier": "{% $live %}"},
            output={"model": f"{{% {_bound('$states.result.Environment.Variables')} %}}"},
            caught=catch("Revert"),
            next_state="Is it live?",
        ),
        "Is it live?": choice("Lost", **{"By its endpoint?": alone}),
        "Lost": error_state(
            "NotLive",
            "'the alias is at version ' & $live & ', not ' & $version & ' alone, or that one binds another model'",
            "Revert",
        ),
        "Quiet live": delete_alarms(parts.watching, "Drains?"),
        "Revert": point_alias("{% $previous %}", caught=_not_reverted(), next_state="Quiet rolled back", attempts=8),
        "Quiet rolled back": delete_alarms(parts.watching, "Drains back?"),
        "Quiet failed": delete_alarms(parts.watching, "EndFailed"),
    }


def _bound(variables: str) -> str:
    """Return JSONata for the model version and digest in an environment, as one text."""
    names = (PredictSettings.variable("version"), PredictSettings.variable("model_sha256"))
    return " & ' ' & ".join(f"{variables}.{name}" for name in names)


def _not_reverted() -> list[State]:
    """Return the catcher of a failed revert: it adds its cause to the first error's."""
    also = "[$error.Cause, ''][0] & ' And the alias could not be set back: ' & $states.errorOutput.Cause"
    raised = {"Error": "NotReverted", "Cause": f"{{% {also} %}}"}
    return [{"ErrorEquals": ["States.ALL"], "Assign": {"error": raised}, "Next": "Quiet failed"}]


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
        "EndLive": end(
            "live", "Live", lambda_version="{% $version %}", endpoint="{% $endpoint.name %}", saw="{% $saw %}"
        ),
        "EndRolledBack": end("rolled back", "Failed", error="{% $error %}", lambda_version="{% $version %}"),
        "EndFailed": end("failed", "Failed", error="{% $error %}"),
        "Live": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "{% $error.Error %}", "Cause": CAUSE},
    }
