"""Executions of one state machine, each started once by its name."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError


@dataclass(frozen=True)
class ExecutionOutcome:
    """The end of an execution."""

    status: str
    cause: str

    def sentence(self, subject: str) -> str:
        """Describe the end, for a record whose execution did not write its own ending."""
        return f"{subject} ended {self.status}" + (f": {self.cause[:500]}" if self.cause else "")


class Executions:
    """The executions of one state machine."""

    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._client: Any = boto3.client("stepfunctions")

    def start(self, name: str, document: dict[str, Any]) -> ExecutionOutcome | None:
        """Start the execution of that name, unless it exists; return its outcome if it has ended already."""
        try:
            self._client.start_execution(stateMachineArn=self._machine, name=name, input=json.dumps(document))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            return self._outcome(name)
        return None

    def _outcome(self, name: str) -> ExecutionOutcome | None:
        arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
        execution = self._client.describe_execution(executionArn=arn)
        if execution["status"] == "RUNNING":
            return None
        return ExecutionOutcome(execution["status"], execution.get("cause") or "")


def error_sentence(error: dict[str, Any]) -> str:
    """Extract the sentence from an error that a state machine caught: a job's own reason, or the exception's message.

    Args:
        error: `{"Error", "Cause"}`; the cause may be JSON, as Lambda and SageMaker give it, or text, or not there.
    """
    cause = str(error.get("Cause") or "")
    try:
        document = json.loads(cause)
    except ValueError:
        document = {}
    inner = document if isinstance(document, dict) else {}
    # A processing job gives its reason in ExitMessage; its FailureReason is an exit code.
    reason = next((inner[name] for name in ("ExitMessage", "FailureReason", "errorMessage") if inner.get(name)), None)
    return str(reason or cause or error.get("Error") or "no reason given")
