"""A custom resource by which CloudFormation reports that a deployment changed the predict function.

It gets its response before anything is rolled out: a deployment is none the worse for a rollout that cannot start. What
fails after that, Lambda tries again and keeps with the other failed events. When the stack is deleted the response
follows the deletion of its endpoints: any that are left would bill by the hour, and nobody would know of them.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

import json
import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

SECONDS = 10
DELETE = "Delete"
_REASON_LIMIT = 1000
"""Characters; a response has 4,096 bytes."""


def is_request(event: Mapping[str, Any]) -> bool:
    """Tell whether an event is CloudFormation's."""
    return "ResponseURL" in event and "RequestType" in event


def is_deletion(event: Mapping[str, Any]) -> bool:
    """Tell whether the stack is being deleted."""
    return bool(event["RequestType"] == DELETE)


def respond(event: Mapping[str, Any], failure: str = "") -> None:
    """Send CloudFormation its response: success, or what failed."""
    response = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    response |= {"Status": "FAILED" if failure else "SUCCESS", "PhysicalResourceId": event["LogicalResourceId"]}
    response |= {"Reason": failure[:_REASON_LIMIT]} if failure else {}
    body = json.dumps(response).encode()
    # The address is signed for a request without a content type.
    request = Request(event["ResponseURL"], body, {"content-type": ""}, method="PUT")  # noqa: S310
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
    with urlopen(request, timeout=SECONDS, context=context):  # noqa: S310 - CloudFormation's own address
        return
