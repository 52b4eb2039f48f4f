"""The processing job that checks what is too large for `validate`: the same inspection, with a disk and hours.

It reads and writes the lake itself, by version, rather than through SageMaker's inputs: which files they are is in the
list that `validate` left. A job that is tried again goes on where the last one was, because each file's finding is
written when it is done, behind its parts.
"""

import traceback
from collections.abc import Callable

from penstock.aws.s3_store import Store
from penstock.contract.odcs import read_contract
from penstock.lake import Lake
from penstock.ledger.ledger import Upload
from penstock.pipeline.inspection import FILES, Found, Inspection
from penstock.settings import InspectSettings
from penstock.spec.model import ARCHIVE
from training.steps.data.container import Container, StepError
from training.steps.data.model_folder import unpack_model


def run(container: Container) -> None:
    """Inspect the files of the run that the environment names.

    Raises:
        StepError: naming the file on which the inspection broke; a file that is merely bad is a finding.
    """
    settings = InspectSettings.read()
    lake, store = Lake(settings.bucket, settings.model), Store(settings.bucket)
    archive = store.read(lake.run_input(settings.run, ARCHIVE))
    contract = read_contract(unpack_model(container, settings.model, archive))
    inspect_files(settings.run, Inspection(contract=contract, lake=lake, store=store), container.say)


def inspect_files(run: str, inspection: Inspection, say: Callable[[str], None]) -> None:
    """Inspect the files on a run's list, and leave a finding for each that has none yet.

    Args:
        run: its name.
        inspection: of the model.
        say: takes lines for the log.

    Raises:
        StepError: as `run`.
    """
    lake, store = inspection.lake, inspection.store
    files = [Upload(**file) for file in store.json(lake.run_input(run, FILES))]
    for index, upload in enumerate(files):
        place = f"file {index + 1} of {len(files)}: {upload.key}"
        name = inspection.finding(run, upload)
        if store.size(name, None) is not None:
            say(f"{place}: inspected before")
            continue
        say(f"{place}: {upload.size / 1_000_000:,.1f} MB")
        found = _inspected(inspection, run, upload)
        store.write_json(name, found.record())
        say(f"{place}: {_told(found)}")


def _inspected(inspection: Inspection, run: str, upload: Upload) -> Found:
    try:
        return inspection.file(run, upload)
    except Exception as error:
        traceback.print_exc()
        raise StepError(f"{upload.key} cannot be inspected: {type(error).__name__}: {error}") from error


def _told(found: Found) -> str:
    return f"refused: {found.refusal}" if found.refusal else f"{found.rows} rows, {found.bad} of them bad"
