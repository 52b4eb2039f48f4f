"""Client of a model's HTTPS API; requests are signed, or carry a token where `serving.auth` says so."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from penstock.aws.s3_store import NoObjectError, Store
from penstock.cli.target import Target
from penstock.contract.model import Column
from penstock.contract.odcs import read_contract
from penstock.spec.api import Jwt
from penstock.spec.model import MODELS, read_model

SERVICE = "execute-api"
JSON = "application/json"
TOKEN = "PENSTOCK_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable that holds the token, where the API takes tokens."""


class AnswerError(Exception):
    """The API returned no prediction; the message quotes its response."""


class ApiClient:
    """Authorised requests to a model's `predict` route, over one persistent connection."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        parts = urlsplit(self._url)
        host = str(parts.hostname)
        # Names below localhost mean the loopback address (RFC 6761), but some resolvers do not know that.
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
        auth = read_model(target.root / MODELS / target.model).serving.auth
        self._authorise: Callable[[AWSRequest], None] = _add_token if isinstance(auth, Jwt) else _signer().add_auth

    def post(self, body: bytes, query: str = "") -> tuple[int, dict[str, Any]]:
        """Send a body, with a query such as `?explain=true`; return status and response document.

        Raises:
            AnswerError: no connection, or the response is not JSON.
        """
        request = AWSRequest("POST", self._url + query, data=body, headers={"Content-Type": JSON, "Host": self._host})
        self._authorise(request)
        try:
            reply = self._pool.request(
                "POST", urlsplit(self._url).path + query, body=body, headers=dict(request.headers)
            )
            return reply.status, json.loads(reply.data)
        except urllib3.exceptions.HTTPError as error:
            raise AnswerError(f"{self._url} cannot be reached: {error}") from None
        except ValueError:
            raise AnswerError(f"{self._url} answered {reply.status}, not with JSON") from None

    def predict(self, instances: Sequence[Mapping[str, Any]], *, explain: bool = False) -> dict[str, Any]:
        """Score instances; with `explain`, also return what each field adds to the scores.

        Raises:
            AnswerError: another status than 200; the message quotes the response.
        """
        status, answer = self.post(json.dumps({"instances": instances}).encode(), "?explain=true" if explain else "")
        if status != 200:
            raise AnswerError(f"answered {status}: {answer.get('detail') or answer.get('message') or answer}")
        return answer


def _signer() -> SigV4Auth:
    session = boto3.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise AnswerError("there are no AWS credentials to sign with: configure them as for any AWS tool")
    return SigV4Auth(credentials, SERVICE, session.region_name)


def _add_token(request: AWSRequest) -> None:
    token = os.environ.get(TOKEN)
    if not token:
        raise AnswerError(f"the API takes tokens (serving.auth in model.yaml): put one into {TOKEN}")
    request.headers["Authorization"] = f"Bearer {token}"


def example_instance(target: Target) -> dict[str, Any]:
    """Return a valid instance: a golden example of the newest version, or one made from the contract."""
    versions = target.ledger.versions()
    if versions:
        try:
            golden = Store(target.lake.bucket).json(target.lake.model_file(versions[0]["sha256"], "golden.json"))
            return dict(golden[0]["instance"])
        except (NoObjectError, IndexError):
            pass  # the file was pruned, or its rows were erased
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
