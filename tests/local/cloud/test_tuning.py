"""Tuning jobs: trials run a few at a time, and the best one goes through the gates."""

import io
import itertools
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from demo import flights
from penstock.aws.s3_store import sha256
from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import Client, allow, client_for, free_port, make_role, until
from tests.local.stage.project import Project, copy_tuned

ENDED = ("Completed", "Failed", "Stopped")
BUCKET = "tuning-lake"


@pytest.fixture(scope="module")
def role(client: Client) -> str:
    client("s3").create_bucket(Bucket=BUCKET)
    return make_role(client, "trials", "sagemaker", allow("s3:*", "*"))


def request(role: str, name: str, values: dict[str, list[str]], plan: dict[str, str], **limits: int) -> dict[str, Any]:
    """A grid search whose trials log a `score`; the lowest is best."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "score"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 2, **limits},
            "ParameterRanges": {
                "CategoricalParameterRanges": [{"Name": key, "Values": listed} for key, listed in values.items()]
            },
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": "sample:local",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
            },
            "StaticHyperParameters": plan,
            "RoleArn": role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    }


def described(client: Client, name: str) -> dict[str, Any]:
    description_of_job: dict[str, Any] = client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return description_of_job


def ended(client: Client, name: str) -> dict[str, Any]:
    def description() -> dict[str, Any] | None:
        job = described(client, name)
        return job if job["HyperParameterTuningJobStatus"] in ENDED else None

    job: dict[str, Any] = until(description, 60)
    return job


def trials(client: Client, name: str, **options: Any) -> list[dict[str, Any]]:
    ask = client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job
    summaries: list[dict[str, Any]] = ask(HyperParameterTuningJobName=name, **options)["TrainingJobSummaries"]
    return summaries


def most_at_once(jobs: list[dict[str, Any]]) -> int:
    """The largest number of trials that ran at the same moment."""
    moments = [(job["CreationTime"], 1) for job in jobs] + [(job["TrainingEndTime"], -1) for job in jobs]
    return max(itertools.accumulate(change for _, change in sorted(moments)))


def test_four_trials_two_at_a_time_and_the_best_is_known(client: Client, role: str) -> None:
    # Given a search of four values
    values = {"score": ["0.4", "0.1", "0.3", "0.2"]}
    # When it has run
    client("sagemaker").create_hyper_parameter_tuning_job(**request(role, "four", values, {"sleep": "0.2"}))
    job = ended(client, "four")
    # Then every value was tried by a training job of its own, two at a time
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    finished = trials(client, "four", SortBy="CreationTime", SortOrder="Ascending")
    assert [trial["TunedHyperParameters"] for trial in finished] == [{"score": value} for value in values["score"]]
    assert [trial["TrainingJobName"][:9] for trial in finished] == [f"four-00{number}-" for number in (1, 2, 3, 4)]
    assert most_at_once(finished) == min(2, os.cpu_count() or 1)
    # And the best is the one with the lowest score
    best = job["BestTrainingJob"]
    assert best["TrainingJobName"] == finished[1]["TrainingJobName"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "Type": "Minimize", "MetricName": "score", "Value": 0.1,
    }  # fmt: skip
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    by_value = trials(client, "four", SortBy="FinalObjectiveMetricValue", SortOrder="Ascending", MaxResults=2)
    assert [trial["TunedHyperParameters"]["score"] for trial in by_value] == ["0.1", "0.2"]
    # And a trial is a training job as any other, that knows whose it is
    trial = client("sagemaker").describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert trial["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert trial["HyperParameters"] == {"sleep": "0.2", "score": "0.1"}
    artifact = f"s3://{BUCKET}/out/{best['TrainingJobName']}/output/model.tar.gz"
    assert trial["ModelArtifacts"]["S3ModelArtifacts"] == artifact
    # And the search is listed with its counts
    (listed,) = client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains="four", StatusEquals="Completed")[
        "HyperParameterTuningJobSummaries"
    ]
    assert (listed["Strategy"], listed["TrainingJobStatusCounters"]["Completed"]) == ("Grid", 4)


def test_trials_that_fail_are_tolerated_until_none_succeeded(client: Client, role: str) -> None:
    # Given one search of which a trial fails, and one of which all fail
    create = client("sagemaker").create_hyper_parameter_tuning_job
    create(**request(role, "some", {"sleep": ["0", "no number"]}, {"score": "0.5"}))
    create(**request(role, "none", {"score": ["0.1", "0.2"]}, {"exit": "3", "failure": "no rows"}))
    # When both have ended
    some, none = ended(client, "some"), ended(client, "none")
    # Then the first has its best, the second says that there is none
    assert some["HyperParameterTuningJobStatus"] == "Completed"
    assert some["BestTrainingJob"]["TunedHyperParameters"] == {"sleep": "0"}
    assert some["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert none["HyperParameterTuningJobStatus"] == "Failed"
    assert none["FailureReason"].startswith("All training jobs failed.")
    failed = trials(client, "none", StatusEquals="Failed", MaxResults=1)
    assert [trial["FailureReason"] for trial in failed] == ["AlgorithmError: no rows, exit code: 3"]
    assert "BestTrainingJob" not in none


def test_a_search_without_its_metric_fails_with_that_reason(client: Client, role: str) -> None:
    create = client("sagemaker").create_hyper_parameter_tuning_job
    create(**request(role, "mute", {"other": ["1", "2"]}, {}))
    assert "No training job emitted the objective metric" in ended(client, "mute")["FailureReason"]


def test_a_search_that_is_stopped_stops_its_trials(client: Client, role: str) -> None:
    # Given a search half-way: two trials done, the next at work
    values = {"sleep": ["0", "0.1", "50", "51", "52"]}
    sagemaker = client("sagemaker")
    sagemaker.create_hyper_parameter_tuning_job(**request(role, "halfway", values, {"score": "0.5"}))
    until(lambda: described(client, "halfway")["TrainingJobStatusCounters"]["Completed"] == 2)
    until(lambda: described(client, "halfway")["TrainingJobStatusCounters"]["InProgress"] >= 1)
    # When it is stopped
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halfway")
    # Then so are they, and no more are made
    job = ended(client, "halfway")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    statuses = [trial["TrainingJobStatus"] for trial in trials(client, "halfway")]
    assert set(statuses) == {"Completed", "Stopped"}
    assert len(statuses) < 5
    # And it cannot be stopped twice
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halfway")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TrainingJobDefinition": None}, "TrainingJobDefinition is required"),
        ({"HyperParameterTuningJobName": "n" * 33}, "length less than or equal to 32"),
        (
            {"WarmStartConfig": {"ParentHyperParameterTuningJobs": [{}], "WarmStartType": "TransferLearning"}},
            "WarmStart",
        ),
    ],
)
def test_requests_that_sagemaker_refuses_are_refused(
    client: Client, role: str, change: dict[str, Any], words: str
) -> None:
    changed = request(role, "refused", {"score": ["1", "2"]}, {}) | change
    members = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(ClientError, match=words):
        client("sagemaker").create_hyper_parameter_tuning_job(**members)


def test_the_metric_must_be_one_that_the_log_gives(client: Client, role: str) -> None:
    body = request(role, "nameless", {"score": ["1", "2"]}, {})
    body["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"] = "auc"
    with pytest.raises(ClientError, match="auc is not among the algorithm's MetricDefinitions"):
        client("sagemaker").create_hyper_parameter_tuning_job(**body)


def test_an_execution_waits_for_its_search_and_stops_it_when_it_is_stopped(client: Client, role: str) -> None:
    # Given a machine that searches, one search that ends and one that would not, and a queue for their events
    jobs = "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/stepped-*"
    verbs = [f"sagemaker:{verb}HyperParameterTuningJob" for verb in ("Create", "Describe", "Stop")]
    machine_role = make_role(client, "searches", "states", allow(verbs, jobs), allow("iam:PassRole", role))
    url = client("sqs").create_queue(QueueName="searches")["QueueUrl"]
    pattern = {"detail-type": ["SageMaker HyperParameter Tuning Job State Change"]}
    client("events").put_rule(Name="searches", EventPattern=json.dumps(pattern))
    queue = "arn:aws:sqs:us-east-1:000000000000:searches"
    client("events").put_targets(Rule="searches", Targets=[{"Id": "queue", "Arn": queue}])
    steps = client("stepfunctions")

    def start(name: str, values: list[str]) -> str:
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync",
            "Parameters": request(role, name, {"sleep": values}, {"score": "0.5"}),
            "End": True,
        }
        definition = json.dumps({"StartAt": "Tune", "States": {"Tune": task}})
        machine = steps.create_state_machine(name=name, definition=definition, roleArn=machine_role)["stateMachineArn"]
        return str(steps.start_execution(stateMachineArn=machine)["executionArn"])

    # When the one has run and the other's execution is stopped
    quick, slow = start("stepped-1", ["0", "0.1"]), start("stepped-2", ["50", "51"])
    execution = until(
        lambda: (state := steps.describe_execution(executionArn=quick))["status"] != "RUNNING" and state, 60
    )
    until(lambda: client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains="stepped-2")[
        "HyperParameterTuningJobSummaries"
    ])  # fmt: skip
    steps.stop_execution(executionArn=slow)
    # Then the first gives the search with its best, the second's search has stopped
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    output = json.loads(execution["output"])
    assert output["BestTrainingJob"]["TunedHyperParameters"] == {"sleep": "0"}
    assert ended(client, "stepped-2")["HyperParameterTuningJobStatus"] == "Stopped"
    # And both endings are told as SageMaker tells them
    messages: set[tuple[str, str]] = set()

    def all_told() -> bool:
        for message in client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            detail = json.loads(message["Body"])["detail"]
            messages.add((detail["HyperParameterTuningJobName"], detail["HyperParameterTuningJobStatus"]))
        return {("stepped-1", "Completed"), ("stepped-2", "Stopped")} <= messages

    until(all_told)


# The pipeline


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Models that are tuned, deployed to a laptop cloud of their own."""
    copy = copy_tuned(tmp_path_factory.mktemp("project"), free_port())
    copy.run("up")
    yield copy
    copy.run("down")


@pytest.fixture(scope="module")
def home(project: Project) -> LaptopCloud:
    return LaptopCloud(project.root / ".penstock", project.port)


@pytest.fixture(scope="module")
def here(home: LaptopCloud) -> Client:
    return client_for(home)


@pytest.fixture(scope="module")
def january(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "january.csv"
    flights.flights([1]).head(3000).write_csv(file)
    return file


def artifact(client: Client, job: str) -> dict[str, bytes]:
    uri = client("sagemaker").describe_training_job(TrainingJobName=job)["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar.getmembers()}  # type: ignore[union-attr]


def test_the_best_trial_goes_through_the_gates_and_is_registered(project: Project, here: Client, january: Path) -> None:
    # Given a model whose spec has four combinations, one of which its code refuses
    completed = project.run("push", str(january), "--model", "tuned", "--wait")
    # When the search has run
    (run,) = project.json("runs", "--model", "tuned")
    step = run["steps"]["tuning"]
    searched = trials(here, step["job"])
    # Then the run kept what was chosen: the best number on the validation rows
    assert run["outcome"] == "registered"
    numbers = {
        item["TrainingJobName"]: item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for item in searched
        if item["TrainingJobStatus"] == "Completed"
    }
    assert len(numbers) == 3
    assert step["trial"] == min(numbers, key=lambda name: numbers[name])
    assert step["value"] == pytest.approx(min(numbers.values()), rel=1e-9)
    assert step["trials"] == {"made": 4, "completed": 3, "failed": 1, "stopped": 0}
    files = artifact(here, step["trial"])
    report, evaluation = json.loads(files["report.json"]), json.loads(files["evaluation.json"])
    assert report["tuned"] == step["params"]
    assert report["params"] == {"trees": 20} | step["params"]
    # And its very file is the registered one, judged by the spec's gates on the holdout
    (version,) = project.json("models", "show", "tuned")["versions"]
    assert version["sha256"] == sha256(files["model.onnx"])
    verdicts = run["steps"]["gates"]["verdicts"]
    assert [verdict["number"] for verdict in verdicts] == [evaluation["challenger"]["roc_auc"]] * 2
    assert all(verdict["passed"] for verdict in verdicts)
    # And whoever follows the run, or asks why, is told
    summary = "the best of 4 trials, 1 failed"
    assert summary in completed.stdout
    assert summary in project.run("why", "tuned", "--version", "1").stdout
    assert project.json("why", "tuned", "--version", "1")["run"]["tuning"]["params"] == step["params"]


def test_a_search_without_a_model_fails_with_a_trials_own_words(
    project: Project, home: LaptopCloud, january: Path
) -> None:
    completed = project.run("push", str(january), "--model", "hopeless", "--wait", check=False)
    assert completed.returncode == 12
    (run,) = project.json("runs", "--model", "hopeless")
    assert run["outcome"] == "failed"
    assert (
        "no trial gave a model; the first: AlgorithmError: ValueError: the spline needs at least four" in run["reason"]
    )
    # And the cloud's log says how its search differs from SageMaker's
    assert "a Bayesian search is replaced by random draws on the laptop cloud" in home.log_tail(10_000)


def test_a_search_stopped_by_hand_and_one_killed_with_the_cloud(
    project: Project, home: LaptopCloud, here: Client, january: Path
) -> None:
    # Given a search under way, as whoever looks at the run sees
    project.run("push", str(january), "--model", "slow")
    (run,) = until(lambda: project.json("runs", "--model", "slow"), 60)

    def progress() -> Any:
        last = project.json("run", run["id"], "--model", "slow")["states"][-1]
        return last["name"] == "Tune" and last.get("progress")

    assert until(progress, 60) == ", 0 of 2 trials"
    # When it is stopped by hand
    (job,) = here("sagemaker").list_hyper_parameter_tuning_jobs(NameContains=run["id"])[
        "HyperParameterTuningJobSummaries"
    ]
    name = job["HyperParameterTuningJobName"]
    here("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    stopped = until(lambda: _over(project, run["id"]), 60)
    # Then the run failed and says so
    assert stopped["outcome"] == "failed"
    assert "the tuning job was stopped, by hand or at the end of its time" in stopped["reason"]
    # And when the cloud is killed in the midst of the next one, nothing is left in progress
    project.run("retrain", "--reason", "again", "--model", "slow")
    until(lambda: len(project.json("runs", "--model", "slow")) == 2, 60)
    newest = project.json("runs", "--model", "slow")[0]["id"]
    listing = here("sagemaker").list_hyper_parameter_tuning_jobs
    until(lambda: listing(NameContains=newest)["HyperParameterTuningJobSummaries"], 60)
    pid = home.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    project.run("up", "--no-deploy")
    (job,) = listing(NameContains=newest)["HyperParameterTuningJobSummaries"]
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "the laptop cloud was stopped" in described(here, job["HyperParameterTuningJobName"])["FailureReason"]
    under_way = [
        trial for trial in trials(here, job["HyperParameterTuningJobName"]) if trial["TrainingJobStatus"] not in ENDED
    ]
    assert under_way == []


def _over(project: Project, run: str) -> Any:
    record = project.json("run", run, "--no-wait", "--model", "slow", check=False)
    return record if record["state"] != "open" else None
