"""Signatures equal botocore's, byte for byte; calls reach the right endpoint, and stale connections are retried."""

import json
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.compat import parse_qsl
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from penstock.aws import client as aws_client
from penstock.aws.client import PLAIN, AwsService, CallError, Reply
from penstock.aws.credentials import NoCredentialsError, RoleCredentials
from penstock.aws.sigv4 import Credentials, Scope, sign
from penstock.local.host.tls import ensure_certificates
from tests.support.front import Answer, serving

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ENVIRON = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}


@given(
    path=st.text("abc/-_.~ü +=%", max_size=20),
    version=st.text("abcXYZ012._-", max_size=12),
    body=st.binary(max_size=40),
    token=st.sampled_from(["", "a token"]),
    service=st.sampled_from(["s3", "firehose"]),
)
def test_a_signature_is_botocores(path: str, version: str, body: bytes, token: str, service: str) -> None:
    # Given a request as `AwsService` makes it
    target = "/" + quote(path.lstrip("/"), safe=f"/{PLAIN}")
    if service == "firehose":
        target = "/"  # every other service would have its path encoded twice
    query = f"versionId={version}" if version else ""
    credentials = Credentials("AKID", "secret", token)
    headers = {"host": "example.amazonaws.com", "x-amz-target": "a.B"}
    # When both sign it
    scope = Scope("eu-west-1", service)
    ours = sign("POST", target, query, headers, body, scope=scope, credentials=credentials, now=NOW)
    theirs = _theirs(target, query, headers, body, ours, scope, token)
    # Then the signatures are the same
    assert ours["authorization"] == theirs


def _theirs(
    path: str, query: str, headers: Mapping[str, str], body: bytes, ours: Mapping[str, str], scope: Scope, token: str
) -> str:
    request: Any = AWSRequest(
        method="POST",
        url=f"https://{headers['host']}{path}",
        params=dict(parse_qsl(query)),
        data=body,
        headers={name: value for name, value in ours.items() if name not in {"authorization", "x-amz-security-token"}},
    )
    kinds: dict[str, Any] = {"s3": botocore.auth.S3SigV4Auth, "firehose": botocore.auth.SigV4Auth}
    signer = kinds[scope.service](TheirCredentials("AKID", "secret", token or None), scope.service, scope.region)
    request.context["timestamp"] = request.headers["x-amz-date"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize(
    ("environ", "bucket", "host", "root"),
    [
        ({}, "lake", "lake.s3.eu-west-1.amazonaws.com", ""),
        ({}, "my.lake", "s3.eu-west-1.amazonaws.com", "/my.lake"),
        ({"AWS_REGION": "cn-north-1"}, "lake", "lake.s3.cn-north-1.amazonaws.com.cn", ""),
        ({"AWS_ENDPOINT_URL": "https://127.0.0.1:4566"}, "lake", "127.0.0.1:4566", "/lake"),
        ({"AWS_ENDPOINT_URL": "https://a", "AWS_ENDPOINT_URL_S3": "http://b:1"}, "lake", "b:1", "/lake"),
    ],
)
def test_an_endpoint_is_that_of_boto3(environ: dict[str, str], bucket: str, host: str, root: str) -> None:
    service = AwsService("s3", seconds=1, bucket=bucket, environ=ENVIRON | environ)
    assert (service._host, service._root) == (host, root)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("size", [0, 1_000_000])
def test_a_stale_connection_is_replaced(scheme: str, size: int, tmp_path: Path) -> None:
    # Given a service that closes the connection after each answer without announcing it
    answers = [b"first", b"second"]
    with ExitStack() as closing:
        server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        environ = ENVIRON | {"AWS_ENDPOINT_URL": f"{scheme}://localhost:{server.getsockname()[1]}"}
        if scheme == "https":
            files = ensure_certificates(tmp_path)
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(files.server, files.key)
            server = closing.enter_context(context.wrap_socket(server, server_side=True))
            environ["AWS_CA_BUNDLE"] = str(files.authority)
        service = AwsService("firehose", seconds=5, environ=environ)
        # When it is called twice, with a body that is sent by one write or by many
        replies = [_answer(service, server, answer, bytes(size)) for answer in answers]
    # Then both are answered
    service.close()
    assert replies == [Reply(200, answer) for answer in answers]


@pytest.mark.parametrize(("seconds", "message"), [(0.5, "timed out"), (10.0, "ended without an answer")])
def test_only_a_stale_connection_is_retried(monkeypatch: pytest.MonkeyPatch, seconds: float, message: str) -> None:
    # Given a service that answers once, and then is silent beyond the timeout, or closes after a while
    monkeypatch.setattr(aws_client, "STALE_SECONDS", 0.1)
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answering() -> None:
            connection, _ = server.accept()
            with connection:
                requests.append(connection.recv(65_536))
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                requests.append(connection.recv(65_536))
                time.sleep(1)

        thread = Thread(target=answering)
        thread.start()
        environ = ENVIRON | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        service = AwsService("firehose", seconds=seconds, environ=environ)
        service.call("POST", "/")
        # When it is called on the open connection, then there is no answer
        with pytest.raises(CallError, match=message):
            service.call("POST", "/")
        thread.join()
        # And no other connection was opened
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()
    assert len(requests) == 2


def _answer(service: AwsService, server: socket.socket, answer: bytes, body: bytes) -> Reply:
    def answering() -> None:
        connection, _ = server.accept()
        with connection:
            content = connection.recv(65_536)
            while not content.endswith(b"\r\n\r\n" + body):
                content += connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))

    thread = Thread(target=answering)
    thread.start()
    reply = service.call("POST", "/", body=body)
    thread.join()
    return reply


def test_no_answer_is_a_call_error_with_its_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    service = AwsService("firehose", seconds=1, environ=ENVIRON | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    with pytest.raises(CallError, match=r"firehose does not answer: .*refused"):
        service.call("POST", "/")
    with pytest.raises(CallError, match="neither AWS_ACCESS_KEY_ID nor AWS_CONTAINER_CREDENTIALS_"):
        AwsService("s3", seconds=1, environ={"AWS_REGION": "eu-west-1"}).call("GET", "/")


def test_a_restored_function_renews_its_credentials_before_they_expire() -> None:
    # Given a runtime that hands out other credentials each time
    targets: list[str] = []

    def answering(_method: str, target: str, _body: bytes) -> Answer:
        targets.append(target)
        until = (NOW + timedelta(hours=len(targets))).isoformat().replace("+00:00", "Z")
        about = {"AccessKeyId": f"AKID{len(targets)}", "SecretAccessKey": "s", "Token": "t", "Expiration": until}
        return 200, json.dumps(about).encode()

    with serving(answering) as address:
        role = RoleCredentials({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/role"})
        # When they are needed now, a little later, and when they are about to expire
        keys = [role.get(NOW + timedelta(minutes=minutes)).access_key for minutes in (0, 30, 56)]
    # Then the runtime was asked twice
    assert (keys, targets) == (["AKID1", "AKID1", "AKID2"], ["/role", "/role"])


def test_credentials_stay_in_use_until_they_expire_where_the_runtime_fails() -> None:
    # Given a runtime that hands out credentials for an hour, and then none
    about = {"AccessKeyId": "AKID", "SecretAccessKey": "s", "Token": "t"}
    until = (NOW + timedelta(hours=1)).isoformat()
    answers = [json.dumps(about | {"Expiration": until}).encode(), b"{}", b"{}"]
    with serving(lambda *_: (200, answers.pop(0))) as address:
        role = RoleCredentials({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/role"})
        # When they are renewed early, then the current ones stay in use, and no longer than they are valid
        assert [role.get(NOW + timedelta(minutes=minutes)).access_key for minutes in (0, 56)] == ["AKID"] * 2
        with pytest.raises(NoCredentialsError, match="the runtime gives no credentials"):
            role.get(NOW + timedelta(minutes=61))


@pytest.mark.parametrize("answer", [(500, b"no"), (200, b"[]")])
def test_a_runtime_without_credentials_is_an_error(answer: Answer) -> None:
    with serving(lambda *_: answer) as address:
        role = RoleCredentials({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/role"})
        with pytest.raises(NoCredentialsError, match="the runtime gives no credentials"):
            role.get(NOW)
