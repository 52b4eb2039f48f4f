"""SageMaker endpoints of a model: the execution role, the endpoint plan, and grants to create, invoke, delete.

The rollout makes the endpoints, one for each version, and deletes them when the version serves no more. CloudFormation
manages only their role. The role and the grants exist for a Lambda target too: a model that was served by an endpoint
before this deployment still is, until its rollout.
"""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge, acknowledge_wildcards
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.rendered import rendered
from infra.constructs.base.training_image import TrainingImage
from infra.stages import Stage
from penstock.release.endpoint_plan import EndpointPlan, prefix
from penstock.spec.model import Serving

_LOG_GROUP = "/aws/sagemaker/Endpoints"
_SCALED = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_SCALES = "sagemaker.application-autoscaling.amazonaws.com"


class ModelEndpoints(Construct):
    """The containers' role, the endpoint plan, and the grants."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        serving: Serving,
        image: TrainingImage,
        lake: ModelLake,
        environment: Mapping[str, str],
    ) -> None:
        """Make the role.

        Args:
            scope: where it belongs.
            construct_id: its id there.
            stage: the stage.
            serving: what the model asks for.
            image: what a container runs.
            lake: the model's.
            environment: of a container, but for the version's own part.
        """
        super().__init__(scope, construct_id)
        self._stack, self._serving, self._prefix = Stack.of(self), serving, prefix(stage.name, lake.model)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        image.grant_pull(self.role)
        self._grant_logs_and_metrics()
        plan = EndpointPlan(
            stage=stage.name,
            model=lake.model,
            image=image.uri,
            role=self.role.role_arn,
            environment={**environment, "AWS_DEFAULT_REGION": self._stack.region},
            instance_type=serving.endpoint.instance_type,
            least=serving.endpoint.instances.min,
            most=serving.endpoint.instances.max,
            invocations=serving.endpoint.invocations_per_instance,
            startup_seconds=60 * serving.endpoint.startup_minutes,
        )
        self.binding = plan.binding() if serving.target == "endpoint" else ""
        """Serialised endpoint plan that authorize binds a version to; empty where the predict function scores."""

    def grant_invoke(self, grantee: iam.IRole) -> None:
        """Allow invoking the model's endpoints."""
        self._grant(grantee, ["sagemaker:InvokeEndpoint"], "endpoint")

    def grant_make(self, grantee: iam.Role) -> None:
        """Allow creating and describing the model's endpoints; grant nothing for a Lambda target."""
        if not self.binding:
            return
        self._grant(grantee, ["sagemaker:CreateModel", "sagemaker:DescribeModel"], "model")
        configure = ["sagemaker:CreateEndpoint", "sagemaker:CreateEndpointConfig", "sagemaker:DescribeEndpointConfig"]
        self._grant(grantee, configure, "endpoint-config")
        self._grant(grantee, ["sagemaker:CreateEndpoint", "sagemaker:DescribeEndpoint"], "endpoint")
        passed = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        grantee.add_to_policy(
            iam.PolicyStatement(actions=["iam:PassRole"], resources=[self.role.role_arn], conditions=passed)
        )
        if self._serving.endpoint.instances.max > self._serving.endpoint.instances.min:
            self._grant_scale(grantee)

    def grant_sweep(self, grantee: iam.IRole) -> None:
        """Allow listing endpoints and deleting the model's."""
        # A listing takes no resource; its answer holds the names of other models' endpoints too.
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=["sagemaker:ListEndpoints"], resources=["*"]))
        for kind, action in (
            ("endpoint", "DeleteEndpoint"),
            ("endpoint-config", "DeleteEndpointConfig"),
            ("model", "DeleteModel"),
        ):
            self._grant(grantee, [f"sagemaker:{action}"], kind)
        self._grant_targets(grantee, ["application-autoscaling:DeregisterScalableTarget"])

    def _grant_scale(self, grantee: iam.Role) -> None:
        """Allow what Application Auto Scaling needs to scale an endpoint.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
        """
        scaling = ["application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget"]
        self._grant_targets(grantee, scaling)
        self._grant(grantee, ["sagemaker:DescribeEndpointConfig"], "endpoint-config")
        self._grant(grantee, ["sagemaker:UpdateEndpointWeightsAndCapacities"], "endpoint")
        # The region and the account are part of no ARN of a role.
        linked = f"arn:{self._stack.partition}:iam::{self._stack.account}:role/aws-service-role/{_SCALES}/{_SCALED}"
        service = {"StringLike": {"iam:AWSServiceName": _SCALES}}
        grantee.add_to_policy(
            iam.PolicyStatement(actions=["iam:CreateServiceLinkedRole"], resources=[linked], conditions=service)
        )
        alarms = self._stack.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"TargetTracking-endpoint/{self._prefix}*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        watching = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"]
        grantee.add_to_policy(iam.PolicyStatement(actions=watching, resources=[alarms]))
        acknowledge_wildcards(grantee, "Scaling names its alarms by endpoint.", rendered(grantee, alarms))

    def _grant_targets(self, grantee: iam.IRole, actions: list[str]) -> None:
        targets = self._stack.format_arn(
            service="application-autoscaling", resource="scalable-target", resource_name="*"
        )
        # AWS names the namespace with each of these requests; the laptop cloud names none.
        ours = {"StringEqualsIfExists": {"application-autoscaling:service-namespace": "sagemaker"}}
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[targets], conditions=ours))
        acknowledge_wildcards(grantee, "Scalable targets have ids that AWS makes up.", rendered(grantee, targets))

    def _grant(self, grantee: iam.IRole, actions: list[str], kind: str) -> None:
        own = self._stack.format_arn(service="sagemaker", resource=kind, resource_name=f"{self._prefix}*")
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[own]))
        acknowledge_wildcards(grantee, "Endpoints are service by versions, as they come.", rendered(grantee, own))

    def _grant_logs_and_metrics(self) -> None:
        stack = self._stack
        logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:{_LOG_GROUP}/{self._prefix}*"
        actions = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        self.role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[logs]))
        acknowledge_wildcards(self.role, "SageMaker names groups by endpoint.", rendered(self.role, logs))
        space = {"StringEqualsIfExists": {"cloudwatch:namespace": _LOG_GROUP}}
        # It takes no resource; the namespace is the limit.
        self.role.add_to_policy(
            iam.PolicyStatement(actions=["cloudwatch:PutMetricData"], resources=["*"], conditions=space)
        )
        acknowledge(self.role, {"IAM5[Resource::*]": "A registry's login token and metrics have no resource."})
