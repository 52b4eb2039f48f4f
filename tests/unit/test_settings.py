"""Settings as environment variables, and the outputs of deployed stacks."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from penstock import settings as module
from penstock.settings import PredictSettings, Settings, SettingsError, model_folder
from penstock.stack_outputs import LakeOutputs, ModelOutputs, NotDeployedError, Outputs


def every(base: type[Settings]) -> list[type[Settings]]:
    return [base, *(kind for child in base.__subclasses__() for kind in every(child))]


ALL = every(Settings)


def fill(kind: type[Settings]) -> Settings:
    return kind(**{field.name: f"the {field.name}" for field in fields(kind)})


def test_each_function_has_settings() -> None:
    functions = [path.parent.name for path in (Path(__file__).parents[2] / "functions").glob("*/handler.py")]
    expected = {name.title().replace("_", "") + "Settings" for name in functions}
    assert expected <= {kind.__name__ for kind in ALL}
    assert len(functions) >= 9


@pytest.mark.parametrize("kind", ALL)
def test_settings_survive_the_environment(kind: type[Settings]) -> None:
    value = fill(kind)
    assert kind.read(value.environment() | {"PATH": "/bin", "PENSTOCK_STRANGE": "x"}) == value
    assert all(name.startswith(module.PREFIX) and name == name.upper() for name in value.environment())


@pytest.mark.parametrize("kind", ALL)
def test_every_missing_variable_is_named(kind: type[Settings]) -> None:
    with pytest.raises(SettingsError) as caught:
        kind.read({})
    for field in fields(kind):
        assert (kind.variable(field.name) in str(caught.value)) is (field.default is MISSING)
    assert str(caught.value).startswith(f"{kind.__name__} needs ")


def test_an_empty_variable_counts_as_missing() -> None:
    environment = fill(PredictSettings).environment() | {"PENSTOCK_BUCKET": ""}
    with pytest.raises(SettingsError, match="PENSTOCK_BUCKET"):
        PredictSettings.read(environment)


def test_defaults_are_not_written_to_the_environment() -> None:
    value = PredictSettings(stage="dev", model="m", bucket="b", capture="c")
    assert PredictSettings.read(value.environment()) == value
    assert "PENSTOCK_MODEL_KEY" not in value.environment()
    assert value.max_rows == "500"


def test_the_model_folder_is_at_the_root_of_the_bundle() -> None:
    assert model_folder({"LAMBDA_TASK_ROOT": "/var/task"}) == Path("/var/task/model")
    assert model_folder({}) == Path("model")


@pytest.mark.parametrize("kind", [LakeOutputs, ModelOutputs])
def test_outputs_are_read_by_their_names(kind: type[Outputs]) -> None:
    outputs = {field.name: f"the {field.name}" for field in fields(kind)}
    value = kind.of(outputs | {"ExportsOutputRef": "x"}, "a-stack")
    assert {field.name: getattr(value, field.name) for field in fields(kind)} == outputs


def test_missing_outputs_are_named_with_the_stack() -> None:
    with pytest.raises(NotDeployedError, match="stack s lacks the outputs LedgerName, TopicArn: deploy it again"):
        LakeOutputs.of({"BucketName": "b"}, "s")


def test_stacks_have_the_stage_in_their_names() -> None:
    assert LakeOutputs.stack("dev") == "penstock-dev-lake"
    assert ModelOutputs.stack("prod", "flight-delay") == "penstock-prod-model-flight-delay"
