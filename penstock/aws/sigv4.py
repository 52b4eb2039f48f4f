"""AWS Signature Version 4 in the standard library: what one signed call costs the predict function's cold start.

botocore's own signer imports urllib3 and four times the time of what is here (docs/decisions/0027-cold-start.md); a
test holds each signature against botocore's. Everything that is no cold start uses boto3.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """Of a role; the token is empty for a key that does not expire."""

    access_key: str
    secret_key: str
    token: str


class Scope(NamedTuple):
    """Where a signature counts."""

    region: str
    service: str


def signed(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    scope: Scope,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """A request's headers with its signature.

    Args:
        method: in capitals.
        path: percent-encoded as it is sent.
        query: percent-encoded, its parameters in order of their names.
        headers: with lower-case names, `host` among them; all are signed.
        body: what is sent.
        scope: region and service.
        credentials: who asks.
        now: with a time zone; AWS takes what is at most five minutes off.
    """
    at = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(body).hexdigest()
    sent = {**headers, "x-amz-date": at, "x-amz-content-sha256": digest}
    if credentials.token:
        sent["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(sent))
    lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
    canonical = "\n".join([method, path, query, lines, names, digest])
    where = f"{at[:8]}/{scope.region}/{scope.service}/aws4_request"
    asked = "\n".join([ALGORITHM, at, where, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _key(credentials.secret_key, at[:8], scope)
    signature = hmac.digest(key, asked.encode(), "sha256").hex()
    who = f"Credential={credentials.access_key}/{where}"
    return {**sent, "authorization": f"{ALGORITHM} {who}, SignedHeaders={names}, Signature={signature}"}


@lru_cache(maxsize=4)
def _key(secret: str, day: str, scope: Scope) -> bytes:
    """The key of a day, region and service: the same for every request of it."""
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
