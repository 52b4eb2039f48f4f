"""The stack that holds a stage's data: KMS key, bucket, ledger table, topic.

Nothing here knows a model. Permissions live where they are used, in the model stacks: the key trusts the account's
IAM, so that a role's own policy is enough and this stack never refers to a role.
"""

from typing import Any, cast

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack, StackSynthesizer
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.stages import Stage
from penstock.lake import BATCH_WORK, SHADOW
from penstock.stack_outputs import LakeOutputs

KEY_OUTPUT = "KeyArn"
"""Output beside `LakeOutputs`, used by the model stacks only."""
ACCESS_LOG_DAYS = 90
OLD_VERSION_DAYS = 90
SHADOW_DAYS = 30
"""Retention of shadow answers, which no caller received and whose numbers are in the ledger."""
BATCH_WORK_DAYS = 30
"""Retention of a batch's intermediate scores, from which a killed batch resumes."""
ALARMS = iam.ServicePrincipal("cloudwatch.amazonaws.com")


class LakeStack(Stack):
    """The data of a stage."""

    def __init__(self, scope: Construct, *, stage: Stage, synthesizer: StackSynthesizer) -> None:
        super().__init__(
            scope,
            LakeOutputs.stack(stage.name),
            description=f"Penstock, stage {stage.name}: what holds data",
            synthesizer=synthesizer,
            termination_protection=stage.protected,
        )
        self._removal = RemovalPolicy.RETAIN if stage.keeps_data else RemovalPolicy.DESTROY
        self.key = kms.Key(
            self, "Key", enable_key_rotation=True, removal_policy=self._removal, description=self.stack_name
        )
        self.bucket = self._bucket()
        self.ledger = self._ledger(protected=stage.protected)
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        self._let_alarms_publish()
        outputs = LakeOutputs(
            BucketName=self.bucket.bucket_name, LedgerName=self.ledger.table_name, TopicArn=self.topic.topic_arn
        )
        for name, value in {**vars(outputs), KEY_OUTPUT: self.key.key_arn}.items():
            CfnOutput(self, name, value=value)

    def _bucket(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            versioned=True,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=self._access_logs(),
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    noncurrent_version_expiration=Duration.days(OLD_VERSION_DAYS),
                ),
                s3.LifecycleRule(
                    prefix=f"{SHADOW}/",
                    expiration=Duration.days(SHADOW_DAYS),
                    noncurrent_version_expiration=Duration.days(1),
                ),
                s3.LifecycleRule(prefix=f"{BATCH_WORK}/", expiration=Duration.days(BATCH_WORK_DAYS)),
            ],
            removal_policy=self._removal,
        )
        # The construct's own switch brings a Lambda function along that does no more than this.
        cast("s3.CfnBucket", bucket.node.default_child).add_property_override(
            "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled", True
        )
        return bucket

    def _access_logs(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,  # the only encryption that S3 delivers its logs to
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(ACCESS_LOG_DAYS))],
            removal_policy=self._removal,
        )
        acknowledge(bucket, {"S1": "It holds the access logs; logging its own access would never end."})
        return bucket

    def _ledger(self, *, protected: bool) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            "Ledger",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=protected,
            removal_policy=self._removal,
        )

    def _let_alarms_publish(self) -> None:
        """Allow CloudWatch to publish this account's alarms; it acts as a service, which no role's policy covers."""
        ours: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": self.account}}
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"], principals=[ALARMS], resources=[self.topic.topic_arn], conditions=ours
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey"], principals=[ALARMS], resources=["*"], conditions=ours
            )
        )
