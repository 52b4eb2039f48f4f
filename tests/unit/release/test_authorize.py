"""Who may put a version live, and whether it still may be."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.aws.model_registry import APPROVED, PENDING, REJECTED, Package, Registry
from penstock.aws.s3_store import sha256
from penstock.events import ExecutionEnded
from penstock.release.authorization import Authorization
from penstock.release.live_service import Serving
from penstock.settings import PredictSettings
from penstock.spec.model import Approval, ModelSpec, Rollout
from tests.support.office import ALICE, FILE, MACHINE, FakeRegistry, FakeService, Office
from tests.support.world import BUCKET, FUNCTION, NOW, STREAM, World, client, execution_ended, package_changed


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec, FakeService())


def test_an_approval_is_one_rollout_however_often_it_is_told(office: Office) -> None:
    # Given a version that someone approved
    arn = office.version(1)
    # When the event comes five times
    said = [office.changed(arn) for _ in range(5)]
    # Then one rollout runs, with what the published version binds
    executions = office.rollouts()
    assert len(executions) == 1
    rollout = executions[0]["name"]
    assert said[0] == f"rollout {rollout} of version 1 started"
    assert all("is under way" in words for words in said[1:])
    document = json.loads(executions[0]["input"])
    environment = document.pop("environment")
    assert document == {
        "rollout": rollout,
        "model": "flight-delay",
        "package": 1,
        "package_arn": arn,
        "function": FUNCTION,
        "description": f"version 1, SHA-256 {sha256(FILE)[:12]}",
        "weights": [],  # nothing is live that it could share the traffic with
        "endpoint": {"name": ""},
        "drains": False,
        "version": "",
        "back": "",
    }
    assert PredictSettings.read(environment) == PredictSettings(
        stage="dev", model="flight-delay", bucket=BUCKET, capture=STREAM, max_rows="500", version="1",
        model_key=office.world.lake.model_file(sha256(FILE), "model.onnx"), model_sha256=sha256(FILE),
    )  # fmt: skip
    # And the decision stands in the ledger once, with who and why
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["reason"]) for item in approvals] == [
        ("approved", ALICE, "better than before")
    ]


def test_a_rollout_binds_the_feature_store(office: Office) -> None:
    # Given a model with a feature store
    settings = replace(office.authorization.settings, feature_store='{"group":"g"}')
    # When a version of it is approved
    replace(office.authorization, settings=settings).changed(office.version(1), NOW)
    # Then what is published knows the store
    (execution,) = office.rollouts()
    assert PredictSettings.read(json.loads(execution["input"])["environment"]).feature_store == '{"group":"g"}'


@pytest.mark.parametrize(
    ("policy", "about", "refusal"),
    [
        ({"who": ["*/approver/*"]}, {}, None),
        ({"who": ["*:role/admin", "*/approver/alic?"]}, {}, None),
        ({"who": ["*/admin/*"]}, {}, f"{ALICE} is not among approval.who in model.yaml"),
        ({"who": ["*/APPROVER/*"]}, {}, f"{ALICE} is not among approval.who in model.yaml"),
        ({"who": ["*/approver/*"]}, {"changed_by": ""}, "an unknown identity is not among approval.who in model.yaml"),
        ({}, {"description": " \n"}, "an approval needs a reason (the approval description)"),
        ({"reason": False}, {"description": ""}, None),
        ({}, {"created": NOW - timedelta(days=30, seconds=1)}, "the version is older than 30 days: train anew"),
        ({}, {"created": NOW - timedelta(days=30)}, None),
        ({"max_age_days": 2}, {"created": NOW - timedelta(days=3)}, "the version is older than 2 days: train anew"),
    ],
)
def test_the_policy_of_model_yaml(
    office: Office, policy: dict[str, Any], about: dict[str, Any], refusal: str | None
) -> None:
    office.spec = office.spec.model_copy(update={"approval": Approval(**policy)})
    arn = office.version(1, **about)
    assert office.authorization.decisions.find_objection(office.registry.describe(arn), NOW) == refusal


def test_a_refusal_is_loud(office: Office) -> None:
    # Given an approval without a reason
    arn = office.version(1, description="")
    # When it is told, twice
    said = [office.changed(arn) for _ in range(2)]
    # Then the registry has it back at pending with the refusal, the ledger knows, and people are told once
    words = "an approval needs a reason (the approval description)"
    assert said == [f"approval of version 1 refused: {words}", "no approved version waits for a rollout"]
    assert office.registry.packages[arn].status == PENDING
    assert office.registry.packages[arn].description == f"refused: {words}"
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["refusal"]) for item in approvals] == [("refused", ALICE, words)]
    notices = office.world.notices()
    assert [notice["subject"] for notice in notices] == ["flight-delay: approval of version 1 refused"]
    assert ALICE in notices[0]["text"]
    assert office.rollouts() == []


def test_only_the_newest_version_may_be_approved(office: Office) -> None:
    arn = office.version(1)
    office.version(2, status=PENDING)
    assert office.changed(arn) == (
        "approval of version 1 refused: version 2 is newer: approve that one, or reject it first"
    )


def test_a_file_that_was_changed_after_registration(office: Office) -> None:
    arn = office.version(1)
    office.world.store.write(office.world.lake.model_file(sha256(FILE), "model.onnx"), b"another")
    said = office.changed(arn)
    key = office.world.lake.model_file(sha256(FILE), "model.onnx")
    assert said == (
        f"approval of version 1 refused: {key} was changed since it was registered: "
        f"its SHA-256 is {sha256(b'another')}, registered was {sha256(FILE)}"
    )


def test_a_file_that_is_gone(office: Office) -> None:
    arn = office.version(1)
    key = office.world.lake.model_file(sha256(FILE), "model.onnx")
    client("s3").delete_object(Bucket=BUCKET, Key=key)
    assert office.changed(arn).endswith(f"s3://{BUCKET}/{key} is not there")


def test_a_version_that_no_run_registered_is_refused(office: Office) -> None:
    # Given someone made a package by hand, and the ledger has none
    arn = "arn:package/1"
    office.registry.packages[arn] = Package(arn, 1, APPROVED, "trust me", ALICE, NOW, NOW)
    # When it is approved
    said = office.changed(arn)
    # Then it is refused and nothing is rolled out
    assert said == "approval of version 1 refused: the ledger has no version 1 of flight-delay"
    assert office.rollouts() == []
    # And the refusal is recorded, with no version made up for it
    assert office.decisions(1) == [("refused", ALICE)]
    assert office.registry.packages[arn].status == PENDING
    assert office.world.ledger.versions() == []


def test_a_version_that_no_run_registered_may_be_rejected(office: Office) -> None:
    arn = "arn:package/1"
    office.registry.packages[arn] = Package(arn, 1, REJECTED, "not ours", ALICE, NOW, NOW)
    assert office.changed(arn).startswith("version 1 is Rejected")
    assert office.decisions(1) == [("rejected", ALICE)]
    assert office.world.ledger.versions() == []


def test_a_rejection_is_recorded_with_who_and_why(office: Office) -> None:
    arn = office.version(1, status=REJECTED, description="too old")
    said = [office.changed(arn) for _ in range(2)]
    assert said[0].startswith("version 1 is Rejected")
    assert said[1] == "no approved version waits for a rollout"
    approvals = office.world.ledger.approvals(1)
    assert [(item["decision"], item["by"], item["reason"]) for item in approvals] == [("rejected", ALICE, "too old")]
    assert office.rollouts() == []


def test_a_second_approval_waits_for_the_rollout_under_way(office: Office) -> None:
    # Given version 1 is being rolled out
    office.changed(office.version(1))
    first = office.rollouts()[0]["name"]
    # When version 2 is approved
    said = office.changed(office.version(2))
    # Then it waits
    assert said == f"rollout {first} is under way; what was approved meanwhile comes after it"
    assert len(office.rollouts()) == 1
    # And comes when the first has ended
    office.world.ledger.end_rollout(first, "live", "serves", "t", {"version": 1, "sha256": "s", "lambda_version": "1"})
    assert "of version 2 started" in office.ended(first, "SUCCEEDED")
    assert len(office.rollouts()) == 2


def test_a_rollout_that_died_is_closed_and_may_be_approved_again(office: Office) -> None:
    # Given a rollout whose execution was stopped
    arn = office.version(1)
    office.changed(arn)
    rollout = office.rollouts()[0]["name"]
    # When its end is told
    said = office.ended(rollout, "ABORTED", "by hand")
    # Then it failed with that reason, nothing is live, and it is not tried again by itself
    assert said == "no approved version waits for a rollout"
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED: by hand")
    assert office.world.ledger.live() is None
    # And people are told, once: no alarm on failures hears of what was stopped or timed out
    office.ended(rollout, "ABORTED", "by hand")
    told = {"subject": "flight-delay: version 1 failed", "text": "the rollout's execution ended ABORTED: by hand"}
    assert office.world.notices() == [told]
    # And when it is approved once more, it is
    assert office.registry.packages[arn].status == PENDING
    office.decide(1, APPROVED, minute=5)
    assert "started" in office.changed(arn, NOW + timedelta(minutes=5))


def test_an_old_event_of_an_approval_that_was_rolled_out_starts_nothing(office: Office) -> None:
    arn = office.version(1)
    office.changed(arn)
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.end_rollout(rollout, "rolled back", "alarm", "t", None)
    assert office.changed(arn) == "no approved version waits for a rollout"
    assert len(office.rollouts()) == 1


def test_a_process_that_died_before_starting_its_rollout(office: Office) -> None:
    # Given a rollout that was opened and not started
    arn = office.version(1)
    record = {"arn": arn, "sha256": sha256(FILE)}
    assert office.world.ledger.open_rollout("o1", 1, "t", **record)
    # When the event comes again
    office.changed(arn)
    # Then it is started
    assert [item["name"] for item in office.rollouts()] == ["o1"]


def test_the_handler_reads_both_kinds_of_event(world: World) -> None:
    # Given the function as it is deployed, and a version in moto's registry, which does not say who changed it
    world.predict()
    function = world.load("authorize")
    package = Registry(world.group).register(
        run="run1",
        since=datetime(2020, 1, 1, tzinfo=UTC),
        description="d",
        image="i",
        artifact="s3://b/a",
        metrics="s3://b/m",
        baseline="s3://b/d",
        properties={"run": "run1"},
    )
    world.ledger.put_version(1, arn=package.arn, run="run1", sha256=sha256(FILE))
    world.store.write(world.lake.model_file(sha256(FILE), "model.onnx"), FILE)
    Registry(world.group).set_status(package.arn, APPROVED, "good")
    # When its approval and then the rollout's end are told
    started = function.handler(package_changed(package.arn, 1), None)
    rollout = world.executions(world.rollout)[0]["name"]
    ended = function.handler(execution_ended(world.rollout, rollout, "FAILED"), None)
    # Then each was understood (the default policy lets anyone approve)
    assert started == {"said": f"rollout {rollout} of version 1 started"}
    assert ended == {"said": "no approved version waits for a rollout"}
    assert world.ledger.rollout(rollout)["outcome"] == "failed"
    assert Registry(world.group).describe(package.arn).status == PENDING


# What was decided while another rollout is under way


def test_a_version_that_is_rejected_while_it_waits_is_never_rolled_out(office: Office) -> None:
    # Given version 1 is being rolled out, and version 2 approved
    office.changed(office.version(1))
    first = office.rollouts()[0]["name"]
    office.changed(office.version(2))
    # When it is rejected, and the first rollout goes live
    said = office.changed(office.decide(2, REJECTED, minute=1))
    after = office.went_live(first, 1)
    # Then it stays where it is, whatever comes
    assert said.startswith("version 2 is Rejected")
    assert after == "no approved version waits for a rollout"
    assert office.changed("arn:package/2") == "no approved version waits for a rollout"
    assert office.rolled_out() == [1]
    assert office.decisions(2) == [("approved", ALICE), ("rejected", ALICE)]


def test_a_rejection_whose_event_is_late_is_heard_all_the_same(office: Office) -> None:
    # Given version 1 is being rolled out, version 2 approved, then rejected, and nobody told of that
    office.changed(office.version(1))
    office.changed(office.version(2))
    office.decide(2, REJECTED, minute=1)
    # When the first rollout goes live
    said = office.went_live(office.rollouts()[0]["name"], 1)
    # Then the registry was asked
    assert said == "no approved version waits for a rollout"
    assert office.rolled_out() == [1]
    assert office.decisions(2)[-1] == ("rejected", ALICE)


def test_of_two_that_wait_the_newest_is_rolled_out_and_the_older_refused(office: Office) -> None:
    # Given versions 2 and 3 are approved while version 1 is being rolled out
    office.changed(office.version(1))
    for number in (2, 3):
        office.changed(office.version(number))
    # When that and the next rollout go live
    first = office.rollouts()[0]["name"]
    assert "of version 3 started" in office.went_live(first, 1)
    second = office.rollouts()[1]["name"]
    assert office.went_live(second, 3) == "no approved version waits for a rollout"
    # Then version 2 was refused, loudly
    assert office.rolled_out() == [1, 3]
    refused = office.world.ledger.approvals(2)[-1]
    words = "version 3 is newer: approve that one, or reject it first"
    assert (refused["decision"], refused["by"], refused["refusal"]) == ("refused", ALICE, words)
    assert office.registry.packages["arn:package/2"].status == PENDING
    assert office.registry.packages["arn:package/2"].description == f"refused: {words}"
    assert [notice["subject"] for notice in office.world.notices()] == ["flight-delay: approval of version 2 refused"]
    # And the event of its setting back changes nothing
    assert office.changed("arn:package/2") == "no approved version waits for a rollout"
    assert office.decisions(2) == [("approved", ALICE), ("refused", ALICE)]


def test_the_older_of_two_does_not_follow_when_the_newer_is_taken_back(office: Office) -> None:
    office.changed(office.version(1))
    for number in (2, 3):
        office.changed(office.version(number))
    office.went_live(office.rollouts()[0]["name"], 1)
    second = office.rollouts()[1]["name"]
    office.taken_back(second, 3)
    assert office.ended(second, "FAILED") == "no approved version waits for a rollout"
    assert office.rolled_out() == [1, 3]
    assert office.world.ledger.approvals(2)[-1]["refusal"].startswith("version 3 is newer: approve that one")


# What comes after a decision


def test_an_older_version_may_be_approved_when_the_newer_was_rejected(office: Office) -> None:
    # Given version 2 is newer and was rejected
    office.version(1, status=PENDING)
    office.changed(office.version(2, status=REJECTED))
    # When version 1 is approved
    said = office.changed(office.decide(1, APPROVED, minute=1))
    # Then it is rolled out
    assert "of version 1 started" in said
    assert office.rolled_out() == [1]


def test_an_older_version_may_come_back_when_the_live_one_was_rejected(office: Office) -> None:
    office.version(1, status=PENDING)
    office.changed(office.version(2))
    office.went_live(office.rollouts()[0]["name"], 2)
    office.changed(office.decide(2, REJECTED, minute=1))
    assert "of version 1 started" in office.changed(office.decide(1, APPROVED, minute=2))
    assert office.rolled_out() == [2, 1]


def test_a_rejection_that_is_withdrawn_counts_no_more(office: Office) -> None:
    office.version(1, status=PENDING)
    office.changed(office.version(2, status=REJECTED))
    office.changed(office.decide(2, PENDING, minute=1))
    assert "version 2 is newer" in office.changed(office.decide(1, APPROVED, minute=2))
    assert office.decisions(2) == [("rejected", ALICE), ("set back", ALICE)]


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_a_version_that_was_taken_back_may_be_approved_again(office: Office, *, told: bool) -> None:
    # Given a version was approved, rolled out and taken back, and the event of its setting back came or was lost
    arn = office.version(1)
    office.changed(arn)
    first = office.rollouts()[0]["name"]
    office.taken_back(first, 1)
    if told:
        assert office.changed(arn).startswith(f"version 1 is {PENDING}")
    assert office.ended(first, "FAILED") == "no approved version waits for a rollout"
    # When it is approved again, and that told twice
    office.decide(1, APPROVED, minute=5)
    said = [office.changed(arn) for _ in range(2)]
    # Then a second rollout runs
    second = office.rollouts()[1]["name"]
    assert said[0] == f"rollout {second} of version 1 started"
    assert "is under way" in said[1]
    assert office.rolled_out() == [1, 1]
    approved = [("approved", ALICE), ("approved", ALICE)]
    assert office.decisions(1) == (approved[:1] + [("set back", MACHINE)] * told + approved[1:])


def test_an_edit_of_a_live_version_changes_nothing(office: Office) -> None:
    # Given version 1 is live
    arn = office.version(1)
    office.changed(arn)
    office.went_live(office.rollouts()[0]["name"], 1)
    before = office.world.records()
    # When someone who may not approve edits its metadata
    edited = replace(office.registry.packages[arn], changed=NOW + timedelta(days=90), changed_by="arn:someone")
    office.registry.packages[arn] = edited
    said = office.changed(arn, NOW + timedelta(days=90))
    # Then nothing is started, recorded or set back
    assert said == "no approved version waits for a rollout"
    assert office.world.records() == before
    assert office.registry.packages[arn] == edited
    assert office.rolled_out() == [1]


# A rollout whose end nobody told


@pytest.mark.parametrize("event", ["the same approval", "an edit", "another rejection"])
def test_a_lost_end_is_settled_by_the_next_event(office: Office, event: str) -> None:
    # Given a rollout whose execution was stopped before it moved traffic, and its end is lost
    arn = office.version(1)
    office.changed(arn)
    rollout = office.rollouts()[0]["name"]
    office.stopped(rollout)
    # When something else comes
    if event == "an edit":
        office.registry.packages[arn] = replace(office.registry.packages[arn], changed=NOW + timedelta(minutes=1))
    if event == "another rejection":
        arn = office.version(2, status=REJECTED)
    said = office.changed(arn)
    # Then the rollout has failed, the registry says so, and the way is free
    assert said.endswith("no approved version waits for a rollout")
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED")
    assert office.world.ledger.holder("rollout") is None
    assert office.world.ledger.live() is None
    package = office.registry.packages["arn:package/1"]
    assert (package.status, package.description) == (PENDING, record["reason"])
    # And the event of that starts nothing
    assert office.changed("arn:package/1").endswith("no approved version waits for a rollout")
    assert office.rolled_out() == [1]


def test_a_lost_end_of_a_rollout_that_had_moved_the_traffic(office: Office) -> None:
    # Given a rollout died after it moved the traffic, and its end is lost
    arn = office.version(1)
    office.changed(arn)
    rollout = office.rollouts()[0]["name"]
    office.stopped(rollout)
    office.service.serving = Serving("7", 1, sha256(FILE))
    # When the event of the approval comes again
    assert office.changed(arn) == "no approved version waits for a rollout"
    # Then it is live, as Lambda has it, and stays approved
    live = office.world.ledger.live()
    assert live is not None
    assert (live["version"], live["sha256"], live["lambda_version"]) == (1, sha256(FILE), "7")
    record = office.world.ledger.rollout(rollout)
    words = "version 1 serves all traffic, though the rollout's execution ended ABORTED"
    assert (record["outcome"], record["reason"]) == ("live", words)
    assert office.registry.packages[arn].approved


def test_what_waits_follows_a_lost_end_at_once(office: Office) -> None:
    office.changed(office.version(1))
    office.stopped(office.rollouts()[0]["name"])
    assert "of version 2 started" in office.changed(office.version(2))
    assert office.rolled_out() == [1, 2]


def test_a_late_event_of_an_end_that_was_recorded_changes_nothing(office: Office) -> None:
    office.changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.went_live(rollout, 1)
    before = office.world.records()
    assert office.ended(rollout, "FAILED") == "no approved version waits for a rollout"
    assert office.world.records() == before
    assert office.registry.packages["arn:package/1"].approved


# A process that dies


class DiedError(Exception):
    """The process is gone."""


def dying(part: Any, after: str) -> Any:
    """A part of the authorization after one of whose methods the process dies."""

    class Dying:
        def __getattr__(self, name: str) -> Any:
            def last(*arguments: Any, **named: Any) -> None:
                getattr(part, name)(*arguments, **named)
                raise DiedError(name)

            return last if name == after else getattr(part, name)

    return Dying()


def dies(office: Office, part: str, after: str) -> Authorization:
    authorization = office.authorization
    return replace(authorization, **{part: dying(getattr(authorization, part), after)})


@pytest.mark.parametrize(
    ("part", "after"),
    [
        ("registry", "describe"),
        ("ledger", "version"),
        ("ledger", "versions"),
        ("ledger", "decide"),
        ("ledger", "holder"),
        ("ledger", "open_rollout"),
        ("ledger", "rollout"),
        ("executions", "start"),
    ],
)
def test_an_approval_in_a_process_that_died(office: Office, part: str, after: str) -> None:
    # Given the process dies somewhere in an approval
    arn = office.version(1)
    with pytest.raises(DiedError):
        dies(office, part, after).changed(arn, NOW)
    # When the event comes again, twice
    for _ in range(2):
        office.changed(arn)
    # Then it is as if it had not
    assert office.rolled_out() == [1]
    assert office.world.ledger.holder("rollout") == office.rollouts()[0]["name"]
    assert office.decisions(1) == [("approved", ALICE)]
    version = office.world.ledger.version(1)
    assert version["approved"] == version["rolled_out"]


@pytest.mark.parametrize(
    ("part", "after"),
    [("ledger", "put_approval"), ("notifier", "send"), ("registry", "set_status"), ("ledger", "decide")],
)
def test_a_refusal_in_a_process_that_died(office: Office, part: str, after: str) -> None:
    arn = office.version(1, description="")
    with pytest.raises(DiedError):
        dies(office, part, after).changed(arn, NOW)
    for _ in range(2):
        office.changed(arn)
    assert office.rolled_out() == []
    assert office.decisions(1) == [("refused", ALICE)]
    assert office.registry.packages[arn].status == PENDING
    assert {notice["subject"] for notice in office.world.notices()} == {"flight-delay: approval of version 1 refused"}


@pytest.mark.parametrize(
    ("part", "after"),
    [("ledger", "put_approval"), ("notifier", "send"), ("registry", "set_status"), ("ledger", "decide")],
)
def test_a_refusal_of_what_waited_in_a_process_that_died(office: Office, part: str, after: str) -> None:
    # Given version 2 waits behind a rollout, and is overtaken by version 3
    office.changed(office.version(1))
    office.changed(office.version(2))
    office.version(3, status=PENDING)
    first = office.rollouts()[0]["name"]
    live = {"version": 1, "sha256": sha256(FILE), "lambda_version": "1"}
    office.world.ledger.end_rollout(first, "live", "serves", "t", live)
    # When the process dies while it refuses it, and the event of the rollout's end comes again
    event = ExecutionEnded.parse(execution_ended(office.world.rollout, first, "SUCCEEDED"))
    with pytest.raises(DiedError):
        dies(office, part, after).rollout_ended(event, NOW)
    office.ended(first, "SUCCEEDED")
    office.changed("arn:package/2")
    # Then it is refused, in the ledger and in the registry, and people were told
    assert office.rolled_out() == [1]
    package = office.registry.packages["arn:package/2"]
    words = "refused: version 3 is newer: approve that one, or reject it first"
    assert (package.status, package.description) == (PENDING, words)
    assert office.world.ledger.version(2)["approved"] is None
    last = office.world.ledger.approvals(2)[-1]
    assert words.removeprefix("refused: ") in (last.get("refusal") or last["reason"])
    assert {notice["subject"] for notice in office.world.notices()} == {"flight-delay: approval of version 2 refused"}


@pytest.mark.parametrize("after", ["version", "decide", "holder"])
def test_a_rejection_in_a_process_that_died(office: Office, after: str) -> None:
    office.changed(office.version(1))
    arn = office.version(2)
    office.changed(arn)
    office.decide(2, REJECTED, minute=1)
    with pytest.raises(DiedError):
        dies(office, "ledger", after).changed(arn, NOW)
    office.changed(arn)
    office.went_live(office.rollouts()[0]["name"], 1)
    assert office.rolled_out() == [1]
    assert office.decisions(2) == [("approved", ALICE), ("rejected", ALICE)]


@pytest.mark.parametrize(
    ("part", "after"),
    [
        ("ledger", "rollout"),
        ("service", "live"),
        ("registry", "describe"),
        ("registry", "set_status"),
        ("ledger", "end_rollout"),
        ("ledger", "holder"),
    ],
)
@pytest.mark.parametrize("lambda_has", [None, 1], ids=["the old", "the new"])
def test_settling_in_a_process_that_died(office: Office, part: str, after: str, lambda_has: int | None) -> None:
    # Given a rollout whose execution was stopped
    office.changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.stopped(rollout)
    office.service.serving = Serving("7", lambda_has, sha256(FILE))
    # When the process dies while it settles it (it asks the registry only where the old version serves)
    event = ExecutionEnded.parse(execution_ended(office.world.rollout, rollout, "ABORTED", "power cut"))
    if lambda_has and part == "registry":
        dies(office, part, after).rollout_ended(event, NOW)
    else:
        with pytest.raises(DiedError):
            dies(office, part, after).rollout_ended(event, NOW)
    # And the event comes again, twice
    for _ in range(2):
        office.ended(rollout, "ABORTED", "power cut")
    # Then ledger and registry say the same, once
    outcome = office.world.ledger.rollout(rollout)["outcome"]
    live = office.world.ledger.live()
    status = office.registry.packages["arn:package/1"].status
    assert (outcome, status) == (("live", APPROVED) if lambda_has else ("failed", PENDING))
    assert (live["version"] if live else None) == lambda_has
    assert office.rolled_out() == [1]


def superseding(office: Office) -> Office:
    """The same, where a second approval takes the first one's rollout back; version 0 is live."""
    office.spec = office.spec.model_copy(update={"rollout": Rollout(on_second_approval="supersede")})
    office.service.serving = Serving("1", 0, "s0")
    return office


def test_a_second_approval_supersedes_where_the_specification_says_so(office: Office) -> None:
    # Given version 1 is being rolled out
    superseding(office).changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    # When version 2 is approved, twice told
    arn = office.version(2)
    said = [office.changed(arn) for _ in range(2)]
    # Then the rollout is asked to end, once and for all
    assert said == [f"rollout {rollout} of version 1 gives way to version 2"] * 2
    assert office.world.ledger.rollout(rollout)["superseded_by"] == 2
    assert office.rolled_out() == [1]
    # And when it has ended, version 2 goes
    office.taken_back(rollout, 1)
    office.ended(rollout, "FAILED")
    assert office.rolled_out() == [1, 2]


def test_a_second_approval_waits_unless_the_specification_says_otherwise(office: Office) -> None:
    office.changed(office.version(1))
    said = office.changed(office.version(2))
    assert said.endswith("what was approved meanwhile comes after it")
    assert "superseded_by" not in office.world.ledger.rollout(office.rollouts()[0]["name"])


def test_a_rollout_beside_a_live_version_goes_by_weights(office: Office) -> None:
    office.service.serving = Serving("1", 0, "s0")
    office.changed(office.version(1))
    assert json.loads(office.rollouts()[0]["input"])["weights"] == [10, 50]


def test_the_share_that_a_dead_rollout_left_is_taken_back(office: Office) -> None:
    # Given a rollout whose execution was aborted while Lambda version 7 had a tenth of the traffic
    office.service.serving = Serving("6", 0, "s0")
    office.changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.service.serving = Serving("6", 0, "s0", shared={"7": 0.1})
    # When the event of its end comes twice
    for _ in range(2):
        office.ended(rollout, "ABORTED", "a mistake")
    # Then one more execution takes it back, and the rollout is open until that has done so
    back = office.rollouts()[1:]
    assert [item["name"] for item in back] == [f"{rollout}-back"]
    given = json.loads(back[0]["input"])
    assert (given["rollout"], given["version"], given["back"]) == (
        rollout, "7", "the rollout's execution ended ABORTED: a mistake",
    )  # fmt: skip
    assert office.world.ledger.rollout(rollout)["state"] == "open"
    # And its own end lets the next one go
    office.taken_back(rollout, 1)
    office.service.serving = Serving("6", 0, "s0")
    office.version(2)
    office.ended(f"{rollout}-back", "FAILED")
    assert office.world.ledger.rollout(rollout)["outcome"] == "rolled back"


def test_the_alarms_that_a_dead_shadow_left_are_removed(office: Office) -> None:
    # Given a rollout whose execution was stopped while Lambda version 7 answered unseen: it has alarms and no share
    office.service.serving = Serving("6", 0, "s0")
    office.changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.note_rollout(rollout, weight=0, bakes_until="t", saw="shadow: fine", lambda_version="7")
    # When the event of its end comes
    office.ended(rollout, "ABORTED", "a mistake")
    # Then one more execution goes back, which removes them
    (back,) = office.rollouts()[1:]
    assert (back["name"], json.loads(back["input"])["version"]) == (f"{rollout}-back", "7")
    assert office.world.ledger.rollout(rollout)["state"] == "open"
    # And where that dies too, the rollout is closed all the same
    office.stopped(back["name"])
    office.ended(back["name"], "ABORTED")
    record = office.world.ledger.rollout(rollout)
    assert (record["outcome"], record["reason"]) == ("failed", "the rollout's execution ended ABORTED")


def test_a_watched_version_that_has_all_traffic_is_not_taken_back(office: Office) -> None:
    # Given a rollout that died after its last step but one, with version 7 watched and by now alone
    office.service.serving = Serving("6", 0, "s0")
    office.changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.world.ledger.note_rollout(rollout, weight=50, bakes_until="t", saw="fine", lambda_version="7")
    office.service.serving = Serving("7", 1, sha256(FILE))
    # When the event of its end comes, then it is live and nothing goes back
    office.ended(rollout, "TIMED_OUT")
    assert office.world.ledger.rollout(rollout)["outcome"] == "live"
    assert len(office.rollouts()) == 1


def test_a_way_back_that_dies_too_is_recorded_as_failed(office: Office) -> None:
    # Given the way back of a dead rollout has died
    office.service.serving = Serving("6", 0, "s0", shared={"7": 0.1})
    office.changed(office.version(1))
    rollout = office.rollouts()[0]["name"]
    office.ended(rollout, "ABORTED")
    office.stopped(f"{rollout}-back")
    # When its end is told
    office.ended(f"{rollout}-back", "ABORTED")
    # Then the ledger has it as failed, and that a share is left
    record = office.world.ledger.rollout(rollout)
    assert record["outcome"] == "failed"
    assert "Lambda version 7 still has 10% of the traffic" in record["reason"]
