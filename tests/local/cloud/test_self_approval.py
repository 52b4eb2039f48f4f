"""On the laptop cloud, IAM enforced: no role of a model's stack gives an approval, whatever its own policy says."""

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.local.host.cloud import LaptopCloud
from tests.infra.conftest import ROOT, Json, resources, synthesise
from tests.local.conftest import Client

ACCOUNT, REGION = "000000000000", "us-east-1"
GROUP = "penstock-local-flight-delay"
PREFIX = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
TRUST = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
EVERYTHING = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The model's stack as it is deployed here."""
    synthesis = synthesise(tmp_path_factory.mktemp("local"), {"stage": "local"}, root=ROOT)
    assert synthesis.code == 0, synthesis.errors
    return synthesis.model()


def plain(value: Any, roles: dict[str, str]) -> Any:
    """A template's value with its references resolved, as far as policies on versions have them."""
    if isinstance(value, list):
        return [plain(item, roles) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        return value["Fn::Join"][0].join(str(plain(item, roles)) for item in value["Fn::Join"][1])
    if "Ref" in value:
        parameters = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}
        return parameters.get(value["Ref"], value["Ref"])
    return {name: plain(item, roles) for name, item in value.items()}


def on_versions(template: Json, role: str) -> list[Json]:
    """List a role's own policy statements on the model registry."""
    policy_statements = []
    for policy in resources(template, "AWS::IAM::Policy").values():
        if {"Ref": role} in policy["Properties"]["Roles"]:
            policy_statements += [plain(item, {}) for item in policy["Properties"]["PolicyDocument"]["Statement"]]
    return [
        item
        for item in policy_statements
        if "sagemaker:" in json.dumps(item["Action"]) and "model-package" in json.dumps(item)
    ]


@pytest.fixture(scope="module")
def version(client: Client, template: Json) -> str:
    """A version that waits for approval, in a group with the deployed policy."""
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    (group,) = resources(template, "AWS::SageMaker::ModelPackageGroup").values()
    policy = json.dumps(plain(group["Properties"]["ModelPackageGroupPolicy"], {}))
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=GROUP, ResourcePolicy=policy)
    return str(sagemaker.create_model_package(ModelPackageGroupName=GROUP)["ModelPackageArn"])


def as_role(client: Client, cloud: LaptopCloud, name: str, statements: list[Json], tags: list[Json]) -> Any:
    """Return a SageMaker client with a role's session."""
    iam = client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, Tags=tags)["Role"]["Arn"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
    key = client("sts").assume_role(RoleArn=arn, RoleSessionName="itself")["Credentials"]
    session: Any = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], REGION)
    bundle = cloud.environment()["AWS_CA_BUNDLE"]
    return session.client("sagemaker", endpoint_url=cloud.url, verify=bundle, config=Config(proxies={}))


@pytest.mark.parametrize("generous", [False, True], ids=["own policy", "allowed everything"])
def test_no_role_approves(client: Client, cloud: LaptopCloud, template: Json, version: str, *, generous: bool) -> None:
    # Given each role of the stack, with its own permissions on versions, or with all there are
    roles = resources(template, "AWS::IAM::Role")
    assert len(roles) == 22
    for number, (role, about) in enumerate(roles.items()):
        own = [EVERYTHING] if generous else on_versions(template, role)
        tags = about["Properties"]["Tags"]
        caller = as_role(client, cloud, f"self-{generous}-{number}", own, tags)
        # When it approves, or rejects as a rollback does, then it is denied
        for status in ("Approved", "Rejected"):
            with pytest.raises(ClientError, match="AccessDenied"):
                caller.update_model_package(ModelPackageArn=version, ModelApprovalStatus=status)
        # And whoever may take back, may: it is the decision that is denied
        if generous or "Authorize" in role:
            caller.update_model_package(ModelPackageArn=version, ModelApprovalStatus="PendingManualApproval")
    package = client("sagemaker").describe_model_package(ModelPackageName=version)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"


def test_a_role_that_the_stack_did_not_create_may_approve(client: Client, cloud: LaptopCloud, version: str) -> None:
    caller = as_role(client, cloud, "person", [EVERYTHING], [])
    caller.update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")
    package = client("sagemaker").describe_model_package(ModelPackageName=version)
    assert package["LastModifiedBy"]["IamIdentity"]["Arn"].endswith("assumed-role/person/itself")
