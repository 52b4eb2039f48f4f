"""States that create the version's SageMaker endpoint, and those that confirm that it serves.

Blue/green: the new version has a fleet of its own before it gets a request, and the old one's goes when its last
request is answered. Names follow from content, so that a repeated step finds what it made before. What a rollout leaves
behind, whatever its ending, end_rollout deletes.
"""

from dataclasses import dataclass
from typing import Any

from infra.constructs.base.state_language import State, catch, retry
from infra.constructs.service.rollout_steps import call, choice, error_state
from infra.stages import Stage
from penstock.release.endpoint_plan import DIMENSION, VARIANT
from penstock.settings import ServeSettings
from penstock.spec.model import Serving

_TROUBLE = ["SageMaker.SageMakerException", "SageMaker.SdkClientException"]
_SCALING = ["ApplicationAutoScaling.ApplicationAutoScalingException", "ApplicationAutoScaling.SdkClientException"]
_PROVISIONING_SECONDS = 1800
"""Time for an instance to start and load the image and the model."""
_NAME = "{% $endpoint.name %}"
_RESOURCE = f"{{% 'endpoint/' & $endpoint.name & '/variant/{VARIANT}' %}}"


@dataclass(frozen=True, kw_only=True)
class EndpointWaits:
    """Durations of waiting for an endpoint to start and to drain."""

    poll_seconds: int
    drain_seconds: int
    most_seconds: int
    """Longest wait until it serves; 0 where the model is served without an endpoint."""

    @classmethod
    def of(cls, serving: Serving, stage: Stage) -> "EndpointWaits":
        """Return the waits of a specification, with the stage's durations."""
        seconds = _PROVISIONING_SECONDS + 60 * serving.endpoint.startup_minutes
        most = seconds if serving.target == "endpoint" else 0
        return cls(poll_seconds=stage.endpoint_poll_seconds, drain_seconds=stage.drain_seconds, most_seconds=most)


def states(starting: EndpointWaits) -> dict[str, State]:
    """Return the states that create, confirm and drain an endpoint.

    They lead from `Endpoint?` to `Configure`, from `By its endpoint?` to `Quiet live`, and to the endings.
    """
    return _making() | _waiting(starting) | _scaling() | _confirming() | _draining(starting)


def _making() -> dict[str, State]:
    variant = {
        "VariantName": VARIANT,
        "ModelName": _NAME,
        "InstanceType": "{% $endpoint.instance_type %}",
        "InitialInstanceCount": "{% $endpoint.least %}",
        "ContainerStartupHealthCheckTimeoutInSeconds": "{% $endpoint.startup_seconds %}",
    }
    container = {
        "Image": "{% $endpoint.image %}",
        "ModelDataUrl": "{% $endpoint.artifact %}",
        "Environment": "{% $endpoint.environment %}",
    }
    model = {"ModelName": _NAME, "ExecutionRoleArn": "{% $endpoint.role %}", "PrimaryContainer": container}
    configuration = {"EndpointConfigName": _NAME, "ProductionVariants": [variant]}
    endpoint = {"EndpointName": _NAME, "EndpointConfigName": _NAME}
    return {
        "Endpoint?": choice("Configure", **{"Make model": "$endpoint.name != ''"}),
        **_make("model", "createModel", model, "Make configuration"),
        **_make("configuration", "createEndpointConfig", configuration, "Make endpoint"),
        **_make("endpoint", "createEndpoint", endpoint, "Look at endpoint"),
    }


def _make(resource: str, action: str, arguments: dict[str, Any], next_state: str) -> dict[str, State]:
    """Return the states that create a resource; an existing one of that name is the same, as names follow content."""
    exists = f"Is the {resource} there?"
    return {
        f"Make {resource}": call(
            f"sagemaker:{action}",
            arguments,
            caught=catch(exists),
            next_state=next_state,
            attempts=2,
            errors=_TROUBLE,
        ),
        exists: choice("EndFailed", **{next_state: "$contains([$error.Cause, ''][0], 'already exist')"}),
    }


def _waiting(starting: EndpointWaits) -> dict[str, State]:
    has_failed = "$states.input.status in ['Failed', 'OutOfService', 'UpdateRollbackFailed']"
    return {
        "Look at endpoint": _describe(
            "describeEndpoint",
            {"EndpointName": _NAME},
            {
                "status": "{% $states.result.EndpointStatus %}",
                "reason": "{% [$states.result.FailureReason, 'no reason given'][0] %}",
            },
            caught="Is it gone?",
            next_state="Does it serve?",
        ),
        # An endpoint that was being deleted at the previous call no longer exists now.
        "Is it gone?": choice("EndFailed", **{"Wait for its end": "$contains([$error.Cause, ''][0], 'not find')"}),
        "Does it serve?": choice(
            "Wait for endpoint",
            **{
                "Scales?": "$states.input.status = 'InService'",
                "Wait for its end": "$states.input.status = 'Deleting'",
                "Not started": has_failed,
            },
        ),
        "Wait for endpoint": {"Type": "Wait", "Seconds": starting.poll_seconds, "Next": "Look at endpoint"},
        # One of an earlier rollout is on its way out; then there is room for its name.
        "Wait for its end": {"Type": "Wait", "Seconds": starting.poll_seconds, "Next": "Make endpoint"},
        "Not started": error_state(
            "EndpointNotStarted",
            "'the endpoint ' & $endpoint.name & ' did not start: ' & $states.input.reason",
            "EndFailed",
        ),
    }


def _scaling() -> dict[str, State]:
    about = {"ServiceNamespace": "sagemaker", "ResourceId": _RESOURCE, "ScalableDimension": DIMENSION}
    range_ = {"MinCapacity": "{% $endpoint.least %}", "MaxCapacity": "{% $endpoint.most %}"}
    tracked = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    policy = {
        "PolicyName": "invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": "{% $endpoint.invocations %}",
            "PredefinedMetricSpecification": tracked,
        },
    }
    return {
        "Scales?": choice("Configure", Scale="$endpoint.most > $endpoint.least"),
        "Scale": call(
            "applicationautoscaling:registerScalableTarget",
            about | range_,
            caught=catch("EndFailed"),
            next_state="Scale by requests",
            errors=_SCALING,
        ),
        "Scale by requests": call(
            "applicationautoscaling:putScalingPolicy",
            about | policy,
            caught=catch("EndFailed"),
            next_state="Configure",
            errors=_SCALING,
        ),
    }


def _confirming() -> dict[str, State]:
    """Return the states that check in SageMaker which model the endpoint serves."""
    own = [ServeSettings.variable(name) for name in ("version", "model_sha256")]
    bound = " & ' ' & ".join(f"$states.result.PrimaryContainer.Environment.{name}" for name in own)
    expected = " & ' ' & ".join(f"$endpoint.environment.{name}" for name in own)
    return {
        "By its endpoint?": choice("Quiet live", **{"Confirm endpoint": "$endpoint.name != ''"}),
        "Confirm endpoint": _describe(
            "describeEndpoint",
            {"EndpointName": _NAME},
            {
                "status": "{% $states.result.EndpointStatus %}",
                "configuration": "{% $states.result.EndpointConfigName %}",
            },
            next_state="Is it in service?",
        ),
        "Is it in service?": choice(
            "Endpoint lost",
            # While instances are added or taken away it is updating, and answers.
            **{"Confirm configuration": "$states.input.status in ['InService', 'Updating']"},
        ),
        "Confirm configuration": _describe(
            "describeEndpointConfig",
            {"EndpointConfigName": "{% $states.input.configuration %}"},
            {"model": "{% $states.result.ProductionVariants[0].ModelName %}"},
            next_state="Confirm its model",
        ),
        "Confirm its model": _describe(
            "describeModel",
            {"ModelName": "{% $states.input.model %}"},
            {"model": f"{{% {bound} %}}"},
            next_state="Is it the model?",
        ),
        "Is it the model?": choice("Endpoint lost", **{"Quiet live": f"$states.input.model = {expected}"}),
        "Endpoint lost": error_state(
            "NotLive",
            "'the endpoint ' & $endpoint.name & ' is out of service by now, or binds another model'",
            "Revert",
        ),
    }


def _draining(starting: EndpointWaits) -> dict[str, State]:
    return {
        "Drains?": choice("EndLive", Drain="$drains"),
        "Drain": {"Type": "Wait", "Seconds": starting.drain_seconds, "Next": "EndLive"},
        "Drains back?": choice("EndRolledBack", **{"Drain back": "$drains"}),
        "Drain back": {"Type": "Wait", "Seconds": starting.drain_seconds, "Next": "EndRolledBack"},
    }


def _describe(
    action: str, arguments: dict[str, Any], output: dict[str, Any], *, next_state: str, caught: str = "Revert"
) -> State:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:sagemaker:{action}",
        "Arguments": arguments,
        "TimeoutSeconds": 60,
        "Retry": [retry(_TROUBLE, seconds=2, attempts=4)],
        "Catch": catch(caught),
        "Output": output,
        "Next": next_state,
    }
