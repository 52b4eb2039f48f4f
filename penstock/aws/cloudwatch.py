"""Metrics in CloudWatch."""

from collections.abc import Mapping
from typing import Any

import boto3


class Metrics:
    """The metrics of one namespace, without dimensions: each model has a namespace of its own."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._client: Any = boto3.client("cloudwatch")

    def put(self, values: Mapping[str, float]) -> None:
        """Put one data point for each metric, now."""
        data = [{"MetricName": name, "Value": value} for name, value in values.items()]
        self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
