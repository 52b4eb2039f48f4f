"""SageMaker's events on EventBridge's default bus, with the details that AWS documents for them.

A separate thread delivers them in order: a rule's target may call SageMaker, which could not answer while the request
that publishes the event holds the store's lock.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import logging
import queue
import re
import threading
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge

from penstock.local.sagemaker.core.caller import account_scope
from penstock.local.sagemaker.protocol.api_model import output_shape, project

_log = logging.getLogger(__name__)

_outbox: queue.SimpleQueue[dict[str, Any] | threading.Event] = queue.SimpleQueue()
_DETAIL_TYPES = {
    "Training": "SageMaker Training Job State Change",
    "Processing": "SageMaker Processing Job State Change",
    "HyperParameterTuning": "SageMaker HyperParameter Tuning Job State Change",
}


def job_changed(kind: str, record: dict[str, Any], tags: dict[str, str]) -> None:
    """Publish that a job's state changed; times are epoch milliseconds."""
    described = project(record, output_shape(f"Describe{kind}Job"))
    detail = {**epoch_milliseconds(described), "Tags": tags}
    _publish(_DETAIL_TYPES[kind], record[f"{kind}JobArn"], detail)


def package_changed(record: dict[str, Any]) -> None:
    """Publish "SageMaker Model Package State Change"; times are ISO 8601."""
    described = project(record, output_shape("DescribeModelPackage"))
    for name in ("CreationTime", "LastModifiedTime"):
        if name in described:
            described[name] = datetime.fromtimestamp(described[name], UTC).isoformat(timespec="seconds")
    described.setdefault("CertifyForMarketplace", False)
    _publish("SageMaker Model Package State Change", record["ModelPackageArn"], described)


def endpoint_changed(record: dict[str, Any], tags: dict[str, str]) -> None:
    """Publish "SageMaker Endpoint State Change"; only here AWS writes the status as `IN_SERVICE`."""
    described = epoch_milliseconds(project(record, output_shape("DescribeEndpoint")))
    described["EndpointStatus"] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record["EndpointStatus"]).upper()
    _publish("SageMaker Endpoint State Change", record["EndpointArn"], {**described, "Tags": tags})


def epoch_milliseconds(value: Any, name: str = "") -> Any:
    """Convert the times in a description to epoch milliseconds, as in events and Step Functions."""
    if isinstance(value, dict):
        return {key: epoch_milliseconds(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [epoch_milliseconds(item) for item in value]
    if name.endswith(("Time", "Timestamp")) and isinstance(value, float):
        return int(value * 1000)
    return value


def _publish(detail_type: str, resource: str, detail: dict[str, Any]) -> None:
    entry = {
        "Source": "aws.sagemaker",
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": [resource],
    }
    _outbox.put(entry)


def start() -> None:
    """Start the thread that delivers."""
    threading.Thread(target=_deliver, name="sagemaker-events", daemon=True).start()


def drain(seconds: float) -> None:
    """Wait until the published events are delivered, at most for some seconds."""
    delivered = threading.Event()
    _outbox.put(delivered)
    delivered.wait(seconds)


def _deliver() -> None:
    while True:
        entry = _outbox.get()
        if isinstance(entry, threading.Event):
            entry.set()
            continue
        try:
            with account_scope():
                eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
        except Exception:
            _log.exception("The event %s could not be delivered", entry["DetailType"])
