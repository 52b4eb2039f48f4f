"""Requests that a rollout makes of a version, and no caller: golden examples, and captured rows for a shadow.

They come as API Gateway's do, with a mark that its events have not. What answers them is not captured, and completes
nothing: they are whole rows, and what they lack was missing when they were scored.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Mark = Literal["smoke_test", "shadow"]
MARKS: tuple[Mark, ...] = ("smoke_test", "shadow")


def event(mark: Mark, request: str, instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A request for predictions as the HTTPS API sends it, with its mark.

    Args:
        mark: who asks.
        request: the request's id.
        instances: its rows.
    """
    return {
        mark: True,
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "requestId": request},
        "body": json.dumps({"instances": instances}),
        "isBase64Encoded": False,
    }


def unseen(event: Mapping[str, Any]) -> bool:
    """Whether it is one of these."""
    return any(event.get(mark) for mark in MARKS)
