"""Notices to people, over the stage's SNS topic."""

from collections.abc import Mapping
from typing import Any

import boto3

FIRST = ("roc_auc", "pr_auc", "log_loss", "r2", "rmse", "mae")
"""What says most of a model, of whichever task; `penstock.spec.model` has them too, at more cost to a cold start."""


class Notifier:
    """The stage's topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._client: Any = boto3.client("sns")

    def tell(self, subject: str, text: str) -> None:
        """Publish; SNS takes 100 characters of subject, in one line."""
        self._client.publish(TopicArn=self._topic, Subject=" ".join(subject.split())[:100], Message=text)


def first_numbers(metrics: Mapping[str, Any]) -> str:
    """Three metrics, those that say most: `roc_auc 0.9200, …`; empty where none was measured."""
    measured = [name for name, value in sorted(metrics.items()) if isinstance(value, int | float)]
    known = [*(name for name in FIRST if name in measured), *(name for name in measured if name not in FIRST)]
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in known[:3])
