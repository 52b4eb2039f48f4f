"""Endpoint configurations: the models of an endpoint, and the share of requests of each."""

import copy
from collections import Counter

from penstock.local.sagemaker.core.caller import Caller, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.hosting.models import Models
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import validation
from penstock.local.sagemaker.protocol.paging import page

_UNSUPPORTED = ("AsyncInferenceConfig", "ShadowProductionVariants", "ExplainerConfig", "ExecutionRoleArn")


class EndpointConfigs:
    """The operations on endpoint configurations."""

    def __init__(self, store: Store, tags: Tags, models: Models) -> None:
        self._store = store
        self._tags = tags
        self._models = models

    def find(self, name: str) -> Record:
        """Return a configuration by its name.

        Raises:
            SageMakerError: there is no such configuration.
        """
        if name not in self._store.endpoint_configs:
            raise validation(f'Could not find endpoint configuration "{arn(f"endpoint-config/{name}")}".')
        return self._store.endpoint_configs[name]

    def create(self, request: Record, _: Caller) -> Record:
        """Create a configuration, if its models exist."""
        name = request["EndpointConfigName"]
        config_arn = arn(f"endpoint-config/{name}")
        if name in self._store.endpoint_configs:
            raise validation(f'Cannot create already existing endpoint configuration "{config_arn}".')
        _check(request)
        for variant in request["ProductionVariants"]:
            self._models.find(variant["ModelName"])
        record = {key: copy.deepcopy(value) for key, value in request.items() if key != "Tags"}
        record |= {"EndpointConfigArn": config_arn, "CreationTime": now()}
        for variant in record["ProductionVariants"]:
            variant.setdefault("InitialVariantWeight", 1.0)
        self._store.endpoint_configs[name] = record
        self._tags.set_at_creation(config_arn, request)
        return {"EndpointConfigArn": config_arn}

    def describe(self, request: Record, _: Caller) -> Record:
        """Describe a configuration."""
        return project(self.find(request["EndpointConfigName"]), output_shape("DescribeEndpointConfig"))

    def list(self, request: Record, _: Caller) -> Record:
        """List configurations."""
        records = list(self._store.endpoint_configs.values())
        return page("ListEndpointConfigs", request, records, name="EndpointConfigName", member="EndpointConfigs")

    def delete(self, request: Record, _: Caller) -> Record:
        """Delete a configuration; endpoints that were created with it continue."""
        record = self._store.endpoint_configs.pop(self.find(request["EndpointConfigName"])["EndpointConfigName"])
        self._store.tags.pop(record["EndpointConfigArn"], None)
        return {}


def _check(request: Record) -> None:
    """Check what AWS's model of the request cannot, and refuse what the laptop cloud does not support."""
    names = Counter(variant["VariantName"] for variant in request["ProductionVariants"])
    if repeated := [name for name, count in names.items() if count > 1]:
        raise validation(f"VariantName must be unique within ProductionVariants: {repeated[0]}.")
    for variant in request["ProductionVariants"]:
        if "ModelName" not in variant:
            raise validation(
                f"Variant {variant['VariantName']}: ModelName is required. "
                "The laptop cloud has no inference components."
            )
        if ("InstanceType" in variant) == ("ServerlessConfig" in variant):
            raise validation(
                f"Variant {variant['VariantName']} must have either InstanceType with InitialInstanceCount, or "
                "ServerlessConfig."
            )
    if unsupported := [name for name in _UNSUPPORTED if request.get(name)]:
        raise validation(f"{unsupported[0]} is not available on the laptop cloud. Leave it out here.")
    if request.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise validation("The laptop cloud's endpoints capture nothing: DataCaptureConfig.EnableCapture must be false.")
