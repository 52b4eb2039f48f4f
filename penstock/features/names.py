"""Names of columns in SageMaker's feature store, for the code that stores features and the code that reads them."""

import hashlib
import re

VALID = re.compile(r"[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}")
RESERVED = {"is_deleted", "write_time", "api_invocation_time"}
"""Columns that SageMaker adds to the offline store."""
_LONGEST = 64
_DIGITS = 8


def feature_name(column: str) -> str:
    """Return a column's name where SageMaker accepts it; otherwise its valid characters and a digest, which is unique.

    SageMaker accepts 64 letters, digits, `_` and `-`, the first and the last a letter or a digit.
    """
    if len(column) <= _LONGEST and VALID.fullmatch(column) and column.lower() not in RESERVED:
        return column
    digest = hashlib.sha256(column.encode()).hexdigest()[:_DIGITS]
    stem = re.sub(r"[^a-zA-Z0-9]+", "_", column)[: _LONGEST - _DIGITS - 1].strip("_")
    return f"{stem or 'feature'}-{digest}"
