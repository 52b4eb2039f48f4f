"""A batch whose process is killed at any call: uploaded again, it ends like an undisturbed one."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from penstock.aws.s3_store import sha256
from penstock.batch.names import batch_id
from penstock.lake import Lake
from penstock.ledger.ledger import Ledger
from tests.support.batch_steps import NAMES, as_csv, rows
from tests.support.crashing_cloud import Cloud, CrashError
from tests.support.tiny import GOOD
from tests.support.world import BUCKET, MODEL, World, execution_ended, object_created

LAKE = Lake(BUCKET, MODEL)
KEY = LAKE.batch_input("a.csv")
FILE = as_csv([*rows(9), GOOD | {"amount": "poison"}])
RESULTS = (LAKE.batch_output("a.csv"), LAKE.batch_errors("a.csv"))


@pytest.fixture
def functions(world: World) -> dict[str, ModuleType]:
    """Import the handlers as a cold start does; ten rows are three parts."""
    return {name: world.load(name, **({"part_rows": "4"} if name == "plan_batch" else {})) for name in NAMES}


def connect(functions: dict[str, Any], cloud: Cloud, data: bytes) -> Ledger:
    """Let the functions use this cloud, where the tiny model is live."""
    ledger, store, digest = cloud.ledger(), cloud.store(), sha256(data)
    cloud.objects[LAKE.model_file(digest, "model.onnx")] = [("m1", data)]
    cloud.items["live"] = {"sk": "live", "version": 3, "sha256": digest, "lambda_version": "1"}
    cloud.items["version#000003"] = {"sk": "version#000003", "version": 3, "model_version_id": "m1"}
    functions["start_batch"].opening = replace(functions["start_batch"].opening, ledger=ledger)
    functions["start_batch"].opening.executions._client = cloud.steps()
    functions["end_batch"].ending = replace(functions["end_batch"].ending, ledger=ledger, notifier=cloud.notifier())
    functions["plan_batch"].planner = replace(functions["plan_batch"].planner, store=store, ledger=ledger)
    functions["join_batch"].joiner = replace(functions["join_batch"].joiner, store=store, ledger=ledger)
    functions["score_part"].store = store
    functions["score_part"]._model.cache_clear()
    return ledger


def push(functions: dict[str, Any], cloud: Cloud, version: str) -> None:
    """Upload the file under a version id; if the process is killed, report that its execution was aborted."""
    cloud.objects.setdefault(KEY, []).append((version, FILE))
    batch = batch_id(MODEL, KEY, version)
    try:
        functions["start_batch"].handler(object_created(KEY, len(FILE), "e", version), None)
        run_steps(functions, batch)
    except CrashError:
        plan, cloud.plan = cloud.plan, {}
        functions["start_batch"].handler(execution_ended("m", batch, "ABORTED", "the process was killed"), None)
        cloud.plan = plan


def run_steps(functions: dict[str, Any], batch: str) -> None:
    plan = functions["plan_batch"].handler({"batch": batch}, None)
    ending = {name: plan[name] for name in ("outcome", "reason")}
    for item in plan["items"]:
        functions["score_part"].handler(item, None)
    if plan["outcome"] in {"score", "join"}:
        ending = functions["join_batch"].handler({"batch": batch}, None)
    functions["end_batch"].handler({"batch": batch, **ending}, None)


def contents(cloud: Cloud) -> list[bytes]:
    return [cloud.objects[key][-1][1] for key in RESULTS]


def writes(cloud: Cloud, folder: str) -> dict[str, int]:
    """Return how often each object of the work's folder was written."""
    return {key: len(versions) for key, versions in cloud.objects.items() if f"/{folder}/" in key}


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_batch_killed_at_any_call_is_completed_by_a_second_upload(
    functions: dict[str, ModuleType], tiny_onnx: bytes, fault: Any
) -> None:
    # Given the result of an undisturbed batch
    undisturbed = Cloud(plan={}, picks=[], repeated=set())
    connect(functions, undisturbed, tiny_onnx)
    push(functions, undisturbed, "v1")
    expected, calls = contents(undisturbed), 0
    assert len(writes(undisturbed, "scored")) == 3
    while True:
        # When the process is killed at one call after the other, and the file is uploaded again
        calls += 1
        cloud = Cloud(plan={calls: fault}, picks=[], repeated=set())
        ledger = connect(functions, cloud, tiny_onnx)
        push(functions, cloud, "v1")
        was_killed = cloud.calls >= calls
        cloud.plan = {}
        push(functions, cloud, "v2")
        # Then output and errors are the same, no part was scored twice, and the batch is scored or skipped
        assert contents(cloud) == expected
        assert set(writes(cloud, "scored").values()) == {1}
        assert ledger.batch(batch_id(MODEL, KEY, "v2"))["outcome"] in {"scored", "skipped"}
        if not was_killed:
            break
    assert calls > 25
