"""Patches of MiniStack's Step Functions: retry limits, callback tasks whose call fails, maps of a stopped execution."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import random
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions

Json = dict[str, Any]
_token: ContextVar[str] = ContextVar("penstock_task_token", default="")


def install() -> None:
    """Install the patches of this module."""
    bound_retries()
    fail_callbacks_whose_call_fails()
    stop_maps_with_their_execution()


def stop_maps_with_their_execution() -> None:
    """Start no further item of a Distributed Map whose execution was stopped; MiniStack runs all of them."""
    stepfunctions._run_sub_machine = _while_running(stepfunctions._run_sub_machine)


def _while_running(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(states: Json, start: str, data: Any, execution: Json, context: Json) -> Any:
        map_run = stepfunctions._map_runs.get(execution.get("mapRunArn")) or {}
        parent = stepfunctions._executions.get(map_run.get("executionArn")) or {"status": "RUNNING"}
        if parent["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("States.Aborted", "the execution of the map was stopped")
        return original(states, start, data, execution, context)

    return run


def bound_retries() -> None:
    """Apply a retrier's MaxDelaySeconds and JitterStrategy, which MiniStack ignores."""
    stepfunctions._find_matching_retrier = _with_delay_limits(stepfunctions._find_matching_retrier)


def _with_delay_limits(original: Callable[..., Any]) -> Callable[..., Any]:
    def find(retriers: list[Json], error: str, counts: dict[int, int]) -> Any:
        retrier, index = original(retriers, error, counts)
        if retrier is None:
            return retrier, index
        delay = retry_delay(retrier, counts.get(index, 0))
        return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1.0}, index

    return find


def retry_delay(retrier: Json, attempts: int) -> float:
    """Return the seconds before the next attempt."""
    delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** attempts
    delay = min(delay, float(retrier.get("MaxDelaySeconds", delay)))
    return random.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay  # noqa: S311


def fail_callbacks_whose_call_fails() -> None:
    """Fail a `waitForTaskToken` task whose function fails; MiniStack waits for a token that is never sent."""
    stepfunctions._invoke_with_callback = _recording_token(stepfunctions._invoke_with_callback)
    stepfunctions._call_lambda = _failing_the_task(stepfunctions._call_lambda)


def _recording_token(original: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(resource: str, data: Any, token: str, state: Json) -> Any:
        previous = _token.set(token)
        try:
            return original(resource, data, token, state)
        finally:
            _token.reset(previous)

    return invoke


def _failing_the_task(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(function: str, event: Any) -> Any:
        try:
            return original(function, event)
        except stepfunctions._ExecutionError as failure:
            waiting = stepfunctions._task_tokens.get(_token.get())
            if waiting is not None:
                waiting["error"] = {"Error": failure.error, "Cause": failure.cause}
                waiting["event"].set()
            raise

    return call
