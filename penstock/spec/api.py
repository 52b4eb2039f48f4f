"""Fields of `model.yaml` for the API: authentication, cross-origin requests and custom domains."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from penstock.spec.base import STAGES, Strict

_CERTIFICATE = re.compile(r"arn:aws(-[a-z-]+)?:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+")
_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_LOOPBACK = {"localhost", "127.0.0.1"}


class Issued(Strict):
    """Which tokens the API accepts."""

    issuer: str
    """The `iss` of a token: an `https://` address that serves `/.well-known/openid-configuration`."""
    audience: list[str] = Field(min_length=1)
    """Accepted values of a token's `aud` (or of its `client_id`, if it has no `aud`)."""
    scopes: list[str] = Field(default=[])
    """A token must have at least one of these. Default: no scope is required."""

    @field_validator("issuer")
    @classmethod
    def _an_address(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{issuer!r} is no issuer: give its https:// address, as its tokens have it in `iss`")
        return issuer


def _names_an_auth(value: object) -> object:
    if isinstance(value, str) and value not in {"iam", "none"}:
        raise ValueError(f"{value!r} is no authentication: write iam, none, or {{jwt: {{issuer, audience}}}}")
    return value


class Jwt(Strict):
    """Callers send a JSON Web Token, which API Gateway checks."""

    jwt: Issued


def _auth_kind(value: object) -> str:
    """Return the tag of the form that a value has, so that an error names the fields of that form only."""
    return "tokens" if isinstance(value, dict | Jwt) else "name"


Auth = Annotated[
    Annotated[Literal["iam", "none"], Tag("name")] | Annotated[Jwt, Tag("tokens")],
    Discriminator(_auth_kind),
    BeforeValidator(_names_an_auth),
]


class Cors(Strict):
    """Which pages may call the API from a browser."""

    origins: list[str] = Field(min_length=1)
    """`https://app.example.com`, or `*` for any."""
    max_age_minutes: int = Field(default=60, ge=0, le=1440)
    """How long a browser may cache the answer to a preflight request."""

    @field_validator("origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            parts = urlsplit(origin)
            secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
            if origin != "*" and not (secure and origin == f"{parts.scheme}://{parts.netloc}"):
                raise ValueError(
                    f"{origin!r} is no origin: give https://host, without a path; http:// for localhost only"
                )
        return origins


class Domain(Strict):
    """A custom domain name of the API."""

    name: str
    """E.g. `predict.example.com`. Create its DNS record yourself, pointing at the stack's output `DomainTarget`."""
    certificate: str
    """ARN of the domain's certificate in AWS Certificate Manager, in the stack's region."""

    @field_validator("name")
    @classmethod
    def _a_host(cls, name: str) -> str:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{name!r} is no host name in lower-case letters: give one such as predict.example.com")
        return name

    @field_validator("certificate")
    @classmethod
    def _an_arn(cls, certificate: str) -> str:
        if not _CERTIFICATE.fullmatch(certificate):
            raise ValueError(f"{certificate!r} is no certificate: give its ARN, arn:aws:acm:…:certificate/…")
        return certificate


def known_stages(domains: dict[str, Domain]) -> dict[str, Domain]:
    """Return the domains by stage, after checking the stages and names.

    Raises:
        ValueError: a stage that does not exist, or one name for two stages.
    """
    if strange := set(domains) - set(STAGES):
        raise ValueError(f"there is no stage {min(strange)!r}: there are {', '.join(STAGES)}")
    names = [domain.name for domain in domains.values()]
    if len(names) > len(set(names)):
        raise ValueError("two stages cannot have one domain name: give each its own")
    return domains
