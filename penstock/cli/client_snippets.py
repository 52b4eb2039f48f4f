"""Clients of a few lines that work as they are printed: curl, and Python with botocore to sign."""

import json
import os
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3

from penstock.cli.api_client import JSON, SERVICE, TOKEN
from penstock.cli.target import Target
from penstock.spec.api import Jwt
from penstock.spec.model import MODELS, read_model

PYTHON = """\
import json{imports}
{before}
url = "{url}"
body = json.dumps({{"instances": [{instance!r}]}}).encode()
{request}
with urllib.request.urlopen(urllib.request.Request(url, body, dict(request.headers)){context}) as reply:
    print(json.load(reply))"""
BESIDE = """
# Names below localhost are this machine (RFC 6761), but not every resolver knows.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more)
"""


def described(target: Target) -> str:
    """Where the API describes itself."""
    return f"{target.url.rpartition('/')[0]}/openapi.json"


def reminder_of(target: Target) -> str:
    """What a client needs in its environment before it works; nothing on the laptop cloud."""
    if _by_token(target):
        return f"put a token into {TOKEN} first"
    return (
        ""
        if target.stage == "local"
        else 'export your credentials first: eval "$(aws configure export-credentials --format env)"'
    )


def curl_line(target: Target, instance: Mapping[str, Any]) -> str:
    """A curl command that gets a prediction as it is printed."""
    words = ["curl", *(_local_words(target) if target.stage == "local" else [])]
    quoted = [*map(shlex.quote, words), *(_token() if _by_token(target) else _signed(target))]
    body = json.dumps({"instances": [instance]})
    return " ".join(
        [*quoted, "-H", shlex.quote(f"content-type: {JSON}"), "-d", shlex.quote(body), shlex.quote(target.url)]
    )


def python_client(target: Target, instance: Mapping[str, Any]) -> str:
    """A Python program that gets a prediction as it is printed: the standard library, and botocore where it signs."""
    local, token = target.stage == "local", _by_token(target)
    imports = ["os"] * token + ["socket", "ssl"] * local + ["urllib.request"]
    lines = "".join(f"\nimport {name}" for name in imports)
    if not token:
        lines += "\n" if local else "\n\nimport botocore.session"
        lines += "\nfrom botocore.auth import SigV4Auth\nfrom botocore.awsrequest import AWSRequest"
        lines += "\nfrom botocore.credentials import Credentials" * local
    context = f', context=ssl.create_default_context(cafile="{os.environ["AWS_CA_BUNDLE"]}")' if local else ""
    return PYTHON.format(
        imports=lines,
        before=BESIDE if local else "",
        url=target.url,
        instance=dict(instance),
        request=_python_token() if token else _python_signed(local=local),
        context=context,
    )


def _by_token(target: Target) -> bool:
    return isinstance(read_model(target.root / MODELS / target.model).serving.auth, Jwt)


def _local_words(target: Target) -> list[str]:
    host = urlsplit(target.url)
    return ["--cacert", os.environ["AWS_CA_BUNDLE"], "--resolve", f"{host.hostname}:{host.port}:127.0.0.1"]


def _token() -> list[str]:
    return [f'-H "authorization: Bearer ${TOKEN}"']


def _signed(target: Target) -> list[str]:
    words = ["--aws-sigv4", f"aws:amz:{boto3.Session().region_name}:{SERVICE}"]
    if target.stage == "local":
        return [*words, "--user", shlex.quote(":".join(_operator()))]
    user, session = "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY", "x-amz-security-token: $AWS_SESSION_TOKEN"
    return [*words, f'--user "{user}"', f'-H "{session}"']


def _operator() -> tuple[str, str]:
    """The laptop cloud's operator, who is nobody anywhere else."""
    return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


def _python_token() -> str:
    bearer = f'"Bearer " + os.environ["{TOKEN}"]'
    return f'request = urllib.request.Request(url, headers={{"Content-Type": "{JSON}", "Authorization": {bearer}}})'


def _python_signed(*, local: bool) -> str:
    """A request that botocore has signed."""
    key = ", ".join(f'"{part}"' for part in _operator()) if local else ""
    credentials = f"Credentials({key})" if local else "botocore.session.Session().get_credentials()"
    region = boto3.Session().region_name
    made = f'request = AWSRequest("POST", url, data=body, headers={{"Content-Type": "{JSON}"}})'
    return f'{made}\nSigV4Auth({credentials}, "{SERVICE}", "{region}").add_auth(request)'
