"""ECR, asked for one thing: the digest behind an image's tag.

A version's record names what its model was trained in. A tag is a name that somebody may move; a digest is the image.
"""

import re
from typing import Any

import boto3
from botocore.exceptions import ClientError

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[^:@]+)"
    r"(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_GONE = {"ImageNotFoundException", "RepositoryNotFoundException"}


def image_digest(uri: str) -> str:
    """`sha256:…` of an image in ECR; empty where the image is not in ECR, or no longer.

    Raises:
        ClientError: ECR refuses.
    """
    found = _ECR.fullmatch(uri)
    if found is None or found["digest"]:
        return found["digest"] if found else ""
    image = {"imageTag": found["tag"] or "latest"}
    client: Any = boto3.client("ecr", region_name=found["region"])
    try:
        answer = client.describe_images(
            registryId=found["account"], repositoryName=found["repository"], imageIds=[image]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return ""
        raise
    return str(answer["imageDetails"][0]["imageDigest"])
