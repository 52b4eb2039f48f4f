"""The SageMaker feature group of a model: online store for requests, offline store in the lake.

Made where the specification asks for one. A replaced group is kept: the live version reads it until the next rollout.
"""

from aws_cdk import CfnDeletionPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.base.model_lake import ModelLake
from infra.stages import Stage
from penstock.features.group import FeatureGroup
from penstock.lake import FEATURES


class FeatureStore(Construct):
    """A feature group and the role that SageMaker writes it with."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, lake: ModelLake, group: FeatureGroup
    ) -> None:
        super().__init__(scope, construct_id)
        self.online = group.online
        stack = Stack.of(self)
        start = f"arn:{stack.partition}:sagemaker:{stack.region}:{stack.account}:feature-group"
        self._arn, self._pattern = f"{start}/{group.name}", f"{start}/{group.pattern}"
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        if group.offline:
            lake.grant_append(self.role, FEATURES)
        key = {"SecurityConfig": {"KmsKeyId": lake.key_arn}}
        storage = {"S3Uri": f"s3://{lake.bucket}/{lake.prefix(FEATURES)}", "KmsKeyId": lake.key_arn}
        self.resource = sagemaker.CfnFeatureGroup(
            self,
            "Resource",
            feature_group_name=group.name,
            record_identifier_feature_name=next(iter(group.definitions)),
            event_time_feature_name=group.time_name,
            feature_definitions=[
                sagemaker.CfnFeatureGroup.FeatureDefinitionProperty(feature_name=name, feature_type=kind)
                for name, kind in group.definitions.items()
            ],
            online_store_config={"EnableOnlineStore": True, **key} if group.online else None,
            # Whoever asks the files reads them as Parquet: a Glue table would want a database that everybody shares.
            offline_store_config=(
                {"S3StorageConfig": storage, "DisableGlueTableCreation": True} if group.offline else None
            ),
            throughput_config=sagemaker.CfnFeatureGroup.ThroughputConfigProperty(throughput_mode="OnDemand"),
            role_arn=self.role.role_arn,
            description=f"penstock, stage {stage.name}: the latest features of {lake.model}",
        )
        self.resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        self.resource.cfn_options.deletion_policy = (
            CfnDeletionPolicy.RETAIN if stage.keeps_data else CfnDeletionPolicy.DELETE
        )
        # SageMaker tries the role when the group is made.
        if (policy := self.role.node.try_find_child("DefaultPolicy")) is not None:
            self.resource.node.add_dependency(policy)

        self.creation_time = self.resource.attr_creation_time
        """Creation time of the group."""

    def grant_put(self, grantee: iam.IRole) -> None:
        """Put records into the group."""
        _grant(grantee, ["sagemaker:PutRecord"], self._arn)

    def grant_get(self, grantee: iam.IRole) -> None:
        """Read records of the group and of its predecessors, one of which the live version may be bound to."""
        _grant(grantee, ["sagemaker:BatchGetRecord"], self._pattern)


def _grant(grantee: iam.IRole, actions: list[str], resource: str) -> None:
    grantee.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
