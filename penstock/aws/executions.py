"""Executions of one state machine: started by name, once, and asked how they ended."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class Ended:
    """How an execution ended."""

    status: str
    cause: str

    def sentence(self, what: str) -> str:
        """For a record whose execution did not write its own ending."""
        return f"{what} ended {self.status}" + (f": {self.cause[:500]}" if self.cause else "")


class Executions:
    """One state machine's."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._client: Any = boto3.client("stepfunctions")

    def start(self, name: str, document: dict[str, Any]) -> Ended | None:
        """Start the execution of that name, if there is none; how it ended where it has ended already."""
        try:
            self._client.start_execution(stateMachineArn=self._machine, name=name, input=json.dumps(document))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return self._ended(name)
        return None

    def _ended(self, name: str) -> Ended | None:
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
        found = self._client.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else Ended(found["status"], found.get("cause") or "")


def words(error: dict[str, Any]) -> str:
    """The sentence in an error that a state machine caught: a job's own reason, or the exception's own words.

    Args:
        error: `{"Error", "Cause"}`; the cause may be JSON, as Lambda and SageMaker give it, or text, or not there.
    """
    cause = str(error.get("Cause") or "")
    try:
        document = json.loads(cause)
    except ValueError:
        document = {}
    inner = document if isinstance(document, dict) else {}
    # A processing job says itself why it failed; its FailureReason is an exit code.
    said = next((inner[name] for name in ("ExitMessage", "FailureReason", "errorMessage") if inner.get(name)), None)
    return str(said or cause or error.get("Error") or "no reason given")
