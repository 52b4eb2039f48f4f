"""Permissions of the roles: single actions, limited to the model's own resources, and none to approve."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from infra.checks import WITHOUT_RESOURCE
from tests.infra.conftest import Json, Synthesis, resources

ASSET = re.compile(r"/[0-9a-f]{64}\.zip")
"""The archive of the model's folder, one object among the deployment's assets."""
OBJECT_ACTIONS = {"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"}


def statements(template: Json) -> Iterator[tuple[str, Json]]:
    """Role's logical id and each statement of its policies."""
    for policy in resources(template, "AWS::IAM::Policy").values():
        for role in policy["Properties"]["Roles"]:
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                yield role["Ref"], statement


def listed(value: object) -> list[str]:
    return [
        item if isinstance(item, str) else json.dumps(item) for item in (value if isinstance(value, list) else [value])
    ]


def folders(template: Json, role: str, action: str) -> set[str]:
    """Return the lake's folders on which a role has an action; assets, which lie in no folder, are left out."""
    paths: set[str] = set()
    for name, statement in statements(template):
        if role in name and action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                if ASSET.search(resource):
                    continue
                outer, _, inner = resource.partition("/flight-delay/")
                within = inner.partition("*")[0].rstrip("/")
                paths.add("/".join([outer.rsplit("/", 1)[-1], *([within] if within else [])]))
    return paths


def test_roles_have_no_aws_managed_policy(synthesis: Synthesis) -> None:
    for template in synthesis.templates():
        for name, role in resources(template, "AWS::IAM::Role").items():
            assert "ManagedPolicyArns" not in role["Properties"], name


def test_wildcards_stand_only_where_iam_takes_no_resource(synthesis: Synthesis) -> None:
    count = 0
    for role, statement in statements(synthesis.model()):
        count += 1
        assert not [action for action in listed(statement["Action"]) if "*" in action], role
        if "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= set(WITHOUT_RESOURCE), role
    assert count > 20


def test_every_object_permission_is_limited_to_the_model(synthesis: Synthesis) -> None:
    objects = [
        (role, resource)
        for role, statement in statements(synthesis.model())
        if any(
            action.startswith("s3:") and action.endswith(("Object", "ObjectVersion"))
            for action in listed(statement["Action"])
        )
        for resource in listed(statement["Resource"])
    ]
    assert objects
    assert all(
        re.search(r"/flight-delay/(\w+/)?\*", resource) or (ASSET.search(resource) and "PipelineValidateRole" in role)
        for role, resource in objects
    )
    assert sum(bool(ASSET.search(resource)) for _, resource in objects) == 1


@pytest.mark.parametrize(
    ("role", "action", "expected"),
    [
        ("ServicePredictRole", "s3:GetObject", {"models"}),
        ("ServicePredictRole", "s3:PutObject", set()),
        ("PipelineValidateRole", "s3:GetObject", {"raw", "labelled", "datasets", "models", "runs"}),
        ("PipelineValidateRole", "s3:PutObject", {"datasets", "quarantine", "runs"}),
        ("PipelineRegisterRole", "s3:PutObject", {"models", "runs"}),
        ("PipelineJobRole", "s3:GetObject", {"datasets", "runs"}),
        ("PipelineJobRole", "s3:PutObject", {"runs"}),
        ("PipelineInspectionRole", "s3:GetObjectVersion", {"raw", "labelled", "datasets", "runs"}),
        ("PipelineInspectionRole", "s3:PutObject", {"datasets", "quarantine", "runs"}),
        ("RegistryAuthorizeRole", "s3:PutObject", set()),
        ("MonitorRole", "s3:PutObject", {"labelled", "monitor"}),
        ("BatchStartBatchRole", "s3:GetObject", set()),
        ("BatchPlanBatchRole", "s3:GetObject", {"batch/input", "batch-work", "batch/output", "models"}),
        ("BatchPlanBatchRole", "s3:PutObject", {"batch-work"}),
        ("BatchScorePartRole", "s3:GetObject", {"batch-work", "models"}),
        ("BatchScorePartRole", "s3:PutObject", {"batch-work"}),
        ("BatchJoinBatchRole", "s3:GetObject", {"batch-work"}),
        ("BatchJoinBatchRole", "s3:PutObject", {"batch/output", "batch/errors"}),
        ("BatchEndBatchRole", "s3:GetObject", set()),
        ("ServiceCaptureRole", "s3:PutObject", {"captures", "capture-errors"}),
    ],
)
def test_grants_are_limited_to_the_folders_of_each_role(
    prod: Synthesis, role: str, action: str, expected: set[str]
) -> None:
    assert folders(prod.model(), role, action) == expected


def allowed(template: Json, role: str) -> dict[str, str]:
    """Return each action of a role with its resources."""
    return {
        action: ", ".join(listed(statement["Resource"]))
        for name, statement in statements(template)
        if role in name
        for action in listed(statement["Action"])
    }


@pytest.mark.parametrize("kind", ["Training", "Processing"])
def test_the_pipeline_may_run_the_models_own_jobs_and_wait_for_them(synthesis: Synthesis, kind: str) -> None:
    grants = allowed(synthesis.model(), "PipelineMachineRole")
    for verb in ("Create", "Describe", "Stop"):
        where = grants[f"sagemaker:{verb}{kind}Job"]
        assert f":{kind.lower()}-job/" in where
        assert "-flight-delay-*" in where
    rules = [
        ", ".join(listed(statement["Resource"]))
        for role, statement in statements(synthesis.model())
        if "PipelineMachineRole" in role and "events:PutRule" in listed(statement["Action"])
    ]
    assert any(f"rule/StepFunctionsGetEventsForSageMaker{kind}JobsRule" in rule for rule in rules)


def test_the_inspection_may_use_neither_ledger_nor_registry(synthesis: Synthesis) -> None:
    grants = allowed(synthesis.model(), "PipelineInspectionRole")
    assert "/aws/sagemaker/ProcessingJobs:*" in grants["logs:PutLogEvents"]
    assert {"kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey"} <= set(grants)
    assert not [action for action in grants if action.startswith(("dynamodb:", "sns:", "lambda:", "sagemaker:"))]


def test_register_may_read_the_image_digest_in_its_repository_only(prod: Synthesis) -> None:
    # Given the repository that the image is pushed to, which the role's name of it ends at
    where = json.dumps(allowed(prod.model(), "PipelineRegisterRole")["ecr:DescribeImages"])
    assert "cdk-hnb659fds-container-assets-" in where
    assert "*" not in where


def test_score_part_may_use_neither_ledger_nor_topic(synthesis: Synthesis) -> None:
    grants = allowed(synthesis.model(), "BatchScorePartRole")
    assert not [action for action in grants if action.startswith(("dynamodb:", "sns:", "lambda:", "states:"))]
    assert "dynamodb:PutItem" not in allowed(synthesis.model(), "BatchJoinBatchRole")


def test_a_batchs_machine_runs_its_own_items_only(synthesis: Synthesis) -> None:
    # Given what a Distributed Map wants: to start executions of its own machine, and to see, stop and redrive them
    grants = {
        action: json.dumps(statement["Resource"])
        for role, statement in statements(synthesis.model())
        if role.startswith("BatchRole")
        for action in listed(statement["Action"])
    }
    assert "BatchMachine" in grants["states:StartExecution"]
    for action in ("states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"):
        assert ":execution:" in grants[action]
        assert "BatchMachine" in grants[action]
        assert "/*" in grants[action]
    # And it invokes its steps and nothing else
    assert grants["lambda:InvokeFunction"].count("Fn::GetAtt") == 4


def test_only_the_rollout_changes_what_serves(synthesis: Synthesis) -> None:
    moving = {"lambda:UpdateAlias", "lambda:PublishVersion", "lambda:UpdateFunctionConfiguration"}
    movers = {role for role, statement in statements(synthesis.model()) if moving & set(listed(statement["Action"]))}
    assert len(movers) == 1
    assert movers.pop().startswith("ServiceRolloutRole")


def test_the_rollout_may_manage_its_own_alarms_only(prod: Synthesis) -> None:
    grants = allowed(prod.model(), "ServiceRolloutRole")
    for action in ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"):
        assert grants[action].endswith(':alarm:penstock-prod-flight-delay-rollout-*"]]}'), grants[action]
    assert "alarm:" in grants["cloudwatch:DescribeAlarms"]


def test_pruning_deletes_versions_and_never_the_function(prod: Synthesis) -> None:
    where = allowed(prod.model(), "ServiceRolloutEndRolloutRole")["lambda:DeleteFunction"]
    assert where.endswith('":*"]]}')
    watcher = allowed(prod.model(), "ServiceRolloutWatchRolloutRole")
    assert folders(prod.model(), "ServiceRolloutWatchRolloutRole", "s3:GetObject") == {"captures"}
    assert not [action for action in watcher if action.startswith(("lambda:", "sagemaker:", "sns:"))]


def test_no_role_of_the_stack_may_approve_or_reject(synthesis: Synthesis) -> None:
    # Given every statement that can give a version a status
    giving = ("sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage")
    pairs = [
        (role, statement)
        for role, statement in statements(synthesis.model())
        if any(fnmatchcase(action, allowed) for action in giving for allowed in listed(statement["Action"]))
    ]
    # Then three roles have one, and it ends at the status that is no decision
    holders = ("PipelineRegisterRole", "RegistryAuthorizeRole", "ServiceRolloutEndRolloutRole")
    assert sorted(next(name for name in holders if role.startswith(name)) for role, _ in pairs) == sorted(holders)
    for _, statement in pairs:
        allowed = statement["Condition"]["StringEqualsIfExists"]["sagemaker:ModelApprovalStatus"]
        assert allowed == ["PendingManualApproval"]


def test_the_group_denies_decisions_to_this_stacks_roles(synthesis: Synthesis) -> None:
    # Given the group's own policy
    (group,) = resources(synthesis.model(), "AWS::SageMaker::ModelPackageGroup").values()
    (statement,) = group["Properties"]["ModelPackageGroupPolicy"]["Statement"]
    # Then it denies approval, and rejection, by which rollbacks are asked for, to whoever carries the mark
    assert statement["Effect"] == "Deny"
    assert set(statement["Action"]) == {"sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"}
    condition = statement["Condition"]["StringEquals"]
    assert condition["sagemaker:ModelApprovalStatus"] == ["Approved", "Rejected"]
    # And every role of the stack carries it
    mark = {"Key": "penstock:machine", "Value": condition["aws:PrincipalTag/penstock:machine"]}
    roles = resources(synthesis.model(), "AWS::IAM::Role")
    assert len(roles) == 22
    assert all(mark in role["Properties"]["Tags"] for role in roles.values())


def test_ledger_permissions_end_at_the_models_records(synthesis: Synthesis) -> None:
    denials = [
        statement
        for _, statement in statements(synthesis.model())
        if any(action.startswith("dynamodb:") for action in listed(statement["Action"]))
    ]
    assert denials
    for statement in denials:
        assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["flight-delay"]}}
        # A scan names no key, so that the condition would let it pass.
        assert "dynamodb:Scan" not in listed(statement["Action"])
