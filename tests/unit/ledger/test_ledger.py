"""The ledger's records: written once, in transactions, and read as they were written."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.ledger.ledger import (
    PART_LIMIT,
    TRY_LIMIT,
    UPLOAD_LIMIT,
    Ledger,
    NoRecordError,
    Run,
    StaleError,
    Upload,
    timestamp,
)
from tests.support.world import NOW, TABLE, World

AT = timestamp(NOW)


@pytest.fixture
def ledger(world: World) -> Ledger:
    return world.ledger


def upload(name: str, at: str = AT, version: str = "v1") -> Upload:
    return Upload(f"raw/flight-delay/{name}", version, "etag", 12, at)


def open_run(ledger: Ledger, name: str = "run1", *uploads: Upload) -> Run:
    run = Run(name, "upload", "a test", uploads or tuple(ledger.waiting()), AT)
    assert ledger.open_run(run)
    return run


def test_a_moment_is_written_in_utc_to_the_millisecond() -> None:
    assert AT == "2026-03-04T05:06:07.890+00:00"
    elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))
    assert timestamp(elsewhere) == AT


def test_the_same_upload_five_times_is_one(ledger: Ledger) -> None:
    # Given one version of one object
    # When it is recorded five times
    results = [ledger.record_upload(upload("a.csv")) for _ in range(5)]
    # Then only the first is recorded
    assert results == [True, False, False, False, False]
    assert ledger.waiting() == [upload("a.csv")]
    assert len(ledger.uploads()) == 1


def test_another_version_of_the_object_is_another_upload(ledger: Ledger) -> None:
    assert ledger.record_upload(upload("a.csv"))
    assert ledger.record_upload(upload("a.csv", version="v2"))
    assert len(ledger.waiting()) == 2


def test_a_repeated_event_of_an_upload_that_a_run_took_changes_nothing(ledger: Ledger) -> None:
    ledger.record_upload(upload("a.csv"))
    open_run(ledger)
    assert not ledger.record_upload(upload("a.csv"))
    assert ledger.waiting() == []


def test_uploads_wait_in_the_order_they_came(ledger: Ledger) -> None:
    for name, at in (("b.csv", "2026-01-02"), ("c.csv", "2026-01-01"), ("a.csv", "2026-01-02")):
        ledger.record_upload(upload(name, at))
    assert [item.key.rpartition("/")[2] for item in ledger.waiting()] == ["c.csv", "a.csv", "b.csv"]


def test_opening_a_run_takes_its_uploads(ledger: Ledger) -> None:
    # Given two uploads wait
    for name in ("a.csv", "b.csv"):
        ledger.record_upload(upload(name))
    # When a run is opened for them
    run = open_run(ledger)
    # Then they are its own, and it is the one under way
    assert ledger.waiting() == []
    assert ledger.holder("run") == "run1"
    record = ledger.run("run1")
    assert ledger.uploads_of(record) == list(run.uploads)
    assert (record["state"], record["cause"], record["steps"]) == ("open", "a test", {})
    assert {item["state"] for item in ledger.uploads()} == {"taken"}


def test_a_second_run_is_refused_while_one_is_open(ledger: Ledger) -> None:
    ledger.record_upload(upload("a.csv"))
    open_run(ledger)
    ledger.record_upload(upload("b.csv"))
    # When another is opened, it is refused as a whole
    assert not ledger.open_run(Run("run2", "upload", "x", tuple(ledger.waiting()), AT))
    assert ledger.waiting() == [upload("b.csv")]
    with pytest.raises(NoRecordError, match="the ledger has no run 'run2' of flight-delay"):
        ledger.run("run2")


def test_a_run_is_opened_with_all_its_uploads_or_not_at_all(ledger: Ledger) -> None:
    # Given one upload that waits and one that does not
    ledger.record_upload(upload("a.csv"))
    # When a run is opened for both
    assert not ledger.open_run(Run("run1", "upload", "x", (upload("a.csv"), upload("gone.csv")), AT))
    # Then nothing is written
    assert ledger.holder("run") is None
    assert ledger.waiting() == [upload("a.csv")]
    assert ledger.runs() == []


def test_a_run_of_the_most_uploads_opens_and_ends(ledger: Ledger) -> None:
    for number in range(UPLOAD_LIMIT):
        ledger.record_upload(upload(f"{number:03}.csv"))
    open_run(ledger)
    assert ledger.end_run("run1", "failed", "x", AT)
    assert len(ledger.waiting()) == UPLOAD_LIMIT


def test_a_run_ends_once(ledger: Ledger) -> None:
    ledger.record_upload(upload("a.csv"))
    open_run(ledger)
    results = [ledger.end_run("run1", outcome, f"it {outcome}", AT) for outcome in ("registered", "failed", "failed")]
    assert results == [True, False, False]
    record = ledger.run("run1")
    assert (record["state"], record["outcome"], record["reason"], record["ended"]) == (
        "ended",
        "registered",
        "it registered",
        AT,
    )
    assert ledger.holder("run") is None


def test_uploads_that_a_run_did_not_settle_wait_again(ledger: Ledger) -> None:
    # Given a run that settled one of its three uploads in the dataset, one in quarantine, and failed before the third
    uploads = [upload(name) for name in ("a.csv", "b.csv", "c.csv")]
    for item in uploads:
        ledger.record_upload(item)
    open_run(ledger)
    ledger.settle_upload(uploads[0], "dataset", run="run1", dataset="d1")
    ledger.settle_upload(uploads[1], "quarantined", run="run1", dataset=None)
    # When it ends
    ledger.end_run("run1", "failed", "out of memory", AT)
    # Then the third waits with one try more, and does not ask for a run by itself
    assert ledger.waiting() == [replace(uploads[2], tries=1)]
    assert not ledger.waiting()[0].asks_for_run
    states = {item["key"].rpartition("/")[2]: item["state"] for item in ledger.uploads()}
    assert states == {"a.csv": "dataset", "b.csv": "quarantined", "c.csv": "waiting"}


def test_an_upload_that_five_runs_failed_on_is_given_up(ledger: Ledger) -> None:
    # Given an upload that four runs have failed on
    ledger.record_upload(upload("a.csv"))
    for number in range(1, TRY_LIMIT):
        open_run(ledger, f"run{number}")
        ledger.end_run(f"run{number}", "failed", "out of memory", AT)
        assert [item.tries for item in ledger.waiting()] == [number]
    # When the fifth fails too
    open_run(ledger, "run5")
    ledger.end_run("run5", "failed", "out of memory", AT)
    # Then it is in quarantine, with the reason
    assert ledger.waiting() == []
    record = ledger.uploads()[0]
    assert (record["state"], record["run"]) == ("quarantined", "run5")
    assert record["refusal"] == "5 runs ended before they dealt with it, the last one so: out of memory"


def test_a_run_that_was_given_up_settles_nothing_and_makes_no_dataset(ledger: Ledger) -> None:
    # Given a run that was ended while its function went on
    ledger.record_upload(upload("a.csv"))
    open_run(ledger)
    ledger.put_dataset("d1", run="run1", rows=1)
    ledger.end_run("run1", "failed", "stopped", AT)
    open_run(ledger, "run2")
    # Then what it writes now is refused
    with pytest.raises(StaleError, match=r"a\.csv no longer belongs to run run1"):
        ledger.settle_upload(upload("a.csv"), "dataset", run="run1", dataset="d2")
    with pytest.raises(StaleError, match="run run1 was given up meanwhile"):
        ledger.put_dataset("d2", run="run1", rows=2)
    assert ledger.current_dataset() == "d1"
    assert ledger.uploads()[0]["state"] == "taken"


def test_a_repeated_trigger_opens_one_run(ledger: Ledger) -> None:
    assert ledger.open_run(Run("run1", "operator", "x", (), AT, occasion="request 1"))
    ledger.end_run("run1", "skipped", "x", AT)
    assert not ledger.open_run(Run("run2", "operator", "x", (), AT, occasion="request 1"))
    assert ledger.holder("run") is None


def test_a_version_that_is_not_the_newest_is_recorded_beside_it(ledger: Ledger) -> None:
    ledger.put_dataset("d2", at="t2", rows=1)
    ledger.put_dataset("d1", at="t1", rows=1, current=False)
    assert ledger.current_dataset() == "d2"
    assert [item["version"] for item in ledger.datasets()] == ["d2", "d1"]


def test_a_record_lists_parts_up_to_the_limit(ledger: Ledger) -> None:
    ledger.put_dataset("d1", parts=[{"sha256": str(number)} for number in range(PART_LIMIT + 2)])
    record = ledger.dataset("d1")
    assert (len(record["parts"]), record["part_count"]) == (PART_LIMIT, PART_LIMIT + 2)
    assert record["parts"][-1] == {"sha256": str(PART_LIMIT + 1)}


def test_an_upload_from_before_there_were_sequencers_is_read(ledger: Ledger) -> None:
    ledger.record_upload(upload("a.csv"))
    for sk in ("upload#", "waiting#"):
        item = f"{sk}{upload('a.csv').name}"
        ledger._client.update_item(TableName=TABLE, Key=ledger._key(item), UpdateExpression="REMOVE sequencer")
    assert ledger.waiting() == [upload("a.csv")]


def test_a_transaction_that_conflicts_with_another_is_retried(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a table on which another transaction is under way, twice
    real, requests = ledger._client.transact_write_items, []

    def conflict(**request: Any) -> Any:
        requests.append(request)
        if len(requests) < 3:
            reasons: Any = {"CancellationReasons": [{"Code": "TransactionConflict"}], "Error": {"Code": "x"}}
            raise ClientError(reasons, "TransactWriteItems")
        return real(**request)

    monkeypatch.setattr(ledger._client, "transact_write_items", conflict)
    # Then the upload is recorded all the same
    assert ledger.record_upload(upload("a.csv"))
    assert len(requests) == 3


def test_captured_rows_start_no_run_by_themselves(ledger: Ledger) -> None:
    assert upload("a.csv").asks_for_run
    assert not Upload("labelled/flight-delay/d.parquet", "v", "e", 1, AT).asks_for_run


def test_runs_are_listed_newest_first(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        assert ledger.open_run(Run(f"run{number}", "operator", "x", (), f"2026-01-0{number}"))
        ledger.end_run(f"run{number}", "skipped", "x", AT)
    assert [run["id"] for run in ledger.runs()] == ["run3", "run2", "run1"]


def test_a_repeated_step_overwrites_its_result(ledger: Ledger) -> None:
    open_run(ledger)
    ledger.note_step("run1", "validate", "t1", rows=3)
    ledger.note_step("run1", "gates", "t1", number=0.1 + 0.2, small=1e-17, passed=True, none=None, inner={"a": [1.5]})
    ledger.note_step("run1", "validate", "t2", rows=4)
    steps = ledger.run("run1")["steps"]
    assert steps["validate"] == {"at": "t2", "rows": 4}
    assert steps["gates"] == {
        "at": "t1", "number": 0.1 + 0.2, "small": 1e-17, "passed": True, "none": None, "inner": {"a": [1.5]},
    }  # fmt: skip


def test_dataset_versions_and_the_current_one(ledger: Ledger) -> None:
    assert ledger.current_dataset() is None
    ledger.put_dataset("d1", rows=10, parts=[{"sha256": "p", "uploads": ["u"]}])
    ledger.put_dataset("d2", rows=20, parts=[])
    assert ledger.current_dataset() == "d2"
    assert ledger.dataset("d1")["parts"] == [{"sha256": "p", "uploads": ["u"]}]
    with pytest.raises(NoRecordError, match="dataset 'd3'"):
        ledger.dataset("d3")


def test_the_run_that_trained_is_found_by_data_and_code(ledger: Ledger) -> None:
    ledger.note_trained("d1", "c1", "run1")
    assert [ledger.find_trained(*pair) for pair in (("d1", "c1"), ("d1", "c2"), ("d2", "c1"))] == ["run1", None, None]


def test_a_version_is_registered_once(ledger: Ledger) -> None:
    assert ledger.put_version(10, run="run1", metrics={"roc_auc": 0.9})
    assert not ledger.put_version(10, run="run2")
    assert ledger.put_version(9, run="run0")
    ledger.decide(10, AT, approved=True, decision="approved")
    assert [(v["version"], v["run"], v.get("approved")) for v in ledger.versions()] == [
        (10, "run1", AT),
        (9, "run0", None),
    ]
    with pytest.raises(NoRecordError, match="version 11 of flight-delay"):
        ledger.version(11)


def test_decisions_on_a_version_stand_in_their_order(ledger: Ledger) -> None:
    assert ledger.put_approval(1, "2026-02-02", decision="approved", by="b")
    assert ledger.put_approval(1, "2026-02-01", decision="refused", by="a")
    assert not ledger.put_approval(1, "2026-02-02", decision="approved", by="b")
    assert ledger.put_approval(11, "2026-02-02", decision="approved", by="c")
    assert [(d["decision"], d["by"]) for d in ledger.approvals(1)] == [("refused", "a"), ("approved", "b")]


def test_a_decision_and_what_follows_from_it_are_written_together(ledger: Ledger) -> None:
    # Given a version that is approved, with the event coming twice, and then rejected
    ledger.put_version(1, run="run1")
    for _ in range(2):
        ledger.decide(1, "2026-02-01", approved=True, decision="approved", by="a", reason="good")
    approved = ledger.version(1)
    ledger.decide(1, "2026-02-02", approved=False, decision="rejected", by="b", reason="bad")
    # Then each is recorded once, and the version has the last
    assert (approved["approved"], approved["decision"]) == ("2026-02-01", "approved")
    rejected = ledger.version(1)
    assert (rejected["approved"], rejected["decision"], rejected["run"]) == (None, "rejected", "run1")
    assert [(d["decision"], d["by"], d["reason"]) for d in ledger.approvals(1)] == [
        ("approved", "a", "good"),
        ("rejected", "b", "bad"),
    ]


def test_a_rollout_needs_its_approval_as_it_was(ledger: Ledger) -> None:
    # Given a version that was approved
    ledger.put_version(1, run="run1")
    ledger.decide(1, "2026-02-01", approved=True, decision="approved")
    # When a rollout is opened for another approval than that
    assert not ledger.open_rollout("o1", 1, AT, approved="2026-01-01")
    # Then nothing is written
    assert ledger.holder("rollout") is None
    assert ledger.rollouts() == []
    assert "rolled_out" not in ledger.version(1)
    # And for its own it is, and the version has that
    assert ledger.open_rollout("o1", 1, AT, approved="2026-02-01")
    assert ledger.version(1)["rolled_out"] == "2026-02-01"
    assert ledger.holder("rollout") == "o1"


def test_an_approval_that_was_withdrawn_opens_no_rollout(ledger: Ledger) -> None:
    ledger.put_version(1, run="run1")
    ledger.decide(1, "2026-02-01", approved=True, decision="approved")
    ledger.decide(1, "2026-02-02", approved=False, decision="rejected")
    assert not ledger.open_rollout("o1", 1, AT, approved="2026-02-01")
    assert ledger.rollouts() == []


def test_a_version_is_not_marked_while_another_is_rolled_out(ledger: Ledger) -> None:
    ledger.put_version(2, run="run2")
    ledger.decide(2, "2026-02-01", approved=True, decision="approved")
    assert ledger.open_rollout("o1", 1, AT)
    assert not ledger.open_rollout("o2", 2, AT, approved="2026-02-01")
    assert "rolled_out" not in ledger.version(2)


def test_an_upload_names_the_run_that_took_it(ledger: Ledger) -> None:
    key = "raw/flight-delay/a.csv"
    assert ledger.upload(key, "v1") is None
    ledger.record_upload(upload("a.csv"))
    before = ledger.upload(key, "v1")
    assert before is not None
    assert (before["state"], "run" in before) == ("waiting", False)
    open_run(ledger)
    after = ledger.upload(key, "v1")
    assert after is not None
    assert (after["state"], after["run"]) == ("taken", "run1")
    assert ledger.upload(key, "v2") is None


def test_one_rollout_at_a_time_and_each_once(ledger: Ledger) -> None:
    # Given a rollout under way
    assert ledger.open_rollout("o1", 1, AT, sha256="s1")
    # Then no other opens
    assert not ledger.open_rollout("o2", 2, AT)
    assert ledger.holder("rollout") == "o1"
    # When it ends live
    live = {"version": 1, "sha256": "s1", "lambda_version": "4"}
    assert ledger.end_rollout("o1", "live", "serves", AT, live)
    # Then it is what serves, it cannot end or open again, and another opens
    assert not ledger.end_rollout("o1", "failed", "late", AT, None)
    assert not ledger.open_rollout("o1", 1, AT)
    assert ledger.live() == live | {"rollout": "o1", "since": AT}
    assert ledger.open_rollout("o2", 2, AT)


def test_a_rollout_that_was_taken_back_leaves_what_was_live(ledger: Ledger) -> None:
    ledger.open_rollout("o1", 1, AT)
    ledger.end_rollout("o1", "live", "serves", AT, {"version": 1, "sha256": "s1", "lambda_version": "4"})
    ledger.open_rollout("o2", 2, AT)
    assert ledger.end_rollout("o2", "rolled back", "alarm", AT, None)
    live = ledger.live()
    assert live is not None
    assert live["version"] == 1
    assert [item["outcome"] for item in ledger.rollouts() if item["id"] == "o2"] == ["rolled back"]
    assert ledger.holder("rollout") is None


def test_locks_of_run_and_rollout_are_apart(ledger: Ledger) -> None:
    open_run(ledger)
    assert ledger.holder("rollout") is None
    assert ledger.open_rollout("o1", 1, AT)
    assert ledger.holder("run") == "run1"


def test_looks_of_the_monitor_newest_first(ledger: Ledger) -> None:
    for number in range(5):
        ledger.put_drift(f"2026-01-0{number + 1}", psi=number / 7, columns=[{"psi": 0.0}])
    looks = ledger.drifts(2)
    assert [(look["at"], look["psi"]) for look in looks] == [("2026-01-05", 4 / 7), ("2026-01-04", 3 / 7)]


def test_models_share_a_table_and_nothing_else(ledger: Ledger) -> None:
    other = Ledger(TABLE, "another")
    ledger.record_upload(upload("a.csv"))
    open_run(ledger)
    assert (other.waiting(), other.runs(), other.holder("run"), other.live()) == ([], [], None, None)
    assert other.open_run(Run("run1", "operator", "x", (), timestamp(datetime.now(UTC))))
