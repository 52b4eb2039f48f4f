"""Which stage a command speaks to: the laptop cloud of this project, or a stage in the account that boto3 finds."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from penstock.aws.caller import caller_arn
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from penstock.local.host.cloud import LaptopCloud
from penstock.spec.model import MODELS
from penstock.stack_outputs import LakeOutputs, ModelOutputs, NotDeployedError

HOME, PORT = ".penstock", 4566
DEMO = "demo"
"""File in the laptop cloud's folder that says: all in here is the demo's, who may remove it."""


class UsageError(Exception):
    """What was asked cannot be done as it was asked; the message says what to do instead. Exit code 2."""


class UnreachableError(Exception):
    """The stage is not there: cloud down, or nothing deployed. Exit code 3."""


def project_root(start: Path | None = None) -> Path:
    """The project that holds the working folder.

    Raises:
        UsageError: none does.
    """
    start = start or Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "cdk.json").exists() and (folder / "training" / "models").is_dir():
            return folder
    raise UsageError(f"{start} is not in a Penstock project (a folder with cdk.json and training/models)")


def keep_from_demo() -> None:
    """Somebody works here by hand: the demo may no longer start from nothing in this folder."""
    (project_root() / HOME / DEMO).unlink(missing_ok=True)


def laptop_cloud(root: Path) -> LaptopCloud:
    """The laptop cloud of a project; PENSTOCK_PORT chooses another port than 4566.

    Raises:
        UsageError: a port that is no port.
    """
    port = os.environ.get("PENSTOCK_PORT") or str(PORT)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"PENSTOCK_PORT is {port!r}, a number from 1 to 65535 is needed")
    return LaptopCloud(root / HOME, int(port))


@dataclass(frozen=True)
class Target:
    """One model of one stage."""

    root: Path
    stage: str
    model: str

    @classmethod
    def of(cls, stage: str, model: str | None) -> "Target":
        """The target, with the process's environment pointed at the laptop cloud where that is the stage.

        Raises:
            UsageError: no project here, or no such model in it.
            UnreachableError: the laptop cloud is down.
        """
        root = project_root()
        target = cls(root, stage, model_of(root, model))
        target.enter()
        return target

    def enter(self) -> None:
        """Point this process at the laptop cloud, if that is the stage; at AWS, boto3 finds its own way."""
        if self.stage != "local":
            if region := os.environ.get("AWS_REGION"):  # the CDK and the AWS CLI take it, boto3 does not
                os.environ.setdefault("AWS_DEFAULT_REGION", region)
            return
        cloud = laptop_cloud(self.root)
        if not cloud.status().running:
            raise UnreachableError("the laptop cloud is down: start it with `penstock up`")
        os.environ.clear()
        os.environ.update(cloud.command_environment(_ORIGINAL))

    @cached_property
    def lake_outputs(self) -> LakeOutputs:
        stack = LakeOutputs.stack(self.stage)
        return LakeOutputs.of(_stack_outputs(stack), stack)

    @cached_property
    def outputs(self) -> ModelOutputs:
        stack = ModelOutputs.stack(self.stage, self.model)
        return ModelOutputs.of(_stack_outputs(stack), stack)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake_outputs.LedgerName, self.model)

    @property
    def lake(self) -> Lake:
        return Lake(self.lake_outputs.BucketName, self.model)

    @property
    def url(self) -> str:
        """The HTTPS address of the model's `predict`; on the laptop with the cloud's own port."""
        if self.stage != "local":
            return self.outputs.ApiUrl
        found = urlsplit(self.outputs.ApiUrl)
        api = str(found.hostname).partition(".")[0]
        return f"https://{api}.execute-api.localhost:{urlsplit(laptop_cloud(self.root).url).port}{found.path}"

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return boto3.client(service)  # type: ignore[call-overload]

    def caller(self) -> str:
        """ARN of whoever gives the command; it stands with what the command starts."""
        return caller_arn()


_ORIGINAL = dict(os.environ)


def model_names(root: Path) -> list[str]:
    """The project's models, by folder: a mistake in one of them must not keep the operator from another."""
    return sorted(path.parent.name for path in (root / MODELS).glob("*/model.yaml"))


def model_of(root: Path, model: str | None) -> str:
    """The model that is meant: the named one, or the only one.

    Raises:
        UsageError: no such model, or none named where there are several.
    """
    names = model_names(root)
    if model is None and len(names) == 1:
        return names[0]
    if model is None:
        raise UsageError(f"which model? --model {' | '.join(names) or '(none in training/models yet)'}")
    if model not in names:
        raise UsageError(f"there is no model {model!r} in training/models; there are {', '.join(names) or 'none'}")
    return model


def _stack_outputs(stack: str) -> dict[str, str]:
    try:
        found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise NotDeployedError(f"the stack {stack} is not deployed: `penstock up`, or `cdk deploy`") from None
        raise
    return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
