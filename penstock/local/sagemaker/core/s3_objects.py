"""Reads S3's metadata inside the server, without a request."""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

from urllib.parse import urlsplit

from ministack.services import s3

from penstock.local.sagemaker.core.caller import account_scope


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an `s3://` URI."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(f"{uri} is not an s3:// URI")
    return parts.netloc, parts.path.lstrip("/")


def etag(uri: str) -> str | None:
    """Return the ETag of an object without its quotes, or None where there is no such object."""
    bucket, key = split(uri)
    with account_scope():
        record = s3._buckets.get(bucket, {}).get("objects", {}).get(key)
    return str(record["etag"]).strip('"') if record else None
