"""A deployment that changed the predict function, as CloudFormation tells of it: a custom resource's event.

CloudFormation is answered before anything is rolled out: a deployment is none the worse for a rollout that cannot
start. What fails after that, Lambda tries again and keeps with the other failed events. When the stack is deleted it is
answered after its endpoints are: what is left of them would bill by the hour, and nobody would know of it.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

import json
import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

SECONDS = 10
GONE = "Delete"
_MOST_WORDS = 1000
"""An answer has 4,096 bytes."""


def told(event: Mapping[str, Any]) -> bool:
    """Whether an event is CloudFormation's."""
    return "ResponseURL" in event and "RequestType" in event


def gone(event: Mapping[str, Any]) -> bool:
    """Whether the stack is being deleted."""
    return bool(event["RequestType"] == GONE)


def acknowledge(event: Mapping[str, Any], failure: str = "") -> None:
    """Answer CloudFormation: all is well, or what is not."""
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "FAILED" if failure else "SUCCESS", "PhysicalResourceId": event["LogicalResourceId"]}
    answer |= {"Reason": failure[:_MOST_WORDS]} if failure else {}
    body = json.dumps(answer).encode()
    # The address is signed for a request without a content type.
    request = Request(event["ResponseURL"], body, {"content-type": ""}, method="PUT")  # noqa: S310
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
    with urlopen(request, timeout=SECONDS, context=context):  # noqa: S310 - CloudFormation's own address
        return
