"""The laptop cloud as a process: start, stop, and what survives both."""

import json
import os
import signal
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.local.host import processes
from penstock.local.host.cloud import CloudError, LaptopCloud
from tests.local.conftest import allow, client_for, free_port, make_role, until


@pytest.fixture
def own(tmp_path: Path, sample_context: Path) -> Iterator[LaptopCloud]:
    """A laptop cloud for this test alone, which it may kill."""
    cloud = LaptopCloud(tmp_path / "home", port=free_port())
    cloud.up(images={"sample": sample_context})
    yield cloud
    cloud.down()


def test_up_again_gives_the_running_cloud(cloud: LaptopCloud) -> None:
    # Given a running cloud
    before = cloud.status()
    # When it is started again, even by another caller who names another port
    again = LaptopCloud(cloud.home, port=free_port()).up()
    # Then it is the same one
    assert before.running
    assert before.healthy
    assert (again.pid, again.url, again.started_at) == (before.pid, before.url, before.started_at)


def test_the_operator_is_a_user(cloud: LaptopCloud) -> None:
    # Given the operator's environment, when asked who that is, then it is a user, not root
    caller = client_for(cloud)("sts").get_caller_identity()
    assert caller["Arn"] == "arn:aws:iam::000000000000:user/operator"


def test_the_command_environment_leads_to_no_other_account(cloud: LaptopCloud) -> None:
    # Given a shell with a real account's settings
    shell = {"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "real", "AWS_ACCESS_KEY_ID": "real", "EDITOR": "vi"}
    # When a command's environment is made of it
    environment = cloud.command_environment(shell)
    # Then nothing of the account is left
    assert environment["EDITOR"] == "vi"
    assert "AWS_PROFILE" not in environment
    assert "real" not in environment.values()


def test_the_certificate_holds_for_api_hosts(cloud: LaptopCloud) -> None:
    # Given the cloud's own authority, when its certificate is checked for an API's host, then it holds
    context = ssl.create_default_context(cafile=cloud.environment()["NODE_EXTRA_CA_CERTS"])
    port = int(cloud.url.rpartition(":")[2])
    for host in ("localhost", "127.0.0.1", "abcd1234.execute-api.localhost"):
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            assert secure.version() == "TLSv1.3"


def test_a_port_in_use_is_reported_with_its_owner(tmp_path: Path) -> None:
    # Given a port that this very process listens on
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        # When a cloud is started on it, then the error names the port, the process and the mend
        with pytest.raises(CloudError, match=rf"Port {port} is in use by process {os.getpid()}.*PENSTOCK_PORT"):
            LaptopCloud(tmp_path / "home", port=port).up()


def test_a_stale_record_is_cleared_and_no_other_process_is_killed(tmp_path: Path) -> None:
    # Given the record of a dead cloud, whose process id now belongs to another program: this one
    home = tmp_path / "home"
    home.mkdir()
    record = {"pid": os.getpid(), "port": 1, "token": "penstock-gone", "started_at": "x", "version": "x"}
    (home / "cloud.json").write_text(json.dumps(record))
    # When it is asked for and taken down
    cloud = LaptopCloud(home, port=free_port())
    # Then it does not run, and this process lives
    assert not cloud.status().running
    assert cloud.down() is False


def test_an_unusable_home_folder_is_reported(tmp_path: Path) -> None:
    # Given a home in which a file is in the way
    home = tmp_path / "home"
    home.mkdir()
    (home / "state").write_text("in the way")
    # When it is started, then the error names it
    with pytest.raises(CloudError, match=r"cannot keep its files in .*home/state"):
        LaptopCloud(home, port=free_port()).up()


def test_a_cloud_that_dies_at_the_start_shows_its_log(tmp_path: Path) -> None:
    # Given a certificate that is none
    cloud = LaptopCloud(tmp_path / "home", port=free_port())
    cloud.up()
    cloud.down()
    (cloud.home / "tls" / "key.pem").write_text("not a key")
    # When it is started, then the error ends with what the server said
    with pytest.raises(CloudError, match=r"(?s)died while it started. Its log ends:.*SSLError"):
        cloud.up()
    assert not cloud.status().running


def test_without_a_cloud_there_is_no_environment(tmp_path: Path) -> None:
    # Given a home where no cloud ever was, when its environment is asked for, then the error says how to start
    with pytest.raises(CloudError, match="penstock up"):
        LaptopCloud(tmp_path).environment()


def fill(cloud: LaptopCloud) -> Any:
    """Put something into many services, and return the client maker."""
    client = client_for(cloud)
    client("s3").create_bucket(Bucket="kept")
    client("s3").put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        client("s3").put_object(Bucket="kept", Key="a/b", Body=body)
    client("dynamodb").create_table(
        TableName="kept",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client("dynamodb").put_item(TableName="kept", Item={"id": {"S": "1"}})
    client("events").put_rule(Name="kept", EventPattern='{"source": ["x"]}')
    client("sagemaker").create_model_package_group(ModelPackageGroupName="kept")
    client("sagemaker").create_model_package(ModelPackageGroupName="kept", ModelPackageDescription="kept")
    return client


def check_kept(cloud: LaptopCloud) -> None:
    client = client_for(cloud)
    assert client("s3").get_object(Bucket="kept", Key="a/b")["Body"].read() == b"two"
    assert len(client("s3").list_object_versions(Bucket="kept")["Versions"]) == 2
    assert client("dynamodb").get_item(TableName="kept", Key={"id": {"S": "1"}})["Item"] == {"id": {"S": "1"}}
    assert [rule["Name"] for rule in client("events").list_rules()["Rules"]] == ["kept"]
    packages = client("sagemaker").list_model_packages(ModelPackageGroupName="kept")["ModelPackageSummaryList"]
    assert [package["ModelPackageDescription"] for package in packages] == ["kept"]


def test_everything_survives_down_and_up(own: LaptopCloud) -> None:
    # Given a cloud with something in it, and a client that keeps its connection
    client = fill(own)
    s3 = client("s3")
    s3.list_buckets()
    key = own.environment()["AWS_ACCESS_KEY_ID"]
    # When it goes down, before anybody has to kill it, and up again
    started = time.monotonic()
    assert own.down() is True
    assert time.monotonic() - started < 25
    assert not own.status().running
    own.up()
    # Then everything is there, and the operator's key still works
    assert own.environment()["AWS_ACCESS_KEY_ID"] == key
    check_kept(own)


def test_a_kill_loses_nothing_that_was_acknowledged(own: LaptopCloud) -> None:
    # Given a cloud with something in it, a job and an execution under way
    client = fill(own)
    role = make_role(client, "job", "sagemaker", allow("s3:*", "*"))
    machine_role = make_role(client, "machine", "states")
    client("sagemaker").create_training_job(
        TrainingJobName="cut-off",
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": "sample:local", "TrainingInputMode": "File"},
        HyperParameters={"sleep": "600"},
        OutputDataConfig={"S3OutputPath": "s3://kept/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 900},
    )
    wait = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}})
    steps = client("stepfunctions")
    machine = steps.create_state_machine(name="waits", definition=wait, roleArn=machine_role)["stateMachineArn"]
    execution = steps.start_execution(stateMachineArn=machine)["executionArn"]
    url = client("sqs").create_queue(QueueName="ended")["QueueUrl"]
    pattern = {"detail-type": ["Step Functions Execution Status Change", "SageMaker Training Job State Change"]}
    failed = {"status": ["FAILED"], "TrainingJobStatus": ["Failed"]}
    alternatives = {"detail": {"$or": [{key: value} for key, value in failed.items()]}}
    client("events").put_rule(Name="kept", EventPattern=json.dumps({**pattern, **alternatives}))
    queue = "arn:aws:sqs:us-east-1:000000000000:ended"
    client("events").put_targets(Rule="kept", Targets=[{"Id": "queue", "Arn": queue}])
    sagemaker = client("sagemaker")

    def at_work() -> bool:
        job = sagemaker.describe_training_job(TrainingJobName="cut-off")
        return bool(job["SecondaryStatus"] == "Training")

    until(at_work)
    time.sleep(4.5)  # the state of other services is saved every three seconds
    marker = str(own.home / "jobs" / "cut-off")
    assert marker.rsplit("/", 1)[1] in " ".join(job_processes(marker))
    # When its process is killed and it is started again
    pid = own.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not own.status().running)
    until(lambda: not job_processes(marker))  # the job's process died with the cloud
    own.up()
    # Then all is there, and nothing is stuck
    check_kept(own)
    client = client_for(own)
    job = client("sagemaker").describe_training_job(TrainingJobName="cut-off")
    assert job["TrainingJobStatus"] == "Failed"
    assert "the laptop cloud was stopped while this job ran" in job["FailureReason"]
    described = client("stepfunctions").describe_execution(executionArn=execution)
    assert described["status"] == "FAILED"
    assert "the laptop cloud was stopped while this execution ran" in described["cause"]
    # And both endings are told
    messages: set[str] = set()

    def all_told() -> bool:
        for message in client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            messages.add(json.loads(message["Body"])["detail-type"])
        return len(messages) == 2

    until(all_told)


def job_processes(directory: str) -> list[str]:
    """Return the command lines of processes that work in a job's directory."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "cwd").readlink()) == directory:
                lines.append(f"{directory} {processes.command_line(int(process.name))}")
        except OSError:
            continue
    return lines


def test_health_answers_without_a_signature(cloud: LaptopCloud) -> None:
    # Given no credentials, when health is asked for, then it answers, and tells no secret
    context = ssl.create_default_context(cafile=cloud.environment()["NODE_EXTRA_CA_CERTS"])
    with urllib.request.urlopen(f"{cloud.url}/_penstock/health", context=context) as answer:  # noqa: S310
        health = json.load(answer)
    assert health["services"]["sagemaker"] == "available"
    assert cloud.environment()["AWS_SECRET_ACCESS_KEY"] not in json.dumps(health)
