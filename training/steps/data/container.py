"""SageMaker's container layout: where a step reads its input and writes its output."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


class StepError(Exception):
    """The step failed; the message becomes the job's FailureReason."""


@dataclass(frozen=True)
class Container:
    """The `/opt/ml` tree. `PENSTOCK_ML_ROOT` puts it elsewhere, where a job runs without a container of its own."""

    root: Path

    @classmethod
    def here(cls) -> Self:
        return cls(Path(os.environ.get("PENSTOCK_ML_ROOT", "/opt/ml")))

    @property
    def hyperparameters(self) -> dict[str, str]:
        """The job's hyperparameters; SageMaker passes all of them as text."""
        return self._json(self.root / "input" / "config" / "hyperparameters.json")

    def channel(self, name: str) -> Path:
        """The folder of an input channel.

        Raises:
            StepError: when the job was started without it.
        """
        path = self.root / "input" / "data" / name
        if not path.is_dir():
            raise StepError(f"the job has no input channel {name!r}")
        return path

    def run_file(self, name: str) -> bytes:
        """A file of the run's input.

        Raises:
            StepError: it is not there.
        """
        try:
            return (self.channel("run") / name).read_bytes()
        except FileNotFoundError:
            raise StepError(f"the run's input has no {name}: deploy the project again, then start a run") from None

    def request(self) -> dict[str, Any]:
        """The pipeline's request for this run: `request.json` in the channel `run`."""
        return self._json(self.channel("run") / "request.json")

    def model(self, name: str) -> Path:
        """A file that will be in `model.tar.gz`."""
        folder = self.root / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    @property
    def served(self) -> Path:
        """The file that an endpoint serves, from its model artifact."""
        return self.root / "model" / "model.onnx"

    def fail(self, reason: str) -> None:
        """Write the failure reason; SageMaker keeps 1,024 bytes.

        It takes a training job's FailureReason from `failure`, and a processing job's ExitMessage from `message`.
        """
        folder = self.root / "output"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("failure", "message"):
            (folder / name).write_text(reason[:1024], encoding="utf-8")

    @staticmethod
    def say(line: str) -> None:
        """Write a line to the job's log."""
        print(line, flush=True)  # noqa: T201 - SageMaker takes the log from stdout

    @staticmethod
    def _json(path: Path) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise StepError(f"{path.name} is not there: {path}") from None
        return data
