"""Fields of `model.yaml` for logging runs to the user's own MLflow tracking server, beside the ledger."""

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from penstock.spec.base import Strict

_ARN = re.compile(r"arn:aws(-us-gov)?:sagemaker:[a-z0-9-]+:\d{12}:mlflow-(tracking-server|app)/[A-Za-z0-9-]+")
_KINDS = (
    "an address (https://…), the ARN of SageMaker's managed server (…:mlflow-tracking-server/…) or app "
    "(…:mlflow-app/…), or, on the laptop, a folder (file:///…)"
)


class Experiments(Strict):
    """Where every judged run is logged: parameters, metrics, verdicts and report."""

    mlflow: str
    """MLflow's tracking server: `https://…`, the ARN of SageMaker's managed server or app, or `file:///…` for a folder
    (stage `local` only)."""
    name: str | None = Field(default=None, min_length=1, max_length=250)
    """Name of the experiment. Default: the model's name."""

    @field_validator("mlflow")
    @classmethod
    def _is_tracking_server(cls, uri: str) -> str:
        parts = urlsplit(uri)
        if parts.username or parts.password:
            raise ValueError("everybody who reads the file would see the password in the address: take it out")
        address = parts.scheme in {"http", "https"} and parts.hostname
        folder = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
        if not (address or folder or _ARN.fullmatch(uri)):
            raise ValueError(f"{uri!r} is no tracking server: give {_KINDS}")
        return uri.rstrip("/")

    @property
    def managed(self) -> bool:
        """Whether the server is managed by SageMaker, which means that it is named by its ARN."""
        return self.mlflow.startswith("arn:")

    @property
    def folder(self) -> bool:
        """Whether runs are logged to a folder on the machine that runs register."""
        return self.mlflow.startswith("file:")
