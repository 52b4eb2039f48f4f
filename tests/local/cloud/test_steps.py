"""State machines on the laptop cloud: they wait for jobs, act as their role, and report how they ended."""

import json
from typing import Any

import pytest

from tests.local.conftest import Client, allow, make_role, until

ACCOUNT = "000000000000"
JOBS = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/*"


@pytest.fixture(scope="module")
def job_role(client: Client) -> str:
    client("s3").create_bucket(Bucket="steps-lake")
    return make_role(client, "steps-job", "sagemaker", allow("s3:*", "*"))


@pytest.fixture(scope="module")
def machine_role(client: Client, job_role: str) -> str:
    return make_role(
        client,
        "steps-machine",
        "states",
        allow(["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], JOBS),
        allow("iam:PassRole", job_role),
    )


def training_state(job_role: str, plan: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {
            "TrainingJobName.$": "$$.Execution.Name",
            "RoleArn": job_role,
            "AlgorithmSpecification": {"TrainingImage": "sample:local", "TrainingInputMode": "File"},
            "HyperParameters": plan or {},
            "OutputDataConfig": {"S3OutputPath": "s3://steps-lake/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
        "End": True,
    }


def start(client: Client, name: str, role: str, states: dict[str, Any]) -> str:
    steps = client("stepfunctions")
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    machine = steps.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
    arn: str = steps.start_execution(stateMachineArn=machine, name=name, input="{}")["executionArn"]
    return arn


def ended(client: Client, execution: str) -> dict[str, Any]:
    def description() -> dict[str, Any] | None:
        description: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=execution)
        return description if description["status"] != "RUNNING" else None

    described: dict[str, Any] = until(description)
    return described


def test_a_sync_task_gives_the_finished_job(client: Client, job_role: str, machine_role: str) -> None:
    # Given a machine that trains
    execution = start(client, "trains", machine_role, {"Train": training_state(job_role)})
    # When it has run
    described = ended(client, execution)
    # Then its output is the job, with times in epoch milliseconds
    assert described["status"] == "SUCCEEDED", described.get("cause")
    job = json.loads(described["output"])
    assert job["TrainingJobStatus"] == "Completed"
    assert isinstance(job["TrainingEndTime"], int)
    assert job["TrainingEndTime"] > 1_600_000_000_000
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://steps-lake/out/trains/output/model.tar.gz"


def test_a_failed_job_fails_the_task_with_its_description(client: Client, job_role: str, machine_role: str) -> None:
    # Given a machine that catches the failure of a job
    state = training_state(job_role, {"failure": "no rows", "exit": "1"})
    caught = {"ErrorEquals": ["States.TaskFailed"], "Next": "Caught", "ResultPath": "$.failure"}
    states = {"Train": {**state, "Catch": [caught]}, "Caught": {"Type": "Succeed"}}
    # When the job fails
    described = ended(client, start(client, "catches", machine_role, states))
    # Then the cause is the job as JSON
    assert described["status"] == "SUCCEEDED", described.get("cause")
    failure = json.loads(described["output"])["failure"]
    assert failure["Error"] == "States.TaskFailed"
    assert json.loads(failure["Cause"])["FailureReason"] == "AlgorithmError: no rows, exit code: 1"


def test_a_bad_request_names_the_service_and_the_member(client: Client, job_role: str, machine_role: str) -> None:
    # Given a task with a misspelt member
    state = training_state(job_role)
    state["Parameters"]["HyperParametres"] = {}
    # When it runs, then it fails and says which
    described = ended(client, start(client, "misspelt", machine_role, {"Train": state}))
    assert described["error"] == "SageMaker.AmazonSageMakerException"
    assert "Unknown member 'hyperParametres'" in described["cause"]


def test_stopping_an_execution_stops_its_job(client: Client, job_role: str, machine_role: str) -> None:
    # Given an execution whose job runs
    execution = start(client, "aborted", machine_role, {"Train": training_state(job_role, {"sleep": "60"})})
    sagemaker = client("sagemaker")

    def status() -> str | None:
        names = [
            job["TrainingJobName"]
            for job in sagemaker.list_training_jobs(NameContains="aborted")["TrainingJobSummaries"]
        ]
        if "aborted" not in names:
            return None
        status: str = sagemaker.describe_training_job(TrainingJobName="aborted")["TrainingJobStatus"]
        return status

    until(lambda: status() == "InProgress")
    # When it is stopped, then so is the job
    client("stepfunctions").stop_execution(executionArn=execution)
    until(lambda: status() == "Stopped")


def test_a_state_machine_may_do_only_what_its_role_may(client: Client, job_role: str) -> None:
    # Given roles that lack the permission to create jobs, and to pass the job's role
    powerless = make_role(client, "steps-powerless", "states")
    cannot_pass = make_role(client, "steps-cannot-pass", "states", allow("sagemaker:*", "*"))
    # When their machines train
    refused = ended(client, start(client, "powerless", powerless, {"Train": training_state(job_role)}))
    unpassed = ended(client, start(client, "unpassed", cannot_pass, {"Train": training_state(job_role)}))
    # Then each is told what it lacks
    assert "not authorized to perform: sagemaker:CreateTrainingJob" in refused["cause"]
    assert "assumed-role/steps-powerless/" in refused["cause"]
    assert f"not authorized to perform: iam:PassRole on resource: {job_role}" in unpassed["cause"]


def test_sdk_integrations_act_as_the_role_too(client: Client) -> None:
    # Given a role that may list packages and nothing else
    role = make_role(client, "steps-sdk", "states", allow("sagemaker:ListModelPackageGroups", "*"))
    prefix = "arn:aws:states:::aws-sdk:sagemaker"
    listing = {"Type": "Task", "Resource": f"{prefix}:listModelPackageGroups", "Parameters": {}, "Next": "Make"}
    making = {
        "Type": "Task",
        "Resource": f"{prefix}:createModelPackageGroup",
        "Parameters": {"ModelPackageGroupName": "from-steps"},
        "End": True,
    }
    # When its machine lists and then makes a group
    described = ended(client, start(client, "sdk", role, {"List": listing, "Make": making}))
    # Then it gets past the first and is refused the second
    assert described["error"] == "SageMaker.SageMakerException"
    assert "sagemaker:CreateModelPackageGroup" in described["cause"]
