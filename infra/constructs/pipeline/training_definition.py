"""State machine of the training pipeline: validate (→ inspect) → train or tune → register → end_run."""

from dataclasses import dataclass
from typing import Any

from infra.constructs.base.state_language import CAUSE, Definition, State, catch, invoke
from infra.constructs.pipeline.inspection_definition import InspectionParts, inspection_steps, longest_seconds
from infra.constructs.pipeline.job_steps import (
    CAPACITY_ATTEMPTS,
    JOB_NAME,
    MARGIN_SECONDS,
    JobStates,
    job_steps,
    volume_key,
)
from infra.constructs.pipeline.tuning_definition import name_prefix, tuning_steps
from infra.constructs.pipeline.tuning_definition import seconds as tuning_seconds
from penstock.spec.model import Training, Tuning

VALIDATE_SECONDS, REGISTER_SECONDS, END_SECONDS = 900, 300, 60
_TRAIN = JobStates(run="Train", refused="No capacity?", wait="Wait for capacity", status="Trained?", stopped="Stopped")


@dataclass(frozen=True, kw_only=True)
class TrainingParts:
    """ARNs and settings that the definition refers to."""

    model: str
    validate: str
    register: str
    end_run: str
    """ARNs of the functions."""
    image: str
    role: str
    """ARN of the training job's role."""
    key: str
    """ARN of the key that encrypts job outputs."""
    training: Training
    tuning: Tuning | None
    inspection: InspectionParts


def definition(parts: TrainingParts) -> Definition:
    """Return the state machine's definition; its input is `{"model", "run"}`."""
    job = tuning_seconds(parts.tuning) if parts.tuning else job_seconds(parts.training)
    train = job * CAPACITY_ATTEMPTS
    inspect = longest_seconds(parts.inspection.validating) + VALIDATE_SECONDS
    longest = VALIDATE_SECONDS + inspect + train + REGISTER_SECONDS + MARGIN_SECONDS
    return {
        "Comment": f"Penstock: a run of {parts.model}, from uploads to a registered version",
        "QueryLanguage": "JSONata",
        "StartAt": "Validate",
        "TimeoutSeconds": longest,
        "States": _steps(parts) | _endings(parts),
    }


def job_seconds(training: Training) -> int:
    """Return a training job's longest duration in seconds, waiting for spot capacity included."""
    return 60 * (training.max_wait_minutes if training.spot else training.max_runtime_minutes)


def _steps(parts: TrainingParts) -> dict[str, State]:
    validate: State = {
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
            "Choices": [
                {"Condition": "{% $states.input.outcome = 'train' %}", "Next": _trainer(parts)},
                {"Condition": "{% $states.input.outcome = 'inspect' %}", "Next": "Inspect"},
            ],
            "Default": "End",
        },
    }
    inspect = inspection_steps(
        parts.inspection,
        model=parts.model,
        image=parts.image,
        key=parts.key,
        validate=parts.validate,
        seconds=VALIDATE_SECONDS,
        next_state="Worth training?",
    )
    return validate | inspect | _train(parts) | {"Register": _register(parts)}


def _trainer(parts: TrainingParts) -> str:
    return "Tune" if parts.tuning else _TRAIN.run


def _train(parts: TrainingParts) -> dict[str, State]:
    if parts.tuning:
        prefix = name_prefix(parts.inspection.stage, parts.model)
        return tuning_steps(parts.tuning, prefix=prefix, training_job=_job(parts), next_state="Register")
    return job_steps(
        _TRAIN,
        "Training",
        request=_job(parts),
        output={"artifact": "{% [$states.result.ModelArtifacts.S3ModelArtifacts, ''][0] %}"},
        seconds=job_seconds(parts.training),
        step="training",
        next_state="Register",
    )


def _register(parts: TrainingParts) -> State:
    return invoke(
        parts.register,
        {
            "run": "{% $run %}",
            "dataset": "{% $dataset %}",
            "artifact": "{% $states.input.artifact %}",
            "image": parts.image,
            **({"tuning": "{% $states.input.tuning %}"} if parts.tuning else {}),
        },
        timeout_seconds=REGISTER_SECONDS,
        attempts=1,
        caught=catch("EndFailed", step="registration"),
        next_state="End",
    )


def _job(parts: TrainingParts) -> dict[str, Any]:
    """Return the CreateTrainingJob request."""
    training = parts.training
    limits = {"MaxRuntimeInSeconds": training.max_runtime_minutes * 60}
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": limits | {"MaxWaitTimeInSeconds": training.max_wait_minutes * 60},
    }
    return {
        "TrainingJobName": JOB_NAME,
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
            **volume_key(training.instance_type, parts.key),
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
