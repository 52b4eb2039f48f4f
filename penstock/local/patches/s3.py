"""Patch of MiniStack's S3: add the object's version, which its EventBridge events lack.

A run is named by the content of its uploads; without the version, two uploads to one key look the same.
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
    """Install the patches of this module."""
    s3._fire_s3_event = _recording_version(s3._fire_s3_event)
    eventbridge._dispatch_event = _adding_version(eventbridge._dispatch_event)


def _recording_version(original: Callable[..., None]) -> Callable[..., None]:
    def fire(*arguments: Any, **options: Any) -> None:
        token = _version.set(options.get("version_id") or "")
        try:
            original(*arguments, **options)
        finally:
            _version.reset(token)

    return fire


def _adding_version(original: Callable[..., Any]) -> Callable[..., Any]:
    def dispatch(event: Json, *rest: Any) -> Any:
        return original(with_version(event, _version.get()), *rest)

    return dispatch


def with_version(event: Json, version: str) -> Json:
    """Return an S3 event with the object's version added; return other events, or without a version, unchanged."""
    if event.get("Source") != "aws.s3" or not version:
        return event
    detail = json.loads(event["Detail"])
    return {**event, "Detail": json.dumps({**detail, "object": {**detail["object"], "version-id": version}})}
