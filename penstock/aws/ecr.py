"""The digest behind an image's tag, from ECR.

A version's record names the image that its model was trained in. A tag may be moved; a digest is the image.
"""

import re
from typing import Any

import boto3
from botocore.exceptions import ClientError

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)"
    r"(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_NOT_FOUND = {"ImageNotFoundException", "RepositoryNotFoundException"}


def find_image_digest(uri: str) -> str:
    """Find `sha256:…` of an image in ECR; empty where the image is not in ECR, or no longer.

    Raises:
        ClientError: ECR refuses.
    """
    match = _ECR.fullmatch(uri)
    if match is None or match["digest"]:
        return match["digest"] if match else ""
    image = {"imageTag": match["tag"] or "latest"}
    client: Any = boto3.client("ecr", region_name=match["region"])
    try:
        response = client.describe_images(
            registryId=match["account"], repositoryName=match["repository"], imageIds=[image]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_FOUND:
            return ""
        raise
    return str(response["imageDetails"][0]["imageDigest"])
