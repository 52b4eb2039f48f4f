"""Models: an image, the data in its `/opt/ml/model`, and its role."""

import copy

from ministack.core import iam_evaluator

from penstock.local.host.cloud import REGION
from penstock.local.sagemaker.container import images, roles
from penstock.local.sagemaker.core import s3_objects as objects
from penstock.local.sagemaker.core.caller import Caller, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.protocol.api_model import output_shape, project
from penstock.local.sagemaker.protocol.errors import validation
from penstock.local.sagemaker.protocol.paging import page
from penstock.local.sagemaker.registry.model_packages import ModelPackages


class Models:
    """The operations on models; on the laptop cloud a model has one container with one model."""

    def __init__(self, store: Store, tags: Tags, packages: ModelPackages, settings: JobSettings) -> None:
        self._store = store
        self._tags = tags
        self._packages = packages
        self._images = settings.home.images

    def find(self, name: str) -> Record:
        """Return a model by its name.

        Raises:
            SageMakerError: there is no such model.
        """
        if name not in self._store.models:
            raise validation(f'Could not find model "{arn(f"model/{name}")}".')
        return self._store.models[name]

    def create(self, request: Record, caller: Caller) -> Record:
        """Create a model, if its role may be passed, its image exists, and the role may read its data."""
        name = request["ModelName"]
        model_arn = arn(f"model/{name}")
        if name in self._store.models:
            raise validation(f'Cannot create already existing model "{model_arn}".')
        role = request.get("ExecutionRoleArn")
        if role is None:
            raise validation("ExecutionRoleArn is required: the laptop cloud runs every model with a role.")
        roles.check_pass_role(caller, role)
        container = self._container(request)
        self._check(container, role)
        self._store.models[name] = {
            **{key: copy.deepcopy(value) for key, value in request.items() if key != "Tags"},
            "ModelArn": model_arn,
            "CreationTime": now(),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "_container": container,
        }
        self._tags.set_at_creation(model_arn, request)
        return {"ModelArn": model_arn}

    def describe(self, request: Record, _: Caller) -> Record:
        """Describe a model."""
        return project(self.find(request["ModelName"]), output_shape("DescribeModel"))

    def list(self, request: Record, _: Caller) -> Record:
        """List models."""
        return page("ListModels", request, list(self._store.models.values()), name="ModelName", member="Models")

    def delete(self, request: Record, _: Caller) -> Record:
        """Delete a model; endpoints that serve it continue."""
        record = self._store.models.pop(self.find(request["ModelName"])["ModelName"])
        self._store.tags.pop(record["ModelArn"], None)
        return {}

    def _container(self, request: Record) -> Record:
        """Return the container of a request, completed from its model package."""
        containers = [request["PrimaryContainer"]] if "PrimaryContainer" in request else request.get("Containers", [])
        if len(containers) != 1 or ("PrimaryContainer" in request and "Containers" in request):
            raise validation("A model on the laptop cloud has exactly one container: PrimaryContainer.")
        container: Record = copy.deepcopy(containers[0])
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise validation("The laptop cloud serves one model in a container: Mode must be SingleModel.")
        if "ModelPackageName" not in container:
            return container
        base = self._package_container(container.pop("ModelPackageName"))
        environment = {**base.get("Environment", {}), **container.get("Environment", {})}
        return {**base, **container, "Environment": environment}

    def _package_container(self, name: str) -> Record:
        package = self._packages.find(name)
        if package.get("ModelApprovalStatus", "Approved") != "Approved":
            raise validation(f"Model package {package['ModelPackageArn']} is not approved.")
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        if len(containers) != 1:
            raise validation(f"{package['ModelPackageArn']} must have exactly one container to be served here.")
        container: Record = copy.deepcopy(containers[0])
        return container

    def _check(self, container: Record, role: str) -> None:
        try:
            images.find(container.get("Image", ""), self._images)
        except (images.UnknownImageError, OSError) as error:
            raise validation(f"Requested image {container.get('Image')} not found: {error}") from None
        uri = data_source(container).get("S3Uri")
        if uri is not None and not uri.endswith("/"):
            _check_readable(uri, role)


def data_source(container: Record) -> Record:
    """Return the data for `/opt/ml/model` as an `S3DataSource`; empty where the image needs none."""
    if "ModelDataUrl" in container:
        return {"S3Uri": container["ModelDataUrl"], "S3DataType": "S3Object", "CompressionType": "Gzip"}
    source: Record = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return source


def _check_readable(uri: str, role: str) -> None:
    """Refuse an artifact that does not exist or that the role may not read, before a process is started."""
    bucket, key = objects.split(uri)
    if objects.etag(uri) is None:
        raise validation(f"Could not find model data at {uri}.")
    credentials = roles.assume(role, "SageMaker")
    try:
        denied = iam_evaluator.enforce(
            credentials.access_key, "s3:GetObject", "s3", REGION, resource_arn=f"arn:aws:s3:::{bucket}/{key}"
        )
    finally:
        roles.end_session(credentials)
    if denied is not None:
        raise validation(
            f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that its trust '
            f'relationship policy allows the action "sts:AssumeRole" for the service principal "{roles.SERVICE}". '
            f'Also ensure that the role has "s3:GetObject" permissions and that the object is located in {REGION}.'
        )
