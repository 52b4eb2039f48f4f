"""The approval policy: how many must approve, who may not, and what policy `auto` approves."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from infra.stages import DEV, LOCAL, PROD, StageError, may_approve_itself
from penstock.aws.model_registry import APPROVED, PENDING, REJECTED
from penstock.aws.notifier import FIRST_METRICS, summarize_metrics
from penstock.aws.s3_store import UPLOADER
from penstock.release.approval import AUTO, UNKNOWN, earlier_approvers, judge, principal
from penstock.release.decisions import TooEarlyError
from penstock.spec.model import METRICS, Approval, ModelSpec
from tests.support.office import ALICE, FILE, MACHINE, FakeRegistry, FakeService, Office
from tests.support.world import BUCKET, NOW, World, client

BOB = "arn:aws:iam::123456789012:user/bob"
SSO = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Approver_0123/"


@pytest.fixture
def office(world: World, spec: ModelSpec) -> Office:
    return Office(world, FakeRegistry(), spec, FakeService())


def set_policy(office: Office, **policy: Any) -> None:
    office.spec = office.spec.model_copy(update={"approval": Approval(**policy)})


def approve_by(office: Office, who: str, minute: int, number: int = 1) -> str:
    arn = office.decide(number, APPROVED, minute)
    office.registry.packages[arn] = replace(office.registry.packages[arn], changed_by=who)
    return office.handle(arn, NOW + timedelta(minutes=minute))


def record_run(office: Office, *, by: str = "", pusher: str | None = None, trigger: str = "operator") -> None:
    """Record the run that made every version of this office, with its operator and the uploader of its data."""
    key = f"raw/{office.world.lake.model}/rows.csv"
    about = {} if pusher is None else {UPLOADER: pusher}
    version = client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"rows", Metadata=about)["VersionId"]
    uploads = [{"key": key, "version_id": version}]
    run: dict[str, Any] = {
        "id": "run1",
        "trigger": trigger,
        "uploads": uploads,
        "by": by,
        "opened": "t",
        "state": "ended",
    }
    office.world.ledger._table.put_item(Item={"pk": office.world.lake.model, "sk": "run#run1"} | run)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (BOB, BOB, True),
        (ALICE, ALICE.replace("/alice", "/somebody"), True),
        (f"{SSO}anna@example.org", f"{SSO}bob@example.org", False),
        (f"{SSO}anna@example.org", f"{SSO}anna@example.org", True),
        (ALICE, BOB, False),
    ],
    ids=["user", "sessions of a role", "single sign-on", "one of single sign-on", "role and user"],
)
def test_the_principal_of_an_arn(one: str, other: str, *, same: bool) -> None:
    assert (principal(one) == principal(other)) is same


def test_two_must_approve(office: Office) -> None:
    # Given a policy of two
    set_policy(office, approvers=2)
    office.version(1, status=PENDING)
    # When one approves, and the event comes twice
    sentence = approve_by(office, ALICE, 1)
    again = office.handle("arn:package/1", NOW + timedelta(minutes=2))
    # Then the version waits again, the registry says for what, and nothing is rolled out
    words = f"1 of 2 approvals, by {principal(ALICE)}"
    assert sentence == f"version 1 has {words}"
    assert again == "no approved version waits for a rollout"
    package = office.registry.packages["arn:package/1"]
    assert (package.status, package.description) == (PENDING, words)
    assert office.rollouts() == []
    assert [notice["subject"] for notice in office.world.notices()] == [
        f"flight-delay: approval of version 1 {words}"[:100]
    ]
    # And when another does, it is
    assert "of version 1 started" in approve_by(office, BOB, 3)
    assert office.decisions(1) == [("counted", ALICE), ("approved", BOB)]


def test_one_cannot_approve_twice(office: Office) -> None:
    set_policy(office, approvers=2)
    office.version(1, status=PENDING)
    approve_by(office, ALICE, 1)
    for minute in range(2, 22):
        sentence = approve_by(office, ALICE.replace("/alice", f"/alice{minute}"), minute)
        assert "has approved already, and model.yaml asks for different people" in sentence
    assert office.rollouts() == []
    # And the first approval still counts
    assert "of version 1 started" in approve_by(office, BOB, 30)


def test_a_rejection_restarts_the_count(office: Office) -> None:
    set_policy(office, approvers=2)
    office.version(1, status=PENDING)
    approve_by(office, ALICE, 1)
    office.handle(office.decide(1, REJECTED, 2))
    assert approve_by(office, BOB, 3) == f"version 1 has 1 of 2 approvals, by {BOB}"


def test_a_count_is_completed_after_a_process_died(office: Office) -> None:
    set_policy(office, approvers=2)
    arn = office.version(1, status=PENDING)
    office.decide(1, APPROVED, 1)
    at = "2026-03-04T05:07:07.890+00:00"
    assert office.world.ledger.put_approval(1, at, decision="counted", by=ALICE)
    assert office.handle(arn) == f"version 1 has 1 of 2 approvals, by {principal(ALICE)}"
    assert office.decisions(1) == [("counted", ALICE)]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"by": ALICE, "pusher": BOB}, "started the run, and approval.four_eyes"),
        ({"by": BOB, "pusher": ALICE.replace("/alice", "/x")}, "started the run, and approval.four_eyes"),
        ({"by": BOB, "pusher": BOB}, "of version 1 started"),
        ({"by": BOB, "pusher": None}, "1 of 2 approvals"),
        ({"by": "", "pusher": BOB}, "1 of 2 approvals"),
        ({"trigger": "alarm", "pusher": BOB}, "of version 1 started"),
        ({"trigger": "upload", "pusher": ALICE}, "started the run, and approval.four_eyes"),
    ],
)
def test_four_eyes_bars_the_initiators_of_the_run(office: Office, run: dict[str, Any], words: str) -> None:
    # Given a run that an operator started, with data that somebody pushed
    set_policy(office, four_eyes=True)
    record_run(office, **run)
    office.version(1, status=PENDING)
    # When Alice approves, then not her own run, and an unknown initiator requires a second approval
    assert words in approve_by(office, ALICE, 1)


def test_earlier_approvals_count_since_the_last_decision() -> None:
    entries = [
        ("counted", "a"),
        ("approved", "b"),
        ("counted", "c"),
        ("refused", "d"),
        ("counted", "e"),
        ("counted", "f"),
    ]
    decisions = [{"at": str(at), "decision": decision, "by": by} for at, (decision, by) in enumerate(entries)]
    assert earlier_approvers(decisions, "5") == ["c", "e"]
    assert earlier_approvers(decisions, "2") == []
    assert judge(Approval(approvers=3), "f", ["c", "e"], []).is_enough
    assert not judge(Approval(four_eyes=True), "f", [], [UNKNOWN]).is_enough


# Policy auto


def change_by_machine(office: Office, arn: str) -> str:
    return replace(office.authorization, machine=MACHINE).handle_change(arn, NOW)


def test_policy_auto_approves_what_a_run_registered(office: Office) -> None:
    # Given policy `auto`, and nobody else may approve
    set_policy(office, policy="auto", who=[])
    arn = office.version(1, status=PENDING, run="run1")
    # When the events of its registration and its approval come
    sentences = [change_by_machine(office, arn) for _ in range(3)]
    # Then it is rolled out once, and the record has no person as its author
    assert sentences[0] == "version 1 is approved by policy auto"
    assert office.registry.packages[arn].description == "policy auto: the gates passed"
    assert "of version 1 started" in sentences[1]
    assert office.decisions(1) == [("approved", AUTO)]
    assert office.rolled_out() == [1]


@pytest.mark.parametrize("decision", [REJECTED, PENDING])
def test_policy_auto_leaves_a_version_that_a_person_decided_about(office: Office, decision: str) -> None:
    set_policy(office, policy="auto")
    arn = office.version(1, status=REJECTED, run="run1")
    change_by_machine(office, arn)
    office.decide(1, decision, 1)
    change_by_machine(office, arn)
    change_by_machine(office, arn)
    assert office.rollouts() == []


def test_policy_auto_waits_for_the_runs_record_and_leaves_a_version_without_a_run(office: Office) -> None:
    set_policy(office, policy="auto")
    arn = office.version(1, status=PENDING, run="run1")
    client("dynamodb").delete_item(
        TableName=office.world.ledger._name, Key={"pk": {"S": office.world.lake.model}, "sk": {"S": "version#000001"}}
    )
    with pytest.raises(TooEarlyError, match="version 1 is not in the ledger yet"):
        change_by_machine(office, arn)
    office.registry.packages[arn] = replace(office.registry.packages[arn], run="")
    assert change_by_machine(office, arn) == "no approved version waits for a rollout"


def test_the_machines_approval_counts_only_under_policy_auto(office: Office) -> None:
    set_policy(office, who=["*:user/*"])
    arn = office.version(1, changed_by=MACHINE)
    assert "is not among approval.who" in change_by_machine(office, arn)


def test_prod_refuses_policy_auto(spec: ModelSpec) -> None:
    auto = spec.model_copy(update={"approval": Approval(policy="auto")})
    assert [may_approve_itself(stage, auto) for stage in (LOCAL, DEV)] == [True, True]
    assert not may_approve_itself(PROD, spec)
    with pytest.raises(StageError, match=r"model\.yaml: approval\.policy: auto is not for stage prod.*say person"):
        may_approve_itself(PROD, auto)


# Notices


def test_the_notice_of_a_refusal_has_three_metrics_and_the_command(office: Office) -> None:
    set_policy(office, who=["nobody"])
    arn = office.version(1)
    metrics = json.loads('{"brier": 0.1, "log_loss": 0.25, "pr_auc": 0.7, "roc_auc": 0.9}')
    office.world.ledger._update("version#000001", {"metrics": metrics})
    office.handle(arn)
    (notice,) = office.world.notices()
    assert "roc_auc 0.9000, pr_auc 0.7000, log_loss 0.2500\n" in notice["text"]
    assert "penstock why flight-delay --version 1 --stage dev" in notice["text"]


def test_the_first_metrics_are_those_of_the_specification() -> None:
    assert (*METRICS["binary"][:3], *METRICS["regression"][:3]) == FIRST_METRICS
    assert summarize_metrics({"recall": 0.5, "name": "x"}) == "recall 0.5000"


def test_a_swapped_file_is_named_with_both_digests(office: Office) -> None:
    from penstock.aws.s3_store import sha256

    arn = office.version(1)
    key = office.world.lake.model_file(sha256(FILE), "model.onnx")
    office.world.store.write(key, b"another")
    sentence = office.handle(arn)
    assert all(word in sentence for word in (key, sha256(FILE), sha256(b"another")))
