"""The HTTPS API from the operator's side: signed requests, and the curl line that does the same."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from penstock.cli.target import Target
from penstock.contract import Column
from penstock.odcs import read_contract
from penstock.spec import MODELS
from penstock.store import NoObjectError, Store

SERVICE = "execute-api"
JSON = "application/json"


class AnswerError(Exception):
    """The API gave no prediction; the message has its words."""


class Client:
    """Signed calls of a model's `predict`, over one kept connection."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        parts = urlsplit(self._url)
        host = str(parts.hostname)
        # Names below localhost are the loopback (RFC 6761), but not every resolver knows.
        address = "127.0.0.1" if host.endswith(".localhost") else host
        self._host = parts.netloc
        self._pool = urllib3.HTTPSConnectionPool(
            address,
            parts.port or 443,
            server_hostname=host,
            assert_hostname=host,
            ca_certs=os.environ.get("AWS_CA_BUNDLE"),
            cert_reqs="CERT_REQUIRED",
            timeout=urllib3.Timeout(connect=5, read=35),
            retries=urllib3.Retry(total=2, status_forcelist=[502, 504], allowed_methods=None, raise_on_status=False),
        )
        session = boto3.Session()
        credentials = session.get_credentials()
        if credentials is None:
            raise AnswerError("no AWS credentials to sign with: configure them as for any AWS tool")
        self._signer = SigV4Auth(credentials, SERVICE, session.region_name)

    def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Send a body; status and the answer's document.

        Raises:
            AnswerError: no connection, or an answer that is not JSON.
        """
        request = AWSRequest("POST", self._url, data=body, headers={"Content-Type": JSON, "Host": self._host})
        self._signer.add_auth(request)
        try:
            reply = self._pool.request("POST", urlsplit(self._url).path, body=body, headers=dict(request.headers))
            return reply.status, json.loads(reply.data)
        except urllib3.exceptions.HTTPError as error:
            raise AnswerError(f"{self._url} cannot be reached: {error}") from None
        except ValueError:
            raise AnswerError(f"{self._url} answered {reply.status}, not with JSON") from None

    def predict(self, instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Score instances.

        Raises:
            AnswerError: any other answer than 200, with its own words.
        """
        status, answer = self.post(json.dumps({"instances": instances}).encode())
        if status != 200:
            raise AnswerError(f"answered {status}: {answer.get('detail') or answer.get('message') or answer}")
        return answer


def example(target: Target) -> dict[str, Any]:
    """An instance that the model takes: a golden example where a version is registered, else made from the contract."""
    versions = target.ledger.versions()
    if versions:
        try:
            golden = Store(target.lake.bucket).json(target.lake.model_file(versions[0]["sha256"], "golden.json"))
            return dict(golden[0]["instance"])
        except (NoObjectError, IndexError):
            pass  # pruned, or forgotten: the contract will do
    contract = read_contract(target.root / MODELS / target.model)
    return {column.name: _value(column) for column in contract.features if column.required}


def _value(column: Column) -> Any:
    if column.allowed:
        return column.allowed[0]
    if column.type == "boolean":
        return False
    if column.type == "string":
        return "A" * max(column.min_length or 1, 1)
    return int(column.minimum) if column.minimum is not None else 0


def curl_line(target: Target, instance: Mapping[str, Any]) -> str:
    """A curl command that gets a prediction as it is printed."""
    parts = ["curl", "--aws-sigv4", f"aws:amz:{boto3.Session().region_name}:{SERVICE}"]
    if target.stage == "local":
        host = urlsplit(target.url)
        user = f"{os.environ['AWS_ACCESS_KEY_ID']}:{os.environ['AWS_SECRET_ACCESS_KEY']}"
        parts += [
            "--cacert",
            os.environ["AWS_CA_BUNDLE"],
            "--resolve",
            f"{host.hostname}:{host.port}:127.0.0.1",
            "--user",
            user,
        ]
        quoted = [shlex.quote(part) for part in parts]
    else:
        credentials = [
            '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
            '-H "x-amz-security-token: $AWS_SESSION_TOKEN"',
        ]
        quoted = [shlex.quote(part) for part in parts] + credentials
    body = json.dumps({"instances": [instance]})
    return " ".join(
        [*quoted, "-H", shlex.quote(f"content-type: {JSON}"), "-d", shlex.quote(body), shlex.quote(target.url)]
    )
