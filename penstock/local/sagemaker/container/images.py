"""Images on a laptop without Docker: the command that a Dockerfile declares, run from the source tree.

An image's digest covers the Dockerfile and the files that it copies, so that a change of the source is a new image here
too.
"""

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from penstock.local.host.home import read_json
from penstock.local.sagemaker.container.ml_layout import ML_ROOT

_PYTHON = re.compile(r"(?:/usr/(?:local/)?bin/)?python(?:3(?:\.\d+)?)?")


class UnknownImageError(Exception):
    """The laptop cloud cannot run the image; the message lists those that it can run."""


@dataclass(frozen=True)
class Image:
    """The settings of a Dockerfile's last stage, and the source tree that it copies from."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    workdir: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    context: Path = Path()

    def command_line(self, entrypoint: list[str], arguments: list[str], ml_root: Path) -> list[str]:
        """Return the command to run; an entrypoint of the caller replaces the image's."""
        command = [*(entrypoint or self.entrypoint), *arguments]
        return [self._on_laptop(argument, ml_root, first=index == 0) for index, argument in enumerate(command)]

    def variables(self, ml_root: Path) -> dict[str, str]:
        """Return the image's ENV, except PATH, with the container's paths replaced by the laptop's."""
        variables = {name: value for name, value in self.environment.items() if name != "PATH"}
        return {name: self._rewrite(value, ml_root) for name, value in variables.items()}

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
    """Replace `/opt/ml` in paths by the job's root."""
    return rewrite_prefix(text, ML_ROOT, ml_root)


def rewrite_prefix(text: str, old: str, new: Path) -> str:
    """Replace the path `old` at the start of each part of a `:`- or `=`-separated text."""
    return re.sub(rf"(^|[:=]){re.escape(old)}(?=/|$|:)", lambda match: f"{match.group(1)}{new}", text)


def find(uri: str, registry: Path) -> Image:
    """Return the image of a URI.

    Raises:
        UnknownImageError: there is no image of that name, or its Dockerfile cannot be run without Docker.
    """
    entry = _entry(uri, registry)
    image = parse(Path(entry["dockerfile"]).read_text(encoding="utf-8"))
    if not image.entrypoint:
        raise UnknownImageError(
            f'image {uri}: {entry["dockerfile"]} has no ENTRYPOINT in JSON form, such as ["python", "-m", "x"]'
        )
    return replace(image, context=Path(entry["context"]))


def digest(uri: str, registry: Path) -> str:
    """Return `sha256:…` over the Dockerfile of an image URI, and over every file that it copies.

    Raises:
        UnknownImageError: there is no image of that name.
    """
    entry = _entry(uri, registry)
    context, dockerfile = Path(entry["context"]), Path(entry["dockerfile"]).read_bytes()
    hasher = hashlib.sha256(dockerfile)
    for path in sorted(_copied_files(dockerfile.decode(), context)):
        hasher.update(f"\0{path.relative_to(context).as_posix()}\0{path.stat().st_size}\0".encode())
        hasher.update(path.read_bytes())
    return f"sha256:{hasher.hexdigest()}"


def _entry(uri: str, registry: Path) -> dict[str, str]:
    entries: dict[str, dict[str, str]] = read_json(registry) or {}
    for name, entry in entries.items():
        if name in uri:
            return entry
    raise UnknownImageError(f"image {uri} is not on this laptop cloud; it knows: {', '.join(entries) or 'none'}")


def _copied_files(dockerfile: str, context: Path) -> set[Path]:
    """Return the context's files that COPY and ADD name, without `__pycache__`; `.dockerignore` is not applied."""
    words = [shlex.split(value) for name, value in _instructions(dockerfile) if name in {"COPY", "ADD"}]
    sources = [arguments[:-1] for arguments in words if not any(word.startswith("--from") for word in arguments)]
    names = {word.lstrip("/") for arguments in sources for word in arguments if not word.startswith("--")}
    paths = [path for word in names if ".." not in Path(word).parts for path in _below(context / word)]
    return {path for path in paths if path.is_file() and "__pycache__" not in path.parts}


def _below(path: Path) -> list[Path]:
    return [path, *path.rglob("*")] if path.is_dir() else [path]


def parse(dockerfile: str) -> Image:
    """Read ENTRYPOINT, CMD, WORKDIR and ENV of a Dockerfile's last stage. ENTRYPOINT and CMD must be in JSON form."""
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
    if "=" not in words[0]:  # the old form `ENV NAME value with blanks`
        return {words[0]: " ".join(words[1:])}
    return dict(word.split("=", 1) for word in words if "=" in word)
