"""A batch's life: work that is reused, rollouts meanwhile, stops and redrives, endings."""

import json

from penstock.aws.s3_store import Version
from tests.support import tiny
from tests.support.batch_steps import Steps, as_csv, go_live, predictions, rows
from tests.support.world import execution_ended, object_created


def test_the_same_file_again_is_skipped_with_a_reason(steps: Steps) -> None:
    # Given a batch that has run
    first = steps.score("a.csv", as_csv(rows(6)))
    assert steps.scored == [0, 1]
    # When the same file is uploaded again under its name
    again = steps.score("a.csv", as_csv(rows(6)))
    # Then nothing is scored, and the reason names the earlier batch
    assert again["outcome"] == "skipped"
    assert again["reason"] == (
        f"the same file was scored by version 3 as batch {first['id']}, its scores are in "
        f"{steps.lake.uri(steps.lake.batch_output('a.csv'))}"
    )
    # And under another name it gets an output of the same scores
    other = steps.score("b.csv", as_csv(rows(6)))
    assert other["outcome"] == "scored"
    assert other["reason"] == "6 of 6 rows scored by version 3, 2 of 2 parts by an earlier batch"
    assert steps.scored == [0, 1]
    assert steps.output("b.csv") == steps.output("a.csv")


def test_another_version_scores_the_file_again(steps: Steps) -> None:
    first = steps.score("a.csv", as_csv(rows(6)))
    go_live(steps.world, tiny.build(0.9), 4)
    second = steps.score("a.csv", as_csv(rows(6)))
    assert (second["outcome"], second["found"]) == ("scored", 0)
    assert first["work"] != second["work"]
    assert {row["version"] for row in steps.output("a.csv")} == {"4"}


def test_a_rollout_during_a_batch_changes_nothing(steps: Steps, tiny_onnx: bytes) -> None:
    # Given a batch that has begun
    batch = steps.upload("a.csv", as_csv(rows(6)))
    # When another version goes live, and the event of the upload is repeated
    go_live(steps.world, tiny.build(0.9), 4)
    item = steps.ledger.batch(batch)
    event = object_created(item["key"], item["size"], "e", item["version_id"])
    assert steps.functions["start_batch"].handler(event, None)["said"].endswith("is under way")
    record = steps.run(batch)
    # Then it is scored by the version that was live when it was opened
    assert record["live"]["version"] == 3
    assert {row["version"] for row in steps.output("a.csv")} == {"3"}
    assert len(steps.ledger.batches()) == 1
    expected = [item["score"] for item in predictions(tiny_onnx, rows(6))]
    assert [float(row["score"]) for row in steps.output("a.csv")] == expected


def test_a_stopped_batch_is_continued(steps: Steps) -> None:
    # Given a batch of five parts that is stopped at the fourth
    steps.stop_at = 3
    batch = steps.upload("a.csv", as_csv(rows(20)))
    steps.run(batch)
    assert steps.scored == [0, 1, 2]
    stopped = execution_ended(steps.world.batch, batch, "ABORTED", "by hand")
    steps.functions["start_batch"].handler(stopped, None)
    record = steps.ledger.batch(batch)
    assert (record["outcome"], record["state"]) == ("failed", "ended")
    assert record["reason"] == (
        "the execution ended ABORTED: by hand; push the file again: what was scored by then is kept"
    )
    # When the file is uploaded again
    steps.stop_at = None
    again = steps.score("a.csv", as_csv(rows(20)))
    # Then only the missing parts are scored
    assert steps.scored == [0, 1, 2, 3, 4]
    assert again["reason"] == "20 of 20 rows scored by version 3, 3 of 5 parts by an earlier batch"
    assert len(steps.output("a.csv")) == 20


def test_expired_work_is_repeated(steps: Steps) -> None:
    # Given a batch whose parts have expired, and whose plan, written a moment later, has not
    first = steps.score("a.csv", as_csv(rows(6)))
    expired = [key for key in steps.world.keys(steps.lake.batch_work(first["work"])) if not key.endswith("plan.json")]
    steps.world.store.delete_versions([(version.key, version.version_id) for version in _of(steps, expired)])
    # When the same file is uploaded under another name
    again = steps.score("b.csv", as_csv(rows(6)))
    # Then it is split and scored again, with the same output
    assert again["reason"] == "6 of 6 rows scored by version 3"
    assert steps.scored == [0, 1, 0, 1]
    assert steps.output("b.csv") == steps.output("a.csv")


def _of(steps: Steps, keys: list[str]) -> list[Version]:
    return [version for version, _ in steps.world.store.all_versions("batch-work/") if version.key in keys]


def test_a_redriven_batch_is_scored(steps: Steps) -> None:
    # Given a batch that was stopped, and is recorded as failed
    steps.stop_at = 3
    batch = steps.upload("a.csv", as_csv(rows(20)))
    steps.run(batch)
    steps.functions["start_batch"].handler(execution_ended(steps.world.batch, batch, "ABORTED"), None)
    # When its execution is redriven
    steps.stop_at = None
    record = steps.run(batch)
    # Then it is scored, and a late event changes nothing
    assert (record["outcome"], record["scored"]) == ("scored", 20)
    steps.functions["start_batch"].handler(execution_ended(steps.world.batch, batch, "ABORTED"), None)
    assert steps.ledger.batch(batch)["outcome"] == "scored"


def test_a_failed_step_ends_the_batch_with_its_error(steps: Steps) -> None:
    batch = steps.upload("a.csv", as_csv(rows(1)))
    error = {"Error": "x", "Cause": json.dumps({"errorMessage": "out of memory"})}
    steps.functions["end_batch"].handler({"batch": batch, "outcome": "failed", "step": "scoring", "error": error}, None)
    assert steps.ledger.batch(batch)["reason"] == (
        "scoring failed: out of memory; push the file again: what was scored by then is kept"
    )
    (notice,) = steps.world.notices()
    assert notice["subject"].endswith("batch a.csv failed")
    # A repeated step sends no second notice
    steps.functions["end_batch"].handler({"batch": batch, "outcome": "failed", "step": "scoring", "error": error}, None)
    assert steps.world.notices() == []


def test_marker_objects_and_unknown_executions_open_no_batch(steps: Steps) -> None:
    start = steps.functions["start_batch"]
    for name in ("", "_SUCCESS", "folder/", "_temporary/a.csv"):
        event = object_created(f"batch/flight-delay/input/{name}", 1, "e", "v")
        assert start.handler(event, None)["said"].endswith("holds no rows")
    assert start.handler(execution_ended(steps.world.batch, "unknown", "FAILED"), None)["said"].endswith("no batch")
    assert steps.ledger.batches() == []
