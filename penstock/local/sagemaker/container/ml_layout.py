"""The `/opt/ml` tree of a job, as SageMaker lays it out, under the job's own directory."""

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
    """The directories of one job."""

    root: Path

    @property
    def config(self) -> Path:
        """Where a training container finds its configuration."""
        return self.root / "input" / "config"

    @property
    def model(self) -> Path:
        """What becomes `model.tar.gz`."""
        return self.root / "model"

    @property
    def output(self) -> Path:
        """What becomes `output.tar.gz`."""
        return self.root / "output" / "data"

    @property
    def checkpoints(self) -> Path:
        """What is kept in step with the checkpoint location in S3."""
        return self.root / "checkpoints"

    def channel(self, name: str) -> Path:
        """Where the data of a channel lies."""
        return self.root / "input" / "data" / name

    def create(self) -> None:
        """Make the tree anew."""
        shutil.rmtree(self.root, ignore_errors=True)
        for directory in (self.config, self.model, self.output, self.checkpoints, self.root / "input" / "data"):
            directory.mkdir(parents=True)

    def at(self, container_path: str) -> Path:
        """Return the laptop's path for a path in the container; one outside `/opt/ml` lands below the root too."""
        relative = container_path.removeprefix(ML_ROOT).lstrip("/")
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ValueError(f"{container_path} leads out of the job's directory")
        return path

    def message(self, name: str) -> str:
        """Return what the container wrote to `output/failure` or `output/message`, or an empty text."""
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
    """Pack what a directory holds, without the directory itself, as SageMaker packs artifacts."""
    with tarfile.open(archive, "w:gz") as tar:
        for item in sorted(directory.iterdir()):
            tar.add(item, arcname=item.name)
    return archive


def is_empty(directory: Path) -> bool:
    """Say whether there is nothing in a directory."""
    return not directory.is_dir() or not any(directory.iterdir())
