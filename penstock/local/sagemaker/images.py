"""What an image is on a laptop without Docker: the command that its Dockerfile declares, run from the source tree."""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from penstock.local.home import read_json
from penstock.local.sagemaker.layout import ML_ROOT

_PYTHON = re.compile(r"(?:/usr/(?:local/)?bin/)?python(?:3(?:\.\d+)?)?")


class UnknownImageError(Exception):
    """The image is not one that this laptop cloud can run; the message says which it knows."""


@dataclass(frozen=True)
class Image:
    """What a Dockerfile's last stage says about running it, and the source tree it would copy."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    workdir: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    context: Path = Path()

    def command_line(self, entrypoint: list[str], arguments: list[str], ml_root: Path) -> list[str]:
        """Return the arguments to run; a given entrypoint or given arguments replace the image's own."""
        chosen = [*(entrypoint or self.entrypoint), *arguments]
        return [self._on_laptop(argument, ml_root, first=index == 0) for index, argument in enumerate(chosen)]

    def variables(self, ml_root: Path) -> dict[str, str]:
        """Return the image's ENV with the container's paths turned into the laptop's."""
        kept = {name: value for name, value in self.environment.items() if name != "PATH"}
        return {name: self._rewrite(value, ml_root) for name, value in kept.items()}

    def _on_laptop(self, argument: str, ml_root: Path, *, first: bool) -> str:
        if first and _PYTHON.fullmatch(argument):
            return sys.executable
        relative = self.context / argument
        if argument and not argument.startswith(("/", "-")) and relative.is_file():
            return str(relative)
        return self._rewrite(argument, ml_root)

    def _rewrite(self, text: str, ml_root: Path) -> str:
        rewritten = rewrite_paths(text, ml_root)
        return rewrite_prefix(rewritten, self.workdir, self.context) if self.workdir != "/" else rewritten


def rewrite_paths(text: str, ml_root: Path) -> str:
    """Turn a path under `/opt/ml` into the one under the job's root."""
    return rewrite_prefix(text, ML_ROOT, ml_root)


def rewrite_prefix(text: str, old: str, new: Path) -> str:
    """Replace the path `old` at the start of each part of a `:`- or `=`-separated text."""
    return re.sub(rf"(^|[:=]){re.escape(old)}(?=/|$|:)", lambda found: f"{found.group(1)}{new}", text)


def find(uri: str, registry: Path) -> Image:
    """Return the image that an image URI means.

    Raises:
        UnknownImageError: no image of that name is known, or its Dockerfile cannot be run without Docker.
    """
    known = read_json(registry) or {}
    for name, entry in known.items():
        if name in uri:
            image = parse(Path(entry["dockerfile"]).read_text(encoding="utf-8"))
            if not image.entrypoint:
                raise UnknownImageError(
                    f'image {uri}: {entry["dockerfile"]} has no ENTRYPOINT in JSON form, such as ["python", "-m", "x"]'
                )
            return replace(image, context=Path(entry["context"]))
    raise UnknownImageError(f"image {uri} is not on this laptop cloud; it knows: {', '.join(known) or 'none'}")


def parse(dockerfile: str) -> Image:
    """Read ENTRYPOINT, CMD, WORKDIR and ENV of a Dockerfile's last stage. ENTRYPOINT and CMD count in JSON form."""
    stages: dict[str, Image] = {}
    image, stage = Image(), ""
    for instruction, value in _instructions(dockerfile):
        if instruction == "FROM":
            base, _, stage = value.partition(" AS ") if " AS " in value else value.partition(" as ")
            image = stages.get(base.split()[-1], Image())
        else:
            image = _apply(image, instruction, value)
        stages[stage.strip()] = image
    return image


def _apply(image: Image, instruction: str, value: str) -> Image:
    if instruction == "ENTRYPOINT":
        return replace(image, entrypoint=_exec_form(value), command=())
    if instruction == "CMD":
        return replace(image, command=_exec_form(value))
    if instruction == "WORKDIR":
        return replace(image, workdir=value if value.startswith("/") else f"{image.workdir.rstrip('/')}/{value}")
    if instruction == "ENV":
        return replace(image, environment={**image.environment, **_variables(value)})
    return image


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\s*\n", " ", re.sub(r"^\s*#.*\n?", "", dockerfile, flags=re.MULTILINE))
    for line in joined.splitlines():
        instruction, _, value = line.strip().partition(" ")
        if value:
            yield instruction.upper(), value.strip()


def _exec_form(value: str) -> tuple[str, ...]:
    try:
        parsed = json.loads(value)
    except ValueError:
        return ()
    return tuple(str(part) for part in parsed) if isinstance(parsed, list) else ()


def _variables(value: str) -> dict[str, str]:
    words = shlex.split(value)
    if "=" not in words[0]:  # the old form: ENV NAME the rest is the value
        return {words[0]: " ".join(words[1:])}
    return dict(word.split("=", 1) for word in words if "=" in word)
