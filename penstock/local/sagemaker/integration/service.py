"""SageMaker's service object: dispatches requests, checked against AWS's model, to the operations."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from penstock.local.sagemaker.core import events
from penstock.local.sagemaker.core.caller import Caller, account_scope, caller_of
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.features.groups import FeatureGroups
from penstock.local.sagemaker.features.offline_store import OfflineStore
from penstock.local.sagemaker.features.records import FeatureRecords
from penstock.local.sagemaker.features.runtime import FeatureRuntime, operation_of, request_of
from penstock.local.sagemaker.hosting import runtime
from penstock.local.sagemaker.hosting.endpoint_configs import EndpointConfigs
from penstock.local.sagemaker.hosting.endpoint_updates import EndpointUpdates
from penstock.local.sagemaker.hosting.endpoints import Endpoints
from penstock.local.sagemaker.hosting.models import Models
from penstock.local.sagemaker.hosting.variant import Variant
from penstock.local.sagemaker.jobs.base import JobQueue, Jobs
from penstock.local.sagemaker.jobs.processing import ProcessingJobs
from penstock.local.sagemaker.jobs.training import TrainingJobs
from penstock.local.sagemaker.jobs.tuning import TuningJobs
from penstock.local.sagemaker.protocol import json_protocol as wire
from penstock.local.sagemaker.protocol import request_validation as validation
from penstock.local.sagemaker.protocol.api_model import operation_model
from penstock.local.sagemaker.protocol.errors import SageMakerError
from penstock.local.sagemaker.registry.model_packages import ModelPackages
from penstock.local.sagemaker.registry.package_groups import PackageGroups

Operation = Callable[[Record, Caller], Record]
_READS = ("Describe", "List", "Get", "BatchDescribe")
_log = logging.getLogger(__name__)


class SageMaker:
    """All of SageMaker on the laptop cloud, with the functions that MiniStack expects of a service's module."""

    def __init__(self, settings: JobSettings) -> None:
        self.store = Store(settings.home.state / "sagemaker.json")
        tags = Tags(self.store)
        groups = PackageGroups(self.store, tags)
        packages = ModelPackages(self.store, groups, tags, settings.home.images)
        queue = JobQueue(settings.slots)
        self._records = FeatureRecords(settings.home.state / "features.sqlite")
        features = FeatureGroups(self.store, tags, self._records)
        self.runtime = FeatureRuntime(features, self._records)
        self._offline_store = OfflineStore(self.store, self._records, settings)
        self.training = TrainingJobs(self.store, tags, settings, queue)
        self.processing = ProcessingJobs(self.store, tags, settings, queue)
        # In a queue of its own: a tuning job waits for its trials, whose places it would take otherwise.
        self.tuning = TuningJobs(self.store, tags, settings, JobQueue(settings.slots), self.training)
        models = Models(self.store, tags, packages, settings)
        configs = EndpointConfigs(self.store, tags, models)
        self.endpoints = Endpoints(self.store, tags, models, configs, settings)
        self.updates = EndpointUpdates(self.store, configs, self.endpoints)
        self.invocations = runtime.Runtime(self.endpoints)
        self.operations: dict[str, Operation] = {
            "AddTags": tags.add_tags,
            "ListTags": tags.list_tags,
            "DeleteTags": tags.delete_tags,
            "CreateModelPackageGroup": groups.create_model_package_group,
            "DescribeModelPackageGroup": groups.describe_model_package_group,
            "ListModelPackageGroups": groups.list_model_package_groups,
            "DeleteModelPackageGroup": groups.delete_model_package_group,
            "PutModelPackageGroupPolicy": groups.put_model_package_group_policy,
            "GetModelPackageGroupPolicy": groups.get_model_package_group_policy,
            "DeleteModelPackageGroupPolicy": groups.delete_model_package_group_policy,
            "CreateModelPackage": packages.create_model_package,
            "DescribeModelPackage": packages.describe_model_package,
            "BatchDescribeModelPackage": packages.batch_describe_model_package,
            "ListModelPackages": packages.list_model_packages,
            "UpdateModelPackage": packages.update_model_package,
            "DeleteModelPackage": packages.delete_model_package,
            "CreateTrainingJob": self.training.create,
            "DescribeTrainingJob": self.training.describe,
            "ListTrainingJobs": self.training.list,
            "StopTrainingJob": self.training.stop,
            "CreateProcessingJob": self.processing.create,
            "DescribeProcessingJob": self.processing.describe,
            "ListProcessingJobs": self.processing.list,
            "StopProcessingJob": self.processing.stop,
            "CreateHyperParameterTuningJob": self.tuning.create,
            "DescribeHyperParameterTuningJob": self.tuning.describe,
            "ListHyperParameterTuningJobs": self.tuning.list,
            "ListTrainingJobsForHyperParameterTuningJob": self.tuning.list_trials,
            "StopHyperParameterTuningJob": self.tuning.stop,
            "CreateFeatureGroup": features.create_feature_group,
            "DescribeFeatureGroup": features.describe_feature_group,
            "ListFeatureGroups": features.list_feature_groups,
            "UpdateFeatureGroup": features.update_feature_group,
            "DeleteFeatureGroup": features.delete_feature_group,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "ListModels": models.list,
            "DeleteModel": models.delete,
            "CreateEndpointConfig": configs.create,
            "DescribeEndpointConfig": configs.describe,
            "ListEndpointConfigs": configs.list,
            "DeleteEndpointConfig": configs.delete,
            "CreateEndpoint": self.endpoints.create,
            "DescribeEndpoint": self.endpoints.describe,
            "ListEndpoints": self.endpoints.list_endpoints,
            "UpdateEndpoint": self.updates.update,
            "UpdateEndpointWeightsAndCapacities": self.updates.update_weights,
            "DeleteEndpoint": self.endpoints.delete,
        }

    def call(self, name: str, request: Record, caller: Caller) -> Record:
        """Call an operation.

        Raises:
            SageMakerError: the request is refused, with AWS's code for why.
        """
        model = operation_model(name)
        if model is None:
            raise SageMakerError("UnknownOperationException", f"SageMaker has no operation {name}.")
        operation = self.operations.get(name)
        if operation is None:
            available = ", ".join(sorted(self.operations))
            raise SageMakerError(
                "UnknownOperationException", f"{name} is not available on the laptop cloud. It has: {available}."
            )
        validation.check(request, model.input_shape)
        with self.store.lock:
            response = operation(request, caller)
            if not name.startswith(_READS):
                self.store.save()
        return response

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes | str, query: dict[str, list[str]]
    ) -> wire.Response:
        """Answer a request in SageMaker's JSON 1.1 protocol, or in the REST protocol of one of its runtimes."""
        if (invocation := runtime.operation_of(method, path)) and "x-amz-target" not in headers:
            return await self.invocations.handle(*invocation, headers, body)
        if (operation := operation_of(method, path)) and "x-amz-target" not in headers:
            caller = caller_of(headers, query)
            return await asyncio.to_thread(self._answer_record, operation, path, query, body, caller)
        return await asyncio.to_thread(self._answer, headers, body, query)

    def _answer(self, headers: dict[str, str], body: bytes | str, query: dict[str, list[str]]) -> wire.Response:
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            return wire.response(200, self.call(name, wire.parse_body(body), caller_of(headers, query)))
        except SageMakerError as error:
            return wire.error_response(error)
        except Exception as error:
            _log.exception("SageMaker.%s failed", name)
            return wire.fault_response(error)

    def _answer_record(
        self, name: str, path: str, query: dict[str, list[str]], body: bytes | str, caller: Caller
    ) -> wire.Response:
        try:
            response = self.runtime.call(name, request_of(path, query, wire.parse_body(body)), caller)
        except SageMakerError as error:
            status, headers, content = wire.response(error.status, {"message": error.message})
            return status, {**headers, "x-amzn-ErrorType": error.code}, content
        except Exception as error:
            _log.exception("SageMaker.%s failed", name)
            return wire.fault_response(error)
        return wire.response(200, response)

    # Start and stop

    def start(self) -> None:
        """Fail the jobs that are unfinished in the saved state."""
        with account_scope(), self.store.lock:
            self.training.fail_interrupted()
            self.tuning.fail_interrupted()
            self.processing.fail_interrupted()

    def deliver_events(self) -> None:
        """Start to deliver events, and resume the endpoints; the cloud must answer requests by then."""
        events.start()
        self.endpoints.resume()
        self.updates.resume()
        self._offline_store.start()

    def stop(self) -> None:
        """Stop every job and every endpoint's process because the cloud stops."""
        self._offline_store.stop()
        with account_scope(), self.store.lock:
            variants = self._stop_endpoints()
            runs = [(jobs, run) for jobs in self._kinds() for run in jobs.interrupt()]
        for jobs, run in runs:
            jobs.wait_for_end(run, seconds=8)
        self.endpoints.wait_or_kill(variants, seconds=5)
        events.drain(2)

    def _stop_endpoints(self) -> tuple[Variant, ...]:
        return (*self.endpoints.stop(), *self.updates.stop())

    def running_jobs(self) -> int:
        """Count the jobs that wait or run."""
        return sum(jobs.count_unfinished() for jobs in self._kinds())

    def _kinds(self) -> tuple[Jobs, ...]:
        """Return the kinds of jobs, tuning jobs first, as a stopped one starts no more trials."""
        return (self.tuning, self.training, self.processing)

    # Called by MiniStack

    def get_state(self) -> dict[str, Any]:
        """Return the state for MiniStack to save: a copy, which jobs do not change."""
        with self.store.lock:
            copy: dict[str, Any] = json.loads(json.dumps(self.store.content()))
        return copy

    def load_persisted_state(self, content: dict[str, Any]) -> None:
        """Load the saved state."""
        self.store.load(content)

    def reset(self) -> None:
        """Delete all state."""
        self._stop_endpoints()
        self.store.clear()
        self._records.clear()
