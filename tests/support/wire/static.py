"""Formats that need no run: variables, events, keys, commands, exit codes and model files."""

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, cast

import click
import msgspec
import onnx
import pytest
import typer
from botocore.exceptions import BotoCoreError, ClientError

from penstock import events, settings
from penstock.cli import app, rollout_progress, run_progress
from penstock.cli.commands import batch, forget, init
from penstock.cli.target import UnreachableError, UsageError
from penstock.lake import Lake
from penstock.settings import Settings
from penstock.stack_outputs import NotDeployedError
from tests.support import tiny
from tests.support.wire.shapes import shape
from tests.support.world import BUCKET, MODEL, alarm_raised, execution_ended, object_created, package_changed

ARN = "arn:aws:x:::y"


def variables() -> dict[str, dict[str, str]]:
    """Return each function's environment variables with their defaults."""
    result: dict[str, dict[str, str]] = {}
    for name in sorted(settings.__all__):
        kind = getattr(settings, name)
        if inspect.isclass(kind) and issubclass(kind, Settings):
            result[name] = {
                kind.variable(item.name): "required" if item.default is MISSING else f"default {item.default!r}"
                for item in fields(kind)
            }
    return result


def contracts() -> dict[str, Any]:
    """Return each event's identity, its pattern, and the fields that are read."""
    patterns: dict[type[events.Contract], tuple[events.Pattern, events.Event]] = {
        events.ObjectCreated: (events.ObjectCreated.pattern(bucket="b", prefix="p/"), object_created("k", 1, "e", "v")),
        events.ExecutionEnded: (
            events.ExecutionEnded.pattern(state_machine=ARN),
            execution_ended("arn:aws:states:::stateMachine:m", "n", "FAILED", "why"),
        ),
        events.AlarmRaised: (events.AlarmRaised.pattern(alarm_arn=ARN), alarm_raised()),
        events.PackageStateChange: (events.PackageStateChange.pattern(group="g"), package_changed(ARN, 2)),
    }
    assert set(patterns) == set(events.Contract.__subclasses__())
    return {
        kind.__name__: {
            "source": kind.source,
            "detail_type": kind.detail_type,
            "pattern": pattern,
            "read": {item.name: getattr(kind.parse(event), item.name) for item in fields(kind)},
        }
        for kind, (pattern, event) in patterns.items()
    }


def lake_keys() -> dict[str, str]:
    """Return every key of the lake, with the arguments' names as values."""
    lake = Lake(BUCKET, MODEL)
    methods = inspect.getmembers(lake, inspect.ismethod)
    return {
        name: method(*(f"<{argument}>" for argument in inspect.signature(method).parameters))
        for name, method in methods
        if not name.startswith("_")
    }


def exit_codes() -> dict[str, Any]:
    """Return the exit code of each outcome, and of each error that is printed as a sentence."""
    codes: dict[str, Any] = {
        "run": run_progress.EXIT,
        "batch": batch.EXIT,
        "more people must approve": rollout_progress.COUNTED_CODE,
        "nobody found": forget.NOBODY,
        "check would refuse": init.QUARANTINED,
        "stopped": app.STOPPED,
    }
    errors: list[tuple[str, BaseException]] = [(kind.__name__, kind("x")) for kind in app.SENTENCES]
    errors += [
        ("UsageError", UsageError("x")),
        ("UnreachableError", UnreachableError("x")),
        ("NotDeployedError", NotDeployedError("x")),
        ("ClientError", ClientError({"Error": {"Code": "c", "Message": "m"}}, "Operation")),
        ("BotoCoreError", BotoCoreError()),
        ("KeyboardInterrupt", KeyboardInterrupt()),
        ("FileNotFoundError", FileNotFoundError(2, "No such file", "x")),
    ]
    return codes | {"errors": {name: _code(error) for name, error in errors}}


def _code(error: BaseException) -> Any:
    def fails() -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "app", fails)
        patch.setattr(sys, "argv", ["penstock"])
        try:
            app.main()
        except SystemExit as ended:
            return ended.code
    return 0


def commands() -> dict[str, list[str]]:
    """Return every command with its arguments and options."""
    return _commands(cast("click.Command", typer.main.get_command(app.app)), "penstock")


def _commands(command: Any, words: str) -> dict[str, list[str]]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    if not inner:
        return {words: sorted(" ".join([*item.opts, *item.secondary_opts]) for item in command.params)}
    result: dict[str, list[str]] = {}
    for name, item in inner.items():
        result |= _commands(item, f"{words} {name}")
    return result


def metadata(data: bytes) -> dict[str, Any]:
    """Return a model file's metadata: the signature itself, and the shape of other JSON."""
    props = {item.key: item.value for item in onnx.load_from_string(data).metadata_props}
    return {name: _parse(name, value) for name, value in props.items()}


def _parse(name: str, value: str) -> Any:
    try:
        document = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value
    if name != "penstock.signature":
        return shape(document)
    return document | ({"threshold": "number"} if isinstance(document["threshold"], float) else {})


def model_files() -> dict[str, Any]:
    """Return the metadata of a small file of each task."""
    makers: dict[str, Callable[[], bytes]] = {
        "binary": lambda: tiny.build(hidden=("note",), hashed=("note",), explains=tiny.explains()),
        "regression": tiny.build_regression,
        "multiclass": tiny.build_multiclass,
    }
    return {name: metadata(make()) for name, make in makers.items()}


STATIC: dict[str, Callable[[], Any]] = {
    "cli commands": commands,
    "cli exit codes": exit_codes,
    "environment variables": variables,
    "events": contracts,
    "lake keys": lake_keys,
    "metadata of small files": model_files,
}


def as_json(document: Any) -> Any:
    """Convert a document to JSON's types."""
    return json.loads(json.dumps(document, default=str))
