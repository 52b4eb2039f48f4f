"""Policy simulation: no role of a model's stack may approve, by its own policies and the group's."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import Json, Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_permissions import listed, statements

GIVING = ("sagemaker:UpdateModelPackage", "sagemaker:CreateModelPackage")


def holds(conditions: Json, context: dict[str, str]) -> bool:
    """Return whether a statement's conditions hold for a request; a role's ARN is written as its logical id."""
    for operator, keys in conditions.items():
        for key, values in keys.items():
            if key not in context:
                if not operator.endswith("IfExists"):
                    return False
                continue
            texts = [item["Fn::GetAtt"][0] if isinstance(item, dict) else item for item in _list(values)]
            if (context[key] in texts) is (operator.removesuffix("IfExists") in {"ArnNotEquals", "StringNotEquals"}):
                return False
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def verdict(template: Json, role: str, action: str, status: str) -> str:
    """`allowed`, `denied` by the group, or `nothing` allows it."""
    tags = {item["Key"]: item["Value"] for item in template["Resources"][role]["Properties"]["Tags"]}
    context = {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}
    context |= {"sagemaker:ModelApprovalStatus": status, "aws:PrincipalArn": role}
    (group,) = resources(template, "AWS::SageMaker::ModelPackageGroup").values()
    (deny,) = group["Properties"]["ModelPackageGroupPolicy"]["Statement"]
    if action in deny["Action"] and holds(deny["Condition"], context):
        return "denied"
    for name, statement in statements(template):
        about_versions = any("model-package/" in item for item in listed(statement["Resource"]))
        matches = any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        if name == role and about_versions and matches and holds(statement.get("Condition", {}), context):
            return "allowed"
    return "nothing"


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_every_role_is_denied_its_decision(synthesis: Synthesis, status: str) -> None:
    template = synthesis.model()
    roles = resources(template, "AWS::IAM::Role")
    assert len(roles) == 22
    assert {verdict(template, role, action, status) for role in roles for action in GIVING} == {"denied"}
    # And without the group's word no role's own policy would allow it either
    (group,) = resources(template, "AWS::SageMaker::ModelPackageGroup").values()
    group["Properties"]["ModelPackageGroupPolicy"]["Statement"][0]["Action"] = []
    assert {verdict(template, role, action, status) for role in roles for action in GIVING} == {"nothing"}


def test_only_two_roles_may_withdraw_an_approval(synthesis: Synthesis) -> None:
    template = synthesis.model()
    roles = resources(template, "AWS::IAM::Role")
    may = [role for role in roles if verdict(template, role, GIVING[0], "PendingManualApproval") == "allowed"]
    assert sorted(role.rstrip("0123456789ABCDEF") for role in may) == [
        "RegistryAuthorizeRole",
        "ServiceRolloutEndRolloutRole",
    ]


@pytest.fixture(scope="module")
def automatic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a model that approves itself."""
    root = copy_of_project(tmp_path_factory.mktemp("automatic"))
    path = root / "training" / "models" / "flight-delay" / "model.yaml"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("approval:")]
    path.write_text("\n".join([*lines, "approval: {policy: auto}", ""]))
    return root


def test_with_policy_auto_only_authorize_may_approve(automatic: Path, tmp_path: Path) -> None:
    synthesis = synthesise(tmp_path, {"stage": "local"}, root=automatic)
    assert synthesis.code == 0, synthesis.errors
    template = synthesis.model()
    roles = resources(template, "AWS::IAM::Role")
    may = [
        (role, action)
        for role in roles
        for action in GIVING
        if verdict(template, role, action, "Approved") == "allowed"
    ]
    assert [(role.rstrip("0123456789ABCDEF"), action) for role, action in may] == [("RegistryAuthorizeRole", GIVING[0])]


def test_prod_is_not_synthesised_with_policy_auto(automatic: Path, tmp_path: Path) -> None:
    synthesis = synthesise(tmp_path, {"stage": "prod"}, root=automatic)
    assert synthesis.code == 1
    assert synthesis.errors.strip().splitlines()[-1] == (
        "penstock: training/models/flight-delay/model.yaml: approval.policy: auto is not for stage prod, where a "
        "person approves: say person"
    )
