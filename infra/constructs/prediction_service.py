"""The prediction service: an HTTPS API in front of the predict function's alias, its capture, and the rollout.

CloudFormation makes version 1 and the alias `live` once. From then on the rollout alone publishes versions and moves
the alias: both have fixed ids and properties that no deployment changes, so that new code waits for a rollout.
"""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.capture_stream import CaptureStream
from infra.constructs.function import Function, Workshop
from infra.constructs.model_lake import ModelLake
from infra.constructs.rendered import rendered
from infra.constructs.rollout_definition import LIVE, SMOKE_TEST_SECONDS, RolloutParts, definition
from infra.constructs.workflow import Workflow, workflow_role
from infra.stages import Stage
from penstock.settings import EndRolloutSettings, PredictSettings, SmokeTestSettings
from penstock.spec import Serving

ROUTE = "/predict"
_ROLLOUT_ACTIONS = (
    "lambda:GetAlias",
    "lambda:GetFunctionConfiguration",
    "lambda:PublishVersion",
    "lambda:UpdateAlias",
    "lambda:UpdateFunctionConfiguration",
)


class PredictionService(Construct):
    """Predict function, API, capture and rollout."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, serving: Serving, workshop: Workshop, lake: ModelLake
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage, self._serving, self._workshop, self._lake = stage, serving, workshop, lake
        self.capture: firehose.CfnDeliveryStream = CaptureStream(self, "Capture", stage=stage, lake=lake).resource
        self.predict = self._predict()
        self.function_name = self.predict.resource.function_name
        first = lambda_.Version(
            self, "Version1", lambda_=self.predict.resource, description="before any rollout: no model"
        )
        self.live = lambda_.Alias(self, "Live", alias_name=LIVE, version=first)
        self.url = self._api().api_endpoint + ROUTE
        self.smoke_test, self.end_rollout = self._smoke_test(), self._end_rollout()
        self.rollout: sfn.StateMachine = self._rollout()

    def _predict(self) -> Function:
        return self._workshop.function(
            self,
            "Predict",
            name="predict",
            settings=PredictSettings(
                stage=self._stage.name,
                model=self._lake.model,
                bucket=self._lake.bucket.bucket_name,
                capture=self.capture.ref,
                max_rows=str(self._serving.max_rows),
            ),
            memory_mb=self._serving.memory_mb,
            timeout_seconds=self._serving.timeout_seconds,
            takes_events=False,
        )

    def grant_capture(self, grantee: iam.IRole) -> None:
        """Send rows to the capture."""
        grantee.add_to_principal_policy(
            iam.PolicyStatement(actions=["firehose:PutRecordBatch"], resources=[self.capture.attr_arn])
        )

    def grant_invoke_versions(self, grantee: iam.IRole) -> None:
        """Invoke published versions, whichever."""
        versions = f"{self.predict.resource.function_arn}:*"
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[versions]))
        acknowledge_wildcards(grantee, "Versions are numbered as they come.", rendered(grantee, versions))

    def _api(self) -> apigateway.HttpApi:
        api = apigateway.HttpApi(
            self,
            "Api",
            api_name=Stack.of(self).stack_name,
            description=f"Penstock, stage {self._stage.name}: predictions of {self._lake.model}",
            create_default_stage=False,
        )
        api.add_routes(
            path=ROUTE,
            methods=[apigateway.HttpMethod.POST],
            integration=integrations.HttpLambdaIntegration(
                "Live", self.live, timeout=Duration.seconds(min(self._serving.timeout_seconds + 1, 29))
            ),
            authorizer=authorizers.HttpIamAuthorizer(),
        )
        log = logs.LogGroup(
            self,
            "AccessLog",
            retention=logs.RetentionDays[self._stage.log_retention],
            removal_policy=RemovalPolicy.DESTROY,
        )
        apigateway.HttpStage(
            self,
            "Stage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=apigateway.ThrottleSettings(
                rate_limit=self._serving.throttle_rate, burst_limit=self._serving.throttle_burst
            ),
            access_log_settings=apigateway.LogGroupLogDestination(log) and None,
        )
        return api

    def _smoke_test(self) -> Function:
        settings = SmokeTestSettings(
            stage=self._stage.name,
            model=self._lake.model,
            bucket=self._lake.bucket.bucket_name,
            ledger=self._lake.ledger.table_name,
            function=self.function_name,
        )
        return self._workshop.function(
            self,
            "SmokeTest",
            name="smoke_test",
            settings=settings,
            memory_mb=512,
            timeout_seconds=SMOKE_TEST_SECONDS,
            takes_events=False,
        )

    def _end_rollout(self) -> Function:
        settings = EndRolloutSettings(
            stage=self._stage.name,
            model=self._lake.model,
            bucket=self._lake.bucket.bucket_name,
            ledger=self._lake.ledger.table_name,
            topic=self._lake.topic.topic_arn,
        )
        return self._workshop.function(
            self,
            "EndRollout",
            name="end_rollout",
            settings=settings,
            memory_mb=512,
            timeout_seconds=60,
            takes_events=False,
        )

    def _rollout(self) -> sfn.StateMachine:
        scope = Construct(self, "Rollout")
        role = workflow_role(scope)
        parts = RolloutParts(
            model=self._lake.model,
            smoke_test=self.smoke_test.resource.function_arn,
            end_rollout=self.end_rollout.resource.function_arn,
            poll_seconds=self._stage.poll_seconds,
        )
        function = self.predict.resource.function_arn
        role.add_to_policy(
            # The rollout's whole purpose, on this one function; CDK has no grants for these.
            iam.PolicyStatement(actions=list(_ROLLOUT_ACTIONS), resources=[function, f"{function}:*"])
        )
        acknowledge_wildcards(role, "Versions are numbered as they come.", rendered(role, f"{function}:*"))
        role.add_to_policy(
            iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[parts.smoke_test, parts.end_rollout])
        )
        return Workflow(scope, "Machine", stage=self._stage, role=role, definition=definition(parts)).machine
