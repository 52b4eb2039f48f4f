"""Mends of MiniStack's Lambda: weighted aliases, errors by name, logs by invocation, retries, and metrics."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import logging
import queue
import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import cloudwatch, eventbridge, lambda_svc

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_END_OF_LOG = "\x1e"
_LAST_LINE_WAIT = 0.25
_start_seconds: ContextVar[float] = ContextVar("penstock_lambda_start", default=0.0)
_failure: ContextVar[Json | None] = ContextVar("penstock_lambda_failure", default=None)


def install() -> None:
    """Install the mends of this module."""
    route_weighted_aliases()
    publish_only_what_was_seen()
    end_logs_where_the_invocation_ends()
    name_the_exception()
    retry_functions_that_events_invoke()
    publish_metrics_of_every_invocation()
    read_embedded_metrics()


# Weighted aliases


def route_weighted_aliases() -> None:
    """Send an alias's calls to its two versions by weight; MiniStack sends all of them to the first."""
    lambda_svc._get_func_record_for_ref = _routed_reference(lambda_svc._get_func_record_for_ref)
    lambda_svc._invoke = _routed_invoke(lambda_svc._invoke)


def chosen_version(function: Json | None, qualifier: str | None) -> str | None:
    """Draw the version for one call of an alias; None where the qualifier is no alias with weights."""
    alias = (function or {}).get("aliases", {}).get(qualifier)
    weights = ((alias or {}).get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    if not weights:
        return None
    draw = random.random()  # noqa: S311 - traffic, not a secret
    for version, weight in weights.items():
        if draw < weight:
            return str(version)
        draw -= weight
    return str(alias["FunctionVersion"]) if alias else None


def _routed_reference(original: Callable[..., Any]) -> Callable[..., Any]:
    """Resolve a reference by weight, and keep the qualifier that was called for context and metrics."""

    def find(reference: str) -> Any:
        name, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
        version = chosen_version(lambda_svc._functions.get(name), qualifier)
        record, config, found = original(f"{name}:{version}" if version else reference)
        if config is not None and qualifier:
            config = {**config, "FunctionArn": f"{lambda_svc._func_arn(name)}:{qualifier}"}
        return record, config, found

    return find


def _routed_invoke(original: Callable[..., Any]) -> Callable[..., Any]:
    async def invoke(name: str, event: Any, headers: Json, path_qualifier: Any = None, query_params: Any = None) -> Any:
        asked = path_qualifier or ((query_params or {}).get("Qualifier") or [None])[0]
        version = chosen_version(lambda_svc._functions.get(name), asked)
        return await original(name, event, headers, version or path_qualifier, query_params)

    return invoke


# Versions


def publish_only_what_was_seen() -> None:
    """Refuse to publish when RevisionId or CodeSha256 is not the function's; MiniStack does not look at them."""
    lambda_svc._publish_version = _guarded(lambda_svc._publish_version)


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def publish(name: str, request: Json) -> Any:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})
        refused = lambda_svc._check_revision(config, request) if config else None
        if refused is None and request.get("CodeSha256") not in (None, "", config.get("CodeSha256")):
            message = "CodeSHA256 is different from current CodeSHA256 in $LATEST."
            refused = lambda_svc.error_response_json("InvalidParameterValueException", message, 400)
        return refused or original(name, request)

    return publish


# The worker's protocol


def end_logs_where_the_invocation_ends() -> None:
    """Have the worker mark the end of an invocation's log.

    MiniStack waits 50 ms for a first line after each invocation, because it cannot know whether one will come. With a
    mark there is nothing to wait for, and no line is ever taken for the next invocation's.
    """
    _change_worker(
        "            result = handler_fn(event, context)\n",
        "            try:\n"
        "                result = handler_fn(event, context)\n"
        "            finally:\n"
        "                sys.__stderr__.write(chr(30) + chr(10))\n"
        "                sys.__stderr__.flush()\n",
    )
    lambda_runtime.Worker._drain_stderr_bounded = _until_mark(lambda_runtime.Worker._drain_stderr_bounded)


def _until_mark(original: Callable[..., str]) -> Callable[..., str]:
    def drain(worker: Any, *arguments: Any, **named: Any) -> str:
        if not str(worker.config.get("Runtime", "")).startswith("python"):
            return original(worker, *arguments, **named)
        lines: list[str] = []
        deadline = time.monotonic() + _LAST_LINE_WAIT
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = worker._stderr_queue.get(timeout=left)
            except queue.Empty:
                break
            if line == _END_OF_LOG:
                break
            lines.append(line)
        return "\n".join(lines)

    return drain


def name_the_exception() -> None:
    """Report an exception by its class, as AWS does; a state machine's Retry and Catch name it so."""
    _change_worker(
        '{"status": "error", "error": str(e), "trace": traceback.format_exc()}',
        '{"status": "error", "error": str(e), "type": type(e).__name__, "trace": traceback.format_exc()}',
    )
    lambda_runtime.Worker.invoke = _noting_failure(lambda_runtime.Worker.invoke)
    lambda_svc._execute_function_warm = _naming_failure(lambda_svc._execute_function_warm)


def _noting_failure(original: Callable[..., Json]) -> Callable[..., Json]:
    def invoke(worker: Any, *arguments: Any, **named: Any) -> Json:
        result = original(worker, *arguments, **named)
        _failure.set(result if result.get("status") == "error" else None)
        return result

    return invoke


def _naming_failure(original: Callable[..., Json]) -> Callable[..., Json]:
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
        raise RuntimeError(f"MiniStack's Lambda worker has changed: {old!r} is not in it. See lambda_mends.py.")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(old, new)


# Asynchronous invocations


def retry_functions_that_events_invoke() -> None:
    """Give functions that EventBridge invokes their retries and their failure destination.

    MiniStack invokes them once and forgets a failure, though it does it right for S3 and for `Event` invocations.
    """
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda


def _dispatch_to_lambda(arn: str, payload: str) -> None:
    try:
        event = json.loads(payload)
    except (ValueError, TypeError):
        event = {"body": payload}
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        _log.warning("EventBridge cannot invoke %s: there is no such function", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), event)


# Metrics


def publish_metrics_of_every_invocation() -> None:
    """Publish `AWS/Lambda` metrics for every invocation, by function, by alias and by version.

    MiniStack publishes them for direct invocations only, and by function only; a canary's alarm watches an alias's
    version behind an API. Starting a process is no part of the duration, as Lambda's initialisation is none.
    """
    lambda_runtime.Worker._spawn = _timing_the_start(lambda_runtime.Worker._spawn)
    lambda_svc._execute_function_dispatch = _metered(lambda_svc._execute_function_dispatch)
    lambda_svc._emit_lambda_metrics = _throttles_only(lambda_svc._emit_lambda_metrics)


def _metered(original: Callable[..., Json]) -> Callable[..., Json]:
    def execute(function: Json, config: Json, event: Any, request_id: str, started: float) -> Json:
        _start_seconds.set(0.0)
        result = original(function, config, event, request_id, started)
        seconds = max(0.0, time.time() - started - _start_seconds.get())
        _publish(config, seconds * 1000, failed=bool(result.get("error")))
        return result

    return execute


def _timing_the_start(original: Callable[..., Any]) -> Callable[..., Any]:
    def spawn(worker: Any, *arguments: Any, **named: Any) -> Any:
        started = time.time()
        try:
            return original(worker, *arguments, **named)
        finally:
            _start_seconds.set(_start_seconds.get() + time.time() - started)

    return spawn


def _publish(config: Json, milliseconds: float, *, failed: bool) -> None:
    name, version = config.get("FunctionName", ""), str(config.get("Version", "$LATEST"))
    qualifier = str(config.get("FunctionArn", "")).partition(f":function:{name}:")[2]
    sets = [{"FunctionName": name}]
    if qualifier:
        resource = {"FunctionName": name, "Resource": f"{name}:{qualifier}"}
        sets += [resource, {**resource, "ExecutedVersion": version}]
    values = (("Invocations", 1, "Count"), ("Errors", int(failed), "Count"), ("Duration", milliseconds, "Milliseconds"))
    for dimensions in sets:
        for metric, value, unit in values:
            cloudwatch.record_metric("AWS/Lambda", metric, value, unit, dimensions)


def _throttles_only(original: Callable[..., None]) -> Callable[..., None]:
    def emit(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        if throttle:
            original(function_name, duration_ms, error, throttle)

    return emit


def read_embedded_metrics() -> None:
    """Turn the embedded metric format in a function's log into metrics, as CloudWatch does."""
    lambda_svc._emit_lambda_logs = _reading_metrics(lambda_svc._emit_lambda_logs)


def _reading_metrics(original: Callable[..., None]) -> Callable[..., None]:
    def emit(function: Json, request_id: str, text: str, *rest: Any, **named: Any) -> None:
        original(function, request_id, text, *rest, **named)
        for line in text.splitlines():
            if '"_aws"' in line:
                _store_embedded(line)

    return emit


def _store_embedded(line: str) -> None:
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
        moment = document["_aws"].get("Timestamp", time.time() * 1000) / 1000
    except (ValueError, KeyError, TypeError):
        return  # a line that only mentions the format
    for namespace, metric, value in embedded_metrics(document, directives):
        cloudwatch._put_metric_data(
            {}, {"Namespace": namespace, "MetricData": [{**metric, **value, "Timestamp": moment}]}, False, is_json=True
        )


def embedded_metrics(document: Json, directives: list[Json]) -> list[tuple[str, Json, Json]]:
    """Return namespace, metric and value of each metric in a document of the embedded metric format."""
    found = []
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = [{"Name": name, "Value": str(document[name])} for name in names if name in document]
            for metric in directive.get("Metrics", []):
                value = document.get(metric["Name"])
                if value is not None:
                    shown = {"MetricName": metric["Name"], "Unit": metric.get("Unit", "None"), "Dimensions": dimensions}
                    given = {"Values": value} if isinstance(value, list) else {"Value": value}
                    found.append((directive["Namespace"], shown, given))
    return found
