"""The state machines: nothing unreachable, nothing that fails in silence, every expression JSONata."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonata  # type: ignore[import-untyped]
import pytest

from infra.constructs import rollout_definition, training_definition
from infra.constructs.definitions import Definition, State
from infra.constructs.rollout_definition import RolloutParts
from infra.constructs.training_definition import TrainingParts
from penstock.spec import Training
from tests.infra.conftest import Synthesis, resources

NAME_LIMIT, LONGEST_MODEL = 63, 30


def training(**about: Any) -> Definition:
    return training_definition.definition(
        TrainingParts(
            model="m",
            validate="arn:validate",
            register="arn:register",
            end_run="arn:end",
            image="image",
            role="arn:role",
            key="arn:key",
            training=Training(**about),
        )
    )


def rollout() -> Definition:
    return rollout_definition.definition(
        RolloutParts(model="m", smoke_test="arn:smoke", end_rollout="arn:end", poll_seconds=1)
    )


BOTH = pytest.mark.parametrize("definition", [training(), rollout()], ids=["training", "rollout"])


def successors(state: State) -> Iterator[str]:
    for holder in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in holder:
            yield holder["Next"]
    if "Default" in state:
        yield state["Default"]


def reached(definition: Definition) -> set[str]:
    found, waiting = set(), [definition["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += successors(definition["States"][name])
    return found


def expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)
    elif isinstance(value, str) and value.startswith("{%"):
        yield value.removeprefix("{%").removesuffix("%}")


@BOTH
def test_every_state_is_reached_and_exists(definition: Definition) -> None:
    assert reached(definition) == set(definition["States"])


@BOTH
def test_every_task_tries_again_and_is_caught(definition: Definition) -> None:
    tasks = {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}
    assert tasks
    for name, state in tasks.items():
        assert state["Retry"], name
        assert all(retry["JitterStrategy"] == "FULL" for retry in state["Retry"]), name
        assert any(catch["ErrorEquals"] == ["States.ALL"] for catch in state["Catch"]), name
        assert state["TimeoutSeconds"] > 0, name


@BOTH
def test_every_choice_has_a_default(definition: Definition) -> None:
    choices = [state for state in definition["States"].values() if state["Type"] == "Choice"]
    assert choices
    assert all("Default" in state for state in choices)


@BOTH
def test_every_expression_is_jsonata(definition: Definition) -> None:
    found = list(expressions(definition))
    assert found
    for expression in found:
        jsonata.Jsonata(expression)


@BOTH
def test_it_ends_in_success_or_in_failure_and_nowhere_else(definition: Definition) -> None:
    ends = [state["Type"] for state in definition["States"].values() if not list(successors(state))]
    assert sorted(ends) == ["Fail", "Succeed"]


@BOTH
def test_failure_is_reached_only_over_a_recorded_ending(definition: Definition) -> None:
    before = [name for name, state in definition["States"].items() if state.get("Next") == "Failed"]
    assert before
    assert all(name.startswith("End") for name in before)


def test_the_training_steps_are_those_of_the_design() -> None:
    states = training()["States"]
    assert states["Validate"]["Next"] == "Worth training?"
    assert states["Train"]["Resource"].endswith("sagemaker:createTrainingJob.sync")
    assert states["Train"]["Next"] == "Trained?"
    assert states["Trained?"]["Choices"][0]["Next"] == "Register"
    assert states["Trained?"]["Default"] == "Stopped"
    assert states["Register"]["Next"] == "End"


def test_spot_waits_for_capacity() -> None:
    job = training(spot=True, max_runtime_minutes=10, max_wait_minutes=30)["States"]["Train"]["Arguments"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1800}


def test_on_demand_has_neither() -> None:
    job = training(spot=False, max_runtime_minutes=10)["States"]["Train"]["Arguments"]
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & set(job)
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}


@pytest.mark.parametrize(
    ("instance", "volume_key"),
    [("ml.m5.large", True), ("ml.c7i.xlarge", True), ("ml.m5d.large", False), ("ml.g5.xlarge", False)],
)
def test_instances_with_disks_of_their_own_take_no_volume_key(instance: str, *, volume_key: bool) -> None:
    job = training(instance_type=instance)["States"]["Train"]["Arguments"]
    assert ("VolumeKmsKeyId" in job["ResourceConfig"]) == volume_key


def test_jobs_are_isolated_and_their_names_fit() -> None:
    # Given the longest name that a job can get: stage, model, run, attempt, retry
    longest = "-".join(["local", "m" * LONGEST_MODEL, "0" * 12, "6", "4"])
    # Then SageMaker takes it
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", longest)
    assert len(longest) <= NAME_LIMIT
    assert training()["States"]["Train"]["Arguments"]["EnableNetworkIsolation"] is True


def test_after_the_shift_every_error_goes_back() -> None:
    states = rollout()["States"]
    for name in ("SmokeTest", "Shift", "Confirm"):
        assert [catch["Next"] for catch in states[name]["Catch"]] == ["Revert"], name
    assert states["Lost"]["Next"] == "Revert"
    assert states["Revert"]["Arguments"]["FunctionVersion"] == "{% $previous %}"
    assert states["Revert"]["Next"] == "EndRolledBack"


def test_success_is_reported_only_after_asking_what_is_live() -> None:
    states = rollout()["States"]
    before = [name for name, state in states.items() if "EndLive" in successors(state)]
    assert before == ["Is it live?"]
    assert states["Confirm"]["Resource"].endswith("lambda:getAlias")


def test_the_templates_hold_these_definitions(synthesis: Synthesis) -> None:
    # Given the state machines of the template, tokens put aside
    machines = resources(synthesis.model(), "AWS::StepFunctions::StateMachine").values()
    texts = [found["Properties"]["DefinitionString"] for found in machines]
    joined = ["".join(part if isinstance(part, str) else "x" for part in text["Fn::Join"][1]) for text in texts]
    # Then they are the two definitions
    states = sorted(sorted(json.loads(text)["States"]) for text in joined)
    assert states == sorted([sorted(training()["States"]), sorted(rollout()["States"])])
