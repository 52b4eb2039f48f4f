"""The lake's resources for one model: grants limited to the model's own prefixes and ledger records.

CDK's bucket grants give `s3:GetObject*` and the like on a whole bucket. These give single actions, so that a model's
functions can neither read nor change another model's data, and each is still one visible line where it is given.

The lake's names come from its stack's outputs, by name, as they do for the operator's command. CDK's references between
stacks would do the same under generated names.
"""

from typing import Any

from aws_cdk import ArnFormat, Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.base.rendered import rendered
from infra.lake_stack import KEY_OUTPUT
from penstock import lake
from penstock.stack_outputs import LakeOutputs

_READ_RECORDS = ["dynamodb:GetItem", "dynamodb:Query"]
_ENCRYPT = ["kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
"""KMS actions that S3, DynamoDB, SNS and SageMaker perform on behalf of a writer."""
_WRITE_RECORDS = ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]


class ModelLake(Construct):
    """A stage's lake for one model."""

    def __init__(self, scope: Construct, construct_id: str, *, lake_stack: str, model: str) -> None:
        """Look the lake up by its stack's outputs.

        Args:
            scope: where it is used.
            construct_id: its id there.
            lake_stack: name of the lake's stack.
            model: the model's name.
        """
        super().__init__(scope, construct_id)
        names = LakeOutputs(**{name: Fn.get_stack_output(lake_stack, name) for name in LakeOutputs.__annotations__})
        stack = Stack.of(self)
        self.model = model
        self.bucket, self.ledger = names.BucketName, names.LedgerName
        self.topic: sns.ITopic = sns.Topic.from_topic_arn(self, "Topic", names.TopicArn)
        self.key_arn = Fn.get_stack_output(lake_stack, KEY_OUTPUT)
        self.bucket_arn = stack.format_arn(
            service="s3", region="", account="", resource=self.bucket, arn_format=ArnFormat.NO_RESOURCE_NAME
        )
        self._ledger_arn = stack.format_arn(service="dynamodb", resource="table", resource_name=self.ledger)

    def prefix(self, folder: str) -> str:
        """`<folder>/<model>/`."""
        return lake.prefix(folder, self.model)

    def grant_read(self, grantee: iam.IRole, *folders: str) -> None:
        """Read every version of the objects in the model's folders, and list them."""
        self._grant_objects(grantee, ["s3:GetObject", "s3:GetObjectVersion"], folders)
        # Without the permission to list, S3 answers 403 instead of 404 for an object that is not there.
        within = {"StringLike": {"s3:prefix": [f"{self.prefix(folder)}*" for folder in folders]}}
        _grant(grantee, ["s3:ListBucket"], self.bucket_arn, within)
        self._grant_key(grantee)

    def grant_list_versions(self, grantee: iam.IRole, *folders: str) -> None:
        """List the version ids of the objects in the model's folders."""
        within = {"StringLike": {"s3:prefix": [f"{self.prefix(folder)}*" for folder in folders]}}
        _grant(grantee, ["s3:ListBucketVersions"], self.bucket_arn, within)

    def grant_write(self, grantee: iam.IRole, *folders: str) -> None:
        """Put objects into the model's folders."""
        self._grant_objects(grantee, ["s3:AbortMultipartUpload", "s3:PutObject"], folders)
        self._grant_key(grantee, *_ENCRYPT)

    def grant_append(self, grantee: iam.IRole, *folders: str) -> None:
        """Allow what SageMaker Feature Store needs to append to the model's folders."""
        self._grant_objects(grantee, ["s3:PutObject", "s3:PutObjectAcl"], folders)
        _grant(grantee, ["s3:GetBucketAcl"], self.bucket_arn)
        self._grant_key(grantee, *_ENCRYPT)

    def grant_deliver(self, grantee: iam.IRole, *folders: str) -> None:
        """Allow what Firehose needs to deliver to the model's folders."""
        self.grant_read(grantee, *folders)
        self.grant_write(grantee, *folders)
        _grant(grantee, ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], self.bucket_arn)

    def grant_read_records(self, grantee: iam.IRole) -> None:
        """Read the model's records in the ledger."""
        self._grant_records(grantee, _READ_RECORDS)

    def grant_records(self, grantee: iam.IRole) -> None:
        """Read and write the model's records in the ledger."""
        self._grant_records(grantee, _READ_RECORDS + _WRITE_RECORDS)
        self._grant_key(grantee, *_ENCRYPT)

    def grant_notify(self, grantee: iam.IRole) -> None:
        """Publish to the stage's topic."""
        _grant(grantee, ["sns:Publish"], self.topic.topic_arn)
        self._grant_key(grantee, *_ENCRYPT)

    def grant_decrypt(self, grantee: iam.IRole) -> None:
        """Decrypt with the lake's key; what may be read is up to other grants."""
        self._grant_key(grantee)

    def _grant_objects(self, grantee: iam.IRole, actions: list[str], folders: tuple[str, ...]) -> None:
        reason = f"Object names are made at run time; the permission ends at {self.model}'s own prefix."
        for folder in folders:
            objects = f"{self.bucket_arn}/{self.prefix(folder)}*"
            _grant(grantee, actions, objects)
            acknowledge_wildcards(grantee, reason, rendered(grantee, objects))

    def _grant_records(self, grantee: iam.IRole, actions: list[str]) -> None:
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [self.model]}}
        _grant(grantee, actions, self._ledger_arn, own)
        self._grant_key(grantee)

    def _grant_key(self, grantee: iam.IRole, *also: str) -> None:
        _grant(grantee, ["kms:Decrypt", *also], self.key_arn)


def _grant(grantee: iam.IRole, actions: list[str], resource: str, conditions: dict[str, Any] | None = None) -> None:
    grantee.add_to_principal_policy(
        iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions or {})
    )
