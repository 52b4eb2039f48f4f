"""Tuning in the specification: the search's states, its permissions, and validation."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import jsonata  # type: ignore[import-untyped]
import pytest
from botocore.validate import ParamValidator
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from infra.bundling import FOLDER
from infra.constructs.base.state_language import Definition
from infra.constructs.pipeline.job_steps import CAPACITY_ATTEMPTS
from infra.constructs.pipeline.tuning_definition import name_prefix
from penstock.local.sagemaker.jobs.suggestions import suggestions
from penstock.local.sagemaker.protocol import request_validation as validation
from penstock.spec.model import Tuning
from tests.infra.conftest import Json, Synthesis, copy_of_project, resources, synthesise
from tests.infra.test_definitions import expressions, reached, training
from tests.infra.test_nag import IGNORED, REGIONS
from tests.infra.test_permissions import allowed, listed, statements

LONGEST_NAME = 32
RANGES: dict[str, Any] = {
    "rate": {"min": 0.001, "max": 0.1, "scale": "log"},
    "leaves": {"min": 8, "max": 64, "integer": True},
    "kind": {"values": ["gbdt", 3, True]},
}
SECTION = """
tuning:
  max_jobs: 4
  ranges:
    depth: {min: 2, max: 8, integer: true}
"""


def searching(**about: Any) -> Definition:
    return training(tuning=Tuning(**({"metric": "log_loss", "ranges": RANGES} | about)))


def request(**about: Any) -> dict[str, Any]:
    """Return the CreateHyperParameterTuningJob request with its expressions evaluated."""
    text = json.dumps(searching(**about)["States"]["Tune"]["Arguments"])
    text = re.sub(r"{% \$job\..*? %}", "s3://lake/runs/m", text)
    document: dict[str, Any] = json.loads(re.sub(r"{% .*? %}", "m-012345-0123456789ab-1-0", text))
    document["TrainingJobDefinition"]["RoleArn"] = "arn:aws:iam::123456789012:role/training"
    return document


def evaluated(expression: str, **variables: Any) -> Any:
    program = jsonata.Jsonata(expression.removeprefix("{%").removesuffix("%}"))
    for name, value in variables.items():
        program.assign(name, value)
    return program.evaluate(None)


def test_the_search_replaces_the_training_job() -> None:
    states = searching()["States"]
    assert "Train" not in states
    assert states["Worth training?"]["Choices"][0]["Next"] == "Tune"
    assert states["Tune"]["Resource"] == "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"
    assert states["Tuned?"]["Choices"][0]["Next"] == "Best trial"
    assert states["Best trial"]["Next"] == "Register"
    assert states["Register"]["Arguments"]["Payload"]["tuning"] == "{% $states.input.tuning %}"
    assert "tuning" not in training()["States"]["Register"]["Arguments"]["Payload"]


def test_the_search_states_are_reached_caught_and_jsonata() -> None:
    definition = searching()
    assert reached(definition) == set(definition["States"])
    tasks = {name: state for name, state in definition["States"].items() if state["Type"] == "Task"}
    for name, state in tasks.items():
        assert state["Retry"], name
        assert any(catch["ErrorEquals"] == ["States.ALL"] for catch in state["Catch"]), name
        assert state["TimeoutSeconds"] > 0, name
    for expression in expressions(definition):
        jsonata.Jsonata(expression)


def test_a_trial_is_the_training_job_with_an_objective_metric() -> None:
    job, trial = training()["States"]["Train"]["Arguments"], searching()["States"]["Tune"]["Arguments"]
    definition = trial["TrainingJobDefinition"]
    assert definition["StaticHyperParameters"] == job["HyperParameters"]
    same = set(job) - {"TrainingJobName", "HyperParameters", "AlgorithmSpecification"}
    assert {name: definition[name] for name in same} == {name: job[name] for name in same}
    (metric,) = definition["AlgorithmSpecification"]["MetricDefinitions"]
    # And its expression finds the line of the trial, however small the number, and not that of the holdout
    for number in ("0.4123456789", "1.5e-07", "-0.25", "12"):
        assert re.findall(metric["Regex"], f"metric validation_log_loss={number}") == [number]
    assert re.findall(metric["Regex"], "metric log_loss=0.5") == []


@pytest.mark.parametrize(
    "about", [{}, {"strategy": "random"}, {"strategy": "grid", "ranges": {"kind": {"values": ["a", 1]}}}]
)
def test_the_request_is_one_that_sagemaker_and_the_laptop_cloud_take(about: dict[str, Any]) -> None:
    body = request(**about)
    shape = (
        botocore.session.get_session()
        .get_service_model("sagemaker")
        .operation_model("CreateHyperParameterTuningJob")
        .input_shape
    )
    assert shape is not None
    report = ParamValidator().validate(body, shape)
    assert not report.has_errors(), report.generate_report()
    validation.check(body, shape)
    assert next(suggestions(body["HyperParameterTuningJobConfig"]))


def test_the_ranges_and_limits_are_the_specs() -> None:
    config = request(max_jobs=3, max_parallel_jobs=9, max_runtime_minutes=30, seed=7)["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [{"Name": "leaves", "MinValue": "8", "MaxValue": "64", "ScalingType": "Linear"}],
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
        ],
        "CategoricalParameterRanges": [{"Name": "kind", "Values": ["gbdt", "3", "true"]}],
    }
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3, "MaxRuntimeInSeconds": 1800,
    }  # fmt: skip
    assert (config["Strategy"], config["RandomSeed"]) == ("Bayesian", 7)
    # And a zero is a zero
    zero = request(ranges={"drop": {"min": 0, "max": 0.5}})["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert zero["ContinuousParameterRanges"][0]["MinValue"] == "0.0"


@pytest.mark.parametrize(("metric", "kind"), [("log_loss", "Minimize"), ("roc_auc", "Maximize")])
def test_the_search_direction_follows_the_metric(metric: str, kind: str) -> None:
    objective = request(metric=metric)["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective == {"Type": kind, "MetricName": f"validation_{metric}"}


def test_a_grid_has_as_many_trials_as_combinations() -> None:
    ranges = {"a": {"values": [1, 2]}, "b": {"values": ["x", "y", "z"]}}
    config = request(strategy="grid", ranges=ranges)["HyperParameterTuningJobConfig"]
    assert config["ResourceLimits"]["MaxNumberOfTrainingJobs"] == 6
    assert "RandomSeed" not in config
    assert len(list(suggestions(config))) == 6


def test_the_time_limit_allows_the_whole_search() -> None:
    longer, shorter = (searching(max_runtime_minutes=minutes) for minutes in (300, 100))
    assert longer["TimeoutSeconds"] - shorter["TimeoutSeconds"] == CAPACITY_ATTEMPTS * 200 * 60
    assert longer["States"]["Tune"]["TimeoutSeconds"] > 300 * 60


def test_names_fit_and_differ_by_stage_and_model() -> None:
    # Given models and stages whose names begin alike
    names = ["m", "flight-delay", "flight-d-elay", "m" * 30, "m" * 29 + "n"]
    prefixes = [name_prefix(stage, name) for stage in ("local", "dev", "prod") for name in names]
    # Then no two are the same, and the longest name is one that SageMaker takes
    assert len(set(prefixes)) == len(prefixes)
    for prefix in prefixes:
        longest = "-".join([prefix, "0" * 12, "6", "4"])
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", longest)
        assert len(longest) <= LONGEST_NAME
        assert len(f"{longest}-001-01234567") <= 63


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_search_without_a_model_reports_the_first_failed_trials_reason(separators: tuple[str, str]) -> None:
    states = searching()["States"]

    def following(status: str, reason: str, attempt: int = 1) -> str:
        described = {"HyperParameterTuningJobName": "m-1", "HyperParameterTuningJobStatus": status}
        error = {"Cause": json.dumps(described | {"FailureReason": reason}, separators=separators)}
        state = states["No capacity to tune?"]
        matches = (c for c in state["Choices"] if evaluated(c["Condition"], error=error, attempt=attempt))
        return str(next(matches, {"Next": state["Default"]})["Next"])

    # Given how a tuning job may end
    assert following("Failed", "All training jobs failed.") == "Why no trial?"
    assert following("Failed", "CapacityError: none") == "Wait to tune"
    assert following("Failed", "CapacityError: none", CAPACITY_ATTEMPTS) == "Why no trial?"
    assert following("Stopped", "") == "Tuning stopped"
    cause = states["Tuning stopped"]["Assign"]["error"]["Cause"]
    assert cause == "the tuning job was stopped, by hand or at the end of its time"
    # And where a trial cannot be asked, the search's own reason stands
    assert states["Why no trial?"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "Next": "EndFailed"}]
    # And the name of the one that failed is found in its description, and a trial's own words in the answer
    error = {"Cause": json.dumps({"HyperParameterTuningJobName": "m-1", "x": 1}, separators=separators)}
    arguments = states["Why no trial?"]["Arguments"]
    assert evaluated(arguments["HyperParameterTuningJobName"], error=error) == "m-1"
    cause = states["Why no trial?"]["Assign"]["error"]["Cause"]
    answers = {"TrainingJobSummaries": [{"FailureReason": "AlgorithmError: no rows"}]}
    assert evaluated(cause, states={"result": answers}, error={"Cause": "c"}) == (
        "no trial gave a model; the first: AlgorithmError: no rows"
    )
    assert evaluated(cause, states={"result": {"TrainingJobSummaries": []}}, error={"Cause": "c"}).endswith("first: c")


# The templates


@pytest.fixture(scope="module")
def tuned(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The prod stage with a search, validated."""
    root = copy_of_project(tmp_path_factory.mktemp("tuned") / "project", project)
    if (project / FOLDER).exists():
        (root / FOLDER).symlink_to((project / FOLDER).resolve())
    path = root / "training" / "models" / "flight-delay" / "model.yaml"
    path.write_text(path.read_text(encoding="utf-8") + SECTION, encoding="utf-8")
    synthesis = synthesise(tmp_path_factory.mktemp("out"), {"stage": "prod"}, root=root, validation=True)
    assert synthesis.code == 0, synthesis.errors
    return synthesis


def test_without_tuning_the_templates_hold_no_search(synthesis: Synthesis) -> None:
    assert "yperParameterTuning" not in "".join(synthesis.texts().values())
    assert "yper-parameter-tuning" not in "".join(synthesis.texts().values())


def test_no_rule_is_broken(tuned: Synthesis) -> None:
    report = json.loads((tuned.folder / "validation-report.json").read_text(encoding="utf-8"))
    assert [plugin for plugin in report["pluginReports"] if plugin.get("violations")] == []
    for text in tuned.texts().values():
        matches = lint(text, config=ManualArgs(regions=REGIONS, ignore_checks=list(IGNORED)))
        assert [f"{match.rule.id} {match.message}" for match in matches] == []


def test_the_machine_may_run_searches_and_describe_trials_only(tuned: Synthesis) -> None:
    # Given what the pipeline's machine may do to SageMaker's jobs
    grants = allowed(tuned.model(), "PipelineMachineRole")
    prefix = name_prefix("prod", "flight-delay")
    # Then it is the model's own tuning jobs
    for verb in ("Create", "Describe", "Stop"):
        assert f":hyper-parameter-tuning-job/{prefix}-*" in grants[f"sagemaker:{verb}HyperParameterTuningJob"]
    listing = grants["sagemaker:ListTrainingJobsForHyperParameterTuningJob"]
    assert f":hyper-parameter-tuning-job/{prefix}-*" in listing
    # And to read, not to make, their trials
    assert f":training-job/{prefix}-*" in grants["sagemaker:DescribeTrainingJob"]
    assert not {"sagemaker:CreateTrainingJob", "sagemaker:StopTrainingJob"} & set(grants)
    # And it hands over the training job's role, to SageMaker only, and hears of the end by the rule for it
    passed = [
        statement
        for role, statement in statements(tuned.model())
        if "PipelineMachineRole" in role and "iam:PassRole" in listed(statement["Action"])
    ]
    services = [statement["Condition"]["StringEquals"]["iam:PassedToService"] for statement in passed]
    assert services == ["sagemaker.amazonaws.com"] * len(passed)
    assert any("PipelineJobRole" in resource for statement in passed for resource in listed(statement["Resource"]))
    rules = [
        resource
        for role, statement in statements(tuned.model())
        if "PipelineMachineRole" in role and "events:PutRule" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    assert any("rule/StepFunctionsGetEventsForSageMakerTuningJobsRule" in rule for rule in rules)


def test_tuning_changes_nothing_else_in_the_template(tuned: Synthesis, prod: Synthesis) -> None:
    def kinds(template: Json) -> list[str]:
        return sorted(resource["Type"] for resource in template["Resources"].values())

    assert kinds(tuned.model()) == kinds(prod.model())
    roles = ("AWS::IAM::Role", "AWS::KMS::Key")
    for kind in roles:
        assert resources(tuned.model(), kind) == resources(prod.model(), kind)
