"""The Firehose stream that writes captures to the lake, compressed, with one prefix an hour."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.base.model_lake import ModelLake
from infra.stages import Stage
from penstock.lake import CAPTURE_ERRORS, CAPTURES

_LOG_STREAM = "S3Delivery"


class CaptureStream(Construct):
    """A direct-put Firehose stream to the lake."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, lake: ModelLake) -> None:
        super().__init__(scope, construct_id)
        log = logs.LogGroup(
            self, "Log", retention=logs.RetentionDays[stage.log_retention], removal_policy=RemovalPolicy.DESTROY
        )
        delivery = log.add_stream(_LOG_STREAM, log_stream_name=_LOG_STREAM)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("firehose.amazonaws.com"))
        lake.grant_deliver(role, CAPTURES, CAPTURE_ERRORS)
        log.grant_write(role)
        self.resource = firehose.CfnDeliveryStream(
            self,
            "Resource",
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(key_type="AWS_OWNED_CMK")
            ),
            extended_s3_destination_configuration=firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=lake.bucket_arn,
                role_arn=role.role_arn,
                prefix=f"{lake.prefix(CAPTURES)}!{{timestamp:yyyy/MM/dd/HH}}/",
                error_output_prefix=f"{lake.prefix(CAPTURE_ERRORS)}!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd}}/",
                compression_format="GZIP",
                file_extension=".jsonl.gz",
                buffering_hints=firehose.CfnDeliveryStream.BufferingHintsProperty(
                    interval_in_seconds=stage.buffer_seconds, size_in_m_bs=5
                ),
                encryption_configuration=firehose.CfnDeliveryStream.EncryptionConfigurationProperty(
                    kms_encryption_config=firehose.CfnDeliveryStream.KMSEncryptionConfigProperty(
                        awskms_key_arn=lake.key_arn
                    )
                ),
                cloud_watch_logging_options=firehose.CfnDeliveryStream.CloudWatchLoggingOptionsProperty(
                    enabled=True, log_group_name=log.log_group_name, log_stream_name=delivery.log_stream_name
                ),
            ),
        )
        # Firehose tries its role when the stream is made.
        if (policy := role.node.try_find_child("DefaultPolicy")) is not None:
            self.resource.node.add_dependency(policy)
