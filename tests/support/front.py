"""An HTTP server for predict's signed calls, which passes them to moto's S3 and Firehose."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, unquote, urlsplit

from botocore.exceptions import ClientError

from tests.support.world import client

Answer = tuple[int, bytes]
Answering = Callable[[str, str, bytes], Answer]
"""Method, target and body of a request → status and body."""


@contextmanager
def serving(answering: Answering) -> Iterator[str]:
    """Run a server with these answers on 127.0.0.1; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, data = answering(self.command, self.path, body)
            head = f"HTTP/1.1 {status} -\r\ncontent-length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data)

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def of_moto(method: str, target: str, body: bytes) -> Answer:
    """Answer with moto's S3 and Firehose."""
    try:
        return 200, _put(json.loads(body)) if method == "POST" else _object(target)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return 404 if code in {"NoSuchKey", "NoSuchVersion"} else 400, code.encode()


def _object(target: str) -> bytes:
    address = urlsplit(target)
    bucket, _, key = unquote(address.path).removeprefix("/").partition("/")
    query = dict(parse_qsl(address.query))
    version = {"VersionId": query["versionId"]} if "versionId" in query else {}
    data: bytes = client("s3").get_object(Bucket=bucket, Key=key, **version)["Body"].read()
    return data


def _put(document: dict[str, object]) -> bytes:
    records = document["Records"]
    assert isinstance(records, list)
    decoded = [{"Data": base64.b64decode(record["Data"])} for record in records]
    name = document["DeliveryStreamName"]
    reply = client("firehose").put_record_batch(DeliveryStreamName=name, Records=decoded)
    return json.dumps({name: reply[name] for name in ("FailedPutCount", "RequestResponses")}).encode()
