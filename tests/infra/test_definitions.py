"""State machine definitions: every state reachable, every failure caught, every expression JSONata."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import botocore.session
import jsonata  # type: ignore[import-untyped]
import pytest
from botocore.validate import ParamValidator

from infra.constructs.base.state_language import Definition, State
from infra.constructs.batch import batch_definition
from infra.constructs.batch.batch_definition import BatchParts
from infra.constructs.pipeline import training_definition
from infra.constructs.pipeline.inspection_definition import InspectionParts
from infra.constructs.pipeline.job_steps import CAPACITY_ATTEMPTS
from infra.constructs.pipeline.training_definition import TrainingParts
from infra.constructs.service import rollout_canary, rollout_definition
from infra.constructs.service.rollout_canary import WatchPlan
from infra.constructs.service.rollout_definition import RolloutParts
from infra.constructs.service.rollout_endpoint import EndpointWaits
from infra.stages import PROD
from penstock.aws.emf import UNANSWERED
from penstock.batch.planner import MOST_PARTS
from penstock.release.endpoint_plan import NAME_LIMIT, EndpointPlan
from penstock.settings import InspectSettings, ServeSettings
from penstock.spec.model import Rollout, Serving, Training, Tuning, Validating
from tests.infra.conftest import Synthesis, resources
from training.steps.__main__ import STEPS

WATCHING = WatchPlan.of(Rollout(), PROD, "m")
UNSEEN = WatchPlan.of(Rollout(strategy="shadow", weights=[10]), PROD, "m")
LONGEST_MODEL = 30
PLAN = EndpointPlan(
    stage="prod",
    model="m",
    image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/assets:1",
    role="arn:aws:iam::123456789012:role/endpoint",
    environment=ServeSettings(stage="prod", model="m", capture="captures").environment(),
    instance_type="ml.m5.large",
    least=1,
    most=4,
    invocations=3000,
    startup_seconds=600,
)


def training(validation: dict[str, Any] | None = None, tuning: Tuning | None = None, **about: Any) -> Definition:
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
            tuning=tuning,
            inspection=InspectionParts(
                role="arn:inspection",
                stage="local",
                bucket="lake",
                region="eu-central-1",
                validating=Validating(**(validation or {})),
            ),
        )
    )


def rollout(watching: WatchPlan = WATCHING) -> Definition:
    return rollout_definition.definition(
        RolloutParts(
            model="m",
            smoke_test="arn:smoke",
            watch_rollout="arn:watch",
            end_rollout="arn:end",
            poll_seconds=1,
            watching=watching,
            starting=EndpointWaits.of(Serving(target="endpoint"), PROD),
            snap_start="None",
        )
    )


def batch() -> Definition:
    return batch_definition.definition(
        BatchParts(
            model="m",
            plan_batch="arn:plan",
            score_part="arn:score",
            join_batch="arn:join",
            end_batch="arn:end",
            at_once=20,
        )
    )


ALL = pytest.mark.parametrize(
    "definition",
    [training(), rollout(), rollout(UNSEEN), batch()],
    ids=["training", "rollout", "rollout with a shadow", "batch"],
)


def successors(state: State) -> Iterator[str]:
    for holder in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in holder:
            yield holder["Next"]
    if "Default" in state:
        yield state["Default"]


def reached(definition: Definition) -> set[str]:
    reached, waiting = set(), [definition["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += successors(definition["States"][name])
    return reached


def expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)
    elif isinstance(value, str) and value.startswith("{%"):
        yield value.removeprefix("{%").removesuffix("%}")


@ALL
def test_every_state_is_reached_and_exists(definition: Definition) -> None:
    assert reached(definition) == set(definition["States"])


@ALL
def test_every_task_has_a_retrier_and_a_catcher(definition: Definition) -> None:
    tasks = {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}
    assert tasks
    for name, state in tasks.items():
        assert state["Retry"], name
        assert all(retry["JitterStrategy"] == "FULL" for retry in state["Retry"]), name
        assert any(catch["ErrorEquals"] == ["States.ALL"] for catch in state["Catch"]), name
        assert state["TimeoutSeconds"] > 0, name


@ALL
def test_every_choice_has_a_default(definition: Definition) -> None:
    choices = [state for state in definition["States"].values() if state["Type"] == "Choice"]
    assert choices
    assert all("Default" in state for state in choices)


@ALL
def test_every_expression_is_jsonata(definition: Definition) -> None:
    texts = list(expressions(definition))
    assert texts
    for expression in texts:
        jsonata.Jsonata(expression)


@ALL
def test_an_execution_ends_only_in_success_or_failure(definition: Definition) -> None:
    ends = [state["Type"] for state in definition["States"].values() if not list(successors(state))]
    assert sorted(ends) == ["Fail", "Succeed"]


@ALL
def test_failure_is_reached_only_after_the_ending_is_recorded(definition: Definition) -> None:
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


def test_large_uploads_go_through_a_job_and_come_back() -> None:
    states = training()["States"]
    assert {"Condition": "{% $states.input.outcome = 'inspect' %}", "Next": "Inspect"} in states["Worth training?"][
        "Choices"
    ]
    assert states["Inspect"]["Resource"].endswith("sagemaker:createProcessingJob.sync")
    assert states["Inspect"]["Next"] == "Inspected?"
    assert states["Inspected?"]["Choices"][0]["Next"] == "Validate inspected"
    assert states["Inspected?"]["Default"] == "Inspection stopped"
    assert states["Validate inspected"]["Arguments"]["Payload"] == {"run": "{% $run %}", "inspected": True}
    assert states["Validate inspected"]["Next"] == "Worth training?"
    # And what fails there says so
    assert {catch["Assign"]["step"] for catch in states["Inspect"]["Catch"]} == {"inspection"}
    assert {catch["Assign"]["step"] for catch in states["Validate inspected"]["Catch"]} == {"validation"}


def test_the_inspection_is_as_the_spec_says() -> None:
    # Given a spec's validation
    about = {"instance_type": "ml.m5.4xlarge", "volume_gb": 7, "max_runtime_minutes": 30}
    definition = training(about)
    task = definition["States"]["Inspect"]
    job = task["Arguments"]
    # Then the job has this size and this time, and so has what waits for it
    assert job["ProcessingResources"]["ClusterConfig"] == {
        "InstanceType": "ml.m5.4xlarge", "InstanceCount": 1, "VolumeSizeInGB": 7, "VolumeKmsKeyId": "arn:key",
    }  # fmt: skip
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 1800}
    assert task["TimeoutSeconds"] > 1800
    shorter = training(about | {"max_runtime_minutes": 20})["TimeoutSeconds"]
    assert definition["TimeoutSeconds"] - shorter == CAPACITY_ATTEMPTS * 600
    # And it runs the step on the run's files
    assert job["AppSpecification"] == {"ImageUri": "image", "ContainerArguments": ["inspect"]}
    assert "inspect" in STEPS
    variables = InspectSettings(stage="local", model="m", bucket="lake", run="{% $run %}").environment()
    assert job["Environment"] == variables | {"AWS_DEFAULT_REGION": "eu-central-1"}


def test_the_inspections_request_is_one_that_sagemaker_takes() -> None:
    # Given the request, its expressions filled in
    text = json.dumps(training()["States"]["Inspect"]["Arguments"])
    request = json.loads(re.sub(r"{% .*? %}", "local-m-0123456789ab-check-1-0", text))
    request["RoleArn"] = "arn:aws:iam::123456789012:role/inspection"
    # Then botocore's model of the service has nothing to say
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob")
    assert shape.input_shape is not None
    report = ParamValidator().validate(request, shape.input_shape)
    assert not report.has_errors(), report.generate_report()


def evaluated(expression: str, **variables: Any) -> Any:
    program = jsonata.Jsonata(expression.removeprefix("{%").removesuffix("%}"))
    for name, value in variables.items():
        program.assign(name, value)
    return program.evaluate(None)


@pytest.mark.parametrize(("kind", "refused", "wait", "stopped"), [
    ("Training", "No capacity?", "Wait for capacity", "Stopped"),
    ("Processing", "No capacity to inspect?", "Wait to inspect", "Inspection stopped"),
])  # fmt: skip
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_job_that_did_not_complete(
    kind: str, refused: str, wait: str, stopped: str, separators: tuple[str, str]
) -> None:
    # Given the step that looks at why a job did not complete
    states = training()["States"]
    state = states[refused]

    def following(status: str, reason: str, attempt: int = 1) -> str:
        described = {f"{kind}JobName": "Stopped", f"{kind}JobStatus": status, "FailureReason": reason}
        error = {"Error": "States.TaskFailed", "Cause": json.dumps(described, separators=separators)}
        matches = (c for c in state["Choices"] if evaluated(c["Condition"], error=error, attempt=attempt))
        return str(next(matches, {"Next": state["Default"]})["Next"])

    # Then it waits where there was no capacity, some times, and tells a job that was stopped from one that failed
    assert following("Failed", "CapacityError: Unable to provision requested ML compute capacity") == wait
    assert following("Failed", "CapacityError: still", CAPACITY_ATTEMPTS) == "EndFailed"
    assert following("Failed", 'AlgorithmError: "Stopped"') == "EndFailed"
    assert following("Stopped", "") == stopped
    assert states[stopped]["Assign"]["error"]["Cause"] == (
        f"the {kind.lower()} job was stopped, by hand or at the end of its time"
    )


def test_spot_waits_for_capacity() -> None:
    job = training(spot=True, max_runtime_minutes=10, max_wait_minutes=30)["States"]["Train"]["Arguments"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1800}


def test_on_demand_has_no_checkpoints_and_no_wait() -> None:
    job = training(spot=False, max_runtime_minutes=10)["States"]["Train"]["Arguments"]
    assert not {"EnableManagedSpotTraining", "CheckpointConfig"} & set(job)
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}


@pytest.mark.parametrize(
    ("instance", "volume_key"),
    [("ml.m5.large", True), ("ml.c7i.xlarge", True), ("ml.m5d.large", False), ("ml.g5.xlarge", False)],
)
def test_instances_with_disks_of_their_own_take_no_volume_key(instance: str, *, volume_key: bool) -> None:
    states = training({"instance_type": instance}, instance_type=instance)["States"]
    assert ("VolumeKmsKeyId" in states["Train"]["Arguments"]["ResourceConfig"]) == volume_key
    cluster = states["Inspect"]["Arguments"]["ProcessingResources"]["ClusterConfig"]
    assert ("VolumeKmsKeyId" in cluster) == volume_key


def test_jobs_are_isolated_and_their_names_fit() -> None:
    # Given the longest name that a job can get: stage, model, run, attempt, retry
    for kind in ([], ["check"]):
        longest = "-".join(["local", "m" * LONGEST_MODEL, "0" * 12, *kind, "6", "4"])
        # Then SageMaker takes it
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", longest)
        assert len(longest) <= NAME_LIMIT
    assert training()["States"]["Train"]["Arguments"]["EnableNetworkIsolation"] is True


def test_every_error_after_the_shift_reverts_the_alias() -> None:
    states = rollout()["States"]
    # Given every step from the smoke test on, but those that end the rollout
    loop = [name for name in rollout_canary.states(WATCHING, "arn:watch") if states[name]["Type"] == "Task"]
    assert len(loop) == 7
    confirmations = ("Confirm endpoint", "Confirm configuration", "Confirm its model")
    for name in ("SmokeTest", *loop, "Shift", "Confirm", "Confirm model", *confirmations):
        assert [catch["Next"] for catch in states[name]["Catch"]] == ["Revert"], name
    assert states["Lost"]["Next"] == states["Endpoint lost"]["Next"] == "Revert"
    assert states["Revert"]["Arguments"]["FunctionVersion"] == "{% $previous %}"
    assert states["Revert"]["Next"] == "Quiet rolled back"
    assert states["Quiet rolled back"]["Next"] == "Drains back?"
    assert states["Drain back"]["Next"] == states["Drains back?"]["Default"] == "EndRolledBack"


def test_a_shadow_uses_the_canary_loop_and_never_moves_the_alias() -> None:
    states = rollout(UNSEEN)["States"]

    # Given the choice of what is next, for a shadow and the weight after it
    def following(at: int, weights: list[int]) -> str:
        choices = states["Next weight?"]["Choices"]
        matches = (item["Next"] for item in choices if evaluated(item["Condition"], at=at, weights=weights))
        return str(next(matches, states["Next weight?"]["Default"]))

    assert [following(at, [0, 10]) for at in range(3)] == ["Shadow", "Weigh", "Shift"]
    assert [following(at, [0]) for at in range(2)] == ["Shadow", "Shift"]
    assert following(0, []) == "Shift"
    # Then it only waits, from now on
    shadow = states["Shadow"]
    assert (shadow["Type"], shadow["Next"], set(shadow["Assign"])) == ("Pass", "Bake", {"ends", "since"})
    # And a weight that follows it is watched from its own beginning
    since = states["Weigh"]["Assign"]["since"]
    assert evaluated(since, at=2, weights=[0, 10, 50], since="then") == "then"
    assert evaluated(since, at=1, weights=[0, 10, 50], since="then") != "then"
    # And it has an alarm on the latency of requests that name the version, which goes with the others
    (alarm,) = [state for name, state in states.items() if name == "Watch shadow"]
    dimensions = {item["Name"]: item["Value"] for item in alarm["Arguments"]["Dimensions"]}
    assert evaluated(dimensions["Resource"], function="f", version="7") == "f:7"
    assert "ExecutedVersion" not in dimensions
    alarm_name = evaluated(alarm["Arguments"]["AlarmName"], version="7")
    for name in ("Look at alarms", "Quiet live", "Quiet rolled back"):
        names = states[name]["Arguments"]["AlarmNames"]
        assert alarm_name in evaluated(names, version="7", endpoint={"name": ""})
        assert alarm_name in evaluated(names, version="7", endpoint={"name": "e"})
    # And a rollout without a shadow knows nothing of it
    assert not {"Shadow", "Watch shadow"} & set(rollout()["States"])


@pytest.mark.parametrize(
    ("state", "then"),
    [("Active", "SmokeTest"), ("Pending", "Wait for version"), ("Failed", "Not active"), ("Inactive", "Not active")],
)
def test_a_version_gets_no_request_before_its_snapshot_is_taken(state: str, then: str) -> None:
    states = rollout()["States"]
    # Given what Lambda says of the version that was just published
    assert states["Publish"]["Next"] == "Look at version"
    assert states["Look at version"]["Arguments"]["Qualifier"] == "{% $version %}"
    response = {"State": state, "StateReason": "the handler raised"} if state == "Failed" else {"State": state}
    output = {name: evaluated(text, states={"result": response}) for name, text in looked(states).items()}
    # When it is looked at
    choice = states["Active?"]
    matches = (c["Next"] for c in choice["Choices"] if evaluated(c["Condition"], states={"input": output}))
    # Then it is tested once it is active, waited for, or taken back with Lambda's own reason
    assert next(matches, choice["Default"]) == then
    assert states["Wait for version"]["Next"] == "Look at version"
    assert states["Not active"]["Next"] == "Revert"
    message = evaluated(states["Not active"]["Assign"]["error"]["Cause"], version="7", states={"input": output})
    reason = "the handler raised" if state == "Failed" else "no reason given"
    assert message == f"Lambda version 7 does not start: {reason}"


@pytest.mark.parametrize("weights", [[], [10], [0, 10, 50]])
def test_a_version_that_is_live_gets_no_canary_share_of_itself(weights: list[int]) -> None:
    states = rollout()["States"]
    # Given the number that Lambda gives: where nothing has changed since the last version, it is that one's
    assigned = states["Publish"]["Assign"]["weights"]

    def published(number: str) -> Any:
        return evaluated(assigned, states={"result": {"Version": number}}, previous="6", weights=weights)

    # Then what is live takes no share of its own traffic, and any other version goes by its weights
    assert published("6") == []
    assert published("7") == weights
    assert chosen("Watched?", weights=published("6")) == "Ask"
    assert chosen("Next weight?", at=0, weights=published("6")) == "Shift"


def looked(states: dict[str, State]) -> dict[str, str]:
    output: dict[str, str] = states["Look at version"]["Output"]
    return output


def test_the_parts_of_a_batch_are_executions_of_their_own() -> None:
    # Given the map over a batch's parts
    states = batch()["States"]
    score = states["Score"]
    assert score["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert score["MaxConcurrency"] == 20
    (part,) = score["ItemProcessor"]["States"].values()
    # Then one is tried again, bounded in time, told all in its item, and its failure is the batch's, with its step
    assert part["Retry"]
    assert part["TimeoutSeconds"] > 0
    assert part["End"] is True
    assert part["Arguments"]["Payload"] == {"work": "{% $states.input.work %}", "part": "{% $states.input.part %}"}
    assert [(catch["Next"], catch["Assign"]["step"]) for catch in score["Catch"]] == [("EndFailed", "scoring")]
    # And what is handed on is small: the results of a map without a writer have to fit in a state
    longest = json.dumps([{"work": "0" * 16, "part": part} for part in range(MOST_PARTS)])
    assert len(longest) < 200_000


def test_a_plan_decides_whether_there_is_anything_to_score() -> None:
    choice = batch()["States"]["What is left?"]
    assert {item["Condition"]: item["Next"] for item in choice["Choices"]} == {
        "{% $states.input.outcome = 'score' %}": "Items",
        "{% $states.input.outcome = 'join' %}": "Join",
    }
    assert choice["Default"] == "End"
    assert evaluated(batch()["States"]["End"]["Arguments"]["Payload"], batch="b1", ending={"outcome": "scored"}) == {
        "batch": "b1",
        "outcome": "scored",
    }


def test_success_is_reported_only_after_reading_the_live_version() -> None:
    states = rollout()["States"]

    def before(name: str) -> set[str]:
        return {other for other, state in states.items() if name in successors(state)}

    # Lambda is asked, and for a version with an endpoint SageMaker too
    assert before("By its endpoint?") == {"Is it live?"}
    assert before("Quiet live") == {"By its endpoint?", "Is it the model?"}
    assert before("Drains?") == {"Quiet live"}
    assert before("EndLive") == {"Drains?", "Drain"}
    assert states["Confirm"]["Resource"].endswith("lambda:getAlias")


ENDPOINT = PLAN.build_input(3, "f" * 64, "s3://lake/runs/m/1/model.tar.gz")


def filled(arguments: Any) -> Any:
    """Evaluate the expressions in a task's arguments, as Step Functions does."""
    if isinstance(arguments, dict):
        return {name: filled(value) for name, value in arguments.items()}
    if isinstance(arguments, list):
        return [filled(value) for value in arguments]
    return evaluated(arguments, endpoint=ENDPOINT) if str(arguments).startswith("{%") else arguments


@pytest.mark.parametrize("name", [
    "Make model", "Make configuration", "Make endpoint", "Look at endpoint", "Scale", "Scale by requests",
    "Confirm endpoint",
])  # fmt: skip
def test_the_endpoint_requests_are_valid_for_the_service(name: str) -> None:
    # Given a step's request for a version of the longest name
    state = rollout()["States"][name]
    service, action = state["Resource"].split(":")[-2:]
    request = filled(state["Arguments"])
    # Then botocore's model of the service has nothing to say
    other_names = {"applicationautoscaling": "application-autoscaling"}
    model = botocore.session.get_session().get_service_model(other_names.get(service, service))
    shape = model.operation_model(action[0].upper() + action[1:]).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


def test_an_endpoints_name_fits_and_follows_from_its_content() -> None:
    # Given the longest name that there can be
    longest = replace(PLAN, stage="local", model="m" * LONGEST_MODEL).name(999_999, "f" * 64)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", longest)
    assert len(longest) <= NAME_LIMIT
    # Then the same content has the same name, and any other another one
    name = PLAN.name(3, "f" * 64)
    assert EndpointPlan.read(PLAN.binding()) == PLAN
    others = [replace(PLAN, image="other"), replace(PLAN, least=2), replace(PLAN, environment={})]
    assert (
        len({name, PLAN.name(3, "e" * 64), PLAN.name(4, "f" * 64), *(plan.name(3, "f" * 64) for plan in others)}) == 6
    )


def chosen(name: str, **variables: Any) -> str:
    """Return the next state of one of the rollout's choices for an `input`."""
    state = rollout()["States"][name]
    states = {"input": variables.pop("input", {})}
    matches = (c["Next"] for c in state["Choices"] if evaluated(c["Condition"], states=states, **variables))
    return str(next(matches, state["Default"]))


def test_an_existing_endpoint_is_not_created_again() -> None:
    assert chosen("Endpoint?", endpoint={"name": ""}) == "Configure"
    assert chosen("Endpoint?", endpoint=ENDPOINT) == "Make model"
    # What is there already is the same: its name is made of its content
    there = {"Cause": 'Cannot create already existing endpoint "arn:x" (Service: SageMaker, Status Code: 400)'}
    assert chosen("Is the endpoint there?", error=there) == "Look at endpoint"
    assert chosen("Is the endpoint there?", error={"Cause": "ResourceLimitExceeded"}) == "EndFailed"
    assert chosen("Is the endpoint there?", error={}) == "EndFailed"
    # And it is looked at until it serves or has failed; one that is on its way out makes room first
    follows = {"Creating": "Wait for endpoint", "InService": "Scales?", "Failed": "Not started"}
    for status, following in {**follows, "Deleting": "Wait for its end"}.items():
        assert chosen("Does it serve?", input={"status": status, "reason": "r"}) == following
    states = rollout()["States"]
    assert states["Wait for its end"]["Next"] == "Make endpoint"
    # And one that went between being asked for and being looked at is asked for once more
    assert [caught["Next"] for caught in states["Look at endpoint"]["Catch"]] == ["Is it gone?"]
    not_found = {"Cause": 'Could not find endpoint "arn:x". (Service: SageMaker, Status Code: 400)'}
    assert chosen("Is it gone?", error=not_found) == "Wait for its end"
    assert chosen("Is it gone?", error={"Cause": "AccessDenied"}) == chosen("Is it gone?", error={}) == "EndFailed"


@pytest.mark.parametrize(("least", "most", "following"), [(1, 1, "Configure"), (1, 4, "Scale")])
def test_an_endpoint_with_more_than_its_minimum_scales(least: int, most: int, following: str) -> None:
    assert chosen("Scales?", endpoint={**ENDPOINT, "least": least, "most": most}) == following


def test_an_endpoint_that_binds_another_model_is_not_live() -> None:
    own = f"3 {'f' * 64}"
    assert chosen("Is it the model?", endpoint=ENDPOINT, input={"model": own}) == "Quiet live"
    assert chosen("Is it the model?", endpoint=ENDPOINT, input={"model": f"4 {'f' * 64}"}) == "Endpoint lost"
    assert chosen("Is it in service?", input={"status": "Failed"}) == "Endpoint lost"


def test_the_endpoint_alarm_is_put_and_removed_only_for_an_endpoint() -> None:
    states = rollout()["States"]
    assert chosen("By an endpoint?", endpoint={"name": ""}) == "Ask"
    assert chosen("By an endpoint?", endpoint=ENDPOINT) == "Watch answers"
    put = evaluated(states["Watch answers"]["Arguments"]["AlarmName"], version="7")
    for endpoint, expected in (({"name": ""}, 2), (ENDPOINT, 3)):
        names = evaluated(states["Quiet live"]["Arguments"]["AlarmNames"], version="7", endpoint=endpoint)
        assert len(names) == expected
        assert (put in names) is (expected == 3)
    assert states["Watch answers"]["Arguments"]["MetricName"] == UNANSWERED


def test_the_templates_hold_these_definitions(synthesis: Synthesis) -> None:
    # Given the state machines of the template, tokens put aside
    machines = resources(synthesis.model(), "AWS::StepFunctions::StateMachine").values()
    texts = [resource["Properties"]["DefinitionString"] for resource in machines]
    joined = ["".join(part if isinstance(part, str) else "x" for part in text["Fn::Join"][1]) for text in texts]
    # Then they are the three definitions
    states = sorted(sorted(json.loads(text)["States"]) for text in joined)
    assert states == sorted(sorted(resource["States"]) for resource in (training(), rollout(), batch()))
