"""Templates: outputs, function settings, data protection, and alarms."""

import json
from typing import Any

import pytest

from infra.bundling import GROUPS
from infra.stages import STAGES
from penstock import settings
from penstock.spec.base import STAGES as STAGE_NAMES
from penstock.stack_outputs import LakeOutputs, ModelOutputs
from tests.infra.conftest import ROOT, Json, Synthesis, resources

CLASSES: dict[str, type[settings.Settings]] = {
    "start_run": settings.StartRunSettings,
    "validate": settings.ValidateSettings,
    "register": settings.RegisterSettings,
    "end_run": settings.EndRunSettings,
    "authorize": settings.AuthorizeSettings,
    "smoke_test": settings.SmokeTestSettings,
    "watch_rollout": settings.WatchRolloutSettings,
    "end_rollout": settings.EndRolloutSettings,
    "predict": settings.PredictSettings,
    "monitor": settings.MonitorSettings,
    "start_batch": settings.StartBatchSettings,
    "plan_batch": settings.PlanBatchSettings,
    "score_part": settings.ScorePartSettings,
    "join_batch": settings.JoinBatchSettings,
    "end_batch": settings.EndBatchSettings,
}
BOUND_BY_A_ROLLOUT = {"version", "model_key", "model_sha256", "model_version_id"}
OF_OTHER_MODELS = {"endpoint", "endpoint_seconds", "feature_store", "features_made", "hash_secret"}
"""This one has neither endpoint, feature store nor hashed columns; tests named by these look at such."""


def functions(template: Json) -> dict[str, Json]:
    """Lambda functions by their folder's name."""
    resources_by_id = resources(template, "AWS::Lambda::Function").values()
    return {item["Properties"]["Handler"].split(".")[1]: item["Properties"] for item in resources_by_id}


def test_every_folder_is_a_function(synthesis: Synthesis) -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert set(functions(synthesis.model())) == folders == set(GROUPS) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_function_gets_the_variables_that_its_settings_name(synthesis: Synthesis, name: str) -> None:
    # Given a function's settings class
    kind = CLASSES[name]
    fields = set(kind.__dataclass_fields__) - OF_OTHER_MODELS - (BOUND_BY_A_ROLLOUT if name == "predict" else set())
    # When its environment is read off the template
    variables: dict[str, Any] = functions(synthesis.model())[name]["Environment"]["Variables"]
    # Then there are these variables and no others, none empty
    assert set(variables) == {kind.variable(field) for field in fields}
    assert all(variables.values())


def test_validate_has_room_for_a_file_and_its_parts(synthesis: Synthesis) -> None:
    properties_by_name = functions(synthesis.model())
    assert (properties_by_name["validate"]["MemorySize"], properties_by_name["validate"]["EphemeralStorage"]) == (
        3008,
        {"Size": 10_240},
    )
    roomy = {name for name, properties in properties_by_name.items() if "EphemeralStorage" in properties}
    assert roomy == {"validate", "plan_batch", "join_batch"}


def test_the_stacks_export_what_the_command_reads(synthesis: Synthesis, stage: str) -> None:
    assert set(LakeOutputs.__annotations__) <= set(synthesis.lake()["Outputs"])
    of_others = {"DomainTarget", "EndpointPlan", "HashSecretArn"}
    assert set(synthesis.model()["Outputs"]) == set(ModelOutputs.__annotations__) - of_others
    assert f"{LakeOutputs.stack(stage)}.template.json" in synthesis.texts()
    assert f"{ModelOutputs.stack(stage, 'flight-delay')}.template.json" in synthesis.texts()


def test_the_stages_are_those_that_the_command_knows() -> None:
    assert tuple(STAGES) == STAGE_NAMES
    assert all(stage.name == name for name, stage in STAGES.items())


def test_only_the_laptop_uses_a_shared_image(synthesis: Synthesis, stage: str) -> None:
    machines = resources(synthesis.model(), "AWS::StepFunctions::StateMachine").values()
    text = "".join(json.dumps(resource["Properties"]["DefinitionString"]) for resource in machines)
    assert ("penstock-training:local" in text) == (stage == "local")
    assert ("container-assets" in text) == (stage != "local")


def test_data_outlives_its_stack_except_on_the_laptop(synthesis: Synthesis, stage: str) -> None:
    policy = "Delete" if stage == "local" else "Retain"
    for kind in ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::Table"):
        for resource in resources(synthesis.lake(), kind).values():
            assert resource["DeletionPolicy"] == policy
            assert resource["UpdateReplacePolicy"] == policy


def test_prod_refuses_to_be_deleted(prod: Synthesis) -> None:
    (table,) = resources(prod.lake(), "AWS::DynamoDB::Table").values()
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert (prod.folder / "manifest.json").read_text(encoding="utf-8").count('"terminationProtection": true') == 2


def test_the_lake_sends_events_for_every_object(synthesis: Synthesis) -> None:
    buckets = resources(synthesis.lake(), "AWS::S3::Bucket").values()
    (lake,) = [resource["Properties"] for resource in buckets if "VersioningConfiguration" in resource["Properties"]]
    assert lake["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert lake["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "AWS::Lambda::Function" not in {resource["Type"] for resource in synthesis.lake()["Resources"].values()}


def test_only_batch_work_and_shadow_answers_expire(synthesis: Synthesis) -> None:
    # Old versions go too; what is the newest of anything else is kept
    buckets = resources(synthesis.lake(), "AWS::S3::Bucket").values()
    (lake,) = [resource["Properties"] for resource in buckets if "VersioningConfiguration" in resource["Properties"]]
    expiring = [rule for rule in lake["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule]
    assert [(rule["Prefix"], rule["Status"]) for rule in expiring] == [
        ("shadow/", "Enabled"),
        ("batch-work/", "Enabled"),
    ]


def test_every_alarm_notifies_the_topic(synthesis: Synthesis) -> None:
    alarms = resources(synthesis.model(), "AWS::CloudWatch::Alarm").values()
    assert len(alarms) == 7
    assert all(len(alarm["Properties"]["AlarmActions"]) == 1 for alarm in alarms)
    assert all(alarm["Properties"]["AlarmDescription"].startswith("flight-delay: ") for alarm in alarms)


def test_drift_alarm_and_retraining(synthesis: Synthesis, stage: str) -> None:
    # Given the drift alarm
    alarms = resources(synthesis.model(), "AWS::CloudWatch::Alarm")
    (name,) = [key for key, resource in alarms.items() if resource["Properties"].get("MetricName") == "DriftPSI"]
    properties = alarms[name]["Properties"]
    # Then it looks at what the monitor puts
    assert properties["Namespace"] == f"Penstock/{stage}/flight-delay"
    assert (properties["Threshold"], properties["Statistic"]) == (0.25, "Maximum")
    assert properties["Period"] == STAGES[stage].alarm_seconds
    assert "Dimensions" not in properties
    # And its change wakes start_run
    rules = resources(synthesis.model(), "AWS::Events::Rule").values()
    (rule,) = [
        resource
        for resource in rules
        if resource["Properties"].get("EventPattern", {}).get("source") == ["aws.cloudwatch"]
    ]
    assert rule["Properties"]["EventPattern"]["resources"] == [{"Fn::GetAtt": [name, "Arn"]}]


def test_the_api_takes_signed_requests_only(synthesis: Synthesis) -> None:
    routes = [item["Properties"] for item in resources(synthesis.model(), "AWS::ApiGatewayV2::Route").values()]
    assert {item["RouteKey"] for item in routes} == {"POST /predict", "GET /openapi.json", "GET /ping"}
    assert {item["AuthorizationType"] for item in routes} == {"AWS_IAM"}
    (stage,) = resources(synthesis.model(), "AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["RouteSettings"]["POST /predict"]["ThrottlingRateLimit"] == 200
    assert stage["Properties"]["DefaultRouteSettings"]["ThrottlingRateLimit"] == 10
    assert len(set(stage["DependsOn"]) & set(resources(synthesis.model(), "AWS::ApiGatewayV2::Route"))) == 3
    assert "AccessLogSettings" in stage["Properties"]
