"""The model's folder, which is a zip file in a run's input and not in the image."""

import io
import shutil
import zipfile
from pathlib import Path

import training
from penstock.spec.model import MODELS
from training.steps.data.container import Container, StepError


def unpack_model(container: Container, model: str, archive: bytes) -> Path:
    """Unpack the model's folder and return it.

    Its modules can be imported as `training.models.<name>.<module>`.

    Args:
        container: of the job.
        model: the model's name.
        archive: the run's `ARCHIVE`.

    Raises:
        StepError: the archive is no intact zip file.
    """
    root = container.root / "code"
    folder = root / MODELS / model
    shutil.rmtree(root, ignore_errors=True)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            files.extractall(folder)
    except zipfile.BadZipFile as error:
        raise StepError(f"the model's folder cannot be unpacked: {error}") from None
    training.__path__.insert(0, str(root / "training"))
    return folder
