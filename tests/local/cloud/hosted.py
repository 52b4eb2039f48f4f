"""A small model server as an image, and helpers that create endpoints of it."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.local.conftest import Client, allow, make_role, until

BUCKET = "models-lake"
RUNTIME = "sagemaker-runtime"
DOCKERFILE = """FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1
WORKDIR /opt/server
ENTRYPOINT ["python", "-m", "server"]
"""
SERVER = """
import json, os, pathlib, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

print("arguments", *sys.argv[1:], "process", os.getpid(), flush=True)
if os.environ.get("MODE") == "dies":
    sys.exit("the weights do not fit")
model = pathlib.Path(os.environ["PENSTOCK_ML_ROOT"]) / "model"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(500 if os.environ.get("MODE") == "sick" else 200, b"", {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        plan = json.loads(body) if self.headers.get("Content-Type") == "application/json" else {}
        if plan.get("exit"):
            os._exit(9)
        time.sleep(plan.get("sleep", 0))
        if "status" in plan:
            return self.reply(plan["status"], b"not this", {"Content-Type": "text/plain"})
        if plan.get("who"):
            import boto3
            return self.reply(200, boto3.client("sts").get_caller_identity()["Arn"].encode(), {})
        seen = {
            "pid": os.getpid(),
            "body": body.decode("latin-1"),
            "type": self.headers.get("Content-Type"),
            "accept": self.headers.get("Accept"),
            "custom": self.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
            "inference": self.headers.get("X-Amzn-SageMaker-Inference-Id"),
            "files": {path.name: path.read_text() for path in sorted(model.iterdir())},
            "colour": os.environ.get("COLOUR"),
        }
        custom = {"X-Amzn-SageMaker-Custom-Attributes": "trace=2"}
        self.reply(200, json.dumps(seen).encode(), {"Content-Type": "application/json", **custom})

    def reply(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def write_server(root: Path) -> Path:
    """Write a project whose image is the model server."""
    (root / "Dockerfile").write_text(DOCKERFILE)
    (root / "server.py").write_text(SERVER)
    return root


def artifact(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def role_for_models(client: Client, name: str = "hosting") -> str:
    """Create a bucket with one artifact, and a role that reads it."""
    client("s3").create_bucket(Bucket=BUCKET)
    client("s3").put_object(Bucket=BUCKET, Key="model.tar.gz", Body=artifact({"model.txt": b"weights"}))
    return make_role(client, name, "sagemaker", allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*"))


def model(client: Client, role: str, name: str, **members: Any) -> None:
    environment = members.pop("Environment", {})
    container = {
        "Image": "tinyserver:local",
        "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz",
        "Environment": environment,
    }
    request = {"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container}
    client("sagemaker").create_model(**request | members)


def variant(name: str, model_name: str, **members: Any) -> dict[str, Any]:
    base = {"VariantName": name, "ModelName": model_name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    return base | members


def endpoint(client: Client, role: str, name: str, environment: dict[str, str] | None = None, **members: Any) -> None:
    """Create a model, its configuration and its endpoint under one name."""
    model(client, role, name, Environment=environment or {})
    variants = [variant("AllTraffic", name, **members)]
    client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)


def settled(client: Client, name: str, seconds: float = 30) -> dict[str, Any]:
    def description() -> dict[str, Any] | None:
        description: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=name)
        return description if description["EndpointStatus"] != "Creating" else None

    described: dict[str, Any] = until(description, seconds)
    return described


def invoke(client: Client, name: str, plan: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    body = json.dumps(plan or {})
    reply = client(RUNTIME).invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json", **members)
    request: dict[str, Any] = json.loads(reply["Body"].read())
    return request


def is_gone(client: Client, name: str) -> bool:
    names = [item["EndpointName"] for item in client("sagemaker").list_endpoints(NameContains=name)["Endpoints"]]
    return name not in names
