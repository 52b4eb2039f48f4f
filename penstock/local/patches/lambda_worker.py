"""Patches of MiniStack's Lambda worker process: mark the end of each log, and report the class of an exception."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import queue
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

Json = dict[str, Any]
_END_OF_LOG = "\x1e"
_LAST_LINE_WAIT = 0.25
_failure: ContextVar[Json | None] = ContextVar("penstock_lambda_failure", default=None)


def install() -> None:
    """Install the patches of this module."""
    mark_end_of_log()
    report_exception_class()


def mark_end_of_log() -> None:
    """Make the worker mark the end of an invocation's log.

    After each invocation MiniStack waits 50 ms for a first line, as it cannot know whether one will follow. With a mark
    it need not wait, and no line is attributed to the next invocation.
    """
    _change_worker(
        "            result = handler_fn(event, context)\n",
        "            try:\n"
        "                result = handler_fn(event, context)\n"
        "            finally:\n"
        "                sys.__stderr__.write(chr(30) + chr(10))\n"
        "                sys.__stderr__.flush()\n",
    )
    lambda_runtime.Worker._drain_stderr_bounded = _reading_until_mark(lambda_runtime.Worker._drain_stderr_bounded)


def _reading_until_mark(original: Callable[..., str]) -> Callable[..., str]:
    def drain(worker: Any, *arguments: Any, **options: Any) -> str:
        if not str(worker.config.get("Runtime", "")).startswith("python"):
            return original(worker, *arguments, **options)
        lines: list[str] = []
        deadline = time.monotonic() + _LAST_LINE_WAIT
        while (seconds_left := deadline - time.monotonic()) > 0:
            try:
                line = worker._stderr_queue.get(timeout=seconds_left)
            except queue.Empty:
                break
            if line == _END_OF_LOG:
                break
            lines.append(line)
        return "\n".join(lines)

    return drain


def report_exception_class() -> None:
    """Report an exception's class as AWS does; Retry and Catch of a state machine match it."""
    _change_worker(
        '{"status": "error", "error": str(e), "trace": traceback.format_exc()}',
        '{"status": "error", "error": str(e), "type": type(e).__name__, "trace": traceback.format_exc()}',
    )
    lambda_runtime.Worker.invoke = _recording_failure(lambda_runtime.Worker.invoke)
    lambda_svc._execute_function_warm = _adding_exception_class(lambda_svc._execute_function_warm)


def _recording_failure(original: Callable[..., Json]) -> Callable[..., Json]:
    def invoke(worker: Any, *arguments: Any, **options: Any) -> Json:
        result = original(worker, *arguments, **options)
        _failure.set(result if result.get("status") == "error" else None)
        return result

    return invoke


def _adding_exception_class(original: Callable[..., Json]) -> Callable[..., Json]:
    def execute(function: Json, event: Any, request_id: str) -> Json:
        _failure.set(None)
        result = original(function, event, request_id)
        failure = _failure.get()
        if failure and "type" in failure and isinstance(result.get("body"), dict):
            trace = str(failure.get("trace", "")).splitlines()
            result["body"].update(errorType=failure["type"], requestId=request_id, stackTrace=trace)
        return result

    return execute


def _change_worker(old: str, new: str) -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    if old not in script:
        raise RuntimeError(f"MiniStack's Lambda worker has changed: {old!r} is not in it. See {Path(__file__).name}.")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(old, new)
