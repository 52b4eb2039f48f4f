"""Steady signed requests over HTTPS from threads, with the result of each: version, status, seconds."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from penstock.local.host.cloud import LaptopCloud

ROWS = 5
"""In one request."""


@dataclass(frozen=True)
class Answer:
    """The result of one request."""

    at: float
    """When it was asked, Unix time."""
    seconds: float
    status: int
    version: int | None
    """Of the model; None for a failed request."""
    scores: tuple[float, ...]


@dataclass
class Load:
    """The answers so far."""

    answers: list[Answer] = field(default_factory=list)

    def since(self, moment: float) -> list[Answer]:
        """Return answers to requests sent from a moment on."""
        return [answer for answer in list(self.answers) if answer.at >= moment]

    def versions(self) -> Counter[int | None]:
        return Counter(answer.version for answer in list(self.answers))


@contextmanager
def load(cloud: LaptopCloud, url: str, rows: Sequence[dict[str, Any]], *, threads: int = 3) -> Iterator[Load]:
    """Send requests until the block ends; each thread has one under way at a time, and none is retried."""
    traffic, stop = Load(), threading.Event()
    workers = [
        threading.Thread(target=_ask, args=(cloud, url, rows[n::threads], traffic, stop)) for n in range(threads)
    ]
    for worker in workers:
        worker.start()
    try:
        yield traffic
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _ask(cloud: LaptopCloud, url: str, rows: Sequence[dict[str, Any]], traffic: Load, stop: threading.Event) -> None:
    variables, parts = cloud.environment(), urlsplit(url)
    pool = urllib3.HTTPSConnectionPool(
        "127.0.0.1",
        parts.port,
        server_hostname=parts.hostname,
        assert_hostname=parts.hostname,
        ca_certs=variables["AWS_CA_BUNDLE"],
        retries=False,
        timeout=30,
    )
    session: Any = boto3.session.Session(
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
    )
    signer = SigV4Auth(session.get_credentials(), "execute-api", session.region_name)
    number = 0
    while not stop.is_set():
        body = json.dumps({"instances": rows[number % len(rows) :][:ROWS]}).encode()
        request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json", "Host": parts.netloc})
        signer.add_auth(request)
        started = time.time()
        reply = pool.request("POST", parts.path, body=body, headers=dict(request.headers))
        traffic.answers.append(_answer(started, reply.status, reply.data))
        number += ROWS
        stop.wait(0.03)


def _answer(started: float, status: int, data: bytes) -> Answer:
    document = json.loads(data) if status == 200 else {}
    scores = tuple(item["score"] for item in document.get("predictions", ()))
    return Answer(started, time.time() - started, status, document.get("version"), scores)
