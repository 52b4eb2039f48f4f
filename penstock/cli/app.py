"""The command's commands, and the one place where an error becomes a sentence and an exit code.

Exit codes: 0 done · 1 an error · 2 wrong usage · 3 the stage is not there · 10 rejected · 11 quarantined · 12 failed
(a run or a batch that was waited for; 11 also a file that `check` would refuse) · 13 drift (`drift --check`) · 14
nobody of that key was found (`forget`) · 15 more people must approve (`approve`).
"""

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError

from penstock.archive import ArchiveError
from penstock.aws.feature_store import FeatureStoreError
from penstock.aws.s3_store import NoObjectError, NotDeletedError
from penstock.captures.reader import NoCaptureError
from penstock.cli.api_client import AnswerError
from penstock.cli.commands import approve as decisions
from penstock.cli.commands import batch, cloud, forget, init, models, report, rollback, rollout, runs, why
from penstock.cli.commands import data as data_versions
from penstock.cli.commands import predict as serving
from penstock.cli.commands import push as data
from penstock.cli.output import errors, line
from penstock.cli.target import UnreachableError, UsageError, keep_from_demo
from penstock.contract.model import ContractError
from penstock.erasure.eraser import ForgettingError
from penstock.erasure.subject import SubjectError
from penstock.lake import LakeKeyError
from penstock.ledger.ledger import NoRecordError, StaleError
from penstock.local.host.cloud import CloudError
from penstock.readers.open_table import TableError
from penstock.release.rollback import RollbackError
from penstock.scaffold.guess import InitError
from penstock.spec.model import SpecError
from penstock.stack_outputs import NotDeployedError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keep a model in production: on AWS, or on the laptop cloud.",
)
for module in (
    cloud,
    init,
    data,
    data_versions,
    forget,
    runs,
    models,
    report,
    decisions,
    rollout,
    rollback,
    why,
    serving,
    batch,
):
    module.register(app)

STOPPED = 130
STOPPED_WORDS = "stopped; what was uploaded or started by then goes on by itself: see `penstock runs`"
SENTENCES = (
    AnswerError,
    ArchiveError,
    CloudError,
    ContractError,
    FeatureStoreError,
    ForgettingError,
    InitError,
    LakeKeyError,
    NoCaptureError,
    NoObjectError,
    NoRecordError,
    NotDeletedError,
    RollbackError,
    SpecError,
    StaleError,
    SubjectError,
    TableError,
)


CHANGING = {"push", "approve", "reject", "rollback", "retrain", "predict", "forget", "batch"}
"""Commands that leave something in the laptop cloud."""


def main() -> None:
    """Run the command; errors that a person can act on are one sentence."""
    try:
        _run()
    except SystemExit as error:
        if error.code == STOPPED:  # typer ends so, without a word
            _say(STOPPED_WORDS, STOPPED)
        raise
    except KeyboardInterrupt:
        sys.exit(_say(STOPPED_WORDS, STOPPED))
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(_say(f"{error.filename}: {(error.strerror or 'cannot be used').lower()}", 1))


def _run() -> None:
    try:
        if sys.argv[1:2] and sys.argv[1] in CHANGING:
            keep_from_demo()
        app()
    except UsageError as error:
        sys.exit(_say(str(error), 2))
    except (UnreachableError, NotDeployedError) as error:
        sys.exit(_say(str(error), 3))
    except SENTENCES as error:
        sys.exit(_say(str(error), 1))
    except ClientError as error:
        found = error.response["Error"]
        sys.exit(_say(f"AWS refused {error.operation_name}: {found.get('Message') or found.get('Code')}", 1))
    except BotoCoreError as error:
        sys.exit(_say(f"AWS cannot be reached: {error}", 3))


def _say(sentence: str, code: int) -> int:
    errors.print(line(("penstock:", "red"), f" {sentence}"), soft_wrap=True)
    return code
