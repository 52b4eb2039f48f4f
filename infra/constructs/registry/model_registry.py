"""The model registry: the model package group, its policy, and the function that acts on approvals.

Approval happens in the registry itself, by whatever client. The stack's own roles may request approval and withdraw it,
but never give it: no role's policy allows it, and the group's own policy denies it to every role of this stack. Where
`model.yaml` says `approval.policy: auto`, authorize's role is the one exception in both.
"""

from typing import Any

from aws_cdk import Stack, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.base.event_rules import invoke_on_events
from infra.constructs.base.function import Function, FunctionFactory
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.rendered import rendered
from infra.constructs.service.prediction_service import PredictionService
from infra.stages import Stage
from penstock import events
from penstock.settings import AuthorizeSettings

MACHINE_TAG = "penstock:machine"
_PENDING, _APPROVED, _REJECTED = "PendingManualApproval", "Approved", "Rejected"


def _only(*statuses: str) -> dict[str, Any]:
    return {"StringEqualsIfExists": {"sagemaker:ModelApprovalStatus": list(statuses)}}


class ModelRegistry(Construct):
    """The model package group, its resource policy, and authorize."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        factory: FunctionFactory,
        lake: ModelLake,
        service: PredictionService,
        feature_store: str,
        approves_itself: bool,
    ) -> None:
        """Make the registry.

        Args:
            scope: where it belongs.
            construct_id: its id there.
            stage: the stage.
            factory: makes functions.
            lake: the model's.
            service: what an approval rolls out to.
            feature_store: what a version is bound to (`FeatureGroup.binding`); empty for none.
            approves_itself: whether authorize may approve.
        """
        super().__init__(scope, construct_id)
        model = lake.model
        self.group_name = f"penstock-{stage.name}-{model}"
        stack = Stack.of(self)
        start = f"arn:{stack.partition}:sagemaker:{stack.region}:{stack.account}"
        self.group_arn = f"{start}:model-package-group/{self.group_name}"
        self.packages_arn = f"{start}:model-package/{self.group_name}/*"
        Tags.of(stack).add(MACHINE_TAG, model, include_resource_types=["AWS::IAM::Role"])
        self.approves_itself = approves_itself
        self.group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=self.group_name,
            model_package_group_description=f"Penstock, stage {stage.name}: versions of {model}",
        )
        rollout = service.rollout.machine.state_machine_arn
        self.authorize: Function = factory.create(
            self,
            "Authorize",
            name="authorize",
            settings=AuthorizeSettings(
                stage=stage.name,
                model=model,
                bucket=lake.bucket,
                ledger=lake.ledger,
                topic=lake.topic.topic_arn,
                group=self.group_name,
                rollout=rollout,
                function=service.predict.resource.function_name,
                capture=service.capture.ref,
                hash_secret=service.hash_secret,
                feature_store=feature_store,
                endpoint=service.endpoints.binding,
            ),
            memory_mb=1024,
            timeout_seconds=60,
            takes_events=True,
        )
        self.group.model_package_group_policy = self._policy(stack, model)
        self._invoke_on("Changed", events.PackageStateChange.pattern(group=self.group_name), factory)
        self._invoke_on("RolloutEnded", events.ExecutionEnded.pattern(state_machine=rollout), factory)

    def _invoke_on(self, construct_id: str, pattern: events.Pattern, factory: FunctionFactory) -> None:
        invoke_on_events(
            self,
            construct_id,
            pattern=pattern,
            function=self.authorize.resource,
            failures=factory.failures,
            description=f"{self.group_name}: wakes authorize ({construct_id})",
        )

    def grant_describe(self, grantee: iam.IRole) -> None:
        """Allow describing and listing the group's versions."""
        self._grant(grantee, ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"])

    def grant_register(self, grantee: iam.IRole) -> None:
        """Allow adding versions that are pending approval, and describing them."""
        self.grant_describe(grantee)
        self._grant(grantee, ["sagemaker:AddTags"])
        self._grant(grantee, ["sagemaker:CreateModelPackage"], _only(_PENDING))

    def grant_set_pending(self, grantee: iam.IRole) -> None:
        """Allow setting a version back to pending; rejecting the live one requests a rollback and is left to people."""
        self._grant(grantee, ["sagemaker:UpdateModelPackage"], _only(_PENDING))

    def grant_set_status(self, grantee: iam.IRole) -> None:
        """Allow withdrawing an approval, and giving one where the model's approval policy is `auto`."""
        allowed = _only(_PENDING, _APPROVED) if self.approves_itself else _only(_PENDING)
        self._grant(grantee, ["sagemaker:UpdateModelPackage"], allowed)

    def _grant(self, grantee: iam.IRole, actions: list[str], conditions: dict[str, Any] | None = None) -> None:
        grantee.add_to_principal_policy(
            iam.PolicyStatement(
                actions=actions, resources=[self.group_arn, self.packages_arn], conditions=conditions or {}
            )
        )
        reason = "Versions are numbered as they come; the permission ends at this model's group."
        acknowledge_wildcards(grantee, reason, rendered(grantee, self.packages_arn))

    def _policy(self, stack: Stack, model: str) -> dict[str, Any]:
        """Return a policy that denies approval and rejection to every role tagged by this stack."""
        exception = {"ArnNotEquals": {"aws:PrincipalArn": self.authorize.role.role_arn}} if self.approves_itself else {}
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "MachinesDoNotDecide",
                    "Effect": "Deny",
                    "Principal": {"AWS": f"arn:{stack.partition}:iam::{stack.account}:root"},
                    "Action": ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
                    "Resource": [self.packages_arn],
                    "Condition": {
                        "StringEquals": {
                            f"aws:PrincipalTag/{MACHINE_TAG}": model,
                            "sagemaker:ModelApprovalStatus": [_APPROVED, _REJECTED],
                        },
                        **exception,
                    },
                }
            ],
        }
