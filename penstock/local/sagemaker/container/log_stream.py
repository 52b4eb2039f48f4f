"""Writes the output of jobs and endpoints to CloudWatch Logs."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import time

from ministack.services import cloudwatch_logs

from penstock.local.sagemaker.core.caller import account_scope


class LogStream:
    """A log stream, created with its group where they do not exist."""

    def __init__(self, group: str, stream: str) -> None:
        self._group = group
        self._stream = stream
        with account_scope():
            names = {"logGroupName": group, "logStreamName": self._stream}
            cloudwatch_logs._create_log_group({"logGroupName": group})
            cloudwatch_logs._create_log_stream(names)

    def put(self, lines: list[str]) -> None:
        """Append lines; a blank line becomes a space, since CloudWatch refuses empty messages."""
        moment = int(time.time() * 1000)
        entries = [{"timestamp": moment, "message": line or " "} for line in lines]
        with account_scope():
            cloudwatch_logs._put_log_events(
                {"logGroupName": self._group, "logStreamName": self._stream, "logEvents": entries}
            )


class JobLog(LogStream):
    """The stream `<job>/algo-1-<epoch>` in SageMaker's log group for the kind of job."""

    def __init__(self, group: str, job: str) -> None:
        super().__init__(group, f"{job}/algo-1-{int(time.time())}")
