"""The page on environment variables: what infra sets on each function, and what people may set."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

from docs.generators.markdown import attribute_docs, code, first_paragraph, page, table
from penstock import settings

ROOT = Path(__file__).parents[2]
BASES = (settings.Settings, settings.LakeSettings)
CONTAINERS = {"InspectSettings": "The processing job", "ServeSettings": "The serving container"}
"""Settings of what runs in the training image; all other classes are named after a folder in `functions/`."""
SHARED = {
    "stage": "local, dev or prod.",
    "model": "The model's name.",
    "bucket": "The lake's bucket.",
    "ledger": "The ledger's table.",
    "topic": "ARN of the stage's notification topic.",
    "group": "Name of the model package group.",
    "function": "Name of the predict function.",
    "capture": "Name of the capture delivery stream.",
    "model_key": "S3 key of the model file.",
    "model_sha256": "Digest that the model file must have.",
}
"""What a field means in whichever class it is, where the class has no docstring for it."""
PEOPLE = {
    "PENSTOCK_STAGE": ("the command", "Stage, where `--stage` is not given."),
    "PENSTOCK_MODEL": ("the command", "Model, where `--model` is not given."),
    "PENSTOCK_PORT": ("the command", "Port of the laptop cloud; 4566 unless set."),
    "PENSTOCK_TOKEN": ("`penstock predict`", "Token of a caller, where the model has `serving.auth: {jwt: …}`."),
    "PENSTOCK_ML_ROOT": ("the container's steps", "Folder that stands for `/opt/ml` outside of a container."),
    "PENSTOCK_PYTHON": ("the CDK", "Interpreter that runs the app; `python3` unless set."),
    "PENSTOCK_CLOUD_LOG_LEVEL": ("the laptop cloud", "Level of its log, `.penstock/cloud.log`."),
}
INTRODUCTION = """Infra sets the variables of a function; its handler checks at start that they are there. To
change one, change `model.yaml` and deploy: a variable that is changed by hand is overwritten by the next deployment."""


def environment_page() -> str:
    """Write a table for people, then one for each function or container."""
    people = table(("Variable", "Read by", "Meaning"), [(code(name), *about) for name, about in PEOPLE.items()])
    classes = [value for name in settings.__all__ if isinstance(value := getattr(settings, name), type)]
    sections = [_section(cls) for cls in classes if issubclass(cls, settings.Settings) and cls not in BASES]
    return page("Environment variables", INTRODUCTION, "## Set by people", people, *sections)


def _section(cls: type[settings.Settings]) -> str:
    docs = SHARED | attribute_docs(cls)
    rows = [
        (
            code(cls.variable(field.name)),
            "required" if field.default is MISSING else code(field.default) if field.default else "none",
            docs.get(field.name, ""),
        )
        for field in fields(cls)
    ]
    own = cls.__doc__ or ""
    about = "" if own.startswith(f"{cls.__name__}(") else first_paragraph(own)
    return "\n\n".join(filter(None, (f"## {_where(cls)}", about, table(("Variable", "Default", "Meaning"), rows))))


def _where(cls: type[settings.Settings]) -> str:
    """Name the function's folder, which has the class' name in snake case, or the container."""
    if name := CONTAINERS.get(cls.__name__):
        return name
    folder = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__.removesuffix("Settings")).lower()
    if not (ROOT / "functions" / folder).is_dir():
        raise LookupError(f"{cls.__name__}: there is no folder functions/{folder}: name the container in CONTAINERS")
    return f"`functions/{folder}`"
