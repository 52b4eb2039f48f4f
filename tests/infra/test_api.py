"""The API in the template as `serving` configures it: authorization, CORS, domain name."""

from pathlib import Path
from typing import Any

import pytest

from infra.bundling import FOLDER
from tests.infra.conftest import Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_bundling import MODEL
from tests.support.specs import say_serving

CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d"
JWT = f"""
serving:
  throttle_rate: 5
  auth: {{jwt: {{issuer: "https://id.example.com/", audience: [flights], scopes: [predict]}}}}
  cors: {{origins: ["https://app.example.com"], max_age_minutes: 10}}
  domain: {{prod: {{name: flights.example.com, certificate: "{CERTIFICATE}"}}}}
"""


def saying(target: Path, source: Path, serving: str) -> Path:
    """The project with another `serving` in flight-delay's specification."""
    root = copy_of_project(target, source)
    (root / FOLDER).symlink_to((source / FOLDER).resolve())
    path = root / "training" / "models" / MODEL / "model.yaml"
    say_serving(path, serving)
    return root


@pytest.fixture(scope="module")
def tokens(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The prod stage with every API setting of the specification, validated."""
    root = saying(tmp_path_factory.mktemp("tokens") / "project", project, JWT)
    synthesis = synthesise(tmp_path_factory.mktemp("out"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def only(synthesis: Synthesis, kind: str) -> dict[str, Any]:
    (resource,) = resources(synthesis.model(), f"AWS::ApiGatewayV2::{kind}").values()
    properties: dict[str, Any] = resource["Properties"]
    return properties


def test_every_route_requires_a_token_of_the_issuer(tokens: Synthesis) -> None:
    # Given the one authorizer
    (name,) = resources(tokens.model(), "AWS::ApiGatewayV2::Authorizer")
    about = only(tokens, "Authorizer")
    assert about["JwtConfiguration"] == {"Issuer": "https://id.example.com/", "Audience": ["flights"]}
    assert about["IdentitySource"] == ["$request.header.Authorization"]
    # Then every route asks it, for the scope
    routes = [item["Properties"] for item in resources(tokens.model(), "AWS::ApiGatewayV2::Route").values()]
    assert len(routes) == 3
    for route in routes:
        assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", {"Ref": name})
        assert route["AuthorizationScopes"] == ["predict"]
    # And the log says whose it was
    assert "authorizer.claims.sub" in only(tokens, "Stage")["AccessLogSettings"]["Format"]


def test_cors_allows_the_configured_origin(tokens: Synthesis) -> None:
    cors = only(tokens, "Api")["CorsConfiguration"]
    assert (cors["AllowOrigins"], cors["MaxAge"]) == (["https://app.example.com"], 600)
    assert set(cors["AllowMethods"]) == {"GET", "POST"}
    assert {"authorization", "content-type", "x-amz-date"} <= set(cors["AllowHeaders"])
    assert {"x-penstock-version", "x-penstock-inference-id", "x-request-id"} <= set(cors["ExposeHeaders"])


def test_the_domain_name_is_the_stages_own(tokens: Synthesis) -> None:
    # Given a domain of stage prod
    about = only(tokens, "DomainName")
    assert about["DomainName"] == "flights.example.com"
    (configuration,) = about["DomainNameConfigurations"]
    assert (configuration["CertificateArn"], configuration["SecurityPolicy"]) == (CERTIFICATE, "TLS_1_2")
    assert only(tokens, "ApiMapping")["Stage"] == "$default"
    # Then its record's target is an output
    assert "DomainTarget" in tokens.model()["Outputs"]


def test_the_api_admits_no_more_than_the_spec_says(tokens: Synthesis) -> None:
    stage = only(tokens, "Stage")
    assert stage["RouteSettings"]["POST /predict"]["ThrottlingRateLimit"] == 5
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 5


def test_by_default_there_is_no_cors_no_domain_and_no_token(synthesis: Synthesis) -> None:
    assert "CorsConfiguration" not in only(synthesis, "Api")
    for kind in ("Authorizer", "DomainName", "ApiMapping"):
        assert resources(synthesis.model(), f"AWS::ApiGatewayV2::{kind}") == {}
    assert "DomainTarget" not in synthesis.model()["Outputs"]


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_an_api_without_authorization_is_for_the_laptop_only(project: Path, tmp_path: Path, stage: str) -> None:
    # Given a spec that asks nobody
    root = saying(tmp_path / "project", project, "\nserving: {auth: none}\n")
    # When it is synthesised, with the rules
    synthesis = synthesise(tmp_path / "out", {"stage": stage}, root=root, validation=True)
    # Then it is, on the laptop, and elsewhere it says why not
    assert (synthesis.code == 0) == (stage == "local"), synthesis.errors
    if stage != "local":
        assert "serving.auth: none is for the laptop" in synthesis.errors
        assert "Traceback" not in synthesis.errors
        return
    routes = resources(synthesis.model(), "AWS::ApiGatewayV2::Route").values()
    assert {item["Properties"]["AuthorizationType"] for item in routes} == {"NONE"}
