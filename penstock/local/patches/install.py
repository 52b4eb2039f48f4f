"""Patches of MiniStack 1.5.33: what the loop needs and it lacks, installed before the server runs.

A module for each service. Each patch has a test in `tests/local/cloud/test_patches.py` that runs MiniStack without the
patch, and that fails once MiniStack has the missing part. Then the patch and its test are removed.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from typing import Any

from ministack.core.responses import request_scope
from ministack.services import stepfunctions

from penstock.local.host.cloud import ACCOUNT, REGION
from penstock.local.patches import (
    cloudwatch,
    firehose,
    iam,
    lambda_functions,
    lambda_metrics,
    lambda_worker,
    s3,
    step_functions,
    step_functions_lambda,
    step_functions_roles,
)

Json = dict[str, Any]
INTERRUPTED_CAUSE = "the laptop cloud was stopped while this execution ran"
_IN_ORDER = (
    step_functions_roles,
    step_functions,
    step_functions_lambda,
    lambda_functions,
    lambda_worker,
    lambda_metrics,
    cloudwatch,
    firehose,
    s3,
    iam,
)
"""Order of the patches: of two that wrap the same function, the earlier one is the inner one."""


def install() -> None:
    """Install every patch."""
    for module in _IN_ORDER:
        module.install()


def start() -> None:
    """Start the background threads of the patches."""
    cloudwatch.start()
    firehose.buffers.start()


def stop() -> None:
    """Deliver buffered records, before the state is saved."""
    firehose.buffers.flush()


def end_interrupted_executions() -> list[Json]:
    """Give executions that ended with the cloud a cause that a person understands, and return them.

    MiniStack marks them FAILED when it loads them, but adds no entry to their history and publishes no event.
    """
    executions = []
    for execution in stepfunctions._executions.all_values():
        if execution.get("error") == "States.ServiceRestart" and not _has_ended(execution):
            execution["cause"] = INTERRUPTED_CAUSE
            details = {"error": execution["error"], "cause": INTERRUPTED_CAUSE}
            stepfunctions._add_event(execution, "ExecutionFailed", {"executionFailedEventDetails": details})
            executions.append(execution)
    return executions


def publish_ended_executions(executions: list[Json]) -> None:
    """Publish the status change of executions that `end_interrupted_executions` ended."""
    for execution in executions:
        with request_scope(ACCOUNT, REGION):
            stepfunctions._emit_execution_status_event(execution)


def _has_ended(execution: Json) -> bool:
    return any(event.get("type") == "ExecutionFailed" for event in execution.get("events", []))
