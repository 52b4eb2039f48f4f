"""A model's endpoints: which are deleted and when, and the part of them in a rollout's input."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.aws.model_registry import PENDING
from penstock.aws.s3_store import sha256
from penstock.ledger.ledger import timestamp
from penstock.release.endpoint_plan import EndpointPlan
from penstock.release.endpoints import Endpoints, EndpointsError
from penstock.release.live_service import LIVE, Service, Serving, newest_fingerprint
from penstock.release.pruning import idle_endpoints
from penstock.settings import PredictSettings, ServeSettings
from penstock.spec.model import ModelSpec
from tests.support.front import Answer, serving
from tests.support.office import FILE, FakeRegistry, FakeService, Office
from tests.support.world import ACCOUNT, FUNCTION, MODEL, NOW, STAGE, World, client

ROLE = f"arn:aws:iam::{ACCOUNT}:role/endpoint"
PLAN = EndpointPlan(
    stage=STAGE,
    model=MODEL,
    image="image:1",
    role=ROLE,
    environment=ServeSettings(stage=STAGE, model=MODEL, capture="c").environment(),
    instance_type="ml.m5.large",
    least=1,
    most=2,
    invocations=3000,
    startup_seconds=600,
)
OLD, NEW = f"{STAGE}-{MODEL}--1-aaaaaaaaaaaa", f"{STAGE}-{MODEL}--2-bbbbbbbbbbbb"
ANOTHER = f"{STAGE}-{MODEL}-returns--1-cccccccccccc"


def make(name: str) -> None:
    """Make an endpoint as a rollout does."""
    sagemaker, scaling = client("sagemaker"), client("application-autoscaling")
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image"})
    variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    about = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    scaling.register_scalable_target(
        ResourceId=f"endpoint/{name}/variant/all", MinCapacity=1, MaxCapacity=2, RoleARN=ROLE, **about
    )


def existing() -> list[list[str]]:
    """Names of all endpoints, configurations, models and scalable targets."""
    sagemaker, scaling = client("sagemaker"), client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return [
        sorted(item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]),
        sorted(item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        sorted(item["ModelName"] for item in sagemaker.list_models()["Models"]),
        sorted(item["ResourceId"].split("/")[1] for item in targets),
    ]


def test_endpoints_that_serve_are_not_idle() -> None:
    assert idle_endpoints(["a", "b", "c"], {"b"}) == ["a", "c"]
    assert idle_endpoints([], {"b"}) == []


def test_a_sweep_deletes_idle_endpoints_with_all_that_belongs_to_them(world: World) -> None:
    # Given endpoints of two versions, and one of a model whose name begins alike
    for name in (OLD, NEW, ANOTHER):
        make(name)
    # When those that do not serve are swept, then they are deleted, and the other model's is not
    assert Endpoints(STAGE, MODEL).sweep({NEW}) == [OLD]
    assert existing() == [sorted([NEW, ANOTHER])] * 4
    # And again nothing is left to delete
    assert Endpoints(STAGE, MODEL).sweep({NEW}) == []


def test_a_half_deleted_endpoint_is_deleted(world: World) -> None:
    # Given an endpoint without a configuration and without scaling
    make(OLD)
    client("sagemaker").delete_endpoint_config(EndpointConfigName=OLD)
    client("application-autoscaling").deregister_scalable_target(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{OLD}/variant/all",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
    )  # fmt: skip
    assert Endpoints(STAGE, MODEL).sweep(()) == [OLD]
    assert existing() == [[]] * 4


class Busy:
    """SageMaker, which cannot delete an endpoint that is being created."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def delete_endpoint(self, **about: str) -> None:
        if about["EndpointName"] == OLD:
            words = f'Cannot update in-progress endpoint "{OLD}".'
            raise ClientError({"Error": {"Code": "ValidationException", "Message": words}}, "DeleteEndpoint")
        self._real.delete_endpoint(**about)


def test_an_endpoint_that_cannot_be_deleted_is_named_and_the_others_are_deleted(world: World) -> None:
    for name in (OLD, NEW):
        make(name)
    endpoints = Endpoints(STAGE, MODEL)
    endpoints._client = Busy(endpoints._client)
    with pytest.raises(EndpointsError, match=f"{OLD}: .*in-progress"):
        endpoints.sweep(())
    # And its configuration, model and scaling stay
    assert existing()[:3] == [[OLD]] * 3


def test_the_status_of_an_endpoint(world: World) -> None:
    make(OLD)
    assert Endpoints(STAGE, MODEL).status(OLD) == "InService"
    assert Endpoints(STAGE, MODEL).status(NEW) == "gone"


def test_serving_endpoints_are_those_of_the_alias_with_its_shares(world: World) -> None:
    # Given a version with an endpoint, and another one that takes a share
    world.predict()
    world.publish({PredictSettings.variable("endpoint"): OLD, PredictSettings.variable("version"): "1"})
    assert Service(FUNCTION).endpoints() == {OLD}
    assert Service(FUNCTION).live().endpoint == OLD
    before = client("lambda").get_alias(FunctionName=FUNCTION, Name=LIVE)["FunctionVersion"]
    after = world.publish({PredictSettings.variable("endpoint"): NEW})
    client("lambda").update_alias(
        FunctionName=FUNCTION, Name=LIVE, FunctionVersion=before,
        RoutingConfig={"AdditionalVersionWeights": {after: 0.1}},
    )  # fmt: skip
    # Then both serve
    assert Service(FUNCTION).endpoints() == {OLD, NEW}


@pytest.mark.parametrize("outcome", ["live", "rolled back", "failed"])
def test_every_ending_of_a_rollout_leaves_only_the_endpoint_that_serves(world: World, outcome: str) -> None:
    # Given an open rollout of a version with an endpoint, and the alias as the state machine left it
    world.predict()
    for name in (OLD, NEW):
        make(name)
    serves = NEW if outcome == "live" else OLD
    published = world.publish({PredictSettings.variable("endpoint"): serves})
    world.ledger.put_version(2, arn="arn:package/2", run="run1", sha256="s")
    world.ledger.open_rollout(
        "r", 2, "t", arn="arn:package/2", sha256="s", new_code="so that the registry is left alone"
    )
    assert world.ledger.name_endpoint("r", NEW)
    module = world.load("end_rollout")
    # When it ends, and the step is repeated once another rollout makes its endpoint
    event = {"rollout": "r", "outcome": outcome, "lambda_version": published, "endpoint": NEW, "saw": "", "error": {}}
    module.handler(event, None)
    assert existing()[0] == [serves]
    make(other := NEW if outcome != "live" else OLD)
    module.handler(event, None)
    # Then only the serving endpoint is left, and the other rollout's
    assert existing()[0] == sorted([serves, other])
    live = world.ledger.live()
    assert (live or {}).get("endpoint") == (NEW if outcome == "live" else None)


def test_an_endpoint_that_cannot_be_deleted_is_in_the_endings_reason(world: World) -> None:
    # Given a rollout that failed while its endpoint is being created
    world.predict()
    make(OLD)
    world.publish({PredictSettings.variable("endpoint"): NEW})
    world.ledger.put_version(2, arn="arn:package/2", run="run1", sha256="s")
    world.ledger.open_rollout(
        "r", 2, "t", arn="arn:package/2", sha256="s", new_code="so that the registry is left alone"
    )
    module = world.load("end_rollout")
    endpoints = module.ending.endpoints
    endpoints._client = Busy(endpoints._client)
    # When it ends
    ending = module.handler({"rollout": "r", "outcome": "failed", "error": {"Cause": "SageMaker was away"}}, None)
    # Then ledger and notice say what still bills
    assert ending["reason"].startswith("new code of version 2 did not go live: SageMaker was away; the next rollout ")
    assert OLD in ending["reason"]
    assert world.ledger.rollout("r")["reason"] == ending["reason"]


# Authorize


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    """A model that is served by endpoints, with version 1 approved."""
    desk = Office(world, FakeRegistry(), spec, FakeService())
    desk.changes = {"endpoint": PLAN.binding()}
    arn = desk.version(1, artifact="s3://lake/runs/1/model.tar.gz")
    desk.handle(arn)
    return desk


def under_way(office: Office) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(office.rollouts()[-1]["input"])
    return document


def test_a_rollouts_input_has_the_endpoint_of_its_version(office: Office) -> None:
    # Given the input of the rollout
    started = under_way(office)
    digest = sha256(FILE)
    # Then it has the endpoint's plan, and the published function gets its name
    assert started["endpoint"] == PLAN.build_input(1, digest, "s3://lake/runs/1/model.tar.gz")
    variables = ServeSettings.read(started["endpoint"]["environment"])
    assert (variables.version, variables.model_sha256, variables.capture) == ("1", digest, "c")
    bound = PredictSettings.read(started["environment"])
    assert bound.endpoint == started["endpoint"]["name"] == PLAN.name(1, digest)
    # It gives up before Lambda ends it, so that it can report that
    assert float(bound.endpoint_seconds) == office.spec.serving.timeout_seconds - 1
    assert started["drains"] is True
    # And the ledger has the name, for those who follow the rollout
    assert office.world.ledger.rollout(started["rollout"])["endpoint"] == bound.endpoint


def test_without_a_plan_there_is_no_endpoint(world: World, spec: ModelSpec) -> None:
    office = Office(world, FakeRegistry(), spec, FakeService(Serving("1", None, "", endpoint="")))
    office.handle(office.version(1))
    started = under_way(office)
    assert (started["endpoint"], started["drains"]) == ({"name": ""}, False)
    assert "PENSTOCK_ENDPOINT" not in started["environment"]
    # But where an endpoint served until now, it outlives its last request
    office.go_live(started["rollout"], 1)
    office.service.serving = Serving("2", 1, sha256(FILE), "old", endpoint=OLD)
    office.service.newest = "old"
    assert "with new code started" in office.authorization.handle_new_code(NOW + timedelta(hours=1))
    assert under_way(office)["drains"] is True


def test_a_changed_plan_is_new_code(office: Office) -> None:
    # Given version 1 live by the endpoint of the plan
    digest = sha256(FILE)
    office.go_live(under_way(office)["rollout"], 1)
    office.service.serving = Serving("2", 1, digest, "code", endpoint=PLAN.name(1, digest))
    office.service.newest = "code"
    later = NOW + timedelta(hours=1)
    assert office.authorization.handle_new_code(later) == "version 1 serves with the newest code"
    # When another image is deployed, then the same model is rolled out with it
    office.changes = {"endpoint": replace(PLAN, image="image:2").binding()}
    assert office.authorization.handle_new_code(later).endswith("of version 1 with new code started")
    assert under_way(office)["endpoint"]["image"] == "image:2"
    # And its fingerprint is the one that the operator's command computes
    plan = replace(PLAN, image="image:2")
    recorded = office.world.ledger.rollout(under_way(office)["rollout"])["new_code"]
    assert recorded == newest_fingerprint(office.service, plan, 1, digest) == f"code {plan.name(1, digest)}"


@pytest.mark.parametrize(
    ("image", "is_same"), [("image:2", True), ("image:3", False)], ids=["the same plan", "another plan since"]
)
def test_a_plan_that_was_taken_back_with_a_new_model_is_not_tried_with_the_old_one(
    office: Office, image: str, is_same: bool
) -> None:
    # Given version 1 live by its endpoint, and version 2 that is rolled out with new code and another image
    digest, later = sha256(FILE), NOW + timedelta(hours=1)
    live = {"version": 1, "sha256": digest, "lambda_version": "2"}
    office.world.ledger.end_rollout(under_way(office)["rollout"], "live", "serves", timestamp(NOW), live)
    office.service.serving = Serving("2", 1, digest, "code", endpoint=PLAN.name(1, digest))
    office.service.newest, office.changes = "new", {"endpoint": replace(PLAN, image="image:2").binding()}
    office.handle(office.version(2, artifact="s3://lake/runs/2/model.tar.gz"), later)
    second = under_way(office)["rollout"]
    # When it is taken back, and its ending has named the code
    office.registry.set_status("arn:package/2", PENDING, "an alarm")
    office.world.ledger.end_rollout(second, "rolled back", "an alarm", timestamp(later), None, code="new")
    office.changes = {"endpoint": replace(PLAN, image=image).binding()}
    office.end(second, "FAILED")
    # Then the same plan is not tried with version 1 by itself, though that one's endpoint would have another name
    assert office.rolled_out() == ([1, 2] if is_same else [1, 2, 1])


def test_a_rollout_that_died_leaves_no_endpoint(office: Office) -> None:
    # Given the endpoint of a rollout whose execution was stopped before it published
    started = under_way(office)
    make(started["endpoint"]["name"])
    # When the event of its end comes
    office.end(started["rollout"], "ABORTED", "by hand")
    # Then the endpoint is deleted
    assert existing()[0] == []


@pytest.mark.parametrize(("busy", "status"), [(False, "SUCCESS"), (True, "FAILED")])
def test_a_deleted_stack_deletes_its_endpoints_or_names_those_that_it_cannot(
    world: World, busy: bool, status: str
) -> None:
    # Given a live endpoint, and CloudFormation, which knows nothing of it
    make(OLD)
    answers: list[dict[str, Any]] = []

    def answering(_method: str, _target: str, body: bytes) -> Answer:
        answers.append(json.loads(body))
        return 200, b""

    module = world.load("authorize")
    if busy:
        endpoints = module.authorization.endpoints
        endpoints._client = Busy(endpoints._client)
    about = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "NewCode", "RequestType": "Delete"}
    # When the stack is deleted
    with serving(answering) as address:
        module.handler({**about, "ResponseURL": f"{address}/answer"}, None)
    # Then it is deleted too; or the deletion fails, with the reason and what to do
    assert [answer["Status"] for answer in answers] == [status]
    assert existing()[0] == ([OLD] if busy else [])
    if busy:
        assert answers[0]["Reason"].startswith("delete the stack again when these endpoints can go: ")
        assert OLD in answers[0]["Reason"]
