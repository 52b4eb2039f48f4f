"""The processing job that inspects files too large for `validate`, with the same rules.

It reads and writes the lake itself, by object version, instead of through SageMaker's inputs: `validate` wrote the list
of files. A repeated job continues where the last one stopped, because each file's finding is written after its parts.
"""

import traceback
from collections.abc import Callable

from penstock.aws.s3_store import Store
from penstock.contract.odcs import read_contract
from penstock.lake import Lake
from penstock.ledger.ledger import Upload
from penstock.pipeline.inspection import FILES, FileFinding, Inspection
from penstock.settings import InspectSettings
from penstock.spec.model import ARCHIVE
from training.steps.data.container import Container, StepError
from training.steps.data.model_folder import unpack_model


def run(container: Container) -> None:
    """Inspect the files of the run named in the environment.

    Raises:
        StepError: the inspection failed on the named file; a bad file is no error but a finding.
    """
    settings = InspectSettings.read()
    lake, store = Lake(settings.bucket, settings.model), Store(settings.bucket)
    archive = store.read(lake.run_input(settings.run, ARCHIVE))
    contract = read_contract(unpack_model(container, settings.model, archive))
    inspect_files(settings.run, Inspection(contract=contract, lake=lake, store=store), container.say)


def inspect_files(run: str, inspection: Inspection, say: Callable[[str], None]) -> None:
    """Inspect the files on a run's list and write a finding for each that has none yet.

    Args:
        run: the run's name.
        inspection: the model's inspection.
        say: writes a line to the log.

    Raises:
        StepError: as for `run`.
    """
    lake, store = inspection.lake, inspection.store
    files = [Upload(**file) for file in store.json(lake.run_input(run, FILES))]
    for index, upload in enumerate(files):
        place = f"file {index + 1} of {len(files)}: {upload.key}"
        name = inspection.finding_key(run, upload)
        if store.size(name, None) is not None:
            say(f"{place}: inspected before")
            continue
        say(f"{place}: {upload.size / 1_000_000:,.1f} MB")
        result = _inspect(inspection, run, upload)
        store.write_json(name, result.record())
        say(f"{place}: {_summary(result)}")


def _inspect(inspection: Inspection, run: str, upload: Upload) -> FileFinding:
    try:
        return inspection.inspect(run, upload)
    except Exception as error:
        traceback.print_exc()
        raise StepError(f"{upload.key} cannot be inspected: {type(error).__name__}: {error}") from error


def _summary(result: FileFinding) -> str:
    return f"refused: {result.refusal}" if result.refusal else f"{result.rows} rows, {result.bad} of them bad"
