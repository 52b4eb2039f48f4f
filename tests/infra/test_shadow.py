"""Rollout with a shadow: its additional permissions, which no other role gets."""

import re
from pathlib import Path

import pytest

from infra.bundling import FOLDER
from tests.infra.conftest import Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_permissions import folders, listed, statements

WATCHER = "ServiceRolloutWatchRolloutRole"


@pytest.fixture(scope="module")
def unseen(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """Production, with a shadow, checked by all rules."""
    root = copy_of_project(tmp_path_factory.mktemp("unseen") / "project", project)
    (root / FOLDER).symlink_to((project / FOLDER).resolve())
    path = root / "training/models/flight-delay/model.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\nrollout: {strategy: shadow}\n", encoding="utf-8")
    synthesis = synthesise(tmp_path_factory.mktemp("prod"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def test_the_watcher_invokes_published_versions_and_stores_their_answers_apart(
    unseen: Synthesis, prod: Synthesis
) -> None:
    # Given the watcher's permissions, with a shadow and without
    template = unseen.model()
    assert folders(template, WATCHER, "s3:GetObject") == {"captures", "shadow"}
    assert folders(template, WATCHER, "s3:PutObject") == {"shadow"}
    assert folders(prod.model(), WATCHER, "s3:PutObject") == set()
    # Then it may ask the function's published versions, and no function whole
    (where,) = [
        str(statement["Resource"])
        for role, statement in statements(template)
        if role.startswith(WATCHER) and "lambda:InvokeFunction" in listed(statement["Action"])
    ]
    assert re.search(r"ServicePredict.*':\*'", where)


def test_a_shadows_answers_expire(prod: Synthesis) -> None:
    rules = [
        rule
        for bucket in resources(prod.lake(), "AWS::S3::Bucket").values()
        for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        if rule.get("Prefix") == "shadow/"
    ]
    assert [(rule["ExpirationInDays"], rule["Status"]) for rule in rules] == [(30, "Enabled")]


def test_the_new_code_resource_names_code_and_settings(prod: Synthesis) -> None:
    # Given what CloudFormation watches for changes
    (new_code,) = resources(prod.model(), "Custom::PenstockNewCode").values()
    settings = new_code["Properties"]["Settings"]
    # Then what a published version keeps of a deployment is among it
    assert {"max_rows", "capture_sample", "capture"} <= set(settings)
    assert (settings["max_rows"], settings["capture_sample"]) == ("500", "1.0")
