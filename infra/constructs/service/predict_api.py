"""The HTTP API of a model: routes, authorizer, throttling, CORS, and an access log."""

import json
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.constructs.service.api_domain import ApiDomain
from infra.stages import Stage
from penstock.spec.api import Cors, Jwt
from penstock.spec.model import Serving

ROUTE = "/predict"
ROUTES = {
    ROUTE: apigateway.HttpMethod.POST,
    "/openapi.json": apigateway.HttpMethod.GET,
    "/ping": apigateway.HttpMethod.GET,
}
ASIDE_RATE, ASIDE_BURST = 10, 20
"""Throttling of `/openapi.json` and `/ping`: requests a second, and burst."""
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
_SIGNED = ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"]
_SHOWN = ["retry-after", "x-penstock-inference-id", "x-penstock-version", "x-request-id"]


class PredictApi(Construct):
    """The routes `/predict`, `/openapi.json` and `/ping`, integrated with the function's alias."""

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
            cors_preflight=_cors(serving.cors) if serving.cors else None,
        )
        routes = self._routes(serving, alias)
        api_stage = self._stage(stage, serving)
        # Settings of a route that is not there yet are refused.
        api_stage.node.add_dependency(*routes)
        self.url = f"{self._api.api_endpoint}{ROUTE}"
        self.domain_target = ""
        if domain := serving.domain.get(stage.name):
            self.domain_target = ApiDomain(self, "Domain", domain=domain, api=self._api, api_stage=api_stage).target

    def _routes(self, serving: Serving, alias: lambda_.Alias) -> list[apigateway.HttpRoute]:
        patience = Duration.seconds(min(serving.timeout_seconds + 1, _MOST_SECONDS))
        integration = HttpLambdaIntegration("Live", alias, timeout=patience)
        authorizer = _authorizer(serving)
        scopes = serving.auth.jwt.scopes if isinstance(serving.auth, Jwt) else []
        routes = [
            route
            for path, method in ROUTES.items()
            for route in self._api.add_routes(
                path=path,
                methods=[method],
                integration=integration,
                authorizer=authorizer,
                authorization_scopes=scopes or None,
            )
        ]
        if serving.auth == "none":
            acknowledge(self, {"APIG4": "The stage is a laptop's own: everywhere else serving.auth none is refused."})
        return routes

    def _stage(self, stage: Stage, serving: Serving) -> apigateway.CfnStage:
        log = logs.LogGroup(
            self,
            "AccessLog",
            retention=logs.RetentionDays[stage.log_retention],
            removal_policy=RemovalPolicy.DESTROY,
        )
        return apigateway.CfnStage(
            self,
            "Stage",
            api_id=self._api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                detailed_metrics_enabled=True,
                throttling_rate_limit=min(ASIDE_RATE, serving.throttle_rate),
                throttling_burst_limit=min(ASIDE_BURST, serving.throttle_burst),
            ),
            route_settings={f"{ROUTES[ROUTE].value} {ROUTE}": _predictions(serving)},
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log.log_group_arn, format=json.dumps(_logged(serving))
            ),
        )


def _predictions(serving: Serving) -> dict[str, Any]:
    """Return the settings of the prediction route with CloudFormation's names: the CDK passes them on unchanged."""
    return {
        "DetailedMetricsEnabled": True,
        "ThrottlingRateLimit": serving.throttle_rate,
        "ThrottlingBurstLimit": serving.throttle_burst,
    }


def _logged(serving: Serving) -> dict[str, str]:
    return _LOGGED | ({"caller": "$context.authorizer.claims.sub"} if isinstance(serving.auth, Jwt) else {})


def _authorizer(serving: Serving) -> apigateway.IHttpRouteAuthorizer | None:
    if serving.auth == "none":
        return None
    if serving.auth == "iam":
        return HttpIamAuthorizer()
    issued = serving.auth.jwt
    return HttpJwtAuthorizer("Jwt", issued.issuer, jwt_audience=issued.audience)


def _cors(cors: Cors) -> apigateway.CorsPreflightOptions:
    return apigateway.CorsPreflightOptions(
        allow_origins=cors.origins,
        allow_methods=[apigateway.CorsHttpMethod.GET, apigateway.CorsHttpMethod.POST],
        allow_headers=["accept", "content-type", *_SIGNED],
        expose_headers=_SHOWN,
        max_age=Duration.minutes(cors.max_age_minutes),
    )
