"""What MiniStack 1.5.33 lacks and Penstock's loop needs, installed before the server runs.

The mends stand by service: `executions` (state machines act as their role), `step_mends`, `sdk_mends`,
`lambda_mends`, `alarm_mends`, `firehose_mends`, `storage_mends`, `iam_mends`. Each one has a test in
`tests/local/cloud/test_patches.py` that asks MiniStack without it, and that fails on the day when MiniStack has what is
mended. Then the mend and its test go.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from typing import Any

from ministack.core.responses import request_scope
from ministack.services import stepfunctions

from penstock.local.host.cloud import ACCOUNT, REGION
from penstock.local.patches import cloudwatch as alarm_mends
from penstock.local.patches import firehose as firehose_mends
from penstock.local.patches import iam as iam_mends
from penstock.local.patches import lambda_functions as lambda_mends
from penstock.local.patches import s3 as storage_mends
from penstock.local.patches import step_functions as step_mends
from penstock.local.patches import step_functions_lambda as sdk_mends
from penstock.local.patches import step_functions_roles as executions

Json = dict[str, Any]
INTERRUPTED_CAUSE = "the laptop cloud was stopped while this execution ran"


def install() -> None:
    """Install every mend."""
    executions.install()
    step_mends.install()
    sdk_mends.install()
    lambda_mends.install()
    alarm_mends.install()
    firehose_mends.install()
    storage_mends.install()
    iam_mends.install()


def start() -> None:
    """Start what mends need to run beside the server."""
    alarm_mends.start()
    firehose_mends.buffers.start()


def stop() -> None:
    """Deliver what waits, before the state is saved."""
    firehose_mends.buffers.flush()


def end_interrupted_executions() -> list[Json]:
    """Give executions that died with the cloud a cause that a person understands, and return them.

    MiniStack marks them FAILED when it loads them, with no entry in their history and no event.
    """
    ended = []
    for execution in stepfunctions._executions.all_values():
        if execution.get("error") == "States.ServiceRestart" and not _has_ending(execution):
            execution["cause"] = INTERRUPTED_CAUSE
            details = {"error": execution["error"], "cause": INTERRUPTED_CAUSE}
            stepfunctions._add_event(execution, "ExecutionFailed", {"executionFailedEventDetails": details})
            ended.append(execution)
    return ended


def announce_ended_executions(ended: list[Json]) -> None:
    """Publish the status change of executions that `end_interrupted_executions` ended."""
    for execution in ended:
        with request_scope(ACCOUNT, REGION):
            stepfunctions._emit_execution_status_event(execution)


def _has_ending(execution: Json) -> bool:
    return any(event.get("type") == "ExecutionFailed" for event in execution.get("events", []))
