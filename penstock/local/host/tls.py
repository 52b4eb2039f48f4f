"""TLS certificates of the laptop cloud.

Buckets that enforce TLS deny plain HTTP here as on AWS, so the laptop cloud speaks TLS. Its certificate authority is in
its home, and nothing else trusts it.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAMES = ("localhost", "*.localhost", "*.execute-api.localhost", "*.s3.localhost")
_VALIDITY = dt.timedelta(days=825)  # the longest that Apple's verifiers accept for a server certificate


@dataclass(frozen=True)
class Certificates:
    """Paths of the PEM files: authority, authority with the public roots, the server's chain, and its key."""

    authority: Path
    bundle: Path
    server: Path
    key: Path


def certificates(directory: Path) -> Certificates:
    """Return the paths of the certificate files under `directory`, whether or not they exist."""
    return Certificates(directory / "ca.pem", directory / "bundle.pem", directory / "server.pem", directory / "key.pem")


def ensure_certificates(directory: Path) -> Certificates:
    """Create the certificates under `directory` unless they are valid for another day."""
    files = certificates(directory)
    if not _are_valid(files):
        directory.mkdir(parents=True, exist_ok=True)
        _issue(files)
    return files


def _are_valid(files: Certificates) -> bool:
    if not all(path.exists() for path in (files.authority, files.bundle, files.server, files.key)):
        return False
    certificate = x509.load_pem_x509_certificate(files.server.read_bytes())
    return certificate.not_valid_after_utc > _now() + dt.timedelta(days=1)


def _issue(files: Certificates) -> None:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key)
    server = _server(authority, authority_key, key)
    pem = serialization.Encoding.PEM
    files.authority.write_bytes(authority.public_bytes(pem))
    files.server.write_bytes(server.public_bytes(pem) + authority.public_bytes(pem))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    public_roots = Path(botocore.__file__).with_name("cacert.pem").read_bytes()
    files.bundle.write_bytes(authority.public_bytes(pem) + public_roots)


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("Penstock laptop cloud authority")
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    names = [x509.DNSName(name) for name in _NAMES]
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        _builder(_name("Penstock laptop cloud"), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = _now() - dt.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALIDITY)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
