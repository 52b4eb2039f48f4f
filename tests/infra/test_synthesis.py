"""Synthesis is pure: the same tree gives the same bytes, without AWS calls."""

import json
import shutil
from pathlib import Path

import pytest

from infra.bundling import FOLDER
from tests.infra.conftest import ROOT, Synthesis, copy_of_project, resources, synthesise
from tests.support.specs import replace_serving

VERSION, ALIAS = "AWS::Lambda::Version", "AWS::Lambda::Alias"


def test_two_syntheses_give_the_same_bytes(runs: dict[tuple[str, bool], Synthesis], stage: str) -> None:
    # Given the app synthesised twice, once with the rules and once without
    with_rules, without = runs[stage, True], runs[stage, False]
    # When the templates are compared
    # Then not a byte differs, and neither do the assets
    assert with_rules.texts() == without.texts()
    assert {path.name for path in with_rules.folder.glob("asset.*")} == {
        path.name for path in without.folder.glob("asset.*")
    }


def test_prod_has_no_resource_of_the_laptop(prod: Synthesis) -> None:
    text = "".join(prod.texts().values())
    assert "penstock-local" not in text
    assert "penstock-training:local" not in text
    assert "localhost" not in text
    assert "000000000000" not in text


def test_no_account_and_no_region_is_baked_in(prod: Synthesis) -> None:
    manifest = (prod.folder / "manifest.json").read_text(encoding="utf-8")
    assert "aws://unknown-account/unknown-region" in manifest


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({}, "no stage given: say which one with -c stage=local|dev|prod"),
        ({"stage": "production"}, "there is no stage 'production': say -c stage=local|dev|prod"),
    ],
)
def test_an_unknown_stage_gets_one_sentence(tmp_path: Path, context: dict[str, str], sentence: str) -> None:
    # When the app runs without a stage that it knows
    run = synthesise(tmp_path, context, root=ROOT)
    # Then it fails with the sentence and no traceback
    assert run.code == 1
    assert run.errors == f"penstock: {sentence}\n"


def test_a_broken_model_folder_gets_a_sentence(tmp_path: Path) -> None:
    # Given a project whose model.yaml has a misspelt field
    root = copy_of_project(tmp_path / "project")
    path = root / "training" / "models" / "flight-delay" / "model.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\nservin:\n  memory_mb: 512\n", encoding="utf-8")
    # When it is synthesised
    run = synthesise(tmp_path / "out", {"stage": "local"}, root=root)
    # Then the sentence names file and field
    assert run.code == 1
    assert "model.yaml" in run.errors
    assert "servin" in run.errors
    assert "Traceback" not in run.errors


def test_files_that_contradict_each_other_get_a_sentence(tmp_path: Path) -> None:
    # Given a project whose model splits by a time that its contract does not have
    root = copy_of_project(tmp_path / "project")
    folder = root / "training" / "models" / "flight-delay"
    contract, model = folder / "contract.yaml", folder / "model.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("event_time", "ignore"), encoding="utf-8")
    model.write_text(model.read_text(encoding="utf-8") + "\nsplit: {by: time}\n", encoding="utf-8")
    # When it is synthesised
    run = synthesise(tmp_path / "out", {"stage": "prod"}, root=root)
    # Then the sentence names file, field and mend
    assert run.code == 1
    assert "split.by: a split by time needs an event time" in run.errors
    assert "value: event_time" in run.errors
    assert "Traceback" not in run.errors


def test_new_code_moves_no_traffic(local: Synthesis, project: Path, tmp_path: Path) -> None:
    # Given a project whose predict function has other code
    root = copy_of_project(tmp_path / "project", project)
    handler = root / "functions" / "predict" / "handler.py"
    handler.write_text(handler.read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
    # When it is synthesised
    changed = synthesise(tmp_path / "out", {"stage": "local"}, root=root)
    assert changed.code == 0, changed.errors
    # Then the function's code is another, and version and alias are the same to the letter
    before, after = local.model(), changed.model()
    functions = resources(before, "AWS::Lambda::Function")
    different = [name for name, resource in functions.items() if resource != after["Resources"][name]]
    assert len(different) == 1
    assert different[0].startswith("ServicePredict")
    for kind in (VERSION, ALIAS):
        assert len(resources(before, kind)) == 1
        assert resources(before, kind) == resources(after, kind)


def test_the_alias_starts_at_the_version_without_a_model(synthesis: Synthesis) -> None:
    (version,) = resources(synthesis.model(), VERSION)
    (alias,) = resources(synthesis.model(), ALIAS).values()
    assert alias["Properties"]["Name"] == "live"
    assert alias["Properties"]["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}
    assert "RoutingConfig" not in alias["Properties"]


def test_an_edit_of_one_model_leaves_another_as_it_is(project: Path, tmp_path: Path) -> None:
    # Given a project of two models in production, of which one is served by an endpoint
    root = copy_of_project(tmp_path / "project", project)
    (root / FOLDER).symlink_to(project / FOLDER)
    models = root / "training" / "models"
    shutil.copytree(models / "flight-delay", models / "neighbour")
    text = (models / "neighbour" / "model.yaml").read_text(encoding="utf-8")
    (models / "neighbour" / "model.yaml").write_text(text.replace("flight-delay", "neighbour"), encoding="utf-8")
    replace_serving(models / "flight-delay" / "model.yaml", "serving: {target: endpoint}")
    before = synthesise(tmp_path / "before", {"stage": "prod"}, root=root)
    assert before.code == 0, before.errors
    # When the other model's code changes
    with (models / "neighbour" / "train.py").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    after = synthesise(tmp_path / "after", {"stage": "prod"}, root=root)
    # Then its template is the only one that does, and so the endpoint's plan stays, with the image in it
    own, other = "penstock-prod-model-flight-delay.template.json", "penstock-prod-model-neighbour.template.json"
    assert before.texts().keys() == after.texts().keys() >= {own, other}
    assert [name for name, text in before.texts().items() if after.texts()[name] != text] == [other]
    assert "container-assets" in json.dumps(before.model()["Outputs"]["EndpointPlan"])


def test_a_cached_assembly_equals_a_new_one(tmp_path: Path) -> None:
    # Given a project that was synthesised once by `python -m infra`, rules off
    root = copy_of_project(tmp_path / "project")
    context = {"stage": "local"}
    first = synthesise(tmp_path / "first", context, root=root, validation=False, module="infra")
    remembered = list((root / ".bundles" / "assemblies").iterdir())
    # When it is asked again, and once more after a change
    again = synthesise(tmp_path / "again", context, root=root, validation=False, module="infra")
    anew = synthesise(tmp_path / "anew", context, root=root, validation=False)
    handler = root / "functions" / "end_run" / "handler.py"
    handler.write_text(handler.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    changed = synthesise(tmp_path / "changed", context, root=root, validation=False, module="infra")
    # Then the remembered answer is what the app itself says, and a change is not overlooked
    assert len(remembered) == 1
    assert first.texts() == again.texts() == anew.texts()
    assert changed.texts() != first.texts()
