"""What jobs and endpoints print, in CloudWatch Logs."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import time

from ministack.services import cloudwatch_logs

from penstock.local.sagemaker.core.caller import account_scope


class LogStream:
    """A stream, made with its group where they are not there yet."""

    def __init__(self, group: str, stream: str) -> None:
        self._group = group
        self._stream = stream
        with account_scope():
            names = {"logGroupName": group, "logStreamName": self._stream}
            cloudwatch_logs._create_log_group({"logGroupName": group})
            cloudwatch_logs._create_log_stream(names)

    def put(self, lines: list[str]) -> None:
        """Append lines; CloudWatch takes no empty message, so a blank line becomes a space."""
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
