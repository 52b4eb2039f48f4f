"""Endpoints: created from a configuration, in service when every variant answers, resumed with the cloud."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from ministack.core import iam_evaluator

from penstock.local.host.cloud import REGION
from penstock.local.sagemaker.container.credential_endpoint import CredentialEndpoint
from penstock.local.sagemaker.core import events
from penstock.local.sagemaker.core.caller import Caller, account_scope, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.hosting.endpoint_configs import EndpointConfigs
from penstock.local.sagemaker.hosting.models import Models, data_source
from penstock.local.sagemaker.hosting.variant import Variant
from penstock.local.sagemaker.hosting.variant_plan import STARTUP_SECONDS, VariantPlan
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import SageMakerError, validation
from penstock.local.sagemaker.protocol.paging import page


class Endpoints:
    """The operations on endpoints, and their processes."""

    def __init__(
        self, store: Store, tags: Tags, models: Models, configs: EndpointConfigs, settings: JobSettings
    ) -> None:
        self._store = store
        self._tags = tags
        self._models = models
        self._configs = configs
        self._settings = settings
        self.credentials = CredentialEndpoint()
        self._running: dict[str, list[Variant]] = {}

    def find(self, name: str) -> Record:
        """Return an endpoint by its name.

        Raises:
            SageMakerError: there is no such endpoint.
        """
        if name not in self._store.endpoints:
            raise validation(f'Could not find endpoint "{arn(f"endpoint/{name}")}".')
        return self._store.endpoints[name]

    def variants(self, name: str) -> list[Variant]:
        """Return the processes of an endpoint, in the order of its configuration."""
        return self._running.get(name, [])

    # The operations

    def create(self, request: Record, caller: Caller) -> Record:
        """Record an endpoint and start its processes."""
        name, config = request["EndpointName"], self._configs.find(request["EndpointConfigName"])
        endpoint_arn = arn(f"endpoint/{name}")
        if name in self._store.endpoints:
            raise validation(f'Cannot create already existing endpoint "{endpoint_arn}".')
        authorise("sagemaker:CreateEndpoint", config["EndpointConfigArn"], caller)
        record = {
            "EndpointName": name,
            "EndpointArn": endpoint_arn,
            "EndpointStatus": "Creating",
            "CreationTime": now(),
            "LastModifiedTime": now(),
            **self.members(name, config),
        }
        self._store.endpoints[name] = record
        self._tags.set_at_creation(endpoint_arn, request)
        self._publish(record)
        shutil.rmtree(self._settings.home.endpoints / name, ignore_errors=True)
        self._start(record)
        return {"EndpointArn": endpoint_arn}

    def describe(self, request: Record, _: Caller) -> Record:
        """Describe an endpoint."""
        return project(self.find(request["EndpointName"]), output_shape("DescribeEndpoint"))

    def list_endpoints(self, request: Record, _: Caller) -> Record:
        """List endpoints."""
        status = request.get("StatusEquals")
        records = [item for item in self._store.endpoints.values() if status in (None, item["EndpointStatus"])]
        filters = {key: value for key, value in request.items() if key != "StatusEquals"}
        return page("ListEndpoints", filters, records, name="EndpointName", member="Endpoints")

    def delete(self, request: Record, _: Caller) -> Record:
        """Stop an endpoint's processes; it is removed when they have ended."""
        record = self.find(request["EndpointName"])
        if record["EndpointStatus"] in ("Creating", "Updating", "Deleting"):
            raise validation(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
        self.change(record, EndpointStatus="Deleting")
        for variant in self.variants(record["EndpointName"]):
            variant.stop()
        threading.Thread(target=self._remove, args=(record,), name="endpoint-deletion", daemon=True).start()
        return {}

    # Start and stop of the cloud

    def resume(self) -> None:
        """Start the processes of the endpoints in the saved state, which ended with the cloud."""
        with self._store.lock:
            for record in list(self._store.endpoints.values()):
                if record["EndpointStatus"] == "Deleting":
                    self._remove(record)
                elif record["EndpointStatus"] != "Failed":
                    self._start(record)

    def stop(self) -> tuple[Variant, ...]:
        """Stop every process because the cloud stops; return them."""
        variants = tuple(variant for running in self._running.values() for variant in running)
        for variant in variants:
            variant.stop()
        return variants

    def wait_or_kill(self, variants: tuple[Variant, ...], seconds: float) -> None:
        """Wait for stopped processes, and kill those that take longer."""
        deadline = time.monotonic() + seconds
        for variant in variants:
            variant.wait(max(0.0, deadline - time.monotonic()))
        for variant in variants:
            variant.kill()

    # Also used by updates

    def members(self, name: str, config: Record, generation: str = "") -> Record:
        """Return the members of an endpoint that follow from its configuration."""
        variants = config["ProductionVariants"]
        plans = [self._plan(name, variant, generation) for variant in variants]
        return {
            "EndpointConfigName": config["EndpointConfigName"],
            "ProductionVariants": [_summary(variant, plans) for variant in variants],
            "_plans": [asdict(plan) for plan in plans],
        }

    def prepare(self, plans: Sequence[Record], *, starting: bool, changed: Callable[[], None]) -> list[Variant]:
        """Return a process for each plan; the caller starts them."""
        return [
            Variant(VariantPlan.restore(plan), self._settings, self.credentials, starting=starting, changed=changed)
            for plan in plans
        ]

    def replace_variants(self, name: str, variants: list[Variant]) -> list[Variant]:
        """Route requests to other processes, and return the previous ones."""
        previous, self._running[name] = self._running.get(name, []), variants
        return previous

    def _plan(self, endpoint: str, variant: Record, generation: str) -> VariantPlan:
        model = self._models.find(variant["ModelName"])
        container = model["_container"]
        return VariantPlan(
            endpoint=endpoint,
            variant=variant["VariantName"],
            image=container["Image"],
            source=data_source(container),
            environment=container.get("Environment", {}),
            role=model["ExecutionRoleArn"],
            isolated=model["EnableNetworkIsolation"],
            generation=generation,
            startup=float(variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS)),
        )

    def _start(self, record: Record) -> None:
        name, starting = record["EndpointName"], record["EndpointStatus"] == "Creating"
        self._running[name] = self.prepare(record["_plans"], starting=starting, changed=lambda: self._settle(record))
        for variant in self._running[name]:
            variant.start()

    def _settle(self, record: Record) -> None:
        """Set the status of an endpoint that is being created, as soon as its variants' are known."""
        variants = self.variants(record["EndpointName"])
        with self._store.lock, account_scope():
            if record["EndpointStatus"] != "Creating":
                return
            if failures := [variant.failure for variant in variants if variant.failure]:
                for variant in variants:
                    variant.stop()
                self.change(record, EndpointStatus="Failed", FailureReason=failures[0])
            elif all(variant.has_answered for variant in variants):
                self.change(record, EndpointStatus="InService")

    def _remove(self, record: Record) -> None:
        for variant in self._running.pop(record["EndpointName"], []):
            variant.wait()
        shutil.rmtree(self._settings.home.endpoints / record["EndpointName"], ignore_errors=True)
        with self._store.lock:
            self._store.endpoints.pop(record["EndpointName"], None)
            self._store.tags.pop(record["EndpointArn"], None)
            self._store.save()

    def change(self, record: Record, **members: object) -> None:
        """Change an endpoint's record, save it, and publish the event."""
        record.update(members, LastModifiedTime=now())
        self._store.save()
        self._publish(record)

    def _publish(self, record: Record) -> None:
        events.endpoint_changed(record, self._store.tags.get(record["EndpointArn"], {}))


def _summary(variant: Record, plans: list[VariantPlan]) -> Record:
    """Return a variant in the form of DescribeEndpoint."""
    used = [plan.image for plan in plans if plan.variant == variant["VariantName"]]
    images = [{"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": now()} for image in used]
    weight, count = variant["InitialVariantWeight"], variant.get("InitialInstanceCount", 1)
    counts = {} if "ServerlessConfig" in variant else {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
    return {
        "VariantName": variant["VariantName"],
        "DeployedImages": images,
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        **counts,
    }


def authorise(action: str, config_arn: str, caller: Caller) -> None:
    """Check the caller's permission for the configuration, as AWS does; MiniStack checks only the endpoint."""
    if iam_evaluator.enforce(caller.access_key, action, "sagemaker", REGION, resource_arn=config_arn) is not None:
        message = (
            f"User: {caller.arn} is not authorized to perform: {action} on resource: {config_arn} because no "
            f"identity-based policy allows the {action} action"
        )
        raise SageMakerError("AccessDeniedException", message)
