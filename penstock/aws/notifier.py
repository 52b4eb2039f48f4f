"""Notices to people by the stage's SNS topic."""

from collections.abc import Mapping
from typing import Any

import boto3

FIRST_METRICS = ("roc_auc", "pr_auc", "log_loss", "r2", "rmse", "mae")
"""The most informative metrics of each task; `penstock.spec.model` has them too, at more cost to a cold start."""


class Notifier:
    """The stage's topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._client: Any = boto3.client("sns")

    def send(self, subject: str, text: str) -> None:
        """Publish a notice; SNS takes 100 characters of subject, in one line."""
        self._client.publish(TopicArn=self._topic, Subject=" ".join(subject.split())[:100], Message=text)


def summarize_metrics(metrics: Mapping[str, Any]) -> str:
    """Format the three most informative metrics: `roc_auc 0.9200, …`; empty if none was measured."""
    measured = [name for name, value in sorted(metrics.items()) if isinstance(value, int | float)]
    first = [name for name in FIRST_METRICS if name in measured]
    order = [*first, *(name for name in measured if name not in FIRST_METRICS)]
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in order[:3])
