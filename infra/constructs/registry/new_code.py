"""Custom resource that calls authorize when a deployment changes the predict function, to roll out the new code.

CloudFormation calls it on every change of the properties, after everything that a rollout needs is in place. The
deployment does not wait for the rollout and never moves traffic itself.
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
        resource = CustomResource(
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
        resource.node.add_dependency(service, registry)
