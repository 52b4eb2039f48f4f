"""The base of all kinds of jobs: a unique name, a place in the queue, and an end with a reason."""

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from penstock.local.sagemaker.container import environment as container_environment
from penstock.local.sagemaker.container import images, roles
from penstock.local.sagemaker.container.log_stream import JobLog
from penstock.local.sagemaker.container.ml_layout import FAILURE_LIMIT, Layout
from penstock.local.sagemaker.container.process import Container, Ending
from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core import events
from penstock.local.sagemaker.core.caller import Caller, account_scope, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import SageMakerError, in_use, validation

INTERRUPTED = "InternalServerError: the laptop cloud was stopped while this job ran. Start the job again."
UNDER_WAY = ("InProgress", "Stopping")
_log = logging.getLogger(__name__)


class JobFailure(Exception):  # noqa: N818 - an outcome of a job, not an error of the cloud
    """The job ends as Failed; the message becomes its FailureReason."""


@dataclass
class Run:
    """A job that waits in the queue or runs."""

    name: str
    record: Record
    stop: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    interrupted: bool = False


class JobQueue:
    """Runs jobs in the order of their submission, a few at a time."""

    def __init__(self, slots: int) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for number in range(slots):
            threading.Thread(target=self._work, name=f"sagemaker-job-{number}", daemon=True).start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job; it must not raise."""
        self._waiting.put(job)

    def _work(self) -> None:
        while True:
            self._waiting.get()()


class Jobs(ABC):
    """The operations on one kind of job."""

    kind: ClassVar[str]
    resource: ClassVar[str]
    """In its ARN."""
    log_group: ClassVar[str]

    def __init__(self, store: Store, tags: Tags, settings: JobSettings, jobs: JobQueue) -> None:
        self.store = store
        self.settings = settings
        self._tags = tags
        self._queue = jobs
        self._runs: dict[str, Run] = {}

    # Implemented by each kind of job

    @property
    @abstractmethod
    def table(self) -> dict[str, Record]:
        """The records of this kind."""

    @abstractmethod
    def first_record(self, request: Record) -> Record:
        """Check what the API model cannot, and return the members of a new record that are not in the request."""

    @abstractmethod
    def execute(self, run: Run) -> None:
        """Run the job and finish it, or raise JobFailure."""

    @abstractmethod
    def end_members(self, run: Run, status: str, reason: str | None) -> Record:
        """Return the members that change when a job ends."""

    @abstractmethod
    def not_found_error(self, name: str) -> SageMakerError:
        """Return the error for a name that does not exist."""

    @abstractmethod
    def is_isolated(self, record: Record) -> bool:
        """Return whether the container has no network and no credentials."""

    # The operations

    def create(self, request: Record, caller: Caller) -> Record:
        """Check a request and its caller, record the job and queue it."""
        roles.check_pass_role(caller, self.role_of(request))
        return self.submit(request)

    def role_of(self, request: Record) -> str:
        """Return the role of the job."""
        return str(request["RoleArn"])

    def submit(self, request: Record, **members: object) -> Record:
        """Record a job, with additional members, and queue it."""
        name = request[f"{self.kind}JobName"]
        job_arn = arn(f"{self.resource}/{name}")
        if name in self.table:
            raise in_use(
                f"Job name must be unique within an AWS account and region, and a job with this name already exists "
                f"({job_arn})"
            )
        record = {
            **{key: value for key, value in request.items() if key != "Tags"},
            f"{self.kind}JobArn": job_arn,
            f"{self.kind}JobStatus": "InProgress",
            "CreationTime": now(),
            "LastModifiedTime": now(),
            **self.first_record(request),
            **members,
        }
        self.table[name] = record
        self._tags.set_at_creation(job_arn, request)
        self._publish(record)
        run = Run(name, record)
        self._runs[name] = run
        self._queue.submit(lambda: self._run(run))
        return {f"{self.kind}JobArn": job_arn}

    def describe(self, request: Record, _: Caller) -> Record:
        """Describe a job."""
        return project(self.find(request[f"{self.kind}JobName"]), output_shape(f"Describe{self.kind}Job"))

    def stop(self, request: Record, _: Caller) -> Record:
        """Stop a job; one that waits in the queue ends at once."""
        record = self.find(request[f"{self.kind}JobName"])
        status = record[f"{self.kind}JobStatus"]
        if status not in UNDER_WAY:
            raise validation(f"The request was rejected because the {self.kind.lower()} job is in status {status}.")
        run = self._runs[record[f"{self.kind}JobName"]]
        if status == "InProgress":
            self.change(run, **self.stop_members(run))
        run.stop.set()
        if not run.started:
            self.finish(run, "Stopped")
        return {}

    def stop_members(self, run: Run) -> Record:  # noqa: ARG002 - used by training jobs
        """Return the members that change when a job is stopped."""
        return {f"{self.kind}JobStatus": "Stopping"}

    def find(self, name: str) -> Record:
        """Return a job's record.

        Raises:
            SageMakerError: there is no such job.
        """
        if name not in self.table:
            raise self.not_found_error(name)
        return self.table[name]

    def status(self, name: str) -> str:
        """Return a job's status."""
        return str(self.find(name)[f"{self.kind}JobStatus"])

    # Start and stop of the cloud

    def fail_interrupted(self) -> None:
        """Fail the jobs that are unfinished in the saved state, as their processes ended with the cloud."""
        for name, record in self.table.items():
            if record[f"{self.kind}JobStatus"] in UNDER_WAY and name not in self._runs:
                self.finish(Run(name, record), "Failed", INTERRUPTED)

    def interrupt(self) -> list[Run]:
        """Stop every job because the cloud stops; return those that are running."""
        runs = list(self._runs.values())
        for run in runs:
            run.interrupted = True
            run.stop.set()
            if not run.started:
                self.finish(run, "Failed", INTERRUPTED)
        return [run for run in runs if run.started]

    def wait_for_end(self, run: Run, seconds: float) -> None:
        """Wait until a stopped job has ended."""
        deadline = time.monotonic() + seconds
        while self.status(run.name) in UNDER_WAY and time.monotonic() < deadline:
            time.sleep(0.02)

    def count_unfinished(self) -> int:
        """Count the jobs that wait or run."""
        return len(self._runs)

    # Used by the kinds of jobs

    def change(self, run: Run, **members: object) -> None:
        """Change a job's record, save it, and publish the event."""
        with self.store.lock:
            run.record.update(members, LastModifiedTime=now())
            self.store.save()
            self._publish(run.record)

    def finish(self, run: Run, status: str, reason: str | None = None) -> None:
        """Set the final status of a job, unless it has one."""
        with self.store.lock:
            if run.record[f"{self.kind}JobStatus"] not in UNDER_WAY:
                return
            self._runs.pop(run.name, None)
            failure = {"FailureReason": reason[:FAILURE_LIMIT]} if reason else {}
            self.change(run, **{f"{self.kind}JobStatus": status}, **failure, **self.end_members(run, status, reason))

    def layout(self, run: Run) -> Layout:
        """Return the job's `/opt/ml`."""
        return Layout(self.settings.home.jobs / run.name)

    def image(self, uri: str) -> images.Image:
        """Return the image of a URI, or raise JobFailure."""
        try:
            return images.find(uri, self.settings.home.images)
        except (images.UnknownImageError, OSError) as error:
            raise JobFailure(f"ClientError: {error}") from None

    def start_container(
        self, run: Run, image: images.Image, entrypoint: list[str], arguments: list[str], extra: dict[str, str],
        credentials: roles.Credentials,
    ) -> Container:  # fmt: skip
        """Start the job's process."""
        root = self.layout(run).root
        access = container_environment.access(
            self.settings, None if self.is_isolated(run.record) else credentials.as_environment()
        )
        environment = container_environment.variables(
            image, root, run.record.get("Environment", {}), {**extra, **access}
        )
        return Container(image.command_line(entrypoint, arguments, root), environment, root)

    def algorithm_error(self, run: Run, container: Container, code: int) -> JobFailure:
        """Return the failure of a container with this exit code, worded as by SageMaker."""
        message = self.layout(run).message("failure") or "\n".join(container.last_lines)
        tail = f", exit code: {code}"
        return JobFailure(
            f"AlgorithmError: {message or 'The container said nothing'}"[: FAILURE_LIMIT - len(tail)] + tail
        )

    def transfer(self, credentials: roles.Credentials) -> Transfer:
        """Return an S3 client with the permissions of the job's role."""
        return Transfer(self.settings, credentials)

    def open_log(self, run: Run) -> JobLog:
        """Open the job's log stream."""
        return JobLog(self.log_group, run.name)

    def check_not_interrupted(self, run: Run, ending: Ending) -> None:
        """Raise JobFailure for a job that was stopped because the cloud stops."""
        if ending is Ending.STOPPED and run.interrupted:
            raise JobFailure(INTERRUPTED)

    def _run(self, run: Run) -> None:
        with self.store.lock:
            if run.stop.is_set():
                return  # stopped while it waited
            run.started = True
        self.settings.save_state()
        try:
            with account_scope():
                self.execute(run)
        except JobFailure as failure:
            self.finish(run, "Failed", str(failure))
        except TransferError as error:
            self.finish(run, "Failed", f"ClientError: Data transfer failed: {error}")
        except Exception as error:
            _log.exception("The job %s failed in the cloud itself", run.name)
            self.finish(run, "Failed", f"InternalServerError: {type(error).__name__}: {error}")

    def _publish(self, record: Record) -> None:
        events.job_changed(self.kind, record, self.store.tags.get(record[f"{self.kind}JobArn"], {}))


def download_failure(source: str, error: TransferError) -> JobFailure:
    """Word a failed download as SageMaker does."""
    return JobFailure(f"ClientError: Data download failed: {source}: {error}")


def upload_failure(error: TransferError) -> JobFailure:
    """Word a failed upload as SageMaker does."""
    return JobFailure(f"ClientError: Artifact upload failed: {error}")
