"""Training jobs."""

import time
from pathlib import Path
from typing import ClassVar

from penstock.local.sagemaker.container import roles
from penstock.local.sagemaker.container.ml_layout import ML_ROOT, Layout, is_empty, pack, write_json
from penstock.local.sagemaker.container.process import Ending
from penstock.local.sagemaker.container.s3_transfer import Transfer, TransferError
from penstock.local.sagemaker.core.caller import Caller, now
from penstock.local.sagemaker.core.record_store import Record
from penstock.local.sagemaker.jobs.base import (
    JobFailure,
    Jobs,
    Run,
    download_failure,
    upload_failure,
)
from penstock.local.sagemaker.jobs.metric_scanner import MetricScanner
from penstock.local.sagemaker.protocol.errors import SageMakerError, validation
from penstock.local.sagemaker.protocol.paging import page

_DAY = 86_400
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Pending": "Waiting for one of the laptop cloud's job slots",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class TrainingJobs(Jobs):
    """The operations on training jobs, and the execution of one."""

    kind: ClassVar[str] = "Training"
    resource: ClassVar[str] = "training-job"
    log_group: ClassVar[str] = "/aws/sagemaker/TrainingJobs"

    @property
    def table(self) -> dict[str, Record]:
        """The records of training jobs."""
        return self.store.training_jobs

    def list(self, request: Record, _: Caller) -> Record:
        """List training jobs."""
        records = list(self.table.values())
        return page("ListTrainingJobs", request, records, name="TrainingJobName", member="TrainingJobSummaries")

    def first_record(self, request: Record) -> Record:
        """Check what SageMaker checks at creation, and return the first status."""
        _check(request)
        MetricScanner(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        waits = self.count_unfinished() >= self.settings.slots
        return {
            "StoppingCondition": {"MaxRuntimeInSeconds": _DAY, **request.get("StoppingCondition", {})},
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
            "EnableInterContainerTrafficEncryption": request.get("EnableInterContainerTrafficEncryption", False),
            **_secondary({}, "Pending" if waits else "Starting"),
        }

    def not_found_error(self, name: str) -> SageMakerError:  # noqa: ARG002 - AWS leaves the name out here
        """Return the error of Describe for an unknown job."""
        return validation("Requested resource not found.")

    def is_isolated(self, record: Record) -> bool:
        """Return whether the container has no network and no credentials."""
        return bool(record.get("EnableNetworkIsolation"))

    def stop_members(self, run: Run) -> Record:
        """Return the members that change when a job is stopped."""
        return {**super().stop_members(run), **_secondary(run.record, "Stopping")}

    def end_members(self, run: Run, status: str, reason: str | None) -> Record:
        """Return the members that change when a job ends."""
        exceeded = run.record.pop("_exceeded", False)
        secondary = "MaxRuntimeExceeded" if exceeded and status == "Stopped" else status
        changes = _secondary(run.record, secondary, message=reason)
        changes["SecondaryStatusTransitions"][-1]["EndTime"] = now()
        changes["TrainingEndTime"] = now()
        start = run.record.get("TrainingStartTime")
        seconds = max(1, round(now() - start)) if start else 0
        return {**changes, "TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}

    def execute(self, run: Run) -> None:
        """Run a job: download channels, run the container, upload artifacts."""
        record = run.record
        image = self.image(record["AlgorithmSpecification"]["TrainingImage"])
        layout = self.layout(run)
        layout.create()
        credentials = roles.assume(record["RoleArn"], "SageMaker")
        try:
            transfer = self.transfer(credentials)
            self._download(run, layout, transfer)
            self._enter(run, "Training")
            algorithm = record["AlgorithmSpecification"]
            # As `docker run image train`, unless the request has an entrypoint or arguments.
            arguments = algorithm.get("ContainerArguments")
            if arguments is None:
                arguments = [] if algorithm.get("ContainerEntrypoint") else ["train"]
            container = self.start_container(
                run,
                image,
                algorithm.get("ContainerEntrypoint", []),
                arguments,
                {"TRAINING_JOB_NAME": run.name, "TRAINING_JOB_ARN": record["TrainingJobArn"]},
                credentials,
            )
            log, scanner = self.open_log(run), MetricScanner(algorithm.get("MetricDefinitions", []))

            def on_lines(lines: list[str]) -> None:
                log.put(lines)
                scanner.scan(lines)

            code, ending = container.wait(
                on_lines=on_lines,
                stop=run.stop,
                seconds=record["StoppingCondition"]["MaxRuntimeInSeconds"],
                grace=self.settings.stop_grace,
                tick=_CheckpointSync(self, run, layout, transfer).sync_when_due,
            )
            self.check_not_interrupted(run, ending)
            failed = ending is Ending.BY_ITSELF and code != 0
            if scanner.final():
                record["FinalMetricDataList"] = scanner.final()
            self._upload(run, layout, transfer, with_model=not failed)
            if failed:
                raise self.algorithm_error(run, container, code)
            record["_exceeded"] = ending is Ending.OUT_OF_TIME
            self.finish(run, "Completed" if ending is Ending.BY_ITSELF else "Stopped")
        finally:
            roles.end_session(credentials)

    def _download(self, run: Run, layout: Layout, transfer: Transfer) -> None:
        record = run.record
        self._enter(run, "Downloading", TrainingStartTime=now())
        write_json(layout.config / "hyperparameters.json", record.get("HyperParameters", {}))
        write_json(layout.config / "resourceconfig.json", _resource_config(record))
        channels = record.get("InputDataConfig", [])
        write_json(layout.config / "inputdataconfig.json", {c["ChannelName"]: _channel_config(c) for c in channels})
        for channel in channels:
            name, source = channel["ChannelName"], channel["DataSource"]
            if "S3DataSource" not in source:
                raise JobFailure(f"ClientError: channel {name}: the laptop cloud reads channels from S3 only")
            try:
                gunzip = channel.get("CompressionType") == "Gzip"
                transfer.download(source["S3DataSource"], layout.channel(name), gunzip=gunzip)
            except TransferError as error:
                raise download_failure(f"channel {name}", error) from error
        self._restore_checkpoints(record, layout, transfer)

    def _restore_checkpoints(self, record: Record, layout: Layout, transfer: Transfer) -> None:
        config = record.get("CheckpointConfig")
        if config is None:
            return
        try:
            if transfer.exists_under(config["S3Uri"]):
                transfer.download(config, checkpoint_directory(record, layout))
        except TransferError as error:
            raise download_failure("checkpoints", error) from error

    def _upload(self, run: Run, layout: Layout, transfer: Transfer, *, with_model: bool) -> None:
        if run.record["TrainingJobStatus"] == "InProgress":
            self._enter(run, "Uploading")
        output = run.record["OutputDataConfig"]
        target, key = f"{output['S3OutputPath'].rstrip('/')}/{run.name}/output", output.get("KmsKeyId")
        try:
            if "CheckpointConfig" in run.record:
                checkpoints = checkpoint_directory(run.record, layout)
                transfer.upload_tree(checkpoints, run.record["CheckpointConfig"]["S3Uri"])
            if not is_empty(layout.output):
                transfer.upload(pack(layout.output, layout.root / "output.tar.gz"), f"{target}/output.tar.gz", key)
            if with_model:
                transfer.upload(pack(layout.model, layout.root / "model.tar.gz"), f"{target}/model.tar.gz", key)
                run.record["ModelArtifacts"] = {"S3ModelArtifacts": f"{target}/model.tar.gz"}
        except TransferError as error:
            raise upload_failure(error) from error

    def _enter(self, run: Run, status: str, **members: object) -> None:
        """Enter the next secondary status of a job, unless it is being stopped."""
        with self.store.lock:
            if run.record["TrainingJobStatus"] == "InProgress":
                members.update(_secondary(run.record, status))
            self.change(run, **members)


class _CheckpointSync:
    """Uploads a running job's checkpoints to S3 at intervals, as SageMaker does."""

    def __init__(self, jobs: TrainingJobs, run: Run, layout: Layout, transfer: Transfer) -> None:
        config = run.record.get("CheckpointConfig")
        self._uri = config["S3Uri"] if config else None
        self._directory = checkpoint_directory(run.record, layout)
        self._transfer = transfer
        self._interval = jobs.settings.checkpoint_interval
        self._last = time.monotonic()

    def sync_when_due(self) -> None:
        """Upload the checkpoints, unless the last upload is less than an interval ago."""
        if self._uri is None or time.monotonic() - self._last < self._interval:
            return
        self._last = time.monotonic()
        self._transfer.upload_tree(self._directory, self._uri)


def checkpoint_directory(record: Record, layout: Layout) -> Path:
    """Return the directory of the container's checkpoints."""
    return layout.at(record.get("CheckpointConfig", {}).get("LocalPath", f"{ML_ROOT}/checkpoints"))


def _check(request: Record) -> None:
    if not request["AlgorithmSpecification"].get("TrainingImage"):
        raise validation("AlgorithmSpecification.TrainingImage is required on the laptop cloud.")
    if request.get("ResourceConfig", {}).get("InstanceCount", 1) != 1:
        raise validation("The laptop cloud is one machine: ResourceConfig.InstanceCount must be 1.")
    stopping = request.get("StoppingCondition", {})
    longest = stopping.get("MaxRuntimeInSeconds", _DAY)
    if request.get("EnableManagedSpotTraining") and stopping.get("MaxWaitTimeInSeconds", 0) < longest:
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds."
        )
    if not request.get("EnableManagedSpotTraining") and "MaxWaitTimeInSeconds" in stopping:
        raise validation("MaxWaitTimeInSeconds is for managed spot training only.")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) != len(names):
        raise validation("ChannelName must be unique within InputDataConfig.")


def _secondary(record: Record, status: str, message: str | None = None) -> Record:
    """Return the members for a new secondary status: the old one ends, the new one starts."""
    transitions = [dict(item) for item in record.get("SecondaryStatusTransitions", [])]
    if transitions:
        transitions[-1].setdefault("EndTime", now())
    entry = {"Status": status, "StartTime": now(), "StatusMessage": message or _MESSAGES[status]}
    return {"SecondaryStatus": status, "SecondaryStatusTransitions": [*transitions, entry]}


def _channel_config(channel: Record) -> Record:
    source = channel["DataSource"].get("S3DataSource", {})
    config = {
        "ContentType": channel.get("ContentType"),
        "TrainingInputMode": channel.get("InputMode", "File"),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return {key: value for key, value in config.items() if value is not None}


def _resource_config(record: Record) -> Record:
    instance = record.get("ResourceConfig", {}).get("InstanceType", "ml.m5.large")
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": ["algo-1"]}
    return {
        "current_host": "algo-1",
        "current_instance_type": instance,
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "eth0",
    }
