"""Tuning jobs: start training jobs with different parameters, a few at a time, and determine the best."""

import itertools
import logging
import os
import time
from collections.abc import Iterator
from typing import ClassVar

from penstock.local.sagemaker.core.caller import Caller, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.jobs.base import INTERRUPTED, JobFailure, JobQueue, Jobs, Run
from penstock.local.sagemaker.jobs.metric_scanner import MetricScanner
from penstock.local.sagemaker.jobs.suggestions import Values, suggestions
from penstock.local.sagemaker.jobs.training import TrainingJobs
from penstock.local.sagemaker.jobs.trials import Trials, objective_value, trial_request
from penstock.local.sagemaker.protocol import request_validation
from penstock.local.sagemaker.protocol.api_model import operation_model
from penstock.local.sagemaker.protocol.errors import SageMakerError, not_found, validation
from penstock.local.sagemaker.protocol.paging import page

_POLL = 0.05
_MAX_TRIALS = 750
"""Limit where the request has none, as for a grid."""
_NO_CALLER = Caller("", "", "")
_UNSUPPORTED = ("TrainingJobDefinitions", "WarmStartConfig", "Autotune")
_log = logging.getLogger(__name__)


class TuningJobs(Jobs):
    """The operations on tuning jobs, and the execution of one. Its trials wait in the queue of training jobs."""

    kind: ClassVar[str] = "HyperParameterTuning"
    resource: ClassVar[str] = "hyper-parameter-tuning-job"
    log_group: ClassVar[str] = "/aws/sagemaker/TrainingJobs"

    def __init__(self, store: Store, tags: Tags, settings: JobSettings, jobs: JobQueue, training: TrainingJobs) -> None:
        super().__init__(store, tags, settings, jobs)
        self._training = training

    @property
    def table(self) -> dict[str, Record]:
        """The records of tuning jobs."""
        return self.store.tuning_jobs

    def list(self, request: Record, _: Caller) -> Record:
        """List tuning jobs."""
        records = [
            record | {name: record["HyperParameterTuningJobConfig"][name] for name in ("Strategy", "ResourceLimits")}
            for record in self.table.values()
        ]
        return page(
            "ListHyperParameterTuningJobs", request, records,
            name="HyperParameterTuningJobName", member="HyperParameterTuningJobSummaries",
        )  # fmt: skip

    def list_trials(self, request: Record, _: Caller) -> Record:
        """List the training jobs of a tuning job."""
        summaries = self._trials(self.find(request["HyperParameterTuningJobName"])).summaries()
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            with_value = [item for item in summaries if "FinalHyperParameterTuningJobObjectiveMetric" in item]
            summaries = [item | {"FinalObjectiveMetricValue": objective_value(item)} for item in with_value]
        return page(
            "ListTrainingJobsForHyperParameterTuningJob", request, summaries,
            name="TrainingJobName", member="TrainingJobSummaries",
        )  # fmt: skip

    def role_of(self, request: Record) -> str:
        """Return the role of the trials."""
        return str(_definition(request)["RoleArn"])

    def first_record(self, request: Record) -> Record:
        """Check what SageMaker checks at creation, including the request of a trial."""
        _check(request)
        first = next(suggestions(request["HyperParameterTuningJobConfig"]))
        trial = trial_request(request, 1, first)
        model = operation_model("CreateTrainingJob")
        request_validation.check(trial, model.input_shape if model else None)
        self._training.first_record(trial)
        record = {**request, "_trials": {}}
        return {"_trials": {}, **Trials(record, {}).counters()}

    def not_found_error(self, name: str) -> SageMakerError:
        """Return the error of Describe for an unknown job."""
        return not_found(f"Amazon SageMaker can't find a tuning job with the name {name}.")

    def is_isolated(self, record: Record) -> bool:
        """Return whether the trials have no network and no credentials."""
        return bool(record["TrainingJobDefinition"].get("EnableNetworkIsolation"))

    def end_members(self, run: Run, status: str, reason: str | None) -> Record:  # noqa: ARG002 - used by training jobs
        """Return the members that change when a job ends."""
        return {"HyperParameterTuningEndTime": now(), **self._trials(run.record).counters()}

    def execute(self, run: Run) -> None:
        """Run trials until all have ended, the time limit has passed, or the job is stopped."""
        config = run.record["HyperParameterTuningJobConfig"]
        limits = config["ResourceLimits"]
        if config["Strategy"] == "Bayesian":
            _log.warning("%s: a Bayesian search is replaced by random draws on the laptop cloud", run.name)
        pending = itertools.islice(suggestions(config), limits.get("MaxNumberOfTrainingJobs", _MAX_TRIALS))
        deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", float("inf"))
        at_once = min(limits["MaxParallelTrainingJobs"], os.cpu_count() or 1)
        while self._start_trials(run, pending, at_once):
            if run.stop.wait(_POLL) or time.monotonic() > deadline:
                break
        if run.stop.is_set() or self._trials(run.record).unfinished():
            self._end_trials(run)
            self.finish(run, "Stopped")
            return
        if self._trials(run.record).best() is None:
            raise JobFailure(self._explain_no_best(run))
        self.finish(run, "Completed")

    def _start_trials(self, run: Run, pending: Iterator[Values], at_once: int) -> bool:
        """Start as many trials as may run at once; return whether any has not ended."""
        with self.store.lock:
            trials = self._trials(run.record)
            while not run.stop.is_set() and len(trials.unfinished()) < at_once:
                if (tuned := next(pending, None)) is None:
                    break
                self._start_trial(run, tuned)
            counters = trials.counters()
            if any(run.record.get(name) != value for name, value in counters.items()):
                self.change(run, **counters)
            return bool(trials.unfinished())

    def _start_trial(self, run: Run, tuned: Values) -> None:
        request = trial_request(run.record, len(run.record["_trials"]) + 1, tuned)
        run.record["_trials"][request["TrainingJobName"]] = tuned
        self._training.submit(request, TuningJobArn=run.record["HyperParameterTuningJobArn"])

    def _end_trials(self, run: Run) -> None:
        """Stop the unfinished trials and wait for them; when the cloud stops, it ends them itself."""
        if run.interrupted:
            raise JobFailure(INTERRUPTED)
        while names := self._trials(run.record).unfinished():
            with self.store.lock:
                for name in names:
                    if self._training.status(name) == "InProgress":
                        self._training.stop({"TrainingJobName": name}, _NO_CALLER)
            time.sleep(_POLL)
            if run.interrupted:
                raise JobFailure(INTERRUPTED)

    def _explain_no_best(self, run: Run) -> str:
        statuses = {item["TrainingJobStatus"] for item in self._trials(run.record).summaries()}
        if "Completed" in statuses:
            return "ClientError: No training job emitted the objective metric. Look at MetricDefinitions and the logs."
        return "All training jobs failed. Please take a look at the training jobs failures to get more details."

    def _trials(self, record: Record) -> Trials:
        return Trials(record, self._training.table)


def _definition(request: Record) -> Record:
    if unsupported := [name for name in _UNSUPPORTED if request.get(name)]:
        raise validation(
            f"The laptop cloud tunes one TrainingJobDefinition, from the start: it has no {unsupported[0]}."
        )
    if "TrainingJobDefinition" not in request:
        raise validation("TrainingJobDefinition is required.")
    definition: Record = request["TrainingJobDefinition"]
    return definition


def _check(request: Record) -> None:
    definition, config = _definition(request), request["HyperParameterTuningJobConfig"]
    if "HyperParameterTuningJobObjective" not in config:
        raise validation("HyperParameterTuningJobConfig.HyperParameterTuningJobObjective is required.")
    limits = config["ResourceLimits"]
    if limits["MaxParallelTrainingJobs"] > limits.get("MaxNumberOfTrainingJobs", _MAX_TRIALS):
        raise validation("MaxParallelTrainingJobs must not be more than MaxNumberOfTrainingJobs.")
    definitions = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    MetricScanner(definitions)
    metric = config["HyperParameterTuningJobObjective"]["MetricName"]
    if metric not in [item["Name"] for item in definitions]:
        raise validation(f"The objective metric {metric} is not among the algorithm's MetricDefinitions.")
