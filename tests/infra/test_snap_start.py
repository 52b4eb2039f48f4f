"""SnapStart: where the stage, the specification and the region have it, and nowhere else."""

import json
from dataclasses import replace
from typing import Any, Literal

import pytest
from aws_cdk import App, CfnOutput, Stack

from infra.snap_start import OFF, ON, WITHOUT, apply_on
from infra.stages import DEV, LOCAL, PROD, Stage
from tests.infra.conftest import Synthesis, resources


def template(stage: Stage, asked: bool | Literal["auto"]) -> Any:
    stack = Stack(App(), "s")
    CfnOutput(stack, "Applied", value=apply_on(stack, stage, asked))
    return json.loads(json.dumps(App.of(stack).synth().get_stack_by_name("s").template))  # type: ignore[union-attr]


def decided(condition: Any, region: str, partition: str) -> bool:
    """A CloudFormation condition, as CloudFormation decides it."""
    ((function, given),) = condition.items()
    if function == "Fn::Equals":
        known = {"AWS::Region": region, "AWS::Partition": partition}
        return known[given[0]["Ref"]] == str(given[1])
    inner = [decided(part, region, partition) for part in given]
    return {"Fn::And": all(inner), "Fn::Not": not inner[0]}[function]


@pytest.mark.parametrize(
    ("stage", "asked", "applied"),
    [(PROD, True, ON), (PROD, False, OFF), (DEV, True, ON), (LOCAL, True, OFF), (LOCAL, "auto", OFF)],
)
def test_who_says_so_decides(stage: Stage, asked: bool | Literal["auto"], applied: str) -> None:
    assert template(stage, asked)["Outputs"]["Applied"]["Value"] == applied


def test_a_runtime_without_it_is_not_asked_for_it() -> None:
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
def test_the_region_decides_when_it_is_deployed(region: str, partition: str, has: bool) -> None:
    found = template(PROD, "auto")
    name, then, otherwise = found["Outputs"]["Applied"]["Value"]["Fn::If"]
    assert (then, otherwise) == (ON, OFF)
    assert decided(found["Conditions"][name], region, partition) is has


def test_the_rollout_turns_it_on_for_what_it_publishes(prod: Synthesis) -> None:
    # Given prod's template
    machines = resources(prod.model(), "AWS::StepFunctions::StateMachine").values()
    texts = [json.dumps(machine["Properties"]["DefinitionString"]) for machine in machines]
    # Then the rollout's definition has the region's answer, and CloudFormation's own version 1 no snapshot
    (name,) = prod.model()["Conditions"]
    assert sum(json.dumps({"Fn::If": [name, ON, OFF]}) in text for text in texts) == 1
    functions = resources(prod.model(), "AWS::Lambda::Function").values()
    assert not any("SnapStart" in function["Properties"] for function in functions)
