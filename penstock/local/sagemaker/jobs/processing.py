"""Processing jobs."""

from typing import ClassVar

from penstock.local.sagemaker.container import roles
from penstock.local.sagemaker.container.images import rewrite_paths
from penstock.local.sagemaker.container.ml_layout import Layout, write_json
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
from penstock.local.sagemaker.protocol.errors import SageMakerError, not_found, validation
from penstock.local.sagemaker.protocol.paging import page

_DAY = 86_400


class ProcessingJobs(Jobs):
    """The operations on processing jobs, and the execution of one."""

    kind: ClassVar[str] = "Processing"
    resource: ClassVar[str] = "processing-job"
    log_group: ClassVar[str] = "/aws/sagemaker/ProcessingJobs"

    @property
    def table(self) -> dict[str, Record]:
        """The records of processing jobs."""
        return self.store.processing_jobs

    def list(self, request: Record, _: Caller) -> Record:
        """List processing jobs."""
        records = list(self.table.values())
        return page("ListProcessingJobs", request, records, name="ProcessingJobName", member="ProcessingJobSummaries")

    def first_record(self, request: Record) -> Record:
        """Check what SageMaker checks at creation."""
        if request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] != 1:
            raise validation("The laptop cloud is one machine: ClusterConfig.InstanceCount must be 1.")
        return {"StoppingCondition": {"MaxRuntimeInSeconds": _DAY, **request.get("StoppingCondition", {})}}

    def not_found_error(self, name: str) -> SageMakerError:
        """Return the error of Describe for an unknown job."""
        return not_found(f"Could not find requested job with name: {name}")

    def is_isolated(self, record: Record) -> bool:
        """Return whether the container has no network and no credentials."""
        return bool(record.get("NetworkConfig", {}).get("EnableNetworkIsolation"))

    def end_members(self, run: Run, status: str, reason: str | None) -> Record:  # noqa: ARG002 - used by training jobs
        """Return the members that change when a job ends."""
        message = self.layout(run).message("message")
        return {"ProcessingEndTime": now(), **({"ExitMessage": message} if message else {})}

    def execute(self, run: Run) -> None:
        """Run a job: download inputs, run the container, upload outputs."""
        record, specification = run.record, run.record["AppSpecification"]
        image = self.image(specification["ImageUri"])
        layout = self.layout(run)
        layout.create()
        credentials = roles.assume(record["RoleArn"], "SageMaker")
        try:
            transfer = self.transfer(credentials)
            self.change(run, ProcessingStartTime=now())
            self._download(record, layout, transfer)
            entrypoint = specification.get("ContainerEntrypoint", [])
            arguments = specification.get("ContainerArguments", [] if entrypoint else list(image.command))
            container = self.start_container(run, image, entrypoint, arguments, {}, credentials)
            code, ending = container.wait(
                on_lines=self.open_log(run).put,
                stop=run.stop,
                seconds=record["StoppingCondition"]["MaxRuntimeInSeconds"],
                grace=self.settings.stop_grace,
                tick=lambda: None,
            )
            self.check_not_interrupted(run, ending)
            if ending is Ending.BY_ITSELF and code != 0:
                raise self.algorithm_error(run, container, code)
            self._upload(record, layout, transfer)
            self.finish(run, "Completed" if ending is Ending.BY_ITSELF else "Stopped")
        finally:
            roles.end_session(credentials)

    def _download(self, record: Record, layout: Layout, transfer: Transfer) -> None:
        inputs = record.get("ProcessingInputs", [])
        for item in inputs:
            if "S3Input" not in item:
                raise JobFailure(f"ClientError: input {item['InputName']}: the laptop cloud reads inputs from S3 only")
            source = item["S3Input"]
            try:
                gunzip = source.get("S3CompressionType") == "Gzip"
                transfer.download(source, layout.at(source["LocalPath"]), gunzip=gunzip)
            except TransferError as error:
                raise download_failure(f"input {item['InputName']}", error) from error
        for output in _outputs(record):
            layout.at(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        write_json(layout.root / "config" / "processingjobconfig.json", _rewrite_paths(_job_config(record), layout))
        write_json(layout.root / "config" / "resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})

    def _upload(self, record: Record, layout: Layout, transfer: Transfer) -> None:
        key = record.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        try:
            for output in _outputs(record):
                transfer.upload_tree(layout.at(output["LocalPath"]), output["S3Uri"], key)
        except TransferError as error:
            raise upload_failure(error) from error


def _outputs(record: Record) -> list[Record]:
    outputs = record.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [output["S3Output"] for output in outputs if "S3Output" in output]


def _job_config(record: Record) -> Record:
    members = (
        "ProcessingJobArn", "ProcessingJobName", "AppSpecification", "Environment", "ProcessingInputs",
        "ProcessingOutputConfig", "ProcessingResources", "RoleArn", "StoppingCondition",
    )  # fmt: skip
    return {name: record[name] for name in members if name in record}


def _rewrite_paths(value: object, layout: Layout) -> object:
    """Replace the container's paths in the configuration by the laptop's, for programs that read it."""
    if isinstance(value, dict):
        return {key: _rewrite_paths(item, layout) for key, item in value.items()}
    if isinstance(value, list):
        return [_rewrite_paths(item, layout) for item in value]
    return rewrite_paths(value, layout.root) if isinstance(value, str) else value
