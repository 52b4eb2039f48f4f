"""One laptop cloud for all tests of its services, and clients of its operator."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from penstock.local.host.cloud import LaptopCloud

ENTRY = """
import json, os, pathlib, sys, time

root = pathlib.Path(os.environ["PENSTOCK_ML_ROOT"])
print("arguments", *sys.argv[1:])
plan = json.loads((root / "input/config/hyperparameters.json").read_text())
for path in sorted((root / "input/data").rglob("*")):
    if path.is_file():
        print("file", path.relative_to(root / "input/data").as_posix(), path.read_text())
print("credentials", "AWS_ACCESS_KEY_ID" in os.environ, "home", os.environ.get("WHERE", "-"))
print("accuracy=0.5;")
print("accuracy=0.75;", flush=True)
if "score" in plan:
    print(f"score={plan['score']};", flush=True)
(root / "checkpoints/state.txt").write_text("step 1")
time.sleep(float(plan.get("sleep", "0")))
if "failure" in plan:
    (root / "output/failure").write_text(plan["failure"])
if "exit" in plan:
    sys.exit(int(plan["exit"]))
(root / "model/model.txt").write_text("a model")
if "report" in plan:
    (root / "output/data/report.txt").write_text(plan["report"])
"""

COPY = """
import json, os, pathlib

root = pathlib.Path(os.environ["PENSTOCK_ML_ROOT"])
config = json.loads((root / "config/processingjobconfig.json").read_text())
source = pathlib.Path(config["ProcessingInputs"][0]["S3Input"]["LocalPath"])
target = pathlib.Path(config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["LocalPath"])
(target / "copy.csv").write_text((source / "a.csv").read_text() + os.environ["SUFFIX"])
(root / "output/message").write_text("copied one file")
"""

DOCKERFILE = """FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \\
    WHERE=/opt/ml/model
FROM base
WORKDIR /opt/sample
ENTRYPOINT ["python", "-m", "entry"]
"""

Client = Callable[[str], Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def client_for(cloud: LaptopCloud) -> Client:
    """Return a maker of boto3 clients for the operator of a cloud."""
    variables = cloud.environment()
    session: Any = boto3.session.Session(
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
    config = Config(retries={"max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=cloud.url, verify=variables["AWS_CA_BUNDLE"], config=config)

    return client


PATIENCE = 6
"""How many times slower than an idle machine a busy one may be before a test gives up waiting."""


def until(question: Callable[[], Any], seconds: float = 20) -> Any:
    """Poll until the result is true, and return it; `seconds` are those of an idle machine."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"Not so within {seconds * PATIENCE} s: {question}")


def make_role(client: Client, name: str, service: str, *statements: dict[str, Any]) -> str:
    """Make a role that a service may assume, with the statements as its policy, and return its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        client("iam").put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy)
    return str(role["Arn"])


def allow(actions: str | list[str], resources: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


@pytest.fixture(scope="session")
def sample_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a Dockerfile and an entry point of a few lines."""
    root = tmp_path_factory.mktemp("sample")
    (root / "Dockerfile").write_text(DOCKERFILE)
    (root / "entry.py").write_text(ENTRY)
    (root / "copy_input.py").write_text(COPY)
    return root


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, sample_context: Path) -> Iterator[LaptopCloud]:
    """A running laptop cloud that knows the image `sample`."""
    running = LaptopCloud(tmp_path_factory.mktemp("cloud") / "home", port=free_port())
    running.up(images={"sample": sample_context})
    yield running
    running.down()


@pytest.fixture(scope="session")
def client(cloud: LaptopCloud) -> Client:
    """Makes boto3 clients for the operator."""
    return client_for(cloud)
