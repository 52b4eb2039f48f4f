"""Paths of every file and directory in the laptop cloud's home."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str, *, private: bool = False) -> None:
    """Replace a file in one step, so that a crash leaves either the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    staging.replace(path)


def read_json(path: Path) -> Any:
    """Return the JSON in a file, or None where it is absent or incomplete."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class CloudHome:
    """The directory of one laptop cloud."""

    root: Path

    @property
    def state(self) -> Path:
        """MiniStack's and SageMaker's saved state, one JSON file for each service."""
        return self.root / "state"

    @property
    def objects(self) -> Path:
        """The S3 objects."""
        return self.root / "s3"

    @property
    def jobs(self) -> Path:
        """One `/opt/ml` tree for each SageMaker job."""
        return self.root / "jobs"

    @property
    def endpoints(self) -> Path:
        """One `/opt/ml` tree for each production variant of each SageMaker endpoint."""
        return self.root / "endpoints"

    @property
    def tls(self) -> Path:
        """The certificate authority of this cloud and the server's certificate."""
        return self.root / "tls"

    @property
    def log(self) -> Path:
        """The output of the server process."""
        return self.root / "cloud.log"

    @property
    def process(self) -> Path:
        """The record of the running server process."""
        return self.root / "cloud.json"

    @property
    def operator(self) -> Path:
        """The access key of the IAM user `operator`."""
        return self.root / "operator.json"

    @property
    def images(self) -> Path:
        """The Dockerfile of each image name."""
        return self.root / "images.json"

    def create(self) -> None:
        """Create the directories that must exist."""
        for directory in (self.root, self.state, self.objects, self.jobs, self.tls):
            directory.mkdir(parents=True, exist_ok=True)
