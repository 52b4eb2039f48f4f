"""SnapStart is on only where the stage, the specification and the region allow it."""

import json
from dataclasses import replace
from typing import Any, Literal

import pytest
from aws_cdk import App, CfnOutput, Stack

from infra.snap_start import OFF, ON, WITHOUT, apply_on
from infra.stages import DEV, LOCAL, PROD, Stage
from tests.infra.conftest import Synthesis, resources


def template(stage: Stage, requested: bool | Literal["auto"]) -> Any:
    stack = Stack(App(), "s")
    CfnOutput(stack, "Applied", value=apply_on(stack, stage, requested))
    return json.loads(json.dumps(App.of(stack).synth().get_stack_by_name("s").template))  # type: ignore[union-attr]


def decided(condition: Any, region: str, partition: str) -> bool:
    """Evaluate a CloudFormation condition as CloudFormation does."""
    ((function, operands),) = condition.items()
    if function == "Fn::Equals":
        pseudo_parameters = {"AWS::Region": region, "AWS::Partition": partition}
        return pseudo_parameters[operands[0]["Ref"]] == str(operands[1])
    inner = [decided(part, region, partition) for part in operands]
    return {"Fn::And": all(inner), "Fn::Not": not inner[0]}[function]


@pytest.mark.parametrize(
    ("stage", "requested", "applied"),
    [(PROD, True, ON), (PROD, False, OFF), (DEV, True, ON), (LOCAL, True, OFF), (LOCAL, "auto", OFF)],
)
def test_stage_and_specification_decide_on_snap_start(
    stage: Stage, requested: bool | Literal["auto"], applied: str
) -> None:
    assert template(stage, requested)["Outputs"]["Applied"]["Value"] == applied


def test_a_runtime_without_snap_start_gets_none() -> None:
    assert template(replace(PROD, python="3.11"), "auto")["Outputs"]["Applied"]["Value"] == OFF


@pytest.mark.parametrize(
    ("region", "partition", "has"),
    [
        ("eu-central-1", "aws", True),
        *((region, "aws", False) for region in WITHOUT),
        ("cn-north-1", "aws-cn", False),
        ("us-gov-west-1", "aws-us-gov", False),
    ],
)
def test_the_region_decides_at_deployment(region: str, partition: str, has: bool) -> None:
    result = template(PROD, "auto")
    name, then, otherwise = result["Outputs"]["Applied"]["Value"]["Fn::If"]
    assert (then, otherwise) == (ON, OFF)
    assert decided(result["Conditions"][name], region, partition) is has


def test_the_rollout_sets_snap_start_on_the_versions_it_publishes(prod: Synthesis) -> None:
    # Given prod's template
    machines = resources(prod.model(), "AWS::StepFunctions::StateMachine").values()
    texts = [json.dumps(machine["Properties"]["DefinitionString"]) for machine in machines]
    # Then the rollout's definition has the region's answer, and CloudFormation's own version 1 no snapshot
    (name,) = prod.model()["Conditions"]
    assert sum(json.dumps({"Fn::If": [name, ON, OFF]}) in text for text in texts) == 1
    functions = resources(prod.model(), "AWS::Lambda::Function").values()
    assert not any("SnapStart" in function["Properties"] for function in functions)
