"""Tells authorize that a deployment changed the predict function, so that the new code goes live by a rollout.

CloudFormation asks with every change of the properties, after all that a rollout needs is in place, and goes on
without waiting for the rollout: it is no part of the deployment, and never moves its traffic.
"""

from aws_cdk import CustomResource, Duration
from constructs import Construct

from infra.constructs.registry.model_registry import ModelRegistry
from infra.constructs.service.prediction_service import PredictionService


class NewCode(Construct):
    """The custom resource."""

    def __init__(
        self, scope: Construct, construct_id: str, *, service: PredictionService, registry: ModelRegistry
    ) -> None:
        super().__init__(scope, construct_id)
        told = CustomResource(
            self,
            "Resource",
            service_token=registry.authorize.resource.function_arn,
            resource_type="Custom::PenstockNewCode",
            service_timeout=Duration.minutes(5),
            properties={
                "Code": f"{service.predict.code} {service.endpoints.binding}".rstrip(),
                "Settings": service.deployed,
            },
        )
        told.node.add_dependency(service, registry)
