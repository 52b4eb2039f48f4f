"""SageMaker endpoints as local processes: invocations, failures, restarts."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.local.host import processes
from penstock.local.host.cloud import LaptopCloud
from penstock.local.sagemaker.container.credential_endpoint import CredentialEndpoint
from tests.local.cloud.hosted import (
    BUCKET,
    RUNTIME,
    artifact,
    endpoint,
    invoke,
    is_gone,
    model,
    role_for_models,
    settled,
    variant,
    write_server,
)
from tests.local.conftest import Client, allow, client_for, free_port, make_role, until
from tests.support import tiny

ACCOUNT = "000000000000"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose image is a small model server."""
    return write_server(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def role(cloud: LaptopCloud, client: Client, server_context: Path) -> str:
    cloud.up(images={"tinyserver": server_context})
    return role_for_models(client)


@pytest.fixture(scope="module")
def served(client: Client, role: str) -> str:
    """An endpoint in service."""
    endpoint(client, role, "served", {"COLOUR": "green"})
    assert settled(client, "served")["EndpointStatus"] == "InService"
    return "served"


def test_an_endpoint_answers_as_its_container_does(client: Client, served: str) -> None:
    # Given an endpoint in service, when it is invoked with all that a client may say
    reply = client(RUNTIME).invoke_endpoint(
        EndpointName=served,
        Body=b"1,2\n\xff",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="one",
    )
    # Then the container saw all of it, with the model's files and environment
    request = json.loads(reply["Body"].read())
    assert (request["body"], request["type"], request["accept"]) == ("1,2\n\xff", "text/csv", "application/json")
    assert (request["custom"], request["inference"]) == ("trace=1", "one")
    assert (request["files"], request["colour"]) == ({"model.txt": "weights"}, "green")
    # And the client saw all of its answer
    assert (reply["ContentType"], reply["CustomAttributes"]) == ("application/json", "trace=2")
    assert reply["InvokedProductionVariant"] == "AllTraffic"


def test_an_endpoint_describes_itself(client: Client, served: str) -> None:
    # Given an endpoint in service, when it, its configuration and its model are described
    sagemaker = client("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=served)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    # Then each leads to the next
    assert described["EndpointArn"] == f"{ARN}:endpoint/served"
    (shown_variant,) = described["ProductionVariants"]
    assert (shown_variant["VariantName"], shown_variant["CurrentWeight"], shown_variant["CurrentInstanceCount"]) == (
        "AllTraffic",
        1.0,
        1,
    )
    assert shown_variant["DeployedImages"][0]["SpecifiedImage"] == "tinyserver:local"
    model_name = config["ProductionVariants"][0]["ModelName"]
    assert sagemaker.describe_model(ModelName=model_name)["ModelArn"] == f"{ARN}:model/served"
    # And each is listed
    assert [item["EndpointName"] for item in sagemaker.list_endpoints(NameContains=served)["Endpoints"]] == [served]
    listed = sagemaker.list_endpoint_configs(NameContains=served)["EndpointConfigs"]
    assert [item["EndpointConfigName"] for item in listed] == [served]
    assert [item["ModelName"] for item in sagemaker.list_models(NameContains=served)["Models"]] == [served]


def test_the_container_acts_as_its_role_with_credentials_that_are_renewed(client: Client, served: str) -> None:
    # Given an endpoint, when its container asks who it is, then it is the model's role
    reply = client(RUNTIME).invoke_endpoint(EndpointName=served, Body=b'{"who": 1}', ContentType="application/json")
    assert reply["Body"].read().decode() == f"arn:aws:sts::{ACCOUNT}:assumed-role/hosting/SageMaker"


@pytest.mark.parametrize(("status", "who"), [(400, "client"), (503, "server")])
def test_a_containers_error_is_a_model_error(client: Client, served: str, status: int, who: str) -> None:
    # Given a request that the container refuses, when it is sent
    with pytest.raises(ClientError) as caught:
        invoke(client, served, {"status": status})
    # Then all that AWS tells of it is told
    reply: Any = caught.value.response
    assert reply["Error"]["Code"] == "ModelError"
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (reply["OriginalStatusCode"], reply["OriginalMessage"]) == (status, "not this")
    assert reply["LogStreamArn"] == f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/served"
    assert f'Received {who} error ({status}) from primary with message "not this"' in reply["Error"]["Message"]


def test_the_output_of_a_container_is_in_the_logs(client: Client, served: str) -> None:
    # Given an endpoint, when its log group is read, then its container was started as SageMaker starts it
    group = f"/aws/sagemaker/Endpoints/{served}"
    (stream,) = client("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix="AllTraffic/")["logStreams"]
    response = client("logs").get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    assert response["events"][0]["message"].startswith("arguments serve process")


def test_a_caller_without_permission_to_invoke_is_refused(cloud: LaptopCloud, client: Client, served: str) -> None:
    # Given a role for this endpoint and one for another
    def runtime_of(name: str, resource: str) -> Any:
        user = client("iam").create_user(UserName=name)["User"]["UserName"]
        policy = {"Version": "2012-10-17", "Statement": [allow("sagemaker:InvokeEndpoint", resource)]}
        client("iam").put_user_policy(UserName=user, PolicyName="inline", PolicyDocument=json.dumps(policy))
        key = client("iam").create_access_key(UserName=user)["AccessKey"]
        session: Any = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
        return session.client(RUNTIME, endpoint_url=cloud.url, verify=cloud.environment()["AWS_CA_BUNDLE"])

    allowed = runtime_of("invoker", f"{ARN}:endpoint/{served}")
    other = runtime_of("stranger", f"{ARN}:endpoint/another")
    # When both invoke it, then one is answered and one refused
    assert allowed.invoke_endpoint(EndpointName=served, Body=b"x")["InvokedProductionVariant"] == "AllTraffic"
    with pytest.raises(ClientError, match=r"AccessDenied.*sagemaker:InvokeEndpoint"):
        other.invoke_endpoint(EndpointName=served, Body=b"x")
    # And a body that looks like a request of another service changes nothing
    form = {"Body": b"Action=GetCallerIdentity", "ContentType": "application/x-www-form-urlencoded"}
    with pytest.raises(ClientError, match=r"AccessDenied.*sagemaker:InvokeEndpoint"):
        other.invoke_endpoint(EndpointName=served, **form)


def test_the_environment_variables_lead_to_the_endpoint(
    cloud: LaptopCloud, client: Client, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a program that knows the cloud from its environment only
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    # When it invokes the endpoint, then it is answered
    session: Any = boto3.session.Session()
    runtime = session.client(RUNTIME, config=Config(proxies={}))
    assert runtime.invoke_endpoint(EndpointName=served, Body=b"x")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_requests_run_in_parallel_and_the_cloud_keeps_answering(client: Client, served: str) -> None:
    # Given ten requests that the model takes its time for
    runtime = client(RUNTIME)

    def slow(_: int) -> float:
        body = json.dumps({"sleep": 6})
        runtime.invoke_endpoint(EndpointName=served, Body=body, ContentType="application/json")
        return time.monotonic()

    with ThreadPoolExecutor(10) as threads:
        answers = threads.map(slow, range(10))
        # When the cloud is asked for other things meanwhile, then it answers before any of them
        client("sagemaker").describe_endpoint(EndpointName=served)
        client("s3").list_buckets()
        before = time.monotonic()
        assert all(before < moment for moment in answers)


def test_names_must_be_unique_and_referenced_resources_must_exist(client: Client, role: str, served: str) -> None:
    # Given an endpoint with its configuration and model
    sagemaker = client("sagemaker")
    refusals: list[tuple[Any, dict[str, Any], str]] = [
        (
            sagemaker.create_endpoint,
            {"EndpointName": served, "EndpointConfigName": served},
            "already existing endpoint",
        ),
        (
            sagemaker.create_endpoint,
            {"EndpointName": "x", "EndpointConfigName": "no"},
            "Could not find endpoint config",
        ),
        (sagemaker.describe_endpoint, {"EndpointName": "no"}, f'Could not find endpoint "{ARN}:endpoint/no".'),
        (sagemaker.delete_endpoint, {"EndpointName": "no"}, f'Could not find endpoint "{ARN}:endpoint/no".'),
        (
            sagemaker.create_endpoint_config,
            {"EndpointConfigName": "x", "ProductionVariants": [variant("a", "no")]},
            "Could not find model",
        ),
        (
            sagemaker.create_endpoint_config,
            {"EndpointConfigName": served, "ProductionVariants": [variant("a", served)]},
            "already existing endpoint configuration",
        ),
        (
            sagemaker.create_endpoint_config,
            {"EndpointConfigName": "x", "ProductionVariants": [variant("a", served), variant("a", served)]},
            "VariantName must be unique",
        ),
        (
            sagemaker.create_endpoint_config,
            {
                "EndpointConfigName": "x",
                "ProductionVariants": [{"VariantName": "a", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}],
            },
            "Variant a: ModelName is required. The laptop cloud has no inference components.",
        ),
        (
            sagemaker.create_endpoint_config,
            {"EndpointConfigName": "x", "ExecutionRoleArn": role, "ProductionVariants": [variant("a", served)]},
            "ExecutionRoleArn is not available on the laptop cloud",
        ),
        (
            sagemaker.update_endpoint,
            {"EndpointName": served, "EndpointConfigName": "no"},
            "Could not find endpoint conf",
        ),
        (
            sagemaker.update_endpoint,
            {"EndpointName": served, "EndpointConfigName": served, "RetainAllVariantProperties": True},
            "RetainAllVariantProperties is not available on the laptop cloud",
        ),
        (sagemaker.list_algorithms, {}, "ListAlgorithms is not available on the laptop cloud"),
    ]
    # When what cannot be is asked for, then it is refused in AWS's words
    for call, arguments, words in refusals:
        with pytest.raises(ClientError) as caught:
            call(**arguments)
        assert words in str(caught.value)
    with pytest.raises(ClientError, match="already existing model"):
        model(client, role, served)
    with pytest.raises(ClientError, match=f"ValidationError.*Endpoint no of account {ACCOUNT} not found"):
        invoke(client, "no")
    with pytest.raises(ClientError, match="The laptop cloud has no inference components"):
        invoke(client, served, InferenceComponentName="one")


def test_a_model_that_cannot_be_served_is_refused_at_creation(client: Client, role: str) -> None:
    # Given roles and containers that lack something
    blind = make_role(client, "blind", "sagemaker")
    data = f"s3://{BUCKET}/model.tar.gz"
    container = {"Image": "tinyserver:local", "ModelDataUrl": data}
    faults: list[tuple[dict[str, Any], str]] = [
        ({"ExecutionRoleArn": blind}, r'Could not access model data.*"s3:GetObject"'),
        ({"ExecutionRoleArn": make_role(client, "of-lambda", "lambda")}, "Could not assume role"),
        (
            {"PrimaryContainer": container | {"Image": "elsewhere:1"}},
            "Requested image elsewhere:1 not found.*tinyserver",
        ),
        ({"PrimaryContainer": container | {"ModelDataUrl": f"{data}.no"}}, "Could not find model data at"),
        ({"PrimaryContainer": {"ModelPackageName": f"{ARN}:model-package/no/1"}}, "does not exist"),
    ]
    # When a model is made of them, then the fault is named
    for members, words in faults:
        with pytest.raises(ClientError, match=words):
            model(client, role, "faulty", **members)


def test_a_container_that_exits_fails_its_endpoint_with_its_last_output(client: Client, role: str) -> None:
    # Given a container that ends at its start, when an endpoint is made of it
    endpoint(client, role, "dies", {"MODE": "dies"})
    # Then it fails, and says what the container said
    described = settled(client, "dies")
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert "the weights do not fit, exit code: 1" in described["FailureReason"]
    # And it is not invoked
    with pytest.raises(ClientError, match="is not in service: Failed"):
        invoke(client, "dies")
    # And it can be deleted
    client("sagemaker").delete_endpoint(EndpointName="dies")
    until(lambda: is_gone(client, "dies"))


@pytest.fixture(scope="module")
def minute(cloud: LaptopCloud, client: Client, role: str) -> Iterator[Future[str]]:
    """Two checks of a minute each, run at the same time: an unhealthy endpoint, and a call of a slow model."""
    # The shortest time that AWS allows
    endpoint(client, role, "sick", {"MODE": "sick"}, ContainerStartupHealthCheckTimeoutInSeconds=60)
    endpoint(client, role, "slow")
    assert settled(client, "slow")["EndpointStatus"] == "InService"
    variables = cloud.environment()
    session: Any = boto3.session.Session(
        variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    )
    config = Config(read_timeout=90, retries={"max_attempts": 0}, proxies={})
    runtime = session.client(RUNTIME, endpoint_url=cloud.url, verify=variables["AWS_CA_BUNDLE"], config=config)

    def late() -> str:
        with pytest.raises(ClientError) as caught:
            runtime.invoke_endpoint(EndpointName="slow", Body=b'{"sleep": 70}', ContentType="application/json")
        return str(caught.value)

    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(late)


def test_a_container_that_never_answers_ping_fails_in_its_time(client: Client, minute: Future[str]) -> None:
    # Given an endpoint that is being made
    assert not minute.done()
    # When it is deleted, then that is refused
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        client("sagemaker").delete_endpoint(EndpointName="sick")
    # When its time is over, then it fails, and its process has ended
    described = settled(client, "sick", seconds=90)
    assert described["EndpointStatus"] == "Failed"
    assert "The container said: arguments serve process" in described["FailureReason"]
    pid = int(described["FailureReason"].split()[-1])
    until(lambda: not processes.exists(pid))


def test_an_invocation_longer_than_a_minute_times_out(minute: Future[str]) -> None:
    # Given an invocation of a model that takes more than a minute, when the minute is over, then AWS's words are said
    assert "ModelError" in (message := minute.result(90))
    assert "Your invocation timed out while waiting for a response from container primary" in message


def test_a_process_that_dies_is_started_again(client: Client, served: str) -> None:
    # Given an endpoint in service
    before = invoke(client, served)["pid"]
    # When its process ends in the middle of an answer
    with pytest.raises(ClientError, match=r"ModelError.*ended its response early"):
        invoke(client, served, {"exit": 1})
    # Then another one answers soon
    assert until(lambda: invoke(client, served)["pid"]) != before
    assert client("sagemaker").describe_endpoint(EndpointName=served)["EndpointStatus"] == "InService"


def test_an_artifact_with_a_path_outside_its_directory_is_refused(client: Client, role: str) -> None:
    # Given an artifact with a path upwards
    client("s3").put_object(Bucket=BUCKET, Key="evil.tar.gz", Body=artifact({"../../evil.txt": b"x"}))
    container = {"Image": "tinyserver:local", "ModelDataUrl": f"s3://{BUCKET}/evil.tar.gz"}
    model(client, role, "evil", PrimaryContainer=container)
    variants = [variant("AllTraffic", "evil")]
    client("sagemaker").create_endpoint_config(EndpointConfigName="evil", ProductionVariants=variants)
    # When an endpoint is made of it, then it fails and says so
    client("sagemaker").create_endpoint(EndpointName="evil", EndpointConfigName="evil")
    described = settled(client, "evil")
    assert described["EndpointStatus"] == "Failed"
    assert "evil.tar.gz is not a valid .tar.gz" in described["FailureReason"]


def test_files_that_are_not_packed_are_served_too(client: Client, role: str) -> None:
    # Given a model whose files lie under a prefix
    lister = make_role(
        client, "lister", "sagemaker", allow("s3:*", [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"])
    )
    client("s3").put_object(Bucket=BUCKET, Key="loose/model.txt", Body=b"loose")
    source = {"S3Uri": f"s3://{BUCKET}/loose/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": "tinyserver:local", "ModelDataSource": {"S3DataSource": source}}
    model(client, lister, "loose", PrimaryContainer=container)
    variants = [variant("AllTraffic", "loose", InitialInstanceCount=2)]
    client("sagemaker").create_endpoint_config(EndpointConfigName="loose", ProductionVariants=variants)
    # When it is served, then they are in its directory
    client("sagemaker").create_endpoint(EndpointName="loose", EndpointConfigName="loose")
    described = settled(client, "loose")
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    assert invoke(client, "loose")["files"] == {"model.txt": "loose"}


def test_a_model_package_is_served_once_it_is_approved(client: Client, role: str) -> None:
    # Given a package that waits for its approval
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="hosted")
    container = {
        "Image": "tinyserver:local",
        "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
        "Environment": {"COLOUR": "blue"},
    }
    types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    package = sagemaker.create_model_package(
        ModelPackageGroupName="hosted",
        InferenceSpecification={"Containers": [container], **types},
        ModelApprovalStatus="PendingManualApproval",
    )["ModelPackageArn"]
    packaged = {"ModelPackageName": package, "Environment": {"PENSTOCK_NOTE": "more"}}
    # When a model is made of it, then it is refused
    with pytest.raises(ClientError, match="is not approved"):
        model(client, role, "packaged", PrimaryContainer=packaged)
    # When it is approved, then it is served as it was registered
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    model(client, role, "packaged", PrimaryContainer=packaged)
    sagemaker.create_endpoint_config(
        EndpointConfigName="packaged", ProductionVariants=[variant("AllTraffic", "packaged")]
    )
    sagemaker.create_endpoint(EndpointName="packaged", EndpointConfigName="packaged")
    assert settled(client, "packaged")["EndpointStatus"] == "InService"
    request = invoke(client, "packaged")
    assert (request["colour"], request["files"]) == ("blue", {"model.txt": "weights"})
    # And the model still names its package
    assert sagemaker.describe_model(ModelName="packaged")["PrimaryContainer"]["ModelPackageName"] == package


def test_variants_answer_by_weight(client: Client, role: str) -> None:
    # Given a configuration that gives one variant all and one nothing
    model(client, role, "all", Environment={"COLOUR": "blue"})
    model(client, role, "none", Environment={"COLOUR": "red"})
    variants = [variant("blue", "all"), variant("red", "none", InitialVariantWeight=0.0)]
    client("sagemaker").create_endpoint_config(EndpointConfigName="two", ProductionVariants=variants)
    client("sagemaker").create_endpoint(EndpointName="two", EndpointConfigName="two")
    assert settled(client, "two")["EndpointStatus"] == "InService"
    # When it is invoked, then the one answers, unless the other is asked for
    assert {invoke(client, "two")["colour"] for _ in range(8)} == {"blue"}
    assert invoke(client, "two", TargetVariant="red")["colour"] == "red"


def test_a_deleted_endpoint_ends_its_process(client: Client, role: str) -> None:
    # Given an endpoint with tags
    model(client, role, "short")
    tags = [{"Key": "team", "Value": "one"}]
    config = {"EndpointConfigName": "short", "ProductionVariants": [variant("AllTraffic", "short")]}
    client("sagemaker").create_endpoint_config(**config)
    response = client("sagemaker").create_endpoint(EndpointName="short", EndpointConfigName="short", Tags=tags)
    assert client("sagemaker").list_tags(ResourceArn=response["EndpointArn"])["Tags"] == tags
    settled(client, "short")
    pid = invoke(client, "short")["pid"]
    # When configuration and model go first, then it answers on
    client("sagemaker").delete_endpoint_config(EndpointConfigName="short")
    client("sagemaker").delete_model(ModelName="short")
    assert invoke(client, "short")["pid"] == pid
    # When it is deleted, then its process ends
    client("sagemaker").delete_endpoint(EndpointName="short")
    until(lambda: is_gone(client, "short"))
    assert not processes.exists(pid)


def request_credentials(variables: dict[str, str], token: str | None = None) -> tuple[int, dict[str, Any]]:
    """Request credentials as a container's SDK does; return status and document."""
    address = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    headers = {"Authorization": token or variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    reply = urllib3.request("GET", address, headers=headers)
    return reply.status, reply.json()


def test_credentials_are_renewed_before_they_end_and_given_to_their_container_only() -> None:
    # Given two doors, of which one gives credentials that end soon
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/hosting"
    lasting, brief = CredentialEndpoint(), CredentialEndpoint(life=60)
    key, stays = lasting.register(role_arn)
    _, ends = brief.register(role_arn)
    # When a container asks twice, then it gets the same while they last, and others before they end
    assert request_credentials(stays) == request_credentials(stays)
    first, second = request_credentials(ends)[1], request_credentials(ends)[1]
    assert first["AccessKeyId"] != second["AccessKeyId"]
    assert first["Expiration"] > datetime.now(UTC).isoformat()
    # And another token opens nothing, nor does that of a container that has ended
    assert request_credentials(stays, "guessed")[0] == 403
    lasting.unregister(key)
    assert request_credentials(stays)[0] == 403


@pytest.fixture
def own(tmp_path: Path, server_context: Path) -> Iterator[LaptopCloud]:
    """A laptop cloud for this test alone, which it may kill."""
    cloud = LaptopCloud(tmp_path / "home", port=free_port())
    cloud.up(images={"tinyserver": server_context})
    yield cloud
    cloud.down()


@pytest.mark.parametrize("ending", ["down", "killed"])
def test_an_endpoint_is_back_after_a_restart_and_leaves_no_process(own: LaptopCloud, ending: str) -> None:
    # Given an endpoint in service
    client = client_for(own)
    endpoint(client, role_for_models(client), "stays")
    assert settled(client, "stays")["EndpointStatus"] == "InService"
    pid = invoke(client, "stays")["pid"]
    # When the cloud ends, one way or the other
    if ending == "down":
        own.down()
    else:
        server = own.status().pid
        assert server is not None
        os.kill(server, signal.SIGKILL)
        until(lambda: not own.status().running)
    # Then its process has ended too
    until(lambda: not processes.exists(pid))
    # When the cloud is up again, then the endpoint answers from a new one
    own.up()
    client = client_for(own)
    assert client("sagemaker").describe_endpoint(EndpointName="stays")["EndpointStatus"] == "InService"
    assert invoke(client, "stays")["pid"] != pid


def test_the_serve_step_answers_with_a_real_model(cloud: LaptopCloud, client: Client, role: str) -> None:
    # Given Penstock's own image and a tiny real model
    cloud.up(images={"penstock-image": Path(__file__).parents[3]})
    client("s3").put_object(Bucket=BUCKET, Key="tiny.tar.gz", Body=artifact({"model.onnx": tiny.build()}))
    container = {
        "Image": "penstock-image:local",
        "ModelDataUrl": f"s3://{BUCKET}/tiny.tar.gz",
        "Environment": {
            "PENSTOCK_STAGE": "local",
            "PENSTOCK_MODEL": "tiny",
            "PENSTOCK_WORKERS": "1",
            "PENSTOCK_VERSION": "7",
        },
    }
    client("sagemaker").create_model(ModelName="tiny", ExecutionRoleArn=role, PrimaryContainer=container)
    variants = [variant("AllTraffic", "tiny")]
    client("sagemaker").create_endpoint_config(EndpointConfigName="tiny", ProductionVariants=variants)
    client("sagemaker").create_endpoint(EndpointName="tiny", EndpointConfigName="tiny")
    described = settled(client, "tiny")
    assert described["EndpointStatus"] == "InService", described.get("FailureReason")
    # When it is asked, then it scores, under the request's inference id
    answer = invoke(client, "tiny", {"instances": [tiny.GOOD]}, InferenceId="asked")
    assert (answer["version"], answer["predictions"][0]["id"]) == (7, "asked-0")
    assert 0 <= answer["predictions"][0]["score"] <= 1
    # And what is wrong with a request is the model's to say
    with pytest.raises(ClientError) as caught:
        invoke(client, "tiny", {"instances": [{**tiny.GOOD, "city": 5}]})
    refused: Any = caught.value.response
    assert refused["OriginalStatusCode"] in (400, 422)
    assert "city" in refused["OriginalMessage"]
