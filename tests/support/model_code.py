"""Model folders as the zip files that a run hands to its jobs."""

import io
import json
import zipfile
from pathlib import Path

from penstock.spec.model import ARCHIVE, MODELS

project = Path(__file__).parents[2]
"""Whose model folders are packed; a test puts another one here."""


def packed(folder: Path, names: str = "*") -> bytes:
    """A model folder's files of a pattern as a zip file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in sorted(folder.rglob(names)):
            archive.write(path, path.relative_to(folder).as_posix())
    return data.getvalue()


def hand_over(ml_root: Path) -> None:
    """Put the folder of the model that a training job's request names into the job's input."""
    run = ml_root / "input" / "data" / "run"
    if (run / "request.json").exists():
        model = json.loads((run / "request.json").read_text())["model"]
        (run / ARCHIVE).write_bytes(packed(project / MODELS / model))
