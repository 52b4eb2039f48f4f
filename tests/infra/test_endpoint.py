"""Endpoint target: which roles may create, invoke and delete endpoints, and the limit of each permission."""

import json
from pathlib import Path

import pytest

from infra.bundling import FOLDER
from tests.infra.conftest import ROOT, Json, Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_nag import test_cfn_lint_finds_nothing as cfn_lint
from tests.infra.test_nag import test_every_acknowledgement_has_a_reason as acknowledged
from tests.infra.test_nag import test_nothing_is_unacknowledged as unacknowledged
from tests.infra.test_permissions import allowed, folders, listed, statements
from tests.infra.test_permissions import test_wildcards_stand_only_where_iam_takes_no_resource as no_wildcard
from tests.support.specs import replace_serving

SERVED = "serving: {target: endpoint, endpoint: {instances: {min: 1, max: 4}}}"
OWN = "/prod-flight-delay--*"
MAKING = {"sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint", "iam:PassRole"}


@pytest.fixture(scope="module")
def served(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The model's stack in production, served by endpoints that scale."""
    root = copy_of_project(tmp_path_factory.mktemp("endpoint"), project)
    (root / FOLDER).symlink_to(ROOT / FOLDER)
    path = root / "training" / "models" / "flight-delay" / "model.yaml"
    replace_serving(path, SERVED)
    synthesis = synthesise(tmp_path_factory.mktemp("served"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def holders(template: Json, action: str) -> set[str]:
    """Roles that have an action, without CDK's hash."""
    return {role[:-8] for role, statement in statements(template) if action in listed(statement["Action"])}


def test_no_rule_is_broken(served: Synthesis) -> None:
    for rule in (unacknowledged, acknowledged, cfn_lint, no_wildcard):
        rule(served)


@pytest.mark.parametrize(
    ("action", "roles"),
    [
        ("sagemaker:InvokeEndpoint", {"ServicePredictRole"}),
        ("sagemaker:CreateEndpoint", {"ServiceRolloutRole"}),
        ("sagemaker:CreateEndpointConfig", {"ServiceRolloutRole"}),
        ("sagemaker:CreateModel", {"ServiceRolloutRole"}),
        ("sagemaker:DescribeEndpoint", {"ServiceRolloutRole"}),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", {"ServiceRolloutRole"}),
        ("sagemaker:DeleteEndpoint", {"ServiceRolloutEndRolloutRole", "RegistryAuthorizeRole"}),
        ("sagemaker:DeleteEndpointConfig", {"ServiceRolloutEndRolloutRole", "RegistryAuthorizeRole"}),
        ("sagemaker:DeleteModel", {"ServiceRolloutEndRolloutRole", "RegistryAuthorizeRole"}),
    ],
)
def test_each_role_has_only_its_permissions_on_the_models_endpoints(
    served: Synthesis, action: str, roles: set[str]
) -> None:
    template = served.model()
    assert holders(template, action) == roles
    for _, statement in statements(template):
        if action in listed(statement["Action"]):
            assert all(OWN in resource for resource in listed(statement["Resource"])), statement


def test_the_endpoints_role_is_passed_to_sagemaker_by_the_rollout_alone(served: Synthesis) -> None:
    template = served.model()
    passing = [
        (role, statement)
        for role, statement in statements(template)
        if "iam:PassRole" in listed(statement["Action"]) and "ServiceEndpointsRole" in json.dumps(statement["Resource"])
    ]
    [(role, statement)] = passing
    assert role.startswith("ServiceRolloutRole")
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert list(statement["Resource"]) == ["Fn::GetAtt"]


def test_a_container_may_read_archives_capture_and_log_and_nothing_else(served: Synthesis) -> None:
    # Given the role that containers run by
    template, role = served.model(), "ServiceEndpointsRole"
    grants = allowed(template, role)
    assert folders(template, role, "s3:GetObject") == {"runs"}
    assert {action for action in grants if action.startswith("firehose:")} == {"firehose:PutRecordBatch"}
    assert "Endpoints/prod-flight-delay--*" in grants["logs:PutLogEvents"]
    # Then neither ledger nor registry, nor anything that can be written but captures, logs and metrics
    assert not [name for name in grants if name.startswith(("dynamodb:", "sagemaker:", "lambda:", "iam:", "s3:Put"))]


def test_scaling_ends_at_sagemakers_targets(served: Synthesis) -> None:
    scaling = [
        statement
        for _, statement in statements(served.model())
        if any(action.startswith("application-autoscaling:") for action in listed(statement["Action"]))
    ]
    assert len(scaling) == 3
    for statement in scaling:
        assert statement["Condition"] == {
            "StringEqualsIfExists": {"application-autoscaling:service-namespace": "sagemaker"}
        }


def test_the_deployed_plan_and_the_requested_plan_are_one(served: Synthesis) -> None:
    # Given the plan that authorize binds versions to
    template = served.model()
    (authorize,) = [
        resource["Properties"]
        for resource in resources(template, "AWS::Lambda::Function").values()
        if resource["Properties"]["Handler"] == "functions.authorize.handler.handler"
    ]
    plan = authorize["Environment"]["Variables"]["PENSTOCK_ENDPOINT"]
    # Then the command reads the same, and a change of it is told as new code
    assert template["Outputs"]["EndpointPlan"]["Value"] == plan
    (new_code,) = resources(template, "Custom::PenstockNewCode").values()
    assert json.dumps(plan["Fn::Join"][1][0])[1:-1] in json.dumps(new_code["Properties"]["Code"])
    assert "container-assets" in json.dumps(plan)
    assert "ServiceEndpointsRole" in json.dumps(plan)


def test_a_lambda_target_may_invoke_and_delete_endpoints_and_create_none(prod: Synthesis) -> None:
    # A version that was rolled out with an endpoint serves by it until its rollout, whatever is deployed.
    template = prod.model()
    actions = {action for _, statement in statements(template) for action in listed(statement["Action"])}
    assert actions & MAKING == {"iam:PassRole"}  # the jobs' roles
    assert holders(template, "sagemaker:InvokeEndpoint") == {"ServicePredictRole"}
    assert holders(template, "sagemaker:DeleteEndpoint") == {"ServiceRolloutEndRolloutRole", "RegistryAuthorizeRole"}
    assert "EndpointPlan" not in template["Outputs"]
