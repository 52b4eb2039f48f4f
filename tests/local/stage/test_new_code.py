"""New code of the predict function on the laptop cloud, by real deployments: rolled out, taken back, kept waiting.

The tests follow one model, so their order matters.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.conftest import client_for, until
from tests.local.stage.deployed import MODEL, exported
from tests.local.stage.project import Project
from tests.local.stage.snapshot import copy_live
from tests.support.specs import replace_serving

HEADERS = 'headers = {"x-request-id"'
SCORES = "enumerate(live.score_instances(rows))"
CLIPPED = "enumerate([min(max(score, 0.4), 0.6) for score in live.score_instances(rows)])"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A model that is live, and a specification that says nothing of rollouts."""
    project = copy_live(tmp_path_factory)
    path = project.model_folder / "model.yaml"
    path.write_text(re.sub(r"\nrollout: \{.*\}\n", "\n", path.read_text()))
    project.run("up")
    yield project
    project.run("down")


def predict(project: Project) -> tuple[Any, str]:
    """A client of Lambda, and the predict function's name."""
    client = client_for(project.cloud())
    return client("lambda"), exported(client)["PredictName"]


def alias(project: Project) -> str:
    """Return the published version that takes all the traffic."""
    functions, name = predict(project)
    response = functions.get_alias(FunctionName=name, Name="live")
    assert not (response.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    return str(response["FunctionVersion"])


def marked(project: Project) -> str:
    """Return the mark of the code that answers; every answer is a 200."""
    words = shlex.split(project.json("models", "show", MODEL)["curl"])
    completed = subprocess.run([*words, "-s", "-i"], capture_output=True, text=True, check=True)
    assert " 200" in completed.stdout.splitlines()[0], completed.stdout
    marks = [
        line.partition(":")[2].strip() for line in completed.stdout.splitlines() if line.lower().startswith("x-code:")
    ]
    return marks[0] if marks else ""


def change(project: Project, mark: str, *, bad: bool = False) -> None:
    """Change the handler: its answers have a mark, and other scores if it is bad."""
    path = project.root / "functions" / "predict" / "handler.py"
    text = (Path(__file__).parents[3] / "functions" / "predict" / "handler.py").read_text()
    assert text.count(HEADERS) == text.count(SCORES) == 1
    text = text.replace(HEADERS, HEADERS.replace("{", f'{{"x-code": "{mark}", '))
    path.write_text(text.replace(SCORES, CLIPPED) if bad else text)


def last(project: Project) -> dict[str, Any]:
    """Return the newest rollout of the live version."""
    rollout: dict[str, Any] = project.json("why", MODEL)["rollouts"][0]
    return rollout


def test_a_deployment_of_new_code_is_rolled_out_with_the_live_model(project: Project) -> None:
    # Given a live model, whose code is changed
    before = alias(project)
    assert marked(project) == ""
    change(project, "two")
    # When it is deployed
    project.run("up")
    # Then the live alias is never the deployment's to move: a rollout publishes another version, and says why
    until(lambda: last(project)["outcome"] == "live" and last(project)["new_code"], seconds=60)
    assert (last(project)["by"], last(project)["because"]) == ("deployment", "new code or settings were deployed")
    assert int(alias(project)) == int(before) + 1
    assert marked(project) == "two"
    assert "by deployment: new code or settings were deployed" in project.run("why", MODEL).stdout


def test_a_deployment_without_new_code_starts_nothing(project: Project) -> None:
    before, rollout = alias(project), last(project)["id"]
    project.run("up")
    assert (alias(project), last(project)["id"]) == (before, rollout)


def test_a_setting_that_a_version_keeps_is_rolled_out_too(project: Project) -> None:
    # Given a limit that the live version has bound
    before, rollout = alias(project), last(project)["id"]
    path = project.model_folder / "model.yaml"
    replace_serving(path, "serving: {max_rows: 3}")
    # When a deployment changes nothing else
    project.run("up")
    # Then it goes live by a rollout
    until(lambda: last(project)["id"] != rollout and last(project)["outcome"] == "live", seconds=60)
    assert (last(project)["by"], alias(project) != before) == ("deployment", True)
    functions, name = predict(project)
    configuration = functions.get_function_configuration(FunctionName=name, Qualifier="live")
    assert configuration["Environment"]["Variables"]["PENSTOCK_MAX_ROWS"] == "3"


def test_bad_new_code_never_serves_and_takes_nothing_back(project: Project) -> None:
    # Given code that gives other scores
    before = alias(project)
    change(project, "bad", bad=True)
    # When it is deployed
    project.run("up")
    # Then its rollout ends with the golden examples' words, once
    until(lambda: last(project)["outcome"] == "rolled back", seconds=60)
    assert "new code of version 1 was taken back" in last(project)["reason"]
    # And the old code answers as before, and the model is live and approved as before
    assert (alias(project), marked(project)) == (before, "two")
    assert project.json("models")[0]["live"] == 1
    assert "code or settings were deployed that are not live yet" in project.run("models", "show", MODEL).stdout


def test_with_on_new_code_wait_an_operator_starts_the_rollout(project: Project) -> None:
    # Given good code, and a specification that has it wait
    path = project.model_folder / "model.yaml"
    path.write_text(path.read_text() + "rollout: {on_new_code: wait}\n")
    change(project, "three")
    before, rollout = alias(project), last(project)["id"]
    # When it is deployed, then nothing moves, and the command says so
    project.run("up")
    assert (alias(project), marked(project), last(project)["id"]) == (before, "two", rollout)
    assert "penstock rollout flight-delay --new-code" in project.run("models", "show", MODEL).stdout
    # When an operator asks, then it goes live
    output = project.run("rollout", MODEL, "--new-code", "--reason", "the fix").stdout
    assert "with new code started" in output
    assert marked(project) == "three"
    assert last(project)["because"] == "the fix"
    assert "not live" not in project.run("models", "show", MODEL).stdout
