"""The SageMaker model registry: versions of one model package group, and who changed their approval status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import boto3

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
CONTENT_TYPES = ["application/json"]


@dataclass(frozen=True)
class Package:
    """A registered version, as the registry has it."""

    arn: str
    version: int
    status: str
    description: str
    """The reason given at the last approval or rejection."""
    changed_by: str
    """ARN of the identity that last changed it, else of its creator."""
    changed: datetime
    created: datetime
    run: str = ""
    """The run that registered it; empty where no run of ours did."""
    image_digest: str = ""
    """`sha256:…` of the training image, where the registry resolved it."""
    artifact: str = ""
    """S3 URI of `model.tar.gz`."""

    @property
    def approved(self) -> bool:
        return self.status == APPROVED


def group_of(arn: str) -> str:
    """Read the group's name from a model package's ARN (`…:model-package/<group>/<version>`)."""
    return arn.split("/")[1]


class Registry:
    """One model package group."""

    def __init__(self, group: str) -> None:
        self.group = group
        self._client: Any = boto3.client("sagemaker")

    @classmethod
    def of_package(cls, arn: str) -> Self:
        """Return the group that contains a model package."""
        return cls(group_of(arn))

    def register(
        self,
        *,
        run: str,
        since: datetime,
        description: str,
        image: str,
        artifact: str,
        metrics: str,
        baseline: str,
        properties: Mapping[str, str],
        card: str = "",
    ) -> Package:
        """Create a version that waits for approval; the same run again gives the same version.

        Args:
            run: its name, the request's idempotency token.
            since: when it was opened.
            description: for people.
            image: the training image.
            artifact: S3 URI of `model.tar.gz`.
            metrics: S3 URI of the evaluation.
            baseline: S3 URI of the baseline for drift.
            properties: run, dataset, digests.
            card: the model card's content (`penstock.report.model_card`); empty for none.
        """
        arn = (
            self._existing(run, since)
            or self._client.create_model_package(
                ModelPackageGroupName=self.group,
                ModelPackageDescription=description[:1024],
                ModelApprovalStatus=PENDING,
                InferenceSpecification={
                    "Containers": [{"Image": image, "ModelDataUrl": artifact}],
                    "SupportedContentTypes": CONTENT_TYPES,
                    "SupportedResponseMIMETypes": CONTENT_TYPES,
                },
                ModelMetrics={"ModelQuality": {"Statistics": _json_file(metrics)}},
                DriftCheckBaselines={
                    "ModelDataQuality": {"Statistics": _json_file(baseline)},
                    "ModelQuality": {"Statistics": _json_file(metrics)},
                },
                CustomerMetadataProperties=dict(properties),
                ClientToken=f"penstock-run-{run}",
                **({"ModelCard": {"ModelCardContent": card, "ModelCardStatus": "PendingReview"}} if card else {}),
            )["ModelPackageArn"]
        )
        return self.describe(arn)

    def _existing(self, run: str, since: datetime) -> str | None:
        """Find the version that a run registered already: the token above expires, and a retry may come later.

        Only a version newer than the run can be its own; the newest come first.
        """
        newest_first = {"SortBy": "CreationTime", "SortOrder": "Descending", "CreationTimeAfter": since}
        pages = self._client.get_paginator("list_model_packages")
        for page in pages.paginate(ModelPackageGroupName=self.group, **newest_first):
            for item in page["ModelPackageSummaryList"]:
                arn = str(item["ModelPackageArn"])
                about = self._client.describe_model_package(ModelPackageName=arn)
                if about.get("CustomerMetadataProperties", {}).get("run") == run:
                    return arn
        return None

    def describe(self, arn: str) -> Package:
        """Read a version."""
        about = self._client.describe_model_package(ModelPackageName=arn)
        by = about.get("LastModifiedBy") or about.get("CreatedBy") or {}
        created = about["CreationTime"]
        return Package(
            arn=about["ModelPackageArn"],
            version=int(about["ModelPackageVersion"]),
            status=about["ModelApprovalStatus"],
            description=about.get("ApprovalDescription", ""),
            changed_by=by.get("IamIdentity", {}).get("Arn") or by.get("UserProfileArn") or "",
            changed=about.get("LastModifiedTime", created),
            created=created,
            run=about.get("CustomerMetadataProperties", {}).get("run", ""),
            image_digest=_of_container(about, "ImageDigest"),
            artifact=_of_container(about, "ModelDataUrl"),
        )

    def set_status(self, arn: str, status: str, reason: str) -> None:
        """Approve a version, reject it, or set it back."""
        self._client.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=reason[:1024]
        )


def _of_container(about: Mapping[str, Any], name: str) -> str:
    containers = about.get("InferenceSpecification", {}).get("Containers", [])
    return next((str(item[name]) for item in containers if item.get(name)), "")


def _json_file(uri: str) -> dict[str, str]:
    return {"ContentType": "application/json", "S3Uri": uri}
