"""SageMaker jobs of a model: their role, logs, and the permission to run them and wait for them."""

from typing import Literal

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge, acknowledge_wildcards
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.rendered import rendered
from infra.constructs.base.training_image import TrainingImage
from infra.stages import Stage

Kind = Literal["Training", "Processing"]


class SageMakerJob(Construct):
    """The role of a model's jobs of one kind; grants on the lake are added where the two meet."""

    def __init__(
        self, scope: Construct, construct_id: str, *, kind: Kind, stage: Stage, image: TrainingImage, lake: ModelLake
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self.kind = kind
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        image.grant_pull(self.role)
        self._grant_volume(lake)
        self._grant_logs_and_metrics(stack)
        self._jobs_arn = stack.format_arn(
            service="sagemaker", resource=f"{kind.lower()}-job", resource_name=f"{stage.name}-{lake.model}-*"
        )
        rule = f"StepFunctionsGetEventsForSageMaker{kind}JobsRule"
        self._rule_arn = stack.format_arn(service="events", resource="rule", resource_name=rule)

    def grant_run(self, grantee: iam.Role) -> None:
        """Run the model's jobs and wait for them, as Step Functions does for `.sync`."""
        grantee.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "sagemaker:AddTags",
                    f"sagemaker:Create{self.kind}Job",
                    f"sagemaker:Describe{self.kind}Job",
                    "sagemaker:ListTags",
                    f"sagemaker:Stop{self.kind}Job",
                ],
                resources=[self._jobs_arn],
            )
        )
        self.grant_pass(grantee, self._rule_arn)
        acknowledge_wildcards(grantee, "Jobs are named by runs, as they come.", rendered(grantee, self._jobs_arn))

    def grant_pass(self, grantee: iam.Role, rule: str) -> None:
        """Pass the role to SageMaker, and manage the rule (its ARN) that reports a job's end to Step Functions."""
        to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        grantee.add_to_policy(
            iam.PolicyStatement(actions=["iam:PassRole"], resources=[self.role.role_arn], conditions=to_sagemaker)
        )
        grantee.add_to_policy(  # the rule through which Step Functions learns that a job ended
            iam.PolicyStatement(
                actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"], resources=[rule]
            )
        )

    def _grant_volume(self, lake: ModelLake) -> None:
        """Allow SageMaker to use the key for the volume that it attaches."""
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["kms:CreateGrant"],
                resources=[lake.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )

    def _grant_logs_and_metrics(self, stack: Stack) -> None:
        group = f"/aws/sagemaker/{self.kind}Jobs"
        logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{group}:*"
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                resources=[logs],
            )
        )
        acknowledge_wildcards(self.role, "SageMaker names the log streams.", rendered(self.role, logs))
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],  # it takes no resource; the namespace is the limit
                conditions={"StringEqualsIfExists": {"cloudwatch:namespace": group}},
            )
        )
        acknowledge(self.role, {"IAM5[Resource::*]": "A registry's login token and metrics have no resource."})
