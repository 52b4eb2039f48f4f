"""What a training job is and may do: its image, its role, and the permission to run it and wait for it."""

from pathlib import Path

from aws_cdk import IgnoreMode, Stack
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge, acknowledge_wildcards
from infra.constructs.model_lake import ModelLake
from infra.constructs.rendered import rendered
from infra.stages import Stage
from penstock.lake import DATASETS, RUNS

DOCKERFILE = "training/Dockerfile"
_SYNC_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"


class TrainingJob(Construct):
    """Image and role of a model's training jobs."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, root: Path, lake: ModelLake) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        lake.grant_read(self.role, DATASETS, RUNS)
        lake.grant_write(self.role, RUNS)
        self._grant_volume(lake)
        self._grant_logs_and_metrics(stack)
        self._repository: ecr.IRepository | None = None
        self.image = stage.image or self._built(root)
        self._jobs_arn = stack.format_arn(
            service="sagemaker", resource="training-job", resource_name=f"{stage.name}-{lake.model}-*"
        )
        self._rule_arn = stack.format_arn(service="events", resource="rule", resource_name=_SYNC_RULE)

    def grant_run(self, grantee: iam.Role) -> None:
        """Run the model's jobs and wait for them, as Step Functions does for `.sync`."""
        grantee.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "sagemaker:AddTags",
                    "sagemaker:CreateTrainingJob",
                    "sagemaker:DescribeTrainingJob",
                    "sagemaker:ListTags",
                    "sagemaker:StopTrainingJob",
                ],
                resources=[self._jobs_arn],
            )
        )
        to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        grantee.add_to_policy(
            iam.PolicyStatement(actions=["iam:PassRole"], resources=[self.role.role_arn], conditions=to_sagemaker)
        )
        grantee.add_to_policy(  # the rule through which Step Functions learns that a job ended
            iam.PolicyStatement(
                actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"], resources=[self._rule_arn]
            )
        )
        acknowledge_wildcards(grantee, "Jobs are named by runs, as they come.", rendered(grantee, self._jobs_arn))

    def grant_look_at_image(self, grantee: iam.IRole) -> None:
        """Read the image's manifest: the registry looks at it in the name of whoever registers."""
        if self._repository is not None:
            self._repository.grant(grantee, "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer")

    def _built(self, root: Path) -> str:
        asset = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(root),
            file=DOCKERFILE,
            platform=ecr_assets.Platform.LINUX_AMD64,
            ignore_mode=IgnoreMode.DOCKER,
        )
        self._repository = asset.repository
        asset.repository.grant_pull(self.role)
        acknowledge(self.role, {"IAM5[Resource::*]": "A registry's login token and metrics have no resource."})
        return asset.image_uri

    def _grant_volume(self, lake: ModelLake) -> None:
        """SageMaker hands the key on to the disk that it attaches."""
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["kms:CreateGrant"],
                resources=[lake.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            )
        )

    def _grant_logs_and_metrics(self, stack: Stack) -> None:
        logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:/aws/sagemaker/TrainingJobs:*"
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
                conditions={"StringEqualsIfExists": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}},
            )
        )
        acknowledge(self.role, {"IAM5[Resource::*]": "A registry's login token and metrics have no resource."})
