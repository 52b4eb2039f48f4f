"""The model and stage of a command: the laptop cloud of this project, or a stage in the account that boto3 finds."""

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
"""Marker file in the laptop cloud's folder: everything in it is the demo's, which may remove it."""


class UsageError(Exception):
    """The command cannot be carried out as given; the message says what to do instead. Exit code 2."""


class UnreachableError(Exception):
    """The stage cannot be reached: the laptop cloud is down, or nothing is deployed. Exit code 3."""


def project_root(start: Path | None = None) -> Path:
    """Return the project that contains a folder, by default the working folder.

    Raises:
        UsageError: no project does.
    """
    start = start or Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "cdk.json").exists() and (folder / "training" / "models").is_dir():
            return folder
    raise UsageError(f"{start} is not in a Penstock project (a folder with cdk.json and training/models)")


def keep_from_demo() -> None:
    """Remove the demo's marker: the user has changed something, so the demo may no longer delete this cloud."""
    (project_root() / HOME / DEMO).unlink(missing_ok=True)


def laptop_cloud(root: Path) -> LaptopCloud:
    """Return the laptop cloud of a project; PENSTOCK_PORT chooses another port than 4566.

    Raises:
        UsageError: PENSTOCK_PORT is not a port number.
    """
    port = os.environ.get("PENSTOCK_PORT") or str(PORT)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"PENSTOCK_PORT is {port!r}, a number from 1 to 65535 is needed")
    return LaptopCloud(root / HOME, int(port))


@dataclass(frozen=True)
class Target:
    """One model on one stage."""

    root: Path
    stage: str
    model: str

    @classmethod
    def of(cls, stage: str, model: str | None) -> "Target":
        """Return the target; for the stage `local`, also point this process's environment at the laptop cloud.

        Raises:
            UsageError: this folder is in no project, or the project has no such model.
            UnreachableError: the laptop cloud is down.
        """
        root = project_root()
        target = cls(root, stage, choose_model(root, model))
        target.enter()
        return target

    def enter(self) -> None:
        """Point this process at the laptop cloud if that is the stage; for AWS, boto3 needs no help."""
        if self.stage != "local":
            if region := os.environ.get("AWS_REGION"):  # the CDK and the AWS CLI read it, boto3 does not
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
        """The HTTPS address of the model's `predict` route; on the laptop with the cloud's own port."""
        if self.stage != "local":
            return self.outputs.ApiUrl
        url = urlsplit(self.outputs.ApiUrl)
        api = str(url.hostname).partition(".")[0]
        return f"https://{api}.execute-api.localhost:{urlsplit(laptop_cloud(self.root).url).port}{url.path}"

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return boto3.client(service)  # type: ignore[call-overload]

    def caller(self) -> str:
        """Return the ARN of the user, which is recorded with what the command starts."""
        return caller_arn()


_ORIGINAL = dict(os.environ)


def model_names(root: Path) -> list[str]:
    """Return the project's models by their folders, unread: a fault in one must not block the others."""
    return sorted(path.parent.name for path in (root / MODELS).glob("*/model.yaml"))


def choose_model(root: Path, model: str | None) -> str:
    """Return the model of that name, or without a name the only one.

    Raises:
        UsageError: there is no such model, or there are several and no name was given.
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
        description = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise NotDeployedError(f"the stack {stack} is not deployed: `penstock up`, or `cdk deploy`") from None
        raise
    return {item["OutputKey"]: item["OutputValue"] for item in description.get("Outputs", [])}
