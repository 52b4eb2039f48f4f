"""Updates of an endpoint in service: another configuration, or other weights.

The processes of the new configuration start beside the old ones and replace them, all at once, when every one of them
answers; if one fails, the old ones stay. An update that was interrupted by a stop of the cloud is resumed.
"""

import secrets
import shutil
import threading

from penstock.local.sagemaker.core.caller import Caller, account_scope
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.hosting.endpoint_configs import EndpointConfigs
from penstock.local.sagemaker.hosting.endpoints import Endpoints, authorise
from penstock.local.sagemaker.hosting.variant import Variant
from penstock.local.sagemaker.protocol.errors import validation

_UNSUPPORTED = ("RetainAllVariantProperties", "DeploymentConfig", "RetainDeploymentConfig")


class EndpointUpdates:
    """UpdateEndpoint and UpdateEndpointWeightsAndCapacities."""

    def __init__(self, store: Store, configs: EndpointConfigs, endpoints: Endpoints) -> None:
        self._store = store
        self._configs = configs
        self._endpoints = endpoints
        self._next: dict[str, list[Variant]] = {}

    def update(self, request: Record, caller: Caller) -> Record:
        """Start the processes of another configuration, which then replace the present ones."""
        record = self._in_service(request["EndpointName"])
        if unsupported := [name for name in _UNSUPPORTED if request.get(name)]:
            raise validation(
                f"{unsupported[0]} is not available on the laptop cloud: an update replaces all variants at once."
            )
        config = self._configs.find(request["EndpointConfigName"])
        authorise("sagemaker:UpdateEndpoint", config["EndpointConfigArn"], caller)
        members = self._endpoints.members(record["EndpointName"], config, secrets.token_hex(4))
        record.pop("FailureReason", None)
        self._endpoints.change(record, EndpointStatus="Updating", _next=members)
        self._start(record)
        return {"EndpointArn": record["EndpointArn"]}

    def update_weights(self, request: Record, _: Caller) -> Record:
        """Change the weights and the nominal instance counts of variants, effective at once."""
        record = self._in_service(request["EndpointName"])
        variants = {item["VariantName"]: item for item in record["ProductionVariants"]}
        for desired in request["DesiredWeightsAndCapacities"]:
            if desired["VariantName"] not in variants:
                raise validation(f'Could not find variant "{desired["VariantName"]}" of "{record["EndpointArn"]}".')
        for desired in request["DesiredWeightsAndCapacities"]:
            variant = variants[desired["VariantName"]]
            for member, suffix in (("DesiredWeight", "Weight"), ("DesiredInstanceCount", "InstanceCount")):
                if member in desired:
                    variant |= {f"Current{suffix}": desired[member], f"Desired{suffix}": desired[member]}
        self._endpoints.change(record)
        return {"EndpointArn": record["EndpointArn"]}

    def resume(self) -> None:
        """Resume the unfinished updates of the saved state."""
        with self._store.lock:
            for record in self._store.endpoints.values():
                if "_next" in record:
                    self._start(record)

    def stop(self) -> tuple[Variant, ...]:
        """Stop every process because the cloud stops; return them."""
        variants = tuple(variant for starting in self._next.values() for variant in starting)
        for variant in variants:
            variant.stop()
        return variants

    def _in_service(self, name: str) -> Record:
        record = self._endpoints.find(name)
        if record["EndpointStatus"] == "Failed":
            raise validation(f'Cannot update failed endpoint "{record["EndpointArn"]}".')
        if record["EndpointStatus"] != "InService":
            raise validation(f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
        return record

    def _start(self, record: Record) -> None:
        plans = record["_next"]["_plans"]
        variants = self._endpoints.prepare(plans, starting=True, changed=lambda: self._settle(record))
        self._next[record["EndpointName"]] = variants
        for variant in variants:
            variant.start()

    def _settle(self, record: Record) -> None:
        with self._store.lock, account_scope():
            variants = self._next.get(record["EndpointName"], [])
            if failures := [variant.failure for variant in variants if variant.failure]:
                self._end(record, variants, {"FailureReason": failures[0]})
            elif variants and all(variant.has_answered for variant in variants):
                members = record["_next"]
                self._end(record, self._endpoints.replace_variants(record["EndpointName"], variants), members)

    def _end(self, record: Record, obsolete: list[Variant], members: Record) -> None:
        """Put the endpoint back in service, and stop the processes that are obsolete."""
        del self._next[record["EndpointName"]]
        del record["_next"]
        self._endpoints.change(record, EndpointStatus="InService", **members)
        for variant in obsolete:
            variant.stop()
        threading.Thread(target=_remove_files, args=(obsolete,), name="endpoint-update", daemon=True).start()


def _remove_files(variants: list[Variant]) -> None:
    for variant in variants:
        variant.wait()
        shutil.rmtree(variant.plan.directory(variant.settings), ignore_errors=True)
