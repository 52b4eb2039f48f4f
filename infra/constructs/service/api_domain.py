"""A custom domain name for a model's API, with its certificate and API mapping.

The DNS record is left to the operator, whose zone it belongs to.
"""

from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_certificatemanager as acm
from constructs import Construct

from penstock.spec.api import Domain


class ApiDomain(Construct):
    """A regional domain name, TLS 1.2 and newer."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        domain: Domain,
        api: apigateway.HttpApi,
        api_stage: apigateway.CfnStage,
    ) -> None:
        super().__init__(scope, construct_id)
        name = apigateway.DomainName(
            self,
            "Resource",
            domain_name=domain.name,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", domain.certificate),
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
        )
        mapping = apigateway.CfnApiMapping(
            self, "Mapping", api_id=api.api_id, domain_name=name.name, stage=api_stage.stage_name
        )
        mapping.node.add_dependency(api_stage)
        self.target = name.regional_domain_name
