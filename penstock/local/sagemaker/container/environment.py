"""The environment variables of a container: its image's, its request's, and the way to the cloud."""

from collections.abc import Mapping
from pathlib import Path

from penstock.local.sagemaker.container.images import Image, rewrite_paths
from penstock.local.sagemaker.core.settings import JobSettings


def variables(image: Image, root: Path, given: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """All variables of a container whose `/opt/ml` is `root`; a later one stands over an earlier."""
    own = {**image.variables(root), **{key: rewrite_paths(value, root) for key, value in given.items()}}
    search = [str(image.context), *filter(None, [own.get("PYTHONPATH")])]
    return {**own, **added, "PENSTOCK_ML_ROOT": str(root), "PYTHONPATH": ":".join(search)}


def access(settings: JobSettings, credentials: Mapping[str, str] | None) -> dict[str, str]:
    """The way to the cloud with the variables of the role's credentials; None is a container without a network."""
    nowhere = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    fixed = {**nowhere, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-1"}
    if credentials is None:
        # A process has no network namespace of its own here; a dead proxy at least refuses HTTP clients.
        dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
        return {**fixed, **dead}
    trusted = dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(settings.trusted))
    endpoint = {"AWS_ENDPOINT_URL": settings.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    return {**fixed, **trusted, **endpoint, **credentials}
