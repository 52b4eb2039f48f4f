"""Notices to people, over the stage's SNS topic."""

from typing import Any

import boto3


class Notifier:
    """The stage's topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._client: Any = boto3.client("sns")

    def tell(self, subject: str, text: str) -> None:
        """Publish; SNS takes 100 characters of subject, in one line."""
        self._client.publish(TopicArn=self._topic, Subject=" ".join(subject.split())[:100], Message=text)
