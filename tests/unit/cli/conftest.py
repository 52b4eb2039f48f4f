"""A project and the stage `dev` in moto's AWS, and the command that runs in this process."""

import shutil
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from penstock.cli.app import main
from penstock.spec.model import MODELS
from tests.support.command import URL, Command, CommandResult, Stack
from tests.support.world import BUCKET, FLIGHT_DELAY, MODEL, STREAM, TABLE, World


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one model, and the working folder inside it."""
    root = tmp_path / "project"
    shutil.copytree(FLIGHT_DELAY, root / MODELS / MODEL)
    (root / "cdk.json").write_text("{}")
    monkeypatch.chdir(root / MODELS)
    monkeypatch.setenv("PENSTOCK_PORT", "1")
    monkeypatch.setenv("COLUMNS", "300")
    return root


@pytest.fixture
def command(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `penstock …` in this process."""

    def run(*arguments: str) -> CommandResult:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        output, code = capsys.readouterr(), exit_.value.code
        return CommandResult(code if isinstance(code, int) else 0, output.out, output.err)

    return run


@pytest.fixture
def stack(world: World, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """CloudFormation's response to `describe_stacks`, given through botocore's own hook."""
    stacks: dict[str, list[dict[str, str]]] = {}

    def respond(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        name = params["body"]["StackName"]
        if name in stacks:
            return AWSResponse("", 200, HTTPHeaders(), None), {"Stacks": [{"StackName": name, "Outputs": stacks[name]}]}
        message = f"Stack with id {name} does not exist"
        return AWSResponse("", 400, HTTPHeaders(), None), {"Error": {"Code": "ValidationError", "Message": message}}

    session = boto3.Session()
    events: Any = session.events  # typed as if hooks returned nothing
    events.register("before-call.cloudformation.DescribeStacks", respond)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    # A client of the shared cache would have the hooks of another test's session.
    monkeypatch.setattr(boto3, "client", session.client)

    def deploy(name: str, outputs: dict[str, str]) -> None:
        stacks[name] = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]

    return deploy


@pytest.fixture
def stage(world: World, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> World:
    """The stage `dev`, deployed."""
    stack("penstock-dev-lake", {"BucketName": BUCKET, "LedgerName": TABLE, "TopicArn": "arn:topic"})
    stack(
        f"penstock-dev-model-{MODEL}",
        {
            "ApiUrl": URL,
            "PipelineArn": world.pipeline,
            "RolloutArn": world.rollout,
            "GroupName": world.group,
            "PredictName": "predict",
            "MonitorName": "monitor",
            "StartRunName": "start-run",
            "CaptureName": STREAM,
            "DriftAlarmName": "drift",
            "AuthorizeName": "authorize",
        },
    )
    monkeypatch.setenv("PENSTOCK_STAGE", "dev")
    return world
