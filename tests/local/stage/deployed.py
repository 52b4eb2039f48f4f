"""The demo's model on a laptop cloud: its address, its versions, and counts of answers under load."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from penstock.local.host.cloud import LaptopCloud
from tests.local.stage.load import Answer, Load
from tests.local.stage.project import Project

MODEL = "flight-delay"
Client = Callable[[str], Any]


def exported(client: Client, model: str = MODEL) -> dict[str, str]:
    """Return the outputs of a model's stack."""
    return _outputs(client, f"penstock-local-model-{model}")


def bucket(client: Client) -> str:
    return _outputs(client, "penstock-local-lake")["BucketName"]


def _outputs(client: Client, stack: str) -> dict[str, str]:
    stack_outputs = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {item["OutputKey"]: item["OutputValue"] for item in stack_outputs}


def address(cloud: LaptopCloud, outputs: dict[str, str]) -> str:
    """Return the service's URL, as the operator's command reaches it."""
    parts = urlsplit(outputs["ApiUrl"])
    api = str(parts.hostname).partition(".")[0]
    return f"https://{api}.execute-api.localhost:{urlsplit(cloud.url).port}{parts.path}"


def alias(client: Client, outputs: dict[str, str]) -> tuple[str, dict[str, float]]:
    """Return the published version that is live, and the shares of others."""
    response = client("lambda").get_alias(FunctionName=outputs["PredictName"], Name="live")
    return response["FunctionVersion"], (response.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}


def register(project: Project, folder: Path, parts: Sequence[pl.DataFrame]) -> None:
    """Register a version after each part is added to the data; approve the first one only."""
    for number, part in enumerate(parts, start=1):
        file = folder / f"{number}.csv"
        part.write_csv(file)
        project.run("push", str(file), "--model", MODEL, "--wait")
        if number == 1:
            project.run("approve", MODEL, "--reason", "the first")


def approve(project: Project, reason: str) -> tuple[int, str]:
    """Approve version 2 and follow its rollout; return exit code and output."""
    completed = project.run("approve", MODEL, "--version", "2", "--reason", reason, check=False)
    return completed.returncode, completed.stdout + completed.stderr


def requests(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Return requests for predictions, in an order of a fixed seed."""
    sample = table.tail(3000).sample(600, seed=7).drop("flight_id", "departs_at", "late")
    return [{name: value for name, value in row.items() if value is not None} for row in sample.iter_rows(named=True)]


def more(traffic: Load, moment: float) -> bool:
    """Whether more than 20 requests were sent after a moment."""
    return len(traffic.since(moment)) > 20


def is_by_new_version(answer: Answer) -> bool:
    """Return whether version 2 answered, or the request failed."""
    return answer.status != 200 or answer.version == 2


def most(total: int, share: float) -> int:
    """Bound the requests that a share of the traffic gets, exceeded once in a million runs (normal approximation)."""
    return math.ceil(total * share + 4.75 * math.sqrt(total * share * (1 - share)) + 1)
