"""The key of the hashes that stand for personal values in captures: made by CloudFormation, seen by nobody.

It is made only where the contract hashes a column.
"""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.constructs.base.model_lake import ModelLake
from infra.stages import Stage

_LENGTH = 64


class HashKey(Construct):
    """A random secret, under the lake's key."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, lake: ModelLake) -> None:
        super().__init__(scope, construct_id)
        secret = secretsmanager.CfnSecret(
            self,
            "Resource",
            description=f"{Stack.of(self).stack_name}: keys the hashes of personal columns",
            kms_key_id=lake.key_arn,
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                password_length=_LENGTH, exclude_punctuation=True
            ),
        )
        # As the captures that it hashed: without it their rows join no others.
        secret.apply_removal_policy(RemovalPolicy.RETAIN if stage.keeps_data else RemovalPolicy.DESTROY)
        acknowledge(secret, {"SMG4": "A new key would part a subject's captured rows, and labels from rows."})
        self._lake = lake
        self.arn = secret.attr_id

    def grant_read(self, grantee: iam.IRole) -> None:
        """Read the key."""
        grantee.add_to_principal_policy(
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[self.arn])
        )
        self._lake.grant_decrypt(grantee)
