"""Environment variables of a container: those of its image and its request, and its access to the cloud."""

from collections.abc import Mapping
from pathlib import Path

from penstock.local.sagemaker.container.images import Image, rewrite_paths
from penstock.local.sagemaker.core.settings import JobSettings


def variables(image: Image, root: Path, request: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Return all variables of a container whose `/opt/ml` is `root`; later sources override earlier ones."""
    own = {**image.variables(root), **{key: rewrite_paths(value, root) for key, value in request.items()}}
    search = [str(image.context), *filter(None, [own.get("PYTHONPATH")])]
    return {**own, **added, "PENSTOCK_ML_ROOT": str(root), "PYTHONPATH": ":".join(search)}


def access(settings: JobSettings, credentials: Mapping[str, str] | None) -> dict[str, str]:
    """Return the variables for access to the cloud with a role's credentials; None isolates the container."""
    no_files = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    fixed = {**no_files, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1"}
    if credentials is None:
        # A process has no network namespace of its own here; an unreachable proxy at least stops HTTP clients.
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
        return {**fixed, **proxies}
    trusted = dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(settings.trusted))
    endpoint = {"AWS_ENDPOINT_URL": settings.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    return {**fixed, **trusted, **endpoint, **credentials}
