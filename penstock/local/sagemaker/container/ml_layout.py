"""The `/opt/ml` tree of a job or endpoint, laid out as by SageMaker, in a directory of its own."""

import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ML_ROOT = "/opt/ml"
FAILURE_LIMIT = 1024


@dataclass(frozen=True)
class Layout:
    """The directories of one job or endpoint."""

    root: Path

    @property
    def config(self) -> Path:
        """The configuration of a training container."""
        return self.root / "input" / "config"

    @property
    def model(self) -> Path:
        """The content of `model.tar.gz`."""
        return self.root / "model"

    @property
    def output(self) -> Path:
        """The content of `output.tar.gz`."""
        return self.root / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        """Synchronised with the checkpoint location in S3."""
        return self.root / "checkpoints"

    def channel(self, name: str) -> Path:
        """Return the directory of a channel."""
        return self.root / "input" / "data" / name

    def create(self) -> None:
        """Create the tree, replacing an old one."""
        shutil.rmtree(self.root, ignore_errors=True)
        for directory in (self.config, self.model, self.output, self.checkpoints, self.root / "input" / "data"):
            directory.mkdir(parents=True)

    def at(self, container_path: str) -> Path:
        """Return the laptop's path for a path in the container; a path outside `/opt/ml` is put below the root too."""
        relative = container_path.removeprefix(ML_ROOT).lstrip("/")
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError(f"{container_path} leads out of the job's directory")
        return path

    def message(self, name: str) -> str:
        """Return the container's text in `output/failure` or `output/message`; empty where there is none."""
        try:
            text = (self.root / "output" / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return text.strip()[:FAILURE_LIMIT]


def write_json(path: Path, content: Any) -> None:
    """Write a configuration file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def pack(directory: Path, archive: Path) -> Path:
    """Pack the content of a directory, without the directory itself, as SageMaker packs artifacts."""
    with tarfile.open(archive, "w:gz") as tar:
        for item in sorted(directory.iterdir()):
            tar.add(item, arcname=item.name)
    return archive


def is_empty(directory: Path) -> bool:
    """Return whether a directory is absent or empty."""
    return not directory.is_dir() or not any(directory.iterdir())
