"""Feature store in the specification: the feature group, its permissions, and validation."""

from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from infra.bundling import FOLDER
from tests.infra.conftest import ROOT, Json, Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_nag import IGNORED, REGIONS
from tests.infra.test_permissions import folders, listed, statements

GROUP = "AWS::SageMaker::FeatureGroup"


def with_store(target: Path, source: Path, section: str) -> Path:
    """The project with a feature store in flight-delay's specification."""
    root = copy_of_project(target, source)
    if (source / FOLDER).exists():
        (root / FOLDER).symlink_to((source / FOLDER).resolve())
    path = root / "training" / "models" / "flight-delay" / "model.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\nfeature_store: {section}\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def stored(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Prod with a store that takes every default, through the rules."""
    root = with_store(tmp_path_factory.mktemp("stored") / "project", project, "{}")
    synthesis = synthesise(tmp_path_factory.mktemp("out"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def group_of(template: Json) -> Json:
    (group,) = resources(template, GROUP).values()
    return group


def test_without_a_store_there_is_no_group(prod: Synthesis) -> None:
    assert resources(prod.model(), GROUP) == {}
    assert "feature-group" not in "".join(prod.texts().values())


def test_the_group_holds_what_the_contract_says(stored: Synthesis) -> None:
    properties = group_of(stored.model())["Properties"]
    kinds = {item["FeatureName"]: item["FeatureType"] for item in properties["FeatureDefinitions"]}
    assert (properties["RecordIdentifierFeatureName"], properties["EventTimeFeatureName"]) == (
        "flight_id",
        "departs_at",
    )
    assert kinds["flight_id"] == kinds["departs_at"] == kinds["carrier"] == "String"
    assert (kinds["dep_delay"], kinds["seats"]) == ("Fractional", "Integral")
    assert "late" not in kinds
    assert len(kinds) == 2 + 13


def test_the_group_is_encrypted_on_demand_and_retained_on_replacement(stored: Synthesis) -> None:
    group = group_of(stored.model())
    properties = group["Properties"]
    storage = properties["OfflineStoreConfig"]["S3StorageConfig"]
    key = storage["KmsKeyId"]
    assert key
    assert properties["OnlineStoreConfig"] == {"EnableOnlineStore": True, "SecurityConfig": {"KmsKeyId": key}}
    assert storage["S3Uri"]["Fn::Join"][1][-1] == "/features/flight-delay/"
    assert properties["ThroughputConfig"] == {"ThroughputMode": "OnDemand"}
    assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_roles_that_may_use_the_group(stored: Synthesis) -> None:
    model = stored.model()
    name = group_of(model)["Properties"]["FeatureGroupName"]
    may = {
        action: (role, statement["Resource"])
        for role, statement in statements(model)
        for action in listed(statement["Action"])
        if action.startswith("sagemaker:") and "Record" in action
    }
    # Then validate puts into exactly this group, and predict reads it and those that it replaced
    assert set(may) == {"sagemaker:PutRecord", "sagemaker:BatchGetRecord"}
    role, resource = may["sagemaker:PutRecord"]
    assert role.startswith("PipelineValidateRole")
    assert ends_with(resource, f":feature-group/{name}")
    role, resource = may["sagemaker:BatchGetRecord"]
    assert role.startswith("ServicePredictRole")
    assert ends_with(resource, ":feature-group/penstock-prod-flight-delay-????????")
    # And SageMaker writes under the model's own prefix only
    assert folders(model, "FeaturesRole", "s3:PutObject") == {"features"}


def ends_with(resource: Any, end: str) -> bool:
    return str(resource["Fn::Join"][1][-1]).endswith(end)


def test_a_rollout_binds_the_group(stored: Synthesis, prod: Synthesis) -> None:
    def bindings(template: Json) -> list[str]:
        functions = resources(template, "AWS::Lambda::Function").values()
        environments = [function["Properties"]["Environment"]["Variables"] for function in functions]
        return [
            variables["PENSTOCK_FEATURE_STORE"] for variables in environments if "PENSTOCK_FEATURE_STORE" in variables
        ]

    (binding,) = bindings(stored.model())
    assert group_of(stored.model())["Properties"]["FeatureGroupName"] in binding
    assert bindings(prod.model()) == []


def test_validate_gets_the_groups_creation_time(stored: Synthesis) -> None:
    (group,) = resources(stored.model(), GROUP)
    functions = resources(stored.model(), "AWS::Lambda::Function").values()
    values = [
        function["Properties"]["Environment"]["Variables"].get("PENSTOCK_FEATURES_MADE") for function in functions
    ]
    assert [value for value in values if value] == [{"Fn::GetAtt": [group, "CreationTime"]}]


def test_cfn_lint_finds_nothing_in_the_group(stored: Synthesis) -> None:
    (text,) = [text for name, text in stored.texts().items() if "model-flight-delay" in name]
    assert lint(text, config=ManualArgs(regions=REGIONS, ignore_checks=list(IGNORED))) == []


def test_two_syntheses_give_the_same_bytes(stored: Synthesis, project: Path, tmp_path: Path) -> None:
    root = with_store(tmp_path / "project", project, "{}")
    again = synthesise(tmp_path / "out", {"stage": "prod"}, root=root)
    assert again.texts() == stored.texts()


def test_a_store_that_does_not_fit_the_contract_gets_a_sentence(tmp_path: Path) -> None:
    root = with_store(tmp_path / "project", ROOT, "{entity: aircraft}")
    run = synthesise(tmp_path / "out", {"stage": "local"}, root=root)
    assert run.code == 1
    assert run.errors == (
        "penstock: training/models/flight-delay/model.yaml: feature_store.entity: "
        "the contract has no column 'aircraft'\n"
    )
