"""Model packages: the versions of a group, their approval status, and who changed it."""

import contextlib
import copy
from pathlib import Path
from typing import Any

from penstock.local.sagemaker.container import images
from penstock.local.sagemaker.core import events
from penstock.local.sagemaker.core import s3_objects as objects
from penstock.local.sagemaker.core.caller import Caller, arn, now
from penstock.local.sagemaker.core.record_store import Record, Store
from penstock.local.sagemaker.core.tagging import Tags
from penstock.local.sagemaker.protocol.api_model import output_shape, project, service_model
from penstock.local.sagemaker.protocol.errors import SageMakerError, conflict, validation
from penstock.local.sagemaker.protocol.paging import page
from penstock.local.sagemaker.registry.package_groups import PackageGroups

_NOT_STORED = ("Tags", "ClientToken")
_REPLACED = (
    "ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelCard", "ModelLifeCycle",
    "ModelPackageRegistrationType",
)  # fmt: skip
_METADATA_LIMIT = 50


class ModelPackages:
    """The operations on model packages."""

    def __init__(self, store: Store, groups: PackageGroups, tags: Tags, known_images: Path) -> None:
        self._store = store
        self._groups = groups
        self._tags = tags
        self._images = known_images

    def find(self, name_or_arn: str) -> Record:
        """Return a package by its ARN, or by its name where it has no group.

        Raises:
            SageMakerError: there is no such package.
        """
        package_arn = name_or_arn if name_or_arn.startswith("arn:") else arn(f"model-package/{name_or_arn}")
        record = self._store.packages.get(package_arn)
        if record is None:
            raise validation(f"ModelPackage {package_arn} does not exist.")
        return record

    def create_model_package(self, request: Record, caller: Caller) -> Record:
        """Register a package: a new version of a group, or a single package with a name."""
        token = request.get("ClientToken")
        if token in self._store.client_tokens:
            return {"ModelPackageArn": self._store.client_tokens[token]}
        identity = self._identity(request)
        record = {
            **{key: copy.deepcopy(value) for key, value in request.items() if key not in _NOT_STORED},
            **identity,
            "CreationTime": now(),
            "CreatedBy": caller.iam_identity(),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        }
        _add_artifact_etags(record)
        self._add_image_digests(record)
        self._store.packages[identity["ModelPackageArn"]] = record
        self._tags.set_at_creation(identity["ModelPackageArn"], request)
        if token:
            self._store.client_tokens[token] = identity["ModelPackageArn"]
        events.package_changed(record)
        return {"ModelPackageArn": identity["ModelPackageArn"]}

    def _identity(self, request: Record) -> Record:
        name, group = request.get("ModelPackageName"), request.get("ModelPackageGroupName")
        if bool(name) == bool(group):
            raise validation("Exactly one of ModelPackageName and ModelPackageGroupName must be provided.")
        if group:
            return self._next_version(self._groups.find(group)["ModelPackageGroupName"], request)
        package_arn = arn(f"model-package/{name}")
        if package_arn in self._store.packages:
            raise conflict(f"Model Package already exists: {package_arn}")
        if "ModelApprovalStatus" in request:
            raise validation("ModelApprovalStatus is for versioned model packages only.")
        return {"ModelPackageArn": package_arn}

    def _next_version(self, group: str, request: Record) -> Record:
        version = self._store.versions.get(group, 0) + 1
        self._store.versions[group] = version
        return {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": version,
            "ModelPackageArn": arn(f"model-package/{group}/{version}"),
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
        }

    def describe_model_package(self, request: Record, _: Caller) -> Record:
        """Describe a package."""
        return project(self.find(request["ModelPackageName"]), output_shape("DescribeModelPackage"))

    def batch_describe_model_package(self, request: Record, _: Caller) -> Record:
        """Describe several versioned packages, with an error for each ARN that does not exist."""
        shape = service_model().shape_for("BatchDescribeModelPackageSummary")
        response: Record = {"ModelPackageSummaries": {}, "BatchDescribeModelPackageErrorMap": {}}
        for package_arn in request["ModelPackageArnList"]:
            try:
                response["ModelPackageSummaries"][package_arn] = project(self.find(package_arn), shape)
            except SageMakerError as error:
                response["BatchDescribeModelPackageErrorMap"][package_arn] = {
                    "ErrorCode": error.code,
                    "ErrorResponse": error.message,
                }
        return response

    def list_model_packages(self, request: Record, _: Caller) -> Record:
        """List the versions of a group, or the packages that have no group."""
        kind = request.get("ModelPackageType", "Versioned" if request.get("ModelPackageGroupName") else "Unversioned")
        group = request.get("ModelPackageGroupName")
        name = self._groups.find(group)["ModelPackageGroupName"] if group else None
        status = request.get("ModelApprovalStatus")
        records = [
            record
            for record in self._store.packages.values()
            if (kind == "Both" or ("ModelPackageVersion" in record) == (kind == "Versioned"))
            and name in (None, record.get("ModelPackageGroupName"))
            and status in (None, record.get("ModelApprovalStatus"))
        ]
        by = "ModelPackageGroupName" if kind == "Versioned" else "ModelPackageName"
        return page("ListModelPackages", request, records, name=by, member="ModelPackageSummaryList")

    def update_model_package(self, request: Record, caller: Caller) -> Record:
        """Change a package, and publish an event."""
        record = self.find(request["ModelPackageArn"])
        if "ModelApprovalStatus" in request and "ModelPackageVersion" not in record:
            raise validation("ModelApprovalStatus is for versioned model packages only.")
        record.update({key: copy.deepcopy(request[key]) for key in _REPLACED if key in request})
        _change_metadata(record, request)
        if "AdditionalInferenceSpecificationsToAdd" in request:
            added = copy.deepcopy(request["AdditionalInferenceSpecificationsToAdd"])
            record["AdditionalInferenceSpecifications"] = record.get("AdditionalInferenceSpecifications", []) + added
        _add_artifact_etags(record)
        if "InferenceSpecification" in request:
            self._add_image_digests(record)
        record.update(LastModifiedTime=now(), LastModifiedBy=caller.iam_identity())
        events.package_changed(record)
        return {"ModelPackageArn": record["ModelPackageArn"]}

    def _add_image_digests(self, record: Record) -> None:
        """Record the digest of each image on the laptop, so that a tag identifies its content here too."""
        for container in _containers(record):
            with contextlib.suppress(images.UnknownImageError, OSError):
                container.setdefault("ImageDigest", images.digest(container["Image"], self._images))

    def delete_model_package(self, request: Record, _: Caller) -> Record:
        """Delete a package; its version number is not used again."""
        record = self.find(request["ModelPackageName"])
        del self._store.packages[record["ModelPackageArn"]]
        self._store.tags.pop(record["ModelPackageArn"], None)
        record["ModelPackageStatus"] = "Deleting"
        events.package_changed(record)
        return {}


def _change_metadata(record: Record, request: Record) -> None:
    metadata = {**record.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        metadata.pop(key, None)
    if len(metadata) > _METADATA_LIMIT:
        raise validation(f"A model package cannot have more than {_METADATA_LIMIT} customer metadata properties.")
    record["CustomerMetadataProperties"] = metadata


def _add_artifact_etags(record: Record) -> None:
    """Record the ETag of each model artifact, as SageMaker does at registration."""
    for container in _containers(record):
        _add_etag(container)


def _containers(record: Record) -> list[dict[str, Any]]:
    specifications = [record.get("InferenceSpecification"), *record.get("AdditionalInferenceSpecifications", [])]
    return [item for spec in specifications if spec for item in spec.get("Containers", [])]


def _add_etag(container: dict[str, Any]) -> None:
    uri = container.get("ModelDataUrl")
    etag = objects.etag(uri) if uri else None
    if etag and "ModelDataETag" not in container:
        container["ModelDataETag"] = etag
