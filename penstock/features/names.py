"""Columns' names as SageMaker's feature store takes them: what stores features and what reads them share it."""

import hashlib
import re

VALID = re.compile(r"[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,63}")
RESERVED = {"is_deleted", "write_time", "api_invocation_time"}
"""Columns that SageMaker adds to the offline store."""
_LONGEST = 64
_DIGITS = 8


def feature_name(column: str) -> str:
    """The column's own name where SageMaker takes it; else what is left of it with a digest, so that no two are alike.

    SageMaker takes 64 letters, digits, `_` and `-`, the first and the last a letter or a digit.
    """
    if len(column) <= _LONGEST and VALID.fullmatch(column) and column.lower() not in RESERVED:
        return column
    digest = hashlib.sha256(column.encode()).hexdigest()[:_DIGITS]
    left = re.sub(r"[^a-zA-Z0-9]+", "_", column)[: _LONGEST - _DIGITS - 1].strip("_")
    return f"{left or 'feature'}-{digest}"
