"""What the kinds of job have in common: a name taken once, a place in the queue, an end with a reason."""

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from penstock.local.sagemaker.container import environment as surroundings
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


class JobFailure(Exception):  # noqa: N818 - it is how a job ends, not a mistake of the cloud
    """The job ends as Failed; the message becomes its FailureReason."""


@dataclass
class Run:
    """A job that waits or works."""

    name: str
    record: Record
    stop: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    interrupted: bool = False


class JobQueue:
    """Works off jobs in their order, a few at a time."""

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

    # What a kind of job says about itself

    @property
    @abstractmethod
    def table(self) -> dict[str, Record]:
        """The records of this kind."""

    @abstractmethod
    def first_record(self, request: Record) -> Record:
        """Return the members that a new job has beside those of its request, after checking what the model cannot."""

    @abstractmethod
    def execute(self, run: Run) -> None:
        """Do the job and finish it, or raise JobFailure."""

    @abstractmethod
    def ended(self, run: Run, status: str, reason: str | None) -> Record:
        """Return the members that change when a job ends."""

    @abstractmethod
    def missing(self, name: str) -> SageMakerError:
        """Return the error for a name that no job has."""

    @abstractmethod
    def isolated(self, record: Record) -> bool:
        """Say whether the container has no network and no credentials."""

    # The operations

    def create(self, request: Record, caller: Caller) -> Record:
        """Check a request and who makes it, note the job and queue it."""
        roles.check_pass_role(caller, self.role_of(request))
        return self.begin(request)

    def role_of(self, request: Record) -> str:
        """The role that the job runs with."""
        return str(request["RoleArn"])

    def begin(self, request: Record, **members: object) -> Record:
        """Note a job, with further members of its record, and queue it."""
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
        self._queue.submit(lambda: self._work(run))
        return {f"{self.kind}JobArn": job_arn}

    def describe(self, request: Record, _: Caller) -> Record:
        """Describe a job."""
        return project(self.find(request[f"{self.kind}JobName"]), output_shape(f"Describe{self.kind}Job"))

    def stop(self, request: Record, _: Caller) -> Record:
        """Ask a job to end; one that still waits ends at once."""
        record = self.find(request[f"{self.kind}JobName"])
        status = record[f"{self.kind}JobStatus"]
        if status not in UNDER_WAY:
            raise validation(f"The request was rejected because the {self.kind.lower()} job is in status {status}.")
        run = self._runs[record[f"{self.kind}JobName"]]
        if status == "InProgress":
            self.change(run, **self.stopping(run))
        run.stop.set()
        if not run.started:
            self.finish(run, "Stopped")
        return {}

    def stopping(self, run: Run) -> Record:  # noqa: ARG002 - a training job needs it
        """Return the members that change when a job is asked to stop."""
        return {f"{self.kind}JobStatus": "Stopping"}

    def find(self, name: str) -> Record:
        """Return a job's record.

        Raises:
            SageMakerError: there is no such job.
        """
        if name not in self.table:
            raise self.missing(name)
        return self.table[name]

    def status(self, name: str) -> str:
        """Return a job's status."""
        return str(self.find(name)[f"{self.kind}JobStatus"])

    # Life and end of the cloud

    def fail_interrupted(self) -> None:
        """End the jobs that the saved state shows under way: their processes died with the cloud."""
        for name, record in self.table.items():
            if record[f"{self.kind}JobStatus"] in UNDER_WAY and name not in self._runs:
                self.finish(Run(name, record), "Failed", INTERRUPTED)

    def interrupt(self) -> list[Run]:
        """End every running job because the cloud stops; return them."""
        runs = list(self._runs.values())
        for run in runs:
            run.interrupted = True
            run.stop.set()
            if not run.started:
                self.finish(run, "Failed", INTERRUPTED)
        return [run for run in runs if run.started]

    def wait_for_end(self, run: Run, seconds: float) -> None:
        """Wait until a job that was asked to end has ended."""
        deadline = time.monotonic() + seconds
        while self.status(run.name) in UNDER_WAY and time.monotonic() < deadline:
            time.sleep(0.02)

    def running(self) -> int:
        """Count the jobs that wait or work."""
        return len(self._runs)

    # What the kinds use

    def change(self, run: Run, **members: object) -> None:
        """Change a job's record, save it, and publish the event."""
        with self.store.lock:
            run.record.update(members, LastModifiedTime=now())
            self.store.save()
            self._publish(run.record)

    def finish(self, run: Run, status: str, reason: str | None = None) -> None:
        """Give a job its final status, once."""
        with self.store.lock:
            if run.record[f"{self.kind}JobStatus"] not in UNDER_WAY:
                return
            self._runs.pop(run.name, None)
            shown = {"FailureReason": reason[:FAILURE_LIMIT]} if reason else {}
            self.change(run, **{f"{self.kind}JobStatus": status}, **shown, **self.ended(run, status, reason))

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
        access = surroundings.access(self.settings, None if self.isolated(run.record) else credentials.as_environment())
        environment = surroundings.variables(image, root, run.record.get("Environment", {}), {**extra, **access})
        return Container(image.command_line(entrypoint, arguments, root), environment, root)

    def algorithm_error(self, run: Run, container: Container, code: int) -> JobFailure:
        """Return the failure of a container that ended with an exit code, worded as SageMaker does."""
        said = self.layout(run).message("failure") or "\n".join(container.last_lines) or "The container said nothing"
        tail = f", exit code: {code}"
        return JobFailure(f"AlgorithmError: {said}"[: FAILURE_LIMIT - len(tail)] + tail)

    def transfer(self, credentials: roles.Credentials) -> Transfer:
        """Return S3 as the job's role sees it."""
        return Transfer(self.settings, credentials)

    def open_log(self, run: Run) -> JobLog:
        """Open the job's log stream."""
        return JobLog(self.log_group, run.name)

    def check_not_interrupted(self, run: Run, ending: Ending) -> None:
        """Raise the failure of a job that ended because the cloud stops."""
        if ending is Ending.STOPPED and run.interrupted:
            raise JobFailure(INTERRUPTED)

    def _work(self, run: Run) -> None:
        with self.store.lock:
            if run.stop.is_set():
                return  # ended while it waited
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


def download_failed(what: str, error: TransferError) -> JobFailure:
    """Word a failed download as SageMaker does."""
    return JobFailure(f"ClientError: Data download failed: {what}: {error}")


def upload_failed(error: TransferError) -> JobFailure:
    """Word a failed upload as SageMaker does."""
    return JobFailure(f"ClientError: Artifact upload failed: {error}")
