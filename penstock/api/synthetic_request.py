"""Synthetic requests: golden examples of a smoke test, and captured rows sent to a shadow version.

They have the form of API Gateway's events, with an additional mark. They are not captured, and the feature store does
not complete them: a value that is absent was missing when the row was scored first.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Mark = Literal["smoke_test", "shadow"]
MARKS: tuple[Mark, ...] = ("smoke_test", "shadow")


def event(mark: Mark, request: str, instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Build a marked request for predictions, in the form of the HTTPS API's events.

    Args:
        mark: the kind of synthetic request.
        request: the request's id.
        instances: its rows.
    """
    return {
        mark: True,
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "requestId": request},
        "body": json.dumps({"instances": instances}),
        "isBase64Encoded": False,
    }


def is_synthetic(event: Mapping[str, Any]) -> bool:
    """Return whether an event is a synthetic request."""
    return any(event.get(mark) for mark in MARKS)
