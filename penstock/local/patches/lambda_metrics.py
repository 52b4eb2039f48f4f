"""Patches of MiniStack's Lambda: metrics of every invocation, and metrics embedded in the log."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import cloudwatch, lambda_svc

Json = dict[str, Any]
_start_seconds: ContextVar[float] = ContextVar("penstock_lambda_start", default=0.0)


def install() -> None:
    """Install the patches of this module."""
    publish_invocation_metrics()
    publish_embedded_metrics()


def publish_invocation_metrics() -> None:
    """Publish `AWS/Lambda` metrics of every invocation, by function, by alias and by version.

    MiniStack publishes them by function only, and for direct invocations only; a canary's alarm watches the version of
    an alias behind an API. The duration leaves out the start of a process, as Lambda's leaves out initialisation.
    """
    lambda_runtime.Worker._spawn = _timing_start(lambda_runtime.Worker._spawn)
    lambda_svc._execute_function_dispatch = _publishing_metrics(lambda_svc._execute_function_dispatch)
    lambda_svc._emit_lambda_metrics = _throttles_only(lambda_svc._emit_lambda_metrics)


def _publishing_metrics(original: Callable[..., Json]) -> Callable[..., Json]:
    def execute(function: Json, config: Json, event: Any, request_id: str, started: float) -> Json:
        _start_seconds.set(0.0)
        result = original(function, config, event, request_id, started)
        seconds = max(0.0, time.time() - started - _start_seconds.get())
        _publish(config, seconds * 1000, failed=bool(result.get("error")))
        return result

    return execute


def _timing_start(original: Callable[..., Any]) -> Callable[..., Any]:
    def spawn(worker: Any, *arguments: Any, **options: Any) -> Any:
        begin = time.time()
        try:
            return original(worker, *arguments, **options)
        finally:
            _start_seconds.set(_start_seconds.get() + time.time() - begin)

    return spawn


def _publish(config: Json, milliseconds: float, *, failed: bool) -> None:
    name, version = config.get("FunctionName", ""), str(config.get("Version", "$LATEST"))
    qualifier = str(config.get("FunctionArn", "")).partition(f":function:{name}:")[2]
    dimension_sets = [{"FunctionName": name}]
    if qualifier:
        resource = {"FunctionName": name, "Resource": f"{name}:{qualifier}"}
        dimension_sets += [resource, {**resource, "ExecutedVersion": version}]
    values = (("Invocations", 1, "Count"), ("Errors", int(failed), "Count"), ("Duration", milliseconds, "Milliseconds"))
    for dimensions in dimension_sets:
        for metric, value, unit in values:
            cloudwatch.record_metric("AWS/Lambda", metric, value, unit, dimensions)


def _throttles_only(original: Callable[..., None]) -> Callable[..., None]:
    def emit(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        if throttle:
            original(function_name, duration_ms, error, throttle)

    return emit


def publish_embedded_metrics() -> None:
    """Publish metrics from the embedded metric format in a function's log, as CloudWatch does."""
    lambda_svc._emit_lambda_logs = _publishing_embedded(lambda_svc._emit_lambda_logs)


def _publishing_embedded(original: Callable[..., None]) -> Callable[..., None]:
    def emit(function: Json, request_id: str, text: str, *rest: Any, **options: Any) -> None:
        original(function, request_id, text, *rest, **options)
        for line in text.splitlines():
            if '"_aws"' in line:
                _publish_line(line)

    return emit


def _publish_line(line: str) -> None:
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
        moment = document["_aws"].get("Timestamp", time.time() * 1000) / 1000
    except (ValueError, KeyError, TypeError):
        return  # not a document of the format
    for namespace, metric, value in embedded_metrics(document, directives):
        cloudwatch._put_metric_data(
            {}, {"Namespace": namespace, "MetricData": [{**metric, **value, "Timestamp": moment}]}, False, is_json=True
        )


def embedded_metrics(document: Json, directives: list[Json]) -> list[tuple[str, Json, Json]]:
    """Return namespace, metric and value of each metric in a document of the embedded metric format."""
    metrics = []
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = [{"Name": name, "Value": str(document[name])} for name in names if name in document]
            for metric in directive.get("Metrics", []):
                value = document.get(metric["Name"])
                if value is not None:
                    datum = {"MetricName": metric["Name"], "Unit": metric.get("Unit", "None"), "Dimensions": dimensions}
                    values = {"Values": value} if isinstance(value, list) else {"Value": value}
                    metrics.append((directive["Namespace"], datum, values))
    return metrics
