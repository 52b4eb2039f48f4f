"""New code of the predict function: rolled out with the live model, once by itself, and never by the deployment."""

import json
from datetime import timedelta
from typing import Any

import pytest

from functions.authorize import custom_resource
from penstock.aws.model_registry import APPROVED, PENDING
from penstock.aws.s3_store import sha256
from penstock.ledger.ledger import timestamp
from penstock.release.live_service import Serving
from penstock.spec.model import ModelSpec, Rollout
from tests.support.front import Answer, serving
from tests.support.office import ALICE, FILE, FakeRegistry, FakeService, Office
from tests.support.world import FUNCTION, NOW, World, client

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    """A model that is live as version 1, with the code that it was rolled out with."""
    desk = Office(world, FakeRegistry(), spec, FakeService())
    arn = desk.version(1)
    desk.handle(arn)
    desk.service.serving, desk.service.newest = Serving("2", 1, sha256(FILE), "old"), "old"
    live = {"version": 1, "sha256": sha256(FILE), "lambda_version": "2"}
    world.ledger.end_rollout(desk.rollouts()[0]["name"], "live", "serves", timestamp(NOW), live)
    return desk


def under_way(office: Office) -> str:
    holder = office.world.ledger.holder("rollout")
    assert holder is not None
    return holder


def end_rollout(office: Office, outcome: str, serving_now: Serving | None = None) -> str:
    """End the rollout that is under way, in the ledger and by its event."""
    name = under_way(office)
    live = None
    if serving_now is not None:
        office.service.serving = serving_now
        live = {"version": 1, "sha256": sha256(FILE), "lambda_version": serving_now.lambda_version}
    office.world.ledger.end_rollout(name, outcome, f"it was {outcome}", timestamp(LATER), live)
    return office.end(name, "SUCCEEDED")


def test_without_a_live_model_new_code_waits_for_one(world: World, spec: ModelSpec) -> None:
    office = Office(world, FakeRegistry(), spec, FakeService(newest="new"))
    assert "no model is live" in office.authorization.handle_new_code(NOW)
    assert office.rollouts() == []


def test_a_deployment_without_a_change_starts_nothing(office: Office) -> None:
    assert office.authorization.handle_new_code(LATER) == "version 1 serves with the newest code"
    assert len(office.rollouts()) == 1


def test_new_code_is_one_rollout_of_the_live_model_however_often_it_is_deployed(office: Office) -> None:
    # Given new code
    office.service.newest = "new"
    # When the event of its deployment comes three times
    sentences = [office.authorization.handle_new_code(LATER) for _ in range(3)]
    # Then the same model is rolled out with it, once, by the same state machine
    first, second = office.rollouts()
    assert sentences[0] == f"rollout {second['name']} of version 1 with new code started"
    assert all("is under way" in words for words in sentences[1:])
    same = [{**json.loads(item["input"]), "rollout": ""} for item in (first, second)]
    # By a canary, which a first version cannot have
    weights = [item.pop("weights") for item in same]
    assert weights[0] == []
    assert weights[1] != []
    assert same[0] == same[1]
    # And the ledger has who and why
    record = office.world.ledger.rollout(second["name"])
    assert (record["new_code"], record["by"], record["because"]) == (
        "new",
        "deployment",
        "new code or settings were deployed",
    )
    # And once it serves, its end and another deployment start nothing
    end_rollout(office, "live", Serving("3", 1, sha256(FILE), "new"))
    assert office.authorization.handle_new_code(LATER) == "version 1 serves with the newest code"
    assert len(office.rollouts()) == 2


def test_bad_new_code_is_tried_once_and_by_an_operator_again(office: Office) -> None:
    # Given new code that was rolled out and taken back
    office.service.newest = "bad"
    office.authorization.handle_new_code(LATER)
    end_rollout(office, "rolled back")
    # When its rollout has ended, and it is deployed again
    sentence = office.authorization.handle_new_code(LATER)
    # Then it is not tried again by itself
    assert sentence.startswith(
        "this code was rolled out before, and did not go live: it was rolled back: penstock rollout"
    )
    assert len(office.rollouts()) == 2
    # But an operator may request it, and is recorded
    office.authorization.handle_new_code(LATER, by=ALICE, because="it was the network")
    assert len(office.rollouts()) == 3
    assert office.world.ledger.rollout(under_way(office))["by"] == ALICE


def approve_second(office: Office) -> str:
    """Approve a second version; the name of its rollout."""
    office.version(2)
    office.decide(2, APPROVED, 30)
    office.handle("arn:package/2", LATER)
    assert office.world.ledger.rollout(under_way(office))["version"] == 2
    return under_way(office)


def take_back_model(office: Office, rollout: str, code: str) -> str:
    """Take back the rollout of the second version, which published this code, and deliver the event of its end."""
    office.registry.set_status("arn:package/2", PENDING, "an alarm")
    office.world.ledger.end_rollout(rollout, "rolled back", "an alarm", timestamp(LATER), None, code=code)
    return office.end(rollout, "FAILED")


def test_code_that_was_taken_back_with_a_new_model_is_not_tried_with_the_old_one(office: Office) -> None:
    # Given a rollout of a new model, which published new code
    rollout = approve_second(office)
    office.service.newest = "new"
    # When it is taken back
    sentence = take_back_model(office, rollout, "new")
    # Then either of the two may be the cause, and callers are not used to find out
    assert len(office.rollouts()) == 2
    assert office.world.ledger.holder("rollout") is None
    assert sentence == "no approved version waits for a rollout"
    # And a deployment gets the reason, and an operator may try
    words = "this code was rolled out before with version 2, and did not go live: an alarm: penstock rollout"
    assert office.authorization.handle_new_code(LATER).startswith(words)
    assert office.authorization.handle_new_code(LATER, by=ALICE, because="it was the model").endswith(
        "with new code started"
    )


def test_code_that_was_deployed_after_a_model_was_published_follows_its_rollout(office: Office) -> None:
    # Given a rollout of a new model with the old code, and new code that was deployed meanwhile
    rollout = approve_second(office)
    office.service.newest = "new"
    # When the model is taken back, then the new code was never tried, and is
    assert take_back_model(office, rollout, "old").endswith("of version 1 with new code started")


def test_code_that_another_model_did_not_go_live_with_before_is_tried_with_this_one(office: Office) -> None:
    # Given code that was taken back with a new model, which went live later with other code
    take_back_model(office, approve_second(office), "new")
    office.decide(2, APPROVED, 90)
    office.handle("arn:package/2", LATER + timedelta(hours=1))
    live = {"version": 2, "sha256": sha256(FILE), "lambda_version": "5"}
    office.service.serving = Serving("5", 2, sha256(FILE), "other")
    name = under_way(office)
    office.world.ledger.end_rollout(name, "live", "serves", timestamp(LATER + timedelta(hours=2)), live)
    # When another model is live, and that code is deployed once more
    office.version(3)
    office.decide(3, APPROVED, 190)
    office.handle("arn:package/3", LATER + timedelta(hours=3))
    live |= {"version": 3, "lambda_version": "6"}
    office.service.serving = Serving("6", 3, sha256(FILE), "other")
    office.world.ledger.end_rollout(under_way(office), "live", "serves", timestamp(LATER + timedelta(hours=4)), live)
    office.service.newest = "new"
    # Then it is a new try
    assert office.authorization.handle_new_code(LATER + timedelta(hours=5)).endswith(
        "of version 3 with new code started"
    )


def test_code_that_was_deployed_during_a_rollout_follows_it(office: Office) -> None:
    # Given a rollout of new code, and a deployment of other code meanwhile
    office.service.newest = "new"
    office.authorization.handle_new_code(LATER)
    office.service.newest = "newer"
    assert "is under way" in office.authorization.handle_new_code(LATER)
    # When the rollout ends
    sentence = end_rollout(office, "live", Serving("3", 1, sha256(FILE), "new"))
    # Then the other code is rolled out
    assert sentence.endswith("of version 1 with new code started")
    assert office.world.ledger.rollout(under_way(office))["new_code"] == "newer"


def test_new_code_waits_for_an_operator_where_the_specification_says_so(office: Office) -> None:
    office.spec = office.spec.model_copy(update={"rollout": Rollout(on_new_code="wait")})
    office.service.newest = "new"
    assert office.authorization.handle_new_code(LATER).startswith("new code waits for an operator: penstock rollout")
    assert len(office.rollouts()) == 1
    assert office.authorization.handle_new_code(LATER, by=ALICE, because="now").endswith("with new code started")


@pytest.mark.parametrize(("lambda_version", "outcome"), [("2", "failed"), ("3", "live")])
def test_a_rollout_of_new_code_that_died_is_closed_as_lambda_has_it(
    office: Office, lambda_version: str, outcome: str
) -> None:
    # Given a rollout of new code whose execution died before or after it moved the traffic
    office.service.newest = "new"
    office.authorization.handle_new_code(LATER)
    name = under_way(office)
    office.service.serving = Serving(lambda_version, 1, sha256(FILE), "new" if outcome == "live" else "old")
    # When the event of its end comes
    office.end(name, "TIMED_OUT")
    # Then the ledger has what serves, and the model stays approved
    assert office.world.ledger.rollout(name)["outcome"] == outcome
    assert office.registry.packages["arn:package/1"].status == APPROVED
    assert len(office.rollouts()) == 2


def test_new_code_that_is_taken_back_leaves_the_model_approved(world: World) -> None:
    # Given a rollout of new code; the registry is not read
    ledger = world.ledger
    ledger.put_version(1, arn="arn:package/1", run="run1", sha256="s")
    ledger.open_rollout("r", 1, "t", arn="arn:package/1", sha256="s", new_code="new")
    module = world.load("end_rollout")
    # When it is rolled back
    error = {"Error": "SmokeTestFailed", "Cause": json.dumps({"errorMessage": "wrong scores"})}
    ending = module.handler({"rollout": "r", "outcome": "rolled back", "error": error}, None)
    # Then ledger and notice have the reason
    assert ending["reason"] == "new code of version 1 was taken back: wrong scores"
    assert world.notices()[0]["text"].strip() == ending["reason"]


def test_the_fingerprint_of_code_covers_what_lambda_runs(world: World) -> None:
    # Given a published version
    from penstock.release.live_service import Service

    world.predict()
    service = Service(FUNCTION)
    world.publish({"PENSTOCK_VERSION": "1"})
    # Then its variables are no part of its code
    assert service.live().code == service.code()
    # And its memory is
    client("lambda").update_function_configuration(FunctionName=FUNCTION, MemorySize=1024)
    assert service.live().code != service.code()


@pytest.mark.parametrize("setting", ["MAX_ROWS", "CAPTURE_SAMPLE", "CAPTURE", "HASH_SECRET"])
def test_deployed_settings_are_part_of_the_fingerprint_of_code(world: World, setting: str) -> None:
    from penstock.release.live_service import Service

    # Given a published version
    world.predict()
    service = Service(FUNCTION)
    bound = {"PENSTOCK_MAX_ROWS": "500", "PENSTOCK_CAPTURE_SAMPLE": "1.0", "PENSTOCK_CAPTURE": "s"}
    published = world.publish(bound | {"PENSTOCK_VERSION": "1"})
    # When a deployment writes its own environment, which names no model, then the code is the same
    functions = client("lambda")
    functions.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": bound})
    assert service.live().code == service.code() == service.code_of_version(published)
    # And so it is for a rollout that would bind the same, though the deployment has not written it yet
    settings = {"max_rows": "500", "capture_sample": "1.0", "capture": "s", "hash_secret": ""}
    assert service.code(settings) == service.live().code
    assert service.code(settings | {setting.lower(): "another"}) != service.live().code
    # And another setting is another code
    changed = bound | {f"PENSTOCK_{setting}": "another"}
    functions.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": changed})
    assert service.live().code != service.code()


@pytest.mark.parametrize(("kind", "is_deletion"), [("Create", False), ("Update", False), ("Delete", True)])
@pytest.mark.parametrize("failure", ["", "it cannot go"])
def test_cloudformation_gets_a_response_to_every_request(kind: str, is_deletion: bool, failure: str) -> None:
    requests: list[tuple[str, str, Any]] = []

    def answering(method: str, target: str, body: bytes) -> Answer:
        requests.append((method, target, json.loads(body)))
        return 200, b""

    with serving(answering) as address:
        about = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "NewCode"}
        event = about | {"RequestType": kind, "ResponseURL": f"{address}/answer?signature=1"}
        assert custom_resource.is_request(event)
        assert custom_resource.is_deletion(event) is is_deletion
        custom_resource.respond(event, failure)
    answer = about | {"Status": "FAILED" if failure else "SUCCESS", "PhysicalResourceId": "NewCode"}
    answer |= {"Reason": failure} if failure else {}
    assert requests == [("PUT", "/answer?signature=1", answer)]
