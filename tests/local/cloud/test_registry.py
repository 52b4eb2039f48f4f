"""The model registry: it keeps every field, validates requests, and records who changed what."""

import json
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from penstock.local.host.cloud import LaptopCloud
from penstock.local.host.home import CloudHome
from penstock.local.sagemaker.container import images
from tests.local.conftest import Client, allow, make_role, until

ACCOUNT = "000000000000"
PREFIX = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"


def refusal(cloud: LaptopCloud, operation: str, **members: Any) -> dict[str, str]:
    """Send a request without the SDK's own checks, as a state machine would, and return the error."""
    variables = cloud.environment()
    request = AWSRequest(
        method="POST",
        url=cloud.url,
        data=json.dumps(members),
        headers={"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"},
    )
    key = Credentials(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(key, "sagemaker", "us-east-1").add_auth(request)
    session: Any = URLLib3Session
    answer = session(verify=variables["AWS_CA_BUNDLE"]).send(request.prepare())
    assert answer.status_code == 400
    error: dict[str, str] = json.loads(answer.content)
    return error


@pytest.fixture(scope="module")
def group(client: Client) -> str:
    client("sagemaker").create_model_package_group(
        ModelPackageGroupName="delays", Tags=[{"Key": "model", "Value": "delays"}]
    )
    client("s3").create_bucket(Bucket="registry-lake")
    client("s3").put_object(Bucket="registry-lake", Key="model.tar.gz", Body=b"weights")
    return "delays"


FULL: dict[str, Any] = {
    "ModelPackageDescription": "a challenger",
    "InferenceSpecification": {
        "Containers": [{"Image": "sample:local", "ModelDataUrl": "s3://registry-lake/model.tar.gz"}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    },
    "CustomerMetadataProperties": {"dataset": "d-1", "note": "Zürich @ 10:30"},
    "ModelMetrics": {
        "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://registry-lake/metrics.json"}}
    },
    "MetadataProperties": {"CommitId": "abc", "GeneratedBy": f"{PREFIX}:training-job/x"},
    "ModelCard": {"ModelCardContent": "{}", "ModelCardStatus": "Draft"},
    "SourceUri": "s3://registry-lake/source",
    "Domain": "MACHINE_LEARNING",
    "Task": "REGRESSION",
}


def test_a_package_is_described_with_every_field_of_its_request(cloud: LaptopCloud, client: Client, group: str) -> None:
    # Given a package with every kind of member
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group, **FULL)["ModelPackageArn"]
    # When it is described
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    # Then all is there, with what the registry adds
    inference = described["InferenceSpecification"]["Containers"][0]
    etag = client("s3").head_object(Bucket="registry-lake", Key="model.tar.gz")["ETag"].strip('"')
    container = FULL["InferenceSpecification"]["Containers"][0]
    digest = images.digest(container["Image"], CloudHome(cloud.home).images)
    assert inference == {**container, "ModelDataETag": etag, "ImageDigest": digest}
    for member in set(FULL) - {"InferenceSpecification"}:
        assert described[member] == FULL[member]
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelPackageStatus"] == "Completed"
    assert described["CreatedBy"]["IamIdentity"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/operator"


def test_versions_count_up_and_are_never_reused(client: Client) -> None:
    # Given a group with two versions, the newest deleted
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="counting")
    for _ in range(2):
        sagemaker.create_model_package(ModelPackageGroupName="counting")
    sagemaker.delete_model_package(ModelPackageName=f"{PREFIX}:model-package/counting/2")
    # When another one is registered
    arn = sagemaker.create_model_package(ModelPackageGroupName="counting")["ModelPackageArn"]
    # Then it has a number of its own
    assert arn.endswith("model-package/counting/3")
    # And a group that holds packages is not deleted
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.delete_model_package_group(ModelPackageGroupName="counting")


def test_approval_is_recorded_with_the_approver(client: Client, cloud: LaptopCloud, group: str) -> None:
    # Given a package and an approver who came by a role
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    role = make_role(client, "approver", "lambda", allow("sagemaker:UpdateModelPackage", f"{PREFIX}:model-package/*"))
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    client("iam").update_assume_role_policy(RoleName="approver", PolicyDocument=document)
    key = client("sts").assume_role(RoleArn=role, RoleSessionName="anna")["Credentials"]
    session: Any = boto3.session.Session()
    anna = session.client(
        "sagemaker", region_name="us-east-1", endpoint_url=cloud.url, verify=cloud.environment()["AWS_CA_BUNDLE"],
        aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"], config=Config(proxies={}),
    )  # fmt: skip
    # When she approves it
    anna.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")
    # Then the record names her
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ApprovalDescription"] == "good"
    identity = described["LastModifiedBy"]["IamIdentity"]
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/approver/anna"
    assert identity["PrincipalId"].endswith(":anna")
    # And what her role does not allow is refused
    with pytest.raises(ClientError, match=r"AccessDenied.*sagemaker:DeleteModelPackage"):
        anna.delete_model_package(ModelPackageName=arn)


def test_metadata_is_merged_and_removed(client: Client, group: str) -> None:
    # Given a package with two properties
    sagemaker = client("sagemaker")
    properties = {"keep": "1", "drop": "2"}
    package = sagemaker.create_model_package(ModelPackageGroupName=group, CustomerMetadataProperties=properties)
    # When one is added and one removed
    sagemaker.update_model_package(
        ModelPackageArn=package["ModelPackageArn"],
        CustomerMetadataProperties={"new": "3"},
        CustomerMetadataPropertiesToRemove=["drop"],
    )
    # Then the rest stays
    described = sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
    assert described["CustomerMetadataProperties"] == {"keep": "1", "new": "3"}


def test_packages_are_filtered_ordered_and_paged(client: Client) -> None:
    # Given three versions, one approved
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="paged")
    for status in ("PendingManualApproval", "Approved", "Rejected"):
        sagemaker.create_model_package(ModelPackageGroupName="paged", ModelApprovalStatus=status)
    request = {"ModelPackageGroupName": "paged", "SortBy": "CreationTime", "SortOrder": "Descending"}
    # When they are listed two at a time, newest first
    first = sagemaker.list_model_packages(**request, MaxResults=2)
    second = sagemaker.list_model_packages(**request, MaxResults=2, NextToken=first["NextToken"])
    pages = [*first["ModelPackageSummaryList"], *second["ModelPackageSummaryList"]]
    # Then all come once, and a filter leaves one
    assert [package["ModelPackageVersion"] for package in pages] == [3, 2, 1]
    approved = sagemaker.list_model_packages(**request, ModelApprovalStatus="Approved")["ModelPackageSummaryList"]
    assert [package["ModelPackageVersion"] for package in approved] == [2]
    # And a token is good for its own request only
    with pytest.raises(ClientError, match="NextToken belongs to another request"):
        sagemaker.list_model_packages(ModelPackageGroupName="paged", NextToken=first["NextToken"])


def test_batch_describe_names_missing_packages(client: Client, group: str) -> None:
    # Given one package that is there and one that is not
    sagemaker = client("sagemaker")
    there = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    missing = f"{PREFIX}:model-package/{group}/999"
    # When both are asked for
    answer = sagemaker.batch_describe_model_package(ModelPackageArnList=[there, missing])
    # Then each has its place
    assert list(answer["ModelPackageSummaries"]) == [there]
    assert answer["BatchDescribeModelPackageErrorMap"][missing]["ErrorCode"] == "ValidationException"


def test_tags_and_policies_of_a_group(client: Client, group: str) -> None:
    # Given a group with a tag
    sagemaker = client("sagemaker")
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    # When tags change
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "ops"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["model"])
    # Then they are what was asked for
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "ops"}]
    # And a policy is kept until it is deleted
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy='{"Version": "2012-10-17"}')
    policy = sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
    assert json.loads(policy) == {"Version": "2012-10-17"}
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)


@pytest.mark.parametrize(
    ("request_members", "message"),
    [
        ({"ModelPackageGroupNme": "x"}, "Unknown member 'modelPackageGroupNme'"),
        ({}, "Value null at 'modelPackageGroupName' failed to satisfy constraint: Member must not be null"),
        ({"ModelPackageGroupName": "under_score"}, "Member must satisfy regular expression pattern"),
        ({"ModelPackageGroupName": "a" * 64}, "Member must have length less than or equal to 63"),
        ({"ModelPackageGroupName": "x", "Tags": "no"}, "Member must be of type list"),
        ({"ModelPackageGroupName": "x", "Tags": [{"Key": "k"}]}, "'tags.1.member.value'"),
    ],
)
def test_requests_that_aws_would_refuse_are_refused(
    cloud: LaptopCloud, request_members: dict[str, Any], message: str
) -> None:
    # Given a request that is wrong, when it is sent, then the error names the member and the constraint
    error = refusal(cloud, "CreateModelPackageGroup", **request_members)
    assert error["__type"] == "ValidationException"
    assert message in error["message"]


def test_enumerations_are_checked(cloud: LaptopCloud, group: str) -> None:
    # Given a status that is none, when it is sent, then the error lists those that are
    error = refusal(cloud, "CreateModelPackage", ModelPackageGroupName=group, ModelApprovalStatus="Aproved")
    assert "enum value set: [Approved, Rejected, PendingManualApproval]" in error["message"]


def test_an_unsupported_operation_says_so(client: Client) -> None:
    # Given an operation of AWS that the laptop cloud lacks, when it is called, then it is never silent
    with pytest.raises(ClientError, match="ListDomains is not available on the laptop cloud"):
        client("sagemaker").list_domains()


def test_a_change_of_approval_is_an_event(client: Client, group: str) -> None:
    # Given a queue behind a rule for approvals
    sqs, events = client("sqs"), client("events")
    url = sqs.create_queue(QueueName="approvals")["QueueUrl"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    events.put_rule(Name="approvals", EventPattern=json.dumps(pattern))
    target = f"arn:aws:sqs:us-east-1:{ACCOUNT}:approvals"
    events.put_targets(Rule="approvals", Targets=[{"Id": "queue", "Arn": target}])
    # When a package is registered and then approved
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    # Then only the approval comes
    received = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    event = json.loads(received[0]["Body"])
    assert event["resources"] == [arn]
    assert event["detail"]["ModelPackageArn"] == arn
    assert event["detail"]["ModelPackageVersion"] == int(arn.rsplit("/", 1)[1])


def test_cloudformation_makes_changes_and_deletes_a_group(client: Client) -> None:
    # Given a template with a group
    def template(**properties: Any) -> str:
        group = {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {"ModelPackageGroupName": "from-template", **properties},
        }
        outputs = {
            "Ref": {"Value": {"Ref": "Group"}},
            "Arn": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}},
        }
        return json.dumps({"Resources": {"Group": group}, "Outputs": outputs})

    stacks, sagemaker = client("cloudformation"), client("sagemaker")
    first = template(Tags=[{"Key": "a", "Value": "1"}], ModelPackageGroupPolicy={"Version": "2012-10-17"})
    # When it is deployed
    stacks.create_stack(StackName="registry", TemplateBody=first)
    stacks.get_waiter("stack_create_complete").wait(StackName="registry", WaiterConfig={"Delay": 1})
    # Then Ref and attribute are the ARN
    outputs = stacks.describe_stacks(StackName="registry")["Stacks"][0]["Outputs"]
    arn = f"{PREFIX}:model-package-group/from-template"
    assert {output["OutputValue"] for output in outputs} == {arn}
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    # And an update changes its tags, and a deletion removes it
    stacks.update_stack(StackName="registry", TemplateBody=template(Tags=[{"Key": "b", "Value": "2"}]))
    stacks.get_waiter("stack_update_complete").wait(StackName="registry", WaiterConfig={"Delay": 1})
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    with pytest.raises(ClientError, match="Cannot find resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName="from-template")
    stacks.delete_stack(StackName="registry")
    stacks.get_waiter("stack_delete_complete").wait(StackName="registry", WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName="from-template")
