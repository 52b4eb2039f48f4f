"""Endpoints from state machines, their events, and Application Auto Scaling."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.local.host.cloud import LaptopCloud
from tests.local.cloud.hosted import BUCKET, endpoint, is_gone, role_for_models, settled, variant, write_server
from tests.local.conftest import Client, allow, make_role, until

ACCOUNT = "000000000000"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
SDK, SCALING = "arn:aws:states:::aws-sdk:sagemaker", "arn:aws:states:::aws-sdk:applicationautoscaling"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
NAMES = ("Model", "EndpointConfig", "Endpoint")


@pytest.fixture(scope="module")
def role(cloud: LaptopCloud, client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    cloud.up(images={"tinyserver": write_server(tmp_path_factory.mktemp("server"))})
    return role_for_models(client, "hosting-steps")


@pytest.fixture(scope="module")
def machine_role(client: Client, role: str) -> str:
    actions = [f"sagemaker:{verb}{name}" for verb in ("Create", "Describe", "Delete") for name in NAMES]
    kinds = [f"{ARN}:{kind}/steps-*" for kind in ("model", "endpoint-config", "endpoint")]
    return make_role(
        client,
        "steps-hosting-machine",
        "states",
        allow(actions, kinds),
        allow("iam:PassRole", role),
        allow("application-autoscaling:*", f"arn:aws:application-autoscaling:us-east-1:{ACCOUNT}:scalable-target/*"),
    )


def task(resource: str, parameters: dict[str, Any], following: str | None = None, **members: Any) -> dict[str, Any]:
    after = {"Next": following} if following else {"End": True}
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, **after, **members}


def ran(client: Client, name: str, role: str, states: dict[str, Any]) -> dict[str, Any]:
    """Run a state machine to its end."""
    steps = client("stepfunctions")
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    machine = steps.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
    execution = steps.start_execution(stateMachineArn=machine, name=name, input="{}")["executionArn"]

    def description() -> dict[str, Any] | None:
        description: dict[str, Any] = steps.describe_execution(executionArn=execution)
        return description if description["status"] != "RUNNING" else None

    described: dict[str, Any] = until(description, 40)
    return described


def target(name: str, **members: Any) -> dict[str, Any]:
    resource = f"endpoint/{name}/variant/AllTraffic"
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION} | members


def policy(name: str) -> dict[str, Any]:
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    tracking = {"TargetValue": 70.0, "PredefinedMetricSpecification": metric}
    kind = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}
    return target(name, PolicyName="load", **kind)


def machine(role: str, name: str) -> dict[str, Any]:
    """A state machine that creates an endpoint, waits for it and scales it."""
    container = {"Image": "tinyserver:local", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    waiting = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.EndpointStatus", "StringEquals": "Creating", "Next": "Wait"}],
        "Default": "Register",
    }
    request = {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container}
    config = {"EndpointConfigName": name, "ProductionVariants": [variant("AllTraffic", name)]}
    return {
        "Model": task(f"{SDK}:createModel", request, "Config"),
        "Config": task(f"{SDK}:createEndpointConfig", config, "Endpoint"),
        "Endpoint": task(f"{SDK}:createEndpoint", {"EndpointName": name, "EndpointConfigName": name}, "Look"),
        "Look": task(f"{SDK}:describeEndpoint", {"EndpointName": name}, "Ready"),
        "Ready": waiting,
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Look"},
        "Register": task(f"{SCALING}:registerScalableTarget", target(name, MinCapacity=1, MaxCapacity=2), "Policy"),
        "Policy": task(f"{SCALING}:putScalingPolicy", policy(name)),
    }


def test_a_state_machine_creates_and_deletes_an_endpoint(client: Client, role: str, machine_role: str) -> None:
    # Given a machine that makes an endpoint, when it has run
    described = ran(client, "makes-endpoint", machine_role, machine(role, "steps-one"))
    # Then the endpoint is in service, and its variant has a target with a policy
    assert described["status"] == "SUCCEEDED", described.get("cause")
    assert client("sagemaker").describe_endpoint(EndpointName="steps-one")["EndpointStatus"] == "InService"
    scaling = client("application-autoscaling")
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["PolicyARN"] in json.loads(described["output"]).values()
    # When another one takes it away
    states = {
        "Deregister": task(f"{SCALING}:deregisterScalableTarget", target("steps-one"), "Endpoint"),
        "Endpoint": task(f"{SDK}:deleteEndpoint", {"EndpointName": "steps-one"}, "Config"),
        "Config": task(f"{SDK}:deleteEndpointConfig", {"EndpointConfigName": "steps-one"}, "Model"),
        "Model": task(f"{SDK}:deleteModel", {"ModelName": "steps-one"}),
    }
    described = ran(client, "ends-endpoint", machine_role, states)
    # Then nothing of it is left
    assert described["status"] == "SUCCEEDED", described.get("cause")
    until(lambda: is_gone(client, "steps-one"))
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []


@pytest.mark.parametrize(
    ("name", "state", "error", "cause"),
    [
        (
            "absent",
            task(f"{SDK}:describeEndpoint", {"EndpointName": "steps-no"}),
            "SageMaker.SageMakerException",
            "Could not find endpoint",
        ),
        (
            "forbidden",
            task(f"{SDK}:deleteEndpoint", {"EndpointName": "others"}),
            "SageMaker.SageMakerException",
            "not authorized to perform: sagemaker:DeleteEndpoint",
        ),
        (
            "unscaled",
            task(f"{SCALING}:deregisterScalableTarget", target("steps-no")),
            "ApplicationAutoScaling.ObjectNotFoundException",
            "No scalable target found",
        ),
    ],
)
def test_a_state_machine_catches_errors_by_the_sdks_names(
    client: Client, machine_role: str, name: str, state: dict[str, Any], error: str, cause: str
) -> None:
    # Given a task that must fail, when its machine has run, then the error has the name that Step Functions gives it
    described = ran(client, f"fails-{name}", machine_role, {"Only": state})
    assert described["error"] == error
    assert cause in described["cause"]


def test_a_role_for_another_service_scales_nothing(client: Client) -> None:
    # Given a machine without the permission
    powerless = make_role(client, "steps-unscaling", "states", allow("sagemaker:*", "*"))
    # When it registers a target, then it is refused
    state = task(f"{SCALING}:registerScalableTarget", target("x", MinCapacity=1, MaxCapacity=2))
    described = ran(client, "fails-scaling", powerless, {"Only": state})
    assert described["error"] == "ApplicationAutoScaling.ApplicationAutoScalingException"
    assert "not authorized to perform: application-autoscaling:RegisterScalableTarget" in described["cause"]


def test_an_invalid_scaling_request_is_refused(client: Client, role: str) -> None:
    # Given an endpoint
    endpoint(client, role, "scaled")
    assert settled(client, "scaled")["EndpointStatus"] == "InService"
    scaling = client("application-autoscaling")
    faults: list[tuple[dict[str, Any], str]] = [
        (target("no", MinCapacity=1, MaxCapacity=2), "Could not find endpoint"),
        (target("scaled", MinCapacity=1, MaxCapacity=2, ResourceId="endpoint/scaled/variant/no"), "has no variant no"),
        (target("scaled", MinCapacity=3, MaxCapacity=2), "cannot be less than minimum"),
        (target("scaled", MinCapacity=1), "MaxCapacity is required"),
        (target("scaled", MinCapacity=1, MaxCapacity=2, ServiceNamespace="ecs"), "ServiceNamespace sagemaker only"),
    ]
    # When a target is wrong, then it is refused
    for request, words in faults:
        with pytest.raises(ClientError, match=f"ValidationException.*{words}"):
            scaling.register_scalable_target(**request)
    with pytest.raises(ClientError, match=r"ObjectNotFoundException.*No scalable target found"):
        scaling.put_scaling_policy(**policy("scaled"))
    # When it is right, then it is kept, and may be changed and taken away
    scaling.register_scalable_target(**target("scaled", MinCapacity=1, MaxCapacity=2))
    scaling.register_scalable_target(**target("scaled", MaxCapacity=5))
    resource = target("scaled")["ResourceId"]
    selection = {"ServiceNamespace": "sagemaker", "ResourceIds": [resource]}
    (scalable,) = scaling.describe_scalable_targets(**selection)["ScalableTargets"]
    assert (scalable["MinCapacity"], scalable["MaxCapacity"]) == (1, 5)
    scaling.put_scaling_policy(**policy("scaled"))
    scaling.delete_scaling_policy(**target("scaled", PolicyName="load"))
    with pytest.raises(ClientError, match=r"ObjectNotFoundException.*No scaling policy found"):
        scaling.delete_scaling_policy(**target("scaled", PolicyName="load"))
    scaling.deregister_scalable_target(**target("scaled"))


def test_an_endpoints_changes_are_events(client: Client, role: str) -> None:
    # Given a rule for endpoints
    queue = client("sqs").create_queue(QueueName="endpoint-events")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"detail-type": ["SageMaker Endpoint State Change"], "detail": {"EndpointName": ["told"]}}
    client("events").put_rule(Name="endpoints", EventPattern=json.dumps({"source": ["aws.sagemaker"], **pattern}))
    client("events").put_targets(Rule="endpoints", Targets=[{"Id": "queue", "Arn": arn}])
    # When one is made and deleted
    endpoint(client, role, "told")
    assert settled(client, "told")["EndpointStatus"] == "InService"
    client("sagemaker").delete_endpoint(EndpointName="told")
    until(lambda: is_gone(client, "told"))
    # Then each change is told, in the spelling of AWS's events
    events: list[dict[str, Any]] = []

    def three() -> bool:
        response = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        events.extend(json.loads(item["Body"]) for item in response.get("Messages", []))
        return len(events) >= 3

    until(three)
    assert {event["detail"]["EndpointStatus"] for event in events} == {"CREATING", "IN_SERVICE", "DELETING"}
    assert events[0]["resources"] == [f"{ARN}:endpoint/told"]
