"""The outputs of a stage's stacks: infra writes them, the `penstock` command reads them.

A field's name is the id of the `CfnOutput`. The command finds all resources through the outputs of the two
stacks, and needs no other physical names.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self


class NotDeployedError(Exception):
    """The stack does not exist, or was deployed by an older release that had fewer outputs."""


@dataclass(frozen=True)
class Outputs:
    """Base of a stack's outputs."""

    @classmethod
    def of(cls, outputs: Mapping[str, str], stack: str) -> Self:
        """Return the outputs of a stack; outputs that are no field of the class are ignored.

        Raises:
            NotDeployedError: naming the outputs that the stack does not have.
        """
        names = [f.name for f in fields(cls) if f.default is MISSING or f.name in outputs]
        missing = [name for name in names if name not in outputs]
        if missing:
            raise NotDeployedError(f"stack {stack} lacks the outputs {', '.join(missing)}: deploy it again")
        return cls(**{name: outputs[name] for name in names})


@dataclass(frozen=True)
class LakeOutputs(Outputs):
    BucketName: str
    LedgerName: str
    TopicArn: str

    @staticmethod
    def stack(stage: str) -> str:
        """Return the name of the stage's lake stack."""
        return f"penstock-{stage}-lake"


@dataclass(frozen=True)
class ModelOutputs(Outputs):
    ApiUrl: str
    """The HTTPS address of `POST …/predict`, complete."""
    PipelineArn: str
    RolloutArn: str
    GroupName: str
    PredictName: str
    MonitorName: str
    StartRunName: str
    CaptureName: str
    DriftAlarmName: str
    AuthorizeName: str
    BatchArn: str = ""
    """State machine of batches; empty if the stack was deployed before batches existed."""
    HashSecretArn: str = ""
    """Secret that keys the hashes of personal columns; empty if the contract hashes none."""
    DomainTarget: str = ""
    """Host name that the DNS record of the API's custom domain must point at; empty without a custom domain."""
    EndpointPlan: str = ""
    """The plan of a version's endpoint (`penstock.release.endpoint_plan`); empty if predict scores itself."""

    @staticmethod
    def stack(stage: str, model: str) -> str:
        """Return the name of a model's stack."""
        return f"penstock-{stage}-model-{model}"
