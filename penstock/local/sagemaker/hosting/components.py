"""Inference components: models on an endpoint whose variant has none of its own, in as many copies as are asked for.

As with a variant's instances, one process stands for all copies; none runs for no copy.
"""

import shutil
import threading
from dataclasses import asdict

from penstock.local.sagemaker.hosting.endpoints import Endpoints
from penstock.local.sagemaker.hosting.models import Models, data_source
from penstock.local.sagemaker.hosting.plans import STARTUP_SECONDS, Plan
from penstock.local.sagemaker.hosting.variant import Variant
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.caller import Caller, account_scope, arn, now
from penstock.local.sagemaker.protocol.errors import validation
from penstock.local.sagemaker.protocol.paging import page
from penstock.local.sagemaker.protocol.record_store import Record, Store
from penstock.local.sagemaker.protocol.settings import JobSettings
from penstock.local.sagemaker.protocol.tagging import Tags

_NAME, _STATUS = "InferenceComponentName", "InferenceComponentStatus"


class Components:
    """The operations on inference components, and their processes."""

    def __init__(self, store: Store, tags: Tags, models: Models, endpoints: Endpoints, settings: JobSettings) -> None:
        self._store = store
        self._tags = tags
        self._models = models
        self._endpoints = endpoints
        self._settings = settings
        self._running: dict[str, Variant] = {}

    def find(self, name: str) -> Record:
        """Return a component by its name.

        Raises:
            SageMakerError: there is no such component.
        """
        if name not in self._store.inference_components:
            raise validation(f'Could not find inference component "{arn(f"inference-component/{name}")}".')
        return self._store.inference_components[name]

    def process(self, name: str) -> Variant | None:
        """The process that answers for a component; None while there is no copy in service."""
        in_service = self.find(name)[_STATUS] == "InService"
        return self._running.get(name) if in_service else None

    # The operations

    def create(self, request: Record, _: Caller) -> Record:
        """Note a component of an endpoint in service, and start its process."""
        name, endpoint = request[_NAME], self._endpoints.find(request["EndpointName"])
        component_arn = arn(f"inference-component/{name}")
        if name in self._store.inference_components:
            raise validation(f'Cannot create already existing inference component "{component_arn}".')
        _check(request, endpoint)
        copies = request["RuntimeConfig"]["CopyCount"]
        record = {
            _NAME: name,
            "InferenceComponentArn": component_arn,
            "EndpointName": endpoint["EndpointName"],
            "EndpointArn": endpoint["EndpointArn"],
            "VariantName": request["VariantName"],
            "Specification": request["Specification"],
            "RuntimeConfig": {"DesiredCopyCount": copies, "CurrentCopyCount": 0},
            "CreationTime": now(),
            "LastModifiedTime": now(),
            _STATUS: "Creating",
            "_plan": asdict(self._plan(request, endpoint)),
        }
        self._store.inference_components[name] = record
        self._tags.set_at_creation(component_arn, request)
        self._to_desired(record)
        return {"InferenceComponentArn": component_arn}

    def describe(self, request: Record, _: Caller) -> Record:
        """Describe a component."""
        return project(self.find(request[_NAME]), output_shape("DescribeInferenceComponent"))

    def list(self, request: Record, _: Caller) -> Record:
        """List components."""
        filters = {"StatusEquals": _STATUS, "EndpointNameEquals": "EndpointName", "VariantNameEquals": "VariantName"}
        records = [
            record
            for record in self._store.inference_components.values()
            if all(request.get(name) in (None, record[member]) for name, member in filters.items())
        ]
        asked = {key: value for key, value in request.items() if key not in filters}
        return page("ListInferenceComponents", asked, records, name=_NAME, member="InferenceComponents")

    def update_runtime(self, request: Record, _: Caller) -> Record:
        """Change the number of copies, to none and back too."""
        record = self.find(request[_NAME])
        if record[_STATUS] != "InService":
            raise validation(
                f'Cannot update inference component "{record["InferenceComponentArn"]}" in {record[_STATUS]}.'
            )
        record["RuntimeConfig"]["DesiredCopyCount"] = request["DesiredRuntimeConfig"]["CopyCount"]
        self._change(record, "Updating")
        self._to_desired(record)
        return {"InferenceComponentArn": record["InferenceComponentArn"]}

    def delete(self, request: Record, _: Caller) -> Record:
        """End a component's process; it is gone when that is."""
        record = self.find(request[_NAME])
        if record[_STATUS] not in ("InService", "Failed"):
            raise validation(
                f'Cannot delete inference component "{record["InferenceComponentArn"]}" in {record[_STATUS]}.'
            )
        self._change(record, "Deleting")
        threading.Thread(target=self._remove, args=(record,), name="component-deletion", daemon=True).start()
        return {}

    # Life and end of the cloud

    def bring_back(self) -> None:
        """Start the processes of the components that the saved state shows."""
        with self._store.lock:
            for record in list(self._store.inference_components.values()):
                if record[_STATUS] == "Deleting":
                    self._remove(record)
                elif record[_STATUS] == "InService" and record["RuntimeConfig"]["DesiredCopyCount"]:
                    self._start(record)
                elif record[_STATUS] != "Failed":
                    self._to_desired(record)

    def stop(self) -> tuple[Variant, ...]:
        """Ask every process to end, because the cloud stops; return them."""
        variants = tuple(self._running.values())
        for variant in variants:
            variant.stop()
        return variants

    def _plan(self, request: Record, endpoint: Record) -> Plan:
        specification = request["Specification"]
        if "ModelName" in specification:
            model = self._models.find(specification["ModelName"])
            container, isolated = model["_container"], model["EnableNetworkIsolation"]
        else:
            container, isolated = self._models.container_of(specification["Container"], endpoint["_role"]), False
        startup = specification.get("StartupParameters", {})
        return Plan(
            endpoint=endpoint["EndpointName"],
            variant=request["VariantName"],
            component=request[_NAME],
            image=container["Image"],
            source=data_source(container),
            environment=container.get("Environment", {}),
            role=endpoint["_role"],
            isolated=isolated,
            startup=float(startup.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS)),
        )

    def _to_desired(self, record: Record) -> None:
        """Have a process for copies and none for no copy; the status follows."""
        running = self._running.get(record[_NAME])
        if record["RuntimeConfig"]["DesiredCopyCount"] and running is None:
            self._start(record)
            return
        if running is not None and not record["RuntimeConfig"]["DesiredCopyCount"]:
            self._running.pop(record[_NAME]).stop()
        self._in_service(record)

    def _start(self, record: Record) -> None:
        starting = record[_STATUS] != "InService"
        plan = Plan(**record["_plan"])
        variant = Variant(
            plan, self._settings, self._endpoints.door, starting=starting, changed=lambda: self._settle(record)
        )
        self._running[record[_NAME]] = variant
        variant.start()

    def _settle(self, record: Record) -> None:
        with self._store.lock, account_scope():
            variant = self._running.get(record[_NAME])
            if variant is None or record[_STATUS] not in ("Creating", "Updating"):
                return
            if variant.failure:
                del self._running[record[_NAME]]
                self._change(record, "Failed", FailureReason=variant.failure)
            elif variant.answered:
                self._in_service(record)

    def _in_service(self, record: Record) -> None:
        record["RuntimeConfig"]["CurrentCopyCount"] = record["RuntimeConfig"]["DesiredCopyCount"]
        self._change(record, "InService")

    def _remove(self, record: Record) -> None:
        if variant := self._running.pop(record[_NAME], None):
            variant.stop()
            variant.wait()
        shutil.rmtree(Plan(**record["_plan"]).place(self._settings), ignore_errors=True)
        with self._store.lock:
            self._store.inference_components.pop(record[_NAME], None)
            self._store.tags.pop(record["InferenceComponentArn"], None)
            self._store.save()

    def _change(self, record: Record, status: str, **members: object) -> None:
        record.update({_STATUS: status, "LastModifiedTime": now()}, **members)
        self._store.save()


def _check(request: Record, endpoint: Record) -> None:
    """What AWS's model of the request cannot say, and what the laptop cloud does not do."""
    if endpoint["EndpointStatus"] != "InService":
        raise validation(f'Endpoint "{endpoint["EndpointArn"]}" is not in service: {endpoint["EndpointStatus"]}.')
    for name in ("VariantName", "Specification", "RuntimeConfig"):
        if name not in request:
            raise validation(f"{name} is required for an inference component on the laptop cloud.")
    if request["VariantName"] not in [item["VariantName"] for item in endpoint["ProductionVariants"]]:
        raise validation(f'Could not find variant "{request["VariantName"]}" of endpoint "{endpoint["EndpointArn"]}".')
    if endpoint["_plans"] or endpoint["_role"] is None:
        raise validation(f'Endpoint "{endpoint["EndpointArn"]}" serves models, and takes no inference components.')
    if ("ModelName" in request["Specification"]) == ("Container" in request["Specification"]):
        raise validation("Specification must have either ModelName or Container.")
