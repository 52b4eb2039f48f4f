"""SageMaker jobs as local processes: inputs, outputs, and how each ending is reported."""

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import Client, allow, make_role, until

ACCOUNT = "000000000000"
ENDED = ("Completed", "Failed", "Stopped")


@pytest.fixture(scope="module")
def bucket(client: Client) -> str:
    client("s3").create_bucket(Bucket="jobs-lake")
    put = client("s3").put_object
    put(Bucket="jobs-lake", Key="data/a.csv", Body=b"1")
    put(Bucket="jobs-lake", Key="data/deep/b.csv", Body=b"2")
    put(Bucket="jobs-lake", Key="data/not-named.csv", Body=b"3")
    manifest = [{"prefix": "s3://jobs-lake/data/"}, "a.csv", "deep/b.csv"]
    put(Bucket="jobs-lake", Key="manifest", Body=json.dumps(manifest))
    return "jobs-lake"


@pytest.fixture(scope="module")
def role(client: Client, bucket: str) -> str:
    return make_role(client, "jobs", "sagemaker", allow("s3:*", [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]))


@pytest.fixture
def train(client: Client, role: str, bucket: str) -> Any:
    def start(name: str, plan: dict[str, str] | None = None, **members: Any) -> None:
        request = {
            "TrainingJobName": name,
            "RoleArn": role,
            "AlgorithmSpecification": {
                "TrainingImage": "sample:local",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
            },
            "HyperParameters": plan or {},
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        client("sagemaker").create_training_job(**{**request, **members})

    return start


def ended(client: Client, name: str) -> dict[str, Any]:
    def description() -> dict[str, Any] | None:
        job: dict[str, Any] = client("sagemaker").describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] in ENDED else None

    described: dict[str, Any] = until(description)
    return described


def steps(job: dict[str, Any]) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def log_lines(client: Client, group: str, job: str) -> list[str]:
    logs = client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/algo-1-")["logStreams"]
    assert len(streams) == 1
    response = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True)
    return [event["message"] for event in response["events"]]


def channel(name: str, kind: str, uri: str) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}}


def packed(client: Client, bucket: str, key: str) -> dict[str, str]:
    body = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = [member for member in tar.getmembers() if member.isfile()]
        return {member.name: tar.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]


def test_a_job_gets_its_channels_and_leaves_its_artifacts(client: Client, bucket: str, train: Any) -> None:
    # Given a job with a prefix and a manifest as channels
    channels = [
        channel("all", "S3Prefix", f"s3://{bucket}/data"),
        channel("named", "ManifestFile", f"s3://{bucket}/manifest"),
    ]
    checkpoints = {"S3Uri": f"s3://{bucket}/checkpoints"}
    # When it runs
    train("whole", {"report": "fine"}, InputDataConfig=channels, CheckpointConfig=checkpoints)
    job = ended(client, "whole")
    # Then it ends well, step by step, with its metric
    assert steps(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in step for step in job["SecondaryStatusTransitions"])
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("accuracy", 0.75)]
    # And the container saw SageMaker's arguments and files
    lines = log_lines(client, "/aws/sagemaker/TrainingJobs", "whole")
    assert lines[0] == "arguments train"
    assert [line for line in lines if line.startswith("file")] == [
        "file all/a.csv 1",
        "file all/deep/b.csv 2",
        "file all/not-named.csv 3",
        "file named/a.csv 1",
        "file named/deep/b.csv 2",
    ]
    # And what it made is in S3
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/out/whole/output/model.tar.gz"
    assert packed(client, bucket, "out/whole/output/model.tar.gz") == {"model.txt": "a model"}
    assert packed(client, bucket, "out/whole/output/output.tar.gz") == {"report.txt": "fine"}
    assert client("s3").get_object(Bucket=bucket, Key="checkpoints/state.txt")["Body"].read() == b"step 1"


def test_only_a_job_with_a_network_has_credentials(client: Client, train: Any) -> None:
    # Given one job with network isolation and one without
    train("isolated", EnableNetworkIsolation=True)
    train("open")
    # When both have run
    assert ended(client, "isolated")["EnableNetworkIsolation"] is True
    ended(client, "open")
    # Then only the other one holds the role's credentials, and paths of the image's ENV are the job's own
    isolated = log_lines(client, "/aws/sagemaker/TrainingJobs", "isolated")
    assert any(line.startswith("credentials False home /") and line.endswith("/isolated/model") for line in isolated)
    opened = log_lines(client, "/aws/sagemaker/TrainingJobs", "open")
    assert any(line.startswith("credentials True") for line in opened)


def test_a_failed_job_says_why(client: Client, train: Any) -> None:
    # Given one job that writes its reason, and one that only ends badly
    train("told", {"failure": "the target column is constant", "exit": "3"})
    train("untold", {"exit": "7"})
    # When they have failed
    explained, untold = ended(client, "told"), ended(client, "untold")
    # Then the reason is the job's own, or its last lines
    assert explained["TrainingJobStatus"] == "Failed"
    assert explained["FailureReason"] == "AlgorithmError: the target column is constant, exit code: 3"
    assert untold["FailureReason"].startswith("AlgorithmError: arguments train")
    assert untold["FailureReason"].endswith("exit code: 7")
    assert "ModelArtifacts" not in untold or not untold["ModelArtifacts"].get("S3ModelArtifacts")


def test_input_that_the_role_may_not_read_fails_the_job(client: Client, train: Any, bucket: str) -> None:
    # Given a role without any permission
    powerless = make_role(client, "powerless", "sagemaker")
    # When a job must read with it
    train("denied", RoleArn=powerless, InputDataConfig=[channel("all", "S3Prefix", f"s3://{bucket}/data/")])
    # Then it fails for that reason
    reason = ended(client, "denied")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed: channel all:")
    assert "AccessDenied" in reason


def test_a_role_that_sagemaker_may_not_assume_is_refused(client: Client, train: Any) -> None:
    # Given a role for another service
    other = make_role(client, "for-lambda", "lambda")
    # When a job names it, then the request is refused at once
    with pytest.raises(ClientError, match=r"ValidationException.*Could not assume role"):
        train("wrong-role", RoleArn=other)


def test_an_unknown_image_is_named_with_those_that_are_known(client: Client, train: Any) -> None:
    # Given a job with an image from elsewhere
    train("elsewhere", AlgorithmSpecification={"TrainingImage": "somebody/xgboost:1", "TrainingInputMode": "File"})
    # Then its reason says what there is
    job = ended(client, "elsewhere")
    assert "image somebody/xgboost:1 is not on this laptop cloud; it knows: sample" in job["FailureReason"]


def test_a_stopped_job_keeps_what_it_made(client: Client, train: Any, bucket: str) -> None:
    # Given a running job
    train("stopped", {"sleep": "60"}, CheckpointConfig={"S3Uri": f"s3://{bucket}/kept"})
    sagemaker = client("sagemaker")
    until(lambda: sagemaker.describe_training_job(TrainingJobName="stopped")["SecondaryStatus"] == "Training")
    until(lambda: "accuracy=0.75;" in log_lines(client, "/aws/sagemaker/TrainingJobs", "stopped"))
    # When it is stopped
    sagemaker.stop_training_job(TrainingJobName="stopped")
    # Then it ends as stopped, with its checkpoint
    job = ended(client, "stopped")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert client("s3").get_object(Bucket=bucket, Key="kept/state.txt")["Body"].read() == b"step 1"
    # And it cannot be stopped twice
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="stopped")


def test_a_job_out_of_time_is_stopped(client: Client, train: Any) -> None:
    # Given a job that takes longer than it may
    train("too-long", {"sleep": "60"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    # Then SageMaker's own status says so
    job = ended(client, "too-long")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_third_job_waits_for_its_turn(client: Client, train: Any) -> None:
    # Given two jobs at work
    sagemaker = client("sagemaker")
    for name in ("first", "second"):
        train(name, {"sleep": "60"})
    # When a third one comes, then it waits
    train("third")
    assert sagemaker.describe_training_job(TrainingJobName="third")["SecondaryStatus"] == "Pending"
    # And it runs when there is room
    sagemaker.stop_training_job(TrainingJobName="first")
    assert ended(client, "third")["TrainingJobStatus"] == "Completed"
    sagemaker.stop_training_job(TrainingJobName="second")
    ended(client, "second")


def test_a_job_name_must_be_unique(client: Client, train: Any) -> None:
    # Given a job
    train("once")
    # When another one has its name, then it is refused
    with pytest.raises(ClientError, match="ResourceInUse"):
        train("once")
    ended(client, "once")


def test_jobs_are_listed_by_page(client: Client, train: Any) -> None:
    # Given three jobs
    for name in ("listed-1", "listed-2", "listed-3"):
        train(name)
    # When they are listed two at a time, newest first
    sagemaker = client("sagemaker")
    request = {"NameContains": "listed-", "SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 2}
    first = sagemaker.list_training_jobs(**request)
    second = sagemaker.list_training_jobs(**request, NextToken=first["NextToken"])
    # Then the pages follow one another
    names = [job["TrainingJobName"] for page in (first, second) for job in page["TrainingJobSummaries"]]
    assert names == ["listed-3", "listed-2", "listed-1"]
    assert "NextToken" not in second
    for name in names:
        ended(client, name)


def test_a_processing_job_carries_inputs_to_outputs(client: Client, role: str, bucket: str) -> None:
    # Given a job that copies its input, whose program reads its configuration as in a container
    sagemaker = client("sagemaker")
    source = {"S3Uri": f"s3://{bucket}/data/a.csv", "LocalPath": "/opt/ml/processing/in", "S3DataType": "S3Prefix"}
    target = {"S3Uri": f"s3://{bucket}/copies", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    # When it runs
    sagemaker.create_processing_job(
        ProcessingJobName="copy",
        RoleArn=role,
        AppSpecification={
            "ImageUri": "sample:local",
            "ContainerEntrypoint": ["python", "/opt/sample/copy_input.py"],
        },
        Environment={"SUFFIX": "!"},
        ProcessingInputs=[{"InputName": "in", "S3Input": {**source, "S3InputMode": "File"}}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": target}]},
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
    )

    def completed_job() -> dict[str, Any] | None:
        job: dict[str, Any] = sagemaker.describe_processing_job(ProcessingJobName="copy")
        return job if job["ProcessingJobStatus"] in ENDED else None

    job = until(completed_job)
    # Then the output is in S3, and the job's message is told
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ExitMessage"] == "copied one file"
    assert client("s3").get_object(Bucket=bucket, Key="copies/copy.csv")["Body"].read() == b"1!"
