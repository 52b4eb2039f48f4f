"""Client code to copy: a curl command and a Python program, both complete and working as printed."""

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
LOCAL_RESOLVER = """
# Names below localhost mean this machine (RFC 6761), but some resolvers do not know that.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more)
"""


def openapi_url(target: Target) -> str:
    """Return the address of the API's OpenAPI document."""
    return f"{target.url.rpartition('/')[0]}/openapi.json"


def environment_hint(target: Target) -> str:
    """Say what a client needs in its environment; empty on the laptop cloud, where it needs nothing."""
    if _takes_tokens(target):
        return f"put a token into {TOKEN} first"
    return (
        ""
        if target.stage == "local"
        else 'export your credentials first: eval "$(aws configure export-credentials --format env)"'
    )


def curl_command(target: Target, instance: Mapping[str, Any]) -> str:
    """Return a curl command that predicts for the instance."""
    words = ["curl", *(_local_options(target) if target.stage == "local" else [])]
    quoted = [*map(shlex.quote, words), *(_token_options() if _takes_tokens(target) else _signing_options(target))]
    body = json.dumps({"instances": [instance]})
    return " ".join(
        [*quoted, "-H", shlex.quote(f"content-type: {JSON}"), "-d", shlex.quote(body), shlex.quote(target.url)]
    )


def python_client(target: Target, instance: Mapping[str, Any]) -> str:
    """Return a Python program that predicts for the instance: standard library, and botocore where it must sign."""
    local, token = target.stage == "local", _takes_tokens(target)
    imports = ["os"] * token + ["socket", "ssl"] * local + ["urllib.request"]
    lines = "".join(f"\nimport {name}" for name in imports)
    if not token:
        lines += "\n" if local else "\n\nimport botocore.session"
        lines += "\nfrom botocore.auth import SigV4Auth\nfrom botocore.awsrequest import AWSRequest"
        lines += "\nfrom botocore.credentials import Credentials" * local
    context = f', context=ssl.create_default_context(cafile="{os.environ["AWS_CA_BUNDLE"]}")' if local else ""
    return PYTHON.format(
        imports=lines,
        before=LOCAL_RESOLVER if local else "",
        url=target.url,
        instance=dict(instance),
        request=_token_request() if token else _signed_request(local=local),
        context=context,
    )


def _takes_tokens(target: Target) -> bool:
    return isinstance(read_model(target.root / MODELS / target.model).serving.auth, Jwt)


def _local_options(target: Target) -> list[str]:
    host = urlsplit(target.url)
    return ["--cacert", os.environ["AWS_CA_BUNDLE"], "--resolve", f"{host.hostname}:{host.port}:127.0.0.1"]


def _token_options() -> list[str]:
    return [f'-H "authorization: Bearer ${TOKEN}"']


def _signing_options(target: Target) -> list[str]:
    words = ["--aws-sigv4", f"aws:amz:{boto3.Session().region_name}:{SERVICE}"]
    if target.stage == "local":
        return [*words, "--user", shlex.quote(":".join(_operator()))]
    user, session = "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY", "x-amz-security-token: $AWS_SESSION_TOKEN"
    return [*words, f'--user "{user}"', f'-H "{session}"']


def _operator() -> tuple[str, str]:
    """Return the access key of the laptop cloud's operator, which is valid nowhere else."""
    return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


def _token_request() -> str:
    bearer = f'"Bearer " + os.environ["{TOKEN}"]'
    return f'request = urllib.request.Request(url, headers={{"Content-Type": "{JSON}", "Authorization": {bearer}}})'


def _signed_request(*, local: bool) -> str:
    """Return code that makes a request and signs it with botocore."""
    key = ", ".join(f'"{part}"' for part in _operator()) if local else ""
    credentials = f"Credentials({key})" if local else "botocore.session.Session().get_credentials()"
    region = boto3.Session().region_name
    request = f'request = AWSRequest("POST", url, data=body, headers={{"Content-Type": "{JSON}"}})'
    return f'{request}\nSigV4Auth({credentials}, "{SERVICE}", "{region}").add_auth(request)'
