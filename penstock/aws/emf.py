"""Metrics in CloudWatch's embedded metric format: log lines that CloudWatch reads, without a call.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from collections.abc import Mapping
from typing import Any

UNANSWERED = "Unanswered"
"""Metric: 1 for a request that the endpoint did not answer, else 0; by `LAMBDA_VERSION`."""
LAMBDA_VERSION = "LambdaVersion"
"""Dimension: the published version."""


def namespace(stage: str, model: str) -> str:
    """Return the CloudWatch namespace of a model's metrics."""
    return f"Penstock/{stage}/{model}"


def document(
    namespace: str, values: Mapping[str, Any], seconds: float, dimensions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Build the document of one log line.

    Args:
        namespace: of the metrics.
        values: by metric; a number, or a list of at most a hundred.
        seconds: when, since the epoch.
        dimensions: by name; unless given, none.
    """
    by = dimensions or {}
    directive = {"Namespace": namespace, "Dimensions": [list(by)], "Metrics": [{"Name": name} for name in values]}
    return {"_aws": {"Timestamp": int(seconds * 1000), "CloudWatchMetrics": [directive]}, **by, **values}
