"""House rules refuse a stack that breaks one, with a sentence that names the construct and the mend."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

from infra.checks import Finding, findings
from tests.infra.conftest import ROOT, Synthesis


def template(fill: Callable[[Stack], None], tmp_path: Path) -> dict[str, Any]:
    app = App(outdir=str(tmp_path), context={"aws:cdk:enable-path-metadata": True})
    stack = Stack(app, "house")
    fill(stack)
    app.synth()
    document: dict[str, Any] = json.loads((tmp_path / "house.template.json").read_text(encoding="utf-8"))
    return document


def function(stack: Stack, **other: Any) -> lambda_.Function:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    settings: dict[str, Any] = {
        "runtime": lambda_.Runtime.PYTHON_3_13,
        "handler": "index.handler",
        "code": lambda_.Code.from_inline("def handler(event, context): ..."),
        "role": role,
        "timeout": Duration.seconds(10),
    }
    return lambda_.Function(stack, "Function", **settings | other)


def log_group(stack: Stack) -> logs.LogGroup:
    return logs.LogGroup(stack, "Log", retention=logs.RetentionDays.ONE_WEEK, removal_policy=RemovalPolicy.DESTROY)


def queue(stack: Stack) -> sqs.Queue:
    return sqs.Queue(stack, "Queue", encryption=sqs.QueueEncryption.SQS_MANAGED)


def without_log_group(stack: Stack) -> None:
    function(stack)


def without_retention(stack: Stack) -> None:
    logs.LogGroup(stack, "Log", retention=logs.RetentionDays.INFINITE)


def without_timeout(stack: Stack) -> None:
    function(stack, log_group=log_group(stack), timeout=None)


def target_without_queue(stack: Stack) -> None:
    called = function(stack, log_group=log_group(stack), dead_letter_queue=queue(stack))
    events.Rule(
        stack,
        "Rule",
        schedule=events.Schedule.rate(Duration.hours(1)),
        targets=[targets.LambdaFunction(called)],
    )


def function_without_queue(stack: Stack) -> None:
    called = function(stack, log_group=log_group(stack))
    events.Rule(
        stack,
        "Rule",
        schedule=events.Schedule.rate(Duration.hours(1)),
        targets=[targets.LambdaFunction(called, dead_letter_queue=queue(stack))],
    )


def every_action(stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:*"], resources=["arn:aws:s3:::one"]))


def every_resource(stack: Stack) -> None:
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))


def unencrypted(stack: Stack) -> None:
    bucket = s3.Bucket(stack, "Bucket", encryption=s3.BucketEncryption.S3_MANAGED)
    resource = bucket.node.default_child
    assert isinstance(resource, s3.CfnBucket)
    resource.add_property_deletion_override("BucketEncryption")


BROKEN: list[tuple[Callable[[Stack], None], str, str]] = [
    (without_log_group, "log_retention", "house/Function/Resource logs to a group that Lambda makes for ever"),
    (without_retention, "log_retention", "house/Log/Resource keeps its lines for ever: set retention="),
    (without_timeout, "timeout", "house/Function/Resource ends after Lambda's three seconds"),
    (target_without_queue, "failure_destination", "house/Rule/Resource loses what it cannot deliver"),
    (function_without_queue, "failure_destination", "house/Function/Resource loses the events of house/Rule/Resource"),
    (every_action, "no_bare_wildcard", "house/Role/DefaultPolicy/Resource may do s3:*: name the actions"),
    (every_resource, "no_bare_wildcard", "may do s3:GetObject on every resource: name the resources"),
    (unencrypted, "encryption", "house/Bucket/Resource is not encrypted by its own setting"),
]


@pytest.mark.parametrize(("fill", "rule", "sentence"), BROKEN, ids=[fill.__name__ for fill, _, _ in BROKEN])
def test_a_stack_that_breaks_a_rule(fill: Callable[[Stack], None], rule: str, sentence: str, tmp_path: Path) -> None:
    # Given a stack that breaks one rule
    document = template(fill, tmp_path)
    # When it is checked
    results = findings(document)
    # Then there is that one finding
    assert [finding.rule for finding in results] == [rule]
    assert sentence in results[0].sentence


def test_a_stack_that_breaks_no_rule(tmp_path: Path) -> None:
    def sound(stack: Stack) -> None:
        called = function(stack, log_group=log_group(stack), dead_letter_queue=queue(stack))
        called.add_to_role_policy(iam.PolicyStatement(actions=["xray:PutTraceSegments"], resources=["*"]))

    assert findings(template(sound, tmp_path)) == []


def test_the_app_breaks_no_rule(synthesis: Synthesis) -> None:
    results: list[Finding] = [finding for document in synthesis.templates() for finding in findings(document)]
    assert results == []


def test_a_finding_ends_the_synthesis(tmp_path: Path) -> None:
    # Given an app whose stack breaks a house rule, with the rules as a plug-in
    program = """
from aws_cdk import App, Stack, Validations, aws_logs as logs
from infra.checks import HouseRules
app = App()
logs.LogGroup(Stack(app, "house"), "Log", retention=logs.RetentionDays.INFINITE)
Validations.of(app).add_plugins(HouseRules())
app.synth()
"""
    # When it is synthesised by the CDK's command
    command = ["node_modules/.bin/cdk", "synth", "--quiet", "--no-notices", "--output", str(tmp_path / "out")]
    (tmp_path / "app.py").write_text(program, encoding="utf-8")
    start = f"{sys.executable} {tmp_path / 'app.py'}"
    programs = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {"PATH": programs, "PYTHONPATH": str(ROOT), "HOME": os.environ["HOME"]}
    completed = subprocess.run(
        [*command, "--app", start], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    # Then it fails, and says what to do
    assert completed.returncode != 0
    assert "keeps its lines for ever: set retention=" in completed.stdout + completed.stderr
