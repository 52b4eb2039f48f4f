"""What a deployed stage exports, by name: infra writes these outputs, the command reads them.

A field's name is the id of the `CfnOutput`. The command finds everything through the two stacks' outputs and needs no
other knowledge of physical names.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self


class NotDeployedError(Exception):
    """The stack is not there, or is an older one that lacks an output."""


@dataclass(frozen=True)
class Outputs:
    """Base: builds itself from a stack's outputs."""

    @classmethod
    def of(cls, outputs: Mapping[str, str], stack: str) -> Self:
        """The outputs as a value; outputs that are not ours are left aside.

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
        """The name of the stage's lake stack."""
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
    """The batch's state machine; a stack that was deployed before there were batches has none."""
    HashSecretArn: str = ""
    """What keys the hashes of personal columns; empty where the contract hashes none."""
    DomainTarget: str = ""
    """What the DNS record of the API's own name points at; empty where it has none."""
    EndpointPlan: str = ""
    """A version's endpoint, described (`penstock.release.endpoint_plan`); empty where predict scores itself."""

    @staticmethod
    def stack(stage: str, model: str) -> str:
        """The name of a model's stack."""
        return f"penstock-{stage}-model-{model}"
