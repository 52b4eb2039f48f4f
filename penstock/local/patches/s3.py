"""A mend of MiniStack's S3: its events on EventBridge lack the version of the object.

A run is named by what was uploaded; without the version, two uploads to one key could not be told apart.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import eventbridge, s3

Json = dict[str, Any]
_version: ContextVar[str] = ContextVar("penstock_object_version", default="")


def install() -> None:
    """Install the mend."""
    s3._fire_s3_event = _noting_version(s3._fire_s3_event)
    eventbridge._dispatch_event = _adding_version(eventbridge._dispatch_event)


def _noting_version(original: Callable[..., None]) -> Callable[..., None]:
    def fire(*arguments: Any, **named: Any) -> None:
        noted = _version.set(named.get("version_id") or "")
        try:
            original(*arguments, **named)
        finally:
            _version.reset(noted)

    return fire


def _adding_version(original: Callable[..., Any]) -> Callable[..., Any]:
    def dispatch(event: Json, *rest: Any) -> Any:
        return original(with_version(event, _version.get()), *rest)

    return dispatch


def with_version(event: Json, version: str) -> Json:
    """Return an S3 event with the object's version; any other event, and one without a version, as it is."""
    if event.get("Source") != "aws.s3" or not version:
        return event
    detail = json.loads(event["Detail"])
    return {**event, "Detail": json.dumps({**detail, "object": {**detail["object"], "version-id": version}})}
