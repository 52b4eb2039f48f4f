"""The HTTPS address of a model: one route, signed requests only, throttled, with an access log."""

import json

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.stages import Stage
from penstock.spec import Serving

ROUTE = "/predict"
_MOST_SECONDS = 29
_LOGGED = {
    "at": "$context.requestTime",
    "id": "$context.requestId",
    "caller": "$context.identity.userArn",
    "ip": "$context.identity.sourceIp",
    "route": "$context.routeKey",
    "status": "$context.status",
    "milliseconds": "$context.responseLatency",
    "bytes": "$context.responseLength",
    "error": "$context.integrationErrorMessage",
}


class PredictApi(Construct):
    """`POST /predict` in front of a function's alias."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, model: str, serving: Serving, alias: lambda_.Alias
    ) -> None:
        super().__init__(scope, construct_id)
        self._api = apigateway.HttpApi(
            self,
            "Resource",
            api_name=Stack.of(self).stack_name,
            description=f"Penstock, stage {stage.name}: predictions of {model}",
            create_default_stage=False,
        )
        patience = Duration.seconds(min(serving.timeout_seconds + 1, _MOST_SECONDS))
        self._api.add_routes(
            path=ROUTE,
            methods=[apigateway.HttpMethod.POST],
            integration=HttpLambdaIntegration("Live", alias, timeout=patience),
            authorizer=HttpIamAuthorizer(),
        )
        self._stage(stage, serving)
        self.url = f"{self._api.api_endpoint}{ROUTE}"

    def _stage(self, stage: Stage, serving: Serving) -> None:
        log = logs.LogGroup(
            self,
            "AccessLog",
            retention=logs.RetentionDays[stage.log_retention],
            removal_policy=RemovalPolicy.DESTROY,
        )
        apigateway.CfnStage(
            self,
            "Stage",
            api_id=self._api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                detailed_metrics_enabled=True,
                throttling_rate_limit=serving.throttle_rate,
                throttling_burst_limit=serving.throttle_burst,
            ),
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log.log_group_arn, format=json.dumps(_LOGGED)
            ),
        )
