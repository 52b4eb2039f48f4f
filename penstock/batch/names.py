"""Names in a batch: its id, the id of its work, S3 keys of parts and scores, and columns of the output.

The work is named by what goes into it (the file's content, the live version's model file), so that a batch that was
killed, or the same file pushed again, reuses the parts that are scored already. Light: start_batch imports it, whose
bundle has neither numpy nor msgspec.
"""

import hashlib

from penstock.lake import Lake

FORMAT = "1"
"""Version of the parts' format: raised when rows are split or scored differently, so that no batch mixes the two."""
PLAN = "plan.json"
PARTS, SCORED = "parts/", "scored/"
REASON = "reason"
RESERVED = {"row", "id", "score", "label", "version", "scores", REASON}
"""Columns that output and errors add to the row key."""
KEY = "key"
"""Name of the row key's column in output and errors where its own name is reserved."""


def batch_id(model: str, key: str, version_id: str) -> str:
    """Return a batch's id, from the object version that was uploaded: 12 hex digits."""
    return _digest(model, key, version_id)[:12]


def work_id(content: str, version: int, model_file: str, key: str, part_rows: int) -> str:
    """Return the id of a batch's work: 16 hex digits of SHA-256 over everything that decides what its parts contain.

    Args:
        content: SHA-256 of the file, followed by its extension, which decides how it is read.
        version: the live version.
        model_file: SHA-256 of that version's model file.
        key: name and type of the row key's column.
        part_rows: maximum rows of a part.
    """
    return _digest(FORMAT, content, str(version), model_file, key, str(part_rows))[:16]


def inference_id(work: str, row: int) -> str:
    """Return the inference id of a row, the same in each attempt. `row` counts from 1, without the header."""
    return f"{work}-{row}"


def part_key(lake: Lake, work: str, part: int) -> str:
    """Return the S3 key of a part's rows."""
    return lake.batch_work(work, f"{PARTS}{part:06}.jsonl")


def scored_key(lake: Lake, work: str, part: int) -> str:
    """Return the S3 key of a part's scores."""
    return lake.batch_work(work, f"{SCORED}{part:06}.jsonl")


def _digest(*values: str) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()
