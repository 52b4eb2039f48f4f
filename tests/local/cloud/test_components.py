"""Inference components: models that share an endpoint, down to no copy and back."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.local.host.cloud import LaptopCloud
from tests.local.cloud.hosted import BUCKET, RUNTIME, invoke, role_for_models, settled, write_server
from tests.local.conftest import Client, client_for, free_port, until

NAME = "InferenceComponentName"


def shared(client: Client, role: str, name: str) -> None:
    """An endpoint for components, in service."""
    bare = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ExecutionRoleArn=role, ProductionVariants=[bare]
    )
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert settled(client, name)["EndpointStatus"] == "InService"


def component(client: Client, name: str, endpoint: str, copies: int = 1, **environment: str) -> dict[str, Any]:
    container = {
        "Image": "tinyserver:local",
        "ArtifactUrl": f"s3://{BUCKET}/model.tar.gz",
        "Environment": environment,
    }
    client("sagemaker").create_inference_component(
        InferenceComponentName=name,
        EndpointName=endpoint,
        VariantName="AllTraffic",
        Specification={"Container": container, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512}},
        RuntimeConfig={"CopyCount": copies},
    )
    return ready(client, name)


def ready(client: Client, name: str) -> dict[str, Any]:
    def description() -> dict[str, Any] | None:
        found: dict[str, Any] = client("sagemaker").describe_inference_component(InferenceComponentName=name)
        return found if found["InferenceComponentStatus"] in ("InService", "Failed") else None

    described: dict[str, Any] = until(description, 30)
    return described


@pytest.fixture(scope="module")
def role(cloud: LaptopCloud, client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    cloud.up(images={"tinyserver": write_server(tmp_path_factory.mktemp("server"))})
    return role_for_models(client, "hosting-components")


@pytest.fixture(scope="module")
def endpoint(client: Client, role: str) -> str:
    shared(client, role, "shared")
    return "shared"


def test_components_share_an_endpoint(client: Client, endpoint: str) -> None:
    # Given two components on one endpoint
    assert component(client, "blue", endpoint, COLOUR="blue")["InferenceComponentStatus"] == "InService"
    assert component(client, "red", endpoint, COLOUR="red")["RuntimeConfig"]["CurrentCopyCount"] == 1
    # When each is asked for, then each answers
    assert invoke(client, endpoint, InferenceComponentName="blue")["colour"] == "blue"
    assert invoke(client, endpoint, InferenceComponentName="red")["files"] == {"model.txt": "weights"}
    # And none is asked for, then AWS's sentence says what to do
    with pytest.raises(ClientError, match="Inference Component Name header is required"):
        invoke(client, endpoint)
    # And they are listed by their endpoint, which does not go before them
    listed = client("sagemaker").list_inference_components(EndpointNameEquals=endpoint)["InferenceComponents"]
    assert {"blue", "red"} <= {item[NAME] for item in listed}
    with pytest.raises(ClientError, match="delete its inference components first"):
        client("sagemaker").delete_endpoint(EndpointName=endpoint)


def test_without_a_copy_there_is_no_capacity(client: Client, endpoint: str) -> None:
    # Given a component without a copy
    described = component(client, "idle", endpoint, copies=0)
    assert (described["InferenceComponentStatus"], described["RuntimeConfig"]["CurrentCopyCount"]) == ("InService", 0)
    # When it is invoked, then it is refused in AWS's words
    with pytest.raises(ClientError, match=r"ValidationError.*Inference Component has no capacity to process this"):
        invoke(client, endpoint, InferenceComponentName="idle")
    # When it is given a copy, then it answers
    update = client("sagemaker").update_inference_component_runtime_config
    update(InferenceComponentName="idle", DesiredRuntimeConfig={"CopyCount": 1})
    assert ready(client, "idle")["RuntimeConfig"]["CurrentCopyCount"] == 1
    assert invoke(client, endpoint, InferenceComponentName="idle")["files"] == {"model.txt": "weights"}
    # When the copy is taken away, then it is refused again
    update(InferenceComponentName="idle", DesiredRuntimeConfig={"CopyCount": 0})
    ready(client, "idle")
    with pytest.raises(ClientError, match="no capacity"):
        invoke(client, endpoint, InferenceComponentName="idle")
    # And its target can be registered down to none
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/idle",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    client("application-autoscaling").register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    client("application-autoscaling").deregister_scalable_target(**target)


def test_a_component_that_ends_fails_with_its_words_and_can_be_deleted(client: Client, endpoint: str) -> None:
    # Given a container that ends at its start, when a component is made of it, then it fails and says why
    described = component(client, "broken", endpoint, MODE="dies")
    assert described["InferenceComponentStatus"] == "Failed"
    assert "the weights do not fit, exit code: 1" in described["FailureReason"]
    # And it can be deleted
    client("sagemaker").delete_inference_component(InferenceComponentName="broken")

    def gone() -> bool:
        listed = client("sagemaker").list_inference_components(NameContains="broken")["InferenceComponents"]
        return not listed

    until(gone)


def test_its_errors_lead_to_its_own_log(client: Client, endpoint: str) -> None:
    # Given a component that refuses a request
    component(client, "strict", endpoint)
    body = json.dumps({"status": 400})
    # When it is sent
    with pytest.raises(ClientError) as caught:
        client(RUNTIME).invoke_endpoint(
            EndpointName=endpoint, InferenceComponentName="strict", Body=body, ContentType="application/json"
        )
    # Then the error names the component's log group
    refused: Any = caught.value.response
    assert refused["LogStreamArn"].endswith(":log-group:/aws/sagemaker/InferenceComponents/strict")


def test_components_are_back_after_a_restart(tmp_path: Path) -> None:
    # Given a cloud of its own, with one component that runs and one without a copy
    (tmp_path / "server").mkdir()
    cloud = LaptopCloud(tmp_path / "home", port=free_port())
    cloud.up(images={"tinyserver": write_server(tmp_path / "server")})
    try:
        client = client_for(cloud)
        shared(client, role_for_models(client), "kept")
        component(client, "runs", "kept")
        component(client, "idles", "kept", copies=0)
        # When it was down and is up again
        cloud.down()
        cloud.up()
        # Then the one answers and the other has no capacity
        client = client_for(cloud)
        assert invoke(client, "kept", InferenceComponentName="runs")["files"] == {"model.txt": "weights"}
        with pytest.raises(ClientError, match="no capacity"):
            invoke(client, "kept", InferenceComponentName="idles")
    finally:
        cloud.down()
