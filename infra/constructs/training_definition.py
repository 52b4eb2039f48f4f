"""The training pipeline's definition: validate → train → register, and every ending through end_run."""

import re
from dataclasses import dataclass
from typing import Any

from infra.constructs.definitions import CAUSE, Definition, State, catch, invoke, retry
from penstock.spec import Training

VALIDATE_SECONDS, REGISTER_SECONDS, END_SECONDS = 900, 300, 60
CAPACITY_WAIT_SECONDS, CAPACITY_ATTEMPTS = 300, 6
_MARGIN_SECONDS = 3600
"""Of the whole execution, over what its steps may take."""
_OWN_DISK = re.compile(r"ml\.([a-z]+\d+[a-z]*d[a-z]*|g[5-9].*|gr\d.*|p[4-9].*|trn.*)\.")
"""Instances with disks of their own, encrypted by the hardware; SageMaker refuses a volume key for them."""


@dataclass(frozen=True, kw_only=True)
class TrainingParts:
    """What the definition refers to."""

    model: str
    validate: str
    register: str
    end_run: str
    """ARNs of the functions."""
    image: str
    role: str
    """ARN of the training job's role."""
    key: str
    """ARN of the key that encrypts what the job leaves."""
    training: Training


def definition(parts: TrainingParts) -> Definition:
    """The state machine; its input is `{"model", "run"}`."""
    longest = job_seconds(parts.training) * CAPACITY_ATTEMPTS + VALIDATE_SECONDS + REGISTER_SECONDS + _MARGIN_SECONDS
    return {
        "Comment": f"Penstock: a run of {parts.model}, from uploads to a registered version",
        "QueryLanguage": "JSONata",
        "StartAt": "Validate",
        "TimeoutSeconds": longest,
        "States": _steps(parts) | _endings(parts),
    }


def job_seconds(training: Training) -> int:
    """How long a training job may take, waiting for spot capacity included."""
    return 60 * (training.max_wait_minutes if training.spot else training.max_runtime_minutes)


def _steps(parts: TrainingParts) -> dict[str, State]:
    return {
        "Validate": invoke(
            parts.validate,
            {"run": "{% $states.input.run %}"},
            timeout_seconds=VALIDATE_SECONDS,
            attempts=1,
            caught=catch("EndFailed", step="validation", run="{% $states.input.run %}"),
            assign={
                "run": "{% $states.input.run %}",
                "dataset": "{% $states.result.Payload.dataset %}",
                "job": "{% $states.result.Payload.job %}",
                "attempt": 1,
            },
            next_state="Worth training?",
        ),
        "Worth training?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.outcome = 'train' %}", "Next": "Train"}],
            "Default": "End",
        },
        "Train": _train(parts),
        "No capacity?": {
            "Type": "Choice",
            "Choices": [
                {
                    "Condition": "{% $contains($error.Cause, /CapacityError|InternalServerError/) "
                    f"and $attempt < {CAPACITY_ATTEMPTS} %}}",
                    "Next": "Wait for capacity",
                }
            ],
            "Default": "EndFailed",
        },
        "Wait for capacity": {
            "Type": "Wait",
            "Seconds": CAPACITY_WAIT_SECONDS,
            "Assign": {"attempt": "{% $attempt + 1 %}"},
            "Next": "Train",
        },
        # A job that was stopped (by hand, or at the end of its time) has not failed, and has not trained.
        "Trained?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.status = 'Completed' %}", "Next": "Register"}],
            "Default": "Stopped",
        },
        "Stopped": {
            "Type": "Pass",
            "Assign": {
                "step": "training",
                "error": {"Error": "Stopped", "Cause": "{% 'the training job ended ' & $states.input.status %}"},
            },
            "Next": "EndFailed",
        },
        "Register": invoke(
            parts.register,
            {
                "run": "{% $run %}",
                "dataset": "{% $dataset %}",
                "artifact": "{% $states.input.artifact %}",
                "image": parts.image,
            },
            timeout_seconds=REGISTER_SECONDS,
            attempts=1,
            caught=catch("EndFailed", step="registration"),
            next_state="End",
        ),
    }


def _train(parts: TrainingParts) -> State:
    failed: State = catch("EndFailed", step="training")[0]
    no_job: State = catch("No capacity?", step="training")[0] | {"ErrorEquals": ["States.TaskFailed"]}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Arguments": _job(parts),
        "Output": {
            "status": "{% $states.result.TrainingJobStatus %}",
            "artifact": "{% [$states.result.ModelArtifacts.S3ModelArtifacts, ''][0] %}",
        },
        "TimeoutSeconds": job_seconds(parts.training) + _MARGIN_SECONDS,
        "Retry": [
            # Throttling and the account's limit on instances; a job that failed is States.TaskFailed and is not this.
            retry(
                ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"],
                seconds=5,
                attempts=4,
                most_seconds=300,
            )
        ],
        "Catch": [no_job, failed],
        "Next": "Trained?",
    }


def _job(parts: TrainingParts) -> dict[str, Any]:
    """CreateTrainingJob's request. SageMaker takes a job's name once, so that each attempt has its own."""
    training = parts.training
    name = "$join([$job.name, $string($attempt), $string($states.context.State.RetryCount)], '-')"
    limits = {"MaxRuntimeInSeconds": training.max_runtime_minutes * 60}
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": limits | {"MaxWaitTimeInSeconds": training.max_wait_minutes * 60},
    }
    return {
        "TrainingJobName": f"{{% {name} %}}",
        "AlgorithmSpecification": {
            "TrainingImage": parts.image,
            "TrainingInputMode": "File",
        },
        "RoleArn": parts.role,
        "HyperParameters": {"model": parts.model, "run": "{% $run %}"},
        "InputDataConfig": [
            _channel("dataset", "ManifestFile", "{% $job.dataset %}"),
            _channel("run", "S3Prefix", "{% $job.input %}"),
        ],
        "OutputDataConfig": {"S3OutputPath": "{% $job.output %}", "KmsKeyId": parts.key},
        "ResourceConfig": {
            "InstanceType": training.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": training.volume_gb,
            **({} if _OWN_DISK.match(training.instance_type) else {"VolumeKmsKeyId": parts.key}),
        },
        "StoppingCondition": limits,
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        **(spot if training.spot else {}),
    }


def _channel(name: str, kind: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _endings(parts: TrainingParts) -> dict[str, State]:
    result = "$states.input"
    return {
        "End": invoke(
            parts.end_run,
            {"run": "{% $run %}", "outcome": f"{{% {result}.outcome %}}", "reason": f"{{% {result}.reason %}}"},
            timeout_seconds=END_SECONDS,
            attempts=4,
            caught=catch("Failed", step="ending"),
            next_state="Ended",
        ),
        "Ended": {"Type": "Succeed"},
        "EndFailed": invoke(
            parts.end_run,
            {"run": "{% $run %}", "outcome": "failed", "step": "{% $step %}", "error": "{% $error %}"},
            timeout_seconds=END_SECONDS,
            attempts=4,
            caught=catch("Failed", step="ending"),
            next_state="Failed",
        ),
        # The ledger knows why; failing the execution too is what alarms see.
        "Failed": {"Type": "Fail", "Error": "{% $error.Error %}", "Cause": CAUSE},
    }
