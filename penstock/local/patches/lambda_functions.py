"""Patches of MiniStack's Lambda: weighted aliases, guarded publishing, and retries of functions that events invoke."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import logging
import random
from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge, lambda_svc

Json = dict[str, Any]
_log = logging.getLogger(__name__)


def install() -> None:
    """Install the patches of this module."""
    route_weighted_aliases()
    check_revision_before_publishing()
    retry_functions_that_events_invoke()


def route_weighted_aliases() -> None:
    """Split an alias's calls between its two versions by weight; MiniStack sends all of them to the first."""
    lambda_svc._get_func_record_for_ref = _resolving_by_weight(lambda_svc._get_func_record_for_ref)
    lambda_svc._invoke = _invoking_by_weight(lambda_svc._invoke)


def draw_version(function: Json | None, qualifier: str | None) -> str | None:
    """Draw the version for one call of an alias; None where the qualifier is not an alias with weights."""
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


def _resolving_by_weight(original: Callable[..., Any]) -> Callable[..., Any]:
    """Resolve a reference by weight, but keep the called qualifier in the ARN, for context and metrics."""

    def find(reference: str) -> Any:
        name, qualifier = lambda_svc._resolve_name_and_qualifier(reference)
        version = draw_version(lambda_svc._functions.get(name), qualifier)
        record, config, resolved_name = original(f"{name}:{version}" if version else reference)
        if config is not None and qualifier:
            config = {**config, "FunctionArn": f"{lambda_svc._func_arn(name)}:{qualifier}"}
        return record, config, resolved_name

    return find


def _invoking_by_weight(original: Callable[..., Any]) -> Callable[..., Any]:
    async def invoke(name: str, event: Any, headers: Json, path_qualifier: Any = None, query_params: Any = None) -> Any:
        qualifier = path_qualifier or ((query_params or {}).get("Qualifier") or [None])[0]
        version = draw_version(lambda_svc._functions.get(name), qualifier)
        return await original(name, event, headers, version or path_qualifier, query_params)

    return invoke


def check_revision_before_publishing() -> None:
    """Refuse to publish where RevisionId or CodeSha256 is not the function's; MiniStack ignores both."""
    lambda_svc._publish_version = _with_revision_check(lambda_svc._publish_version)


def _with_revision_check(original: Callable[..., Any]) -> Callable[..., Any]:
    def publish(name: str, request: Json) -> Any:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})
        refusal = lambda_svc._check_revision(config, request) if config else None
        if refusal is None and request.get("CodeSha256") not in (None, "", config.get("CodeSha256")):
            message = "CodeSHA256 is different from current CodeSHA256 in $LATEST."
            refusal = lambda_svc.error_response_json("InvalidParameterValueException", message, 400)
        return refusal or original(name, request)

    return publish


def retry_functions_that_events_invoke() -> None:
    """Give functions that EventBridge invokes their retries and their failure destination.

    MiniStack invokes them once and drops a failure; for S3 and for `Event` invocations it retries correctly.
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
