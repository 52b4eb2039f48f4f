"""A deployment that changed the predict function, as CloudFormation tells of it: a custom resource's event.

CloudFormation is answered before anything is done: a deployment is none the worse for a rollout that cannot start. What
fails after that, Lambda tries again and keeps with the other failed events.

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


def told(event: Mapping[str, Any]) -> bool:
    """Whether an event is CloudFormation's."""
    return "ResponseURL" in event and "RequestType" in event


def acknowledge(event: Mapping[str, Any]) -> bool:
    """Answer CloudFormation; whether there may be new code."""
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": event["LogicalResourceId"]}
    body = json.dumps(answer).encode()
    # The address is signed for a request without a content type.
    request = Request(event["ResponseURL"], body, {"content-type": ""}, method="PUT")  # noqa: S310
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
    with urlopen(request, timeout=SECONDS, context=context):  # noqa: S310 - CloudFormation's own address
        return bool(event["RequestType"] != GONE)
