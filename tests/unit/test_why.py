"""Why is this version live? The chain, out of a ledger that has it."""

import pytest

from penstock.ledger import Ledger, NoRecordError, Run, Upload
from penstock.why import why
from tests.unit.world import World


@pytest.fixture
def ledger(world: World) -> Ledger:
    """One version, from its upload to its rollout, and a later one that waits."""
    ledger = world.ledger
    upload = Upload("raw/flight-delay/a.csv", "v1", "e", 1, "t0")
    ledger.record_upload(upload)
    ledger.open_run(Run("run1", "upload", "upload of a.csv", (upload,), "t1"))
    part = {"sha256": "p1", "rows": 10, "size": 5, "uploads": ["s3://b/raw/flight-delay/a.csv?versionId=v1"]}
    ledger.put_dataset("d1", rows=10, parts=[part], contract="c1")
    ledger.note_step("run1", "gates", "t2", verdicts=[{"passed": True, "sentence": "roc_auc 0.9 ≥ 0.8"}])
    about = {"run": "run1", "dataset": "d1", "sha256": "s1", "code": "code", "metrics": {"roc_auc": 0.9}}
    for version in (1, 2):
        ledger.put_version(version, **about)
    ledger.end_run("run1", "registered", "version 1", "t3")
    ledger.put_approval(1, "t4", decision="approved", by="arn:someone", reason="better")
    ledger.open_rollout("o1", 1, "t5")
    ledger.end_rollout("o1", "live", "serves", "t6", {"version": 1, "sha256": "s1", "lambda_version": "4"})
    return ledger


def test_the_chain_of_the_live_version(ledger: Ledger) -> None:
    found = why(ledger)
    assert (found["version"], found["live"], found["sha256"]) == (1, True, "s1")
    assert found["rollouts"] == [{"id": "o1", "outcome": "live", "reason": "serves", "opened": "t5", "ended": "t6"}]
    assert [(item["by"], item["reason"]) for item in found["approvals"]] == [("arn:someone", "better")]
    assert found["gates"] == [{"passed": True, "sentence": "roc_auc 0.9 ≥ 0.8"}]
    assert (found["run"]["id"], found["run"]["cause"], found["run"]["code"]) == ("run1", "upload of a.csv", "code")
    assert found["dataset"]["uploads"] == [
        {"upload": "s3://b/raw/flight-delay/a.csv?versionId=v1", "part": "p1", "rows": 10}
    ]


def test_the_chain_of_another_version(ledger: Ledger) -> None:
    found = why(ledger, 2)
    assert (found["version"], found["live"], found["approvals"], found["rollouts"]) == (2, False, [], [])


def test_a_version_that_is_not_there(ledger: Ledger) -> None:
    with pytest.raises(NoRecordError, match="version 3 of flight-delay"):
        why(ledger, 3)


def test_nothing_is_live(world: World) -> None:
    with pytest.raises(NoRecordError, match="live version of flight-delay: approve one first"):
        why(world.ledger)
