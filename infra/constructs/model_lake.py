"""The lake as one model may use it: grants cut by the model's own prefixes and its own ledger records.

CDK's bucket grants give `s3:GetObject*` and the like on a whole bucket. These give single actions, so that a model's
functions can neither read nor change another model's data, and each is still one visible line where it is given.
"""

from typing import Any

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.rendered import rendered
from infra.lake_stack import LakeStack
from penstock import lake

_READ_RECORDS = ("dynamodb:GetItem", "dynamodb:Query")
_WRITE_RECORDS = ("dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem")


class ModelLake:
    """A stage's lake, as one model sees it."""

    def __init__(self, stack: LakeStack, *, model: str) -> None:
        self.model = model
        self.bucket: s3.IBucket = stack.bucket
        self.key: kms.IKey = stack.key
        self.ledger: dynamodb.ITable = stack.ledger
        self.topic: sns.ITopic = stack.topic

    def prefix(self, folder: str) -> str:
        """`<folder>/<model>/`."""
        return lake.prefix(folder, self.model)

    def grant_read(self, grantee: iam.IRole, *folders: str) -> None:
        """Read the objects of the model's folders, whichever version, and list them."""
        self._grant_objects(grantee, ["s3:GetObject", "s3:GetObjectVersion"], folders)
        # Without the permission to list, S3 answers 403 instead of 404 for an object that is not there.
        within = {"StringLike": {"s3:prefix": [f"{self.prefix(folder)}*" for folder in folders]}}
        _grant(grantee, ["s3:ListBucket"], [self.bucket.bucket_arn], within)
        self.key.grant(grantee, "kms:Decrypt")

    def grant_write(self, grantee: iam.IRole, *folders: str) -> None:
        """Put objects into the model's folders."""
        self._grant_objects(grantee, ["s3:AbortMultipartUpload", "s3:PutObject"], folders)
        self.key.grant(grantee, "kms:Decrypt", "kms:GenerateDataKey")

    def grant_read_records(self, grantee: iam.IRole) -> None:
        """Read the model's records in the ledger."""
        self._grant_records(grantee, *_READ_RECORDS)

    def grant_records(self, grantee: iam.IRole) -> None:
        """Read and write the model's records in the ledger."""
        self._grant_records(grantee, *_READ_RECORDS, *_WRITE_RECORDS)

    def grant_notify(self, grantee: iam.IRole) -> None:
        """Tell people over the stage's topic."""
        _grant(grantee, ["sns:Publish"], [self.topic.topic_arn])
        self.key.grant(grantee, "kms:Decrypt", "kms:GenerateDataKey")

    def _grant_objects(self, grantee: iam.IRole, actions: list[str], folders: tuple[str, ...]) -> None:
        objects = [self.bucket.arn_for_objects(f"{self.prefix(folder)}*") for folder in folders]
        _grant(grantee, actions, objects)
        reason = f"Object names are made at run time; the permission ends at {self.model}'s own prefix."
        acknowledge_wildcards(grantee, reason, *(rendered(grantee, arn) for arn in objects))

    def _grant_records(self, grantee: iam.IRole, *actions: str) -> None:
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [self.model]}}
        _grant(grantee, list(actions), [self.ledger.table_arn], own)
        self.key.grant(grantee, "kms:Decrypt")


def _grant(
    grantee: iam.IRole, actions: list[str], resources: list[str], conditions: dict[str, Any] | None = None
) -> None:
    grantee.add_to_principal_policy(
        iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions or {})
    )
