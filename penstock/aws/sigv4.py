"""AWS Signature Version 4 in the standard library, for the predict function's cold start.

botocore's own signer imports urllib3 and takes four times as long (docs/decisions/0027-cold-start.md); a test compares
each signature with botocore's. Everything else uses boto3.

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
    """The credentials of a role; the token is empty for a key that does not expire."""

    access_key: str
    secret_key: str
    token: str


class Scope(NamedTuple):
    """The region and service that a signature is for."""

    region: str
    service: str


def sign(
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
    """Sign a request; return its headers including the signature.

    Args:
        method: in capitals.
        path: percent-encoded.
        query: percent-encoded, its parameters in order of their names.
        headers: with lower-case names, `host` among them; all are signed.
        body: of the request.
        scope: region and service.
        credentials: to sign with.
        now: with a time zone; AWS accepts a difference of at most five minutes.
    """
    at = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "x-amz-date": at, "x-amz-content-sha256": digest}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    canonical = "\n".join([method, path, query, lines, names, digest])
    scope_text = f"{at[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join([ALGORITHM, at, scope_text, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _key(credentials.secret_key, at[:8], scope)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"Credential={credentials.access_key}/{scope_text}"
    return {**signed, "authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"}


@lru_cache(maxsize=4)
def _key(secret: str, day: str, scope: Scope) -> bytes:
    """Return the signing key of a day, region and service, the same for all their requests."""
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
