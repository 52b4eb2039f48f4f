"""The secret for hashing personal values: made where a contract asks for it; who may read it."""

from pathlib import Path

import pytest

from infra.bundling import FOLDER
from penstock.settings import PredictSettings
from tests.infra.conftest import Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_permissions import listed, statements

KIND = "AWS::SecretsManager::Secret"


@pytest.fixture(scope="module")
def hashing(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Production, with a row key that is personal, checked by all rules."""
    root = copy_of_project(tmp_path_factory.mktemp("hashing") / "project", project)
    (root / FOLDER).symlink_to((project / FOLDER).resolve())
    contract = root / "training/models/flight-delay/contract.yaml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("- name: flight_id\n", "- name: flight_id\n        classification: personal\n"))
    synthesis = synthesise(tmp_path_factory.mktemp("prod"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def test_without_a_hashed_column_there_is_no_key(synthesis: Synthesis) -> None:
    template = synthesis.model()
    assert resources(template, KIND) == {}
    assert "HashSecretArn" not in template["Outputs"]
    assert not [role for role, statement in statements(template) if "secretsmanager" in str(statement["Action"])]


def test_the_key_is_random_encrypted_and_kept(hashing: Synthesis) -> None:
    (secret,) = resources(hashing.model(), KIND).values()
    assert secret["DeletionPolicy"] == "Retain"
    assert "Fn::GetStackOutput" in str(secret["Properties"]["KmsKeyId"])
    assert secret["Properties"]["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 64}
    assert "SecretString" not in secret["Properties"]


def test_only_predict_endpoints_and_monitor_may_read_the_key(hashing: Synthesis) -> None:
    template = hashing.model()
    (name,) = resources(template, KIND)
    readers = {
        role: statement
        for role, statement in statements(template)
        if any(action.startswith("secretsmanager:") for action in listed(statement["Action"]))
    }
    assert sorted(role.partition("Role")[0] for role in readers) == ["Monitor", "ServiceEndpoints", "ServicePredict"]
    for statement in readers.values():
        assert (statement["Action"], statement["Resource"]) == (
            "secretsmanager:GetSecretValue",
            {"Fn::GetAtt": [name, "Id"]},
        )


def test_versions_are_published_with_the_keys_name(hashing: Synthesis) -> None:
    # The rollout's maker gets it for them: a published version keeps its own environment.
    template = hashing.model()
    (name,) = resources(template, KIND)
    variable = PredictSettings.variable("hash_secret")
    holders = [
        function["Properties"]["Description"].rpartition(" ")[2]
        for function in resources(template, "AWS::Lambda::Function").values()
        if function["Properties"]["Environment"]["Variables"].get(variable) == {"Fn::GetAtt": [name, "Id"]}
    ]
    assert sorted(holders) == ["authorize", "monitor", "predict"]
    assert template["Outputs"]["HashSecretArn"]["Value"] == {"Fn::GetAtt": [name, "Id"]}
