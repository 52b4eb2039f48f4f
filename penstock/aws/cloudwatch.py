"""A handful of numbers to CloudWatch."""

from collections.abc import Mapping
from typing import Any

import boto3


class Metrics:
    """One namespace, no dimensions: a model's metrics are told apart by the namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._client: Any = boto3.client("cloudwatch")

    def put(self, values: Mapping[str, float]) -> None:
        """One data point each, now."""
        data = [{"MetricName": name, "Value": value} for name, value in values.items()]
        self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
