"""The application: registers all commands, and turns errors into a sentence and an exit code.

Exit codes: 0 success · 1 error · 2 wrong usage · 3 the stage is not reachable · 10 rejected · 11 quarantined ·
12 failed (10 to 12: the run or batch that the command waited for; 11 also: `check` would refuse the file) · 13 drift
(`drift --check`) · 14 no row has the key (`forget`) · 15 more people must approve (`approve`).
"""

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError

from penstock.archive import ArchiveError
from penstock.aws.feature_store import FeatureStoreError
from penstock.aws.s3_store import NoObjectError, NotDeletedError
from penstock.captures.reader import NoCaptureError
from penstock.cli.api_client import AnswerError
from penstock.cli.commands import (
    approve,
    batch,
    cloud,
    data,
    forget,
    init,
    models,
    predict,
    push,
    report,
    rollback,
    rollout,
    runs,
    why,
)
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
COMMANDS = (
    cloud,
    init,
    push,
    data,
    forget,
    runs,
    models,
    report,
    approve,
    rollout,
    rollback,
    why,
    predict,
    batch,
)
"""In the order of the help."""
for module in COMMANDS:
    module.register(app)

STOPPED = 130
STOPPED_MESSAGE = "stopped; uploads and runs that have started continue by themselves: see `penstock runs`"
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
"""Errors whose message is a sentence for the user; exit code 1."""
CHANGING = {"push", "approve", "reject", "rollback", "retrain", "predict", "forget", "batch"}
"""Commands that change what the laptop cloud holds."""


def main() -> None:
    """Run the command; print errors that the user can act on as one sentence, without a traceback."""
    try:
        _run()
    except SystemExit as error:
        if error.code == STOPPED:  # typer exits so on Ctrl-C, without a message
            _print_error(STOPPED_MESSAGE, STOPPED)
        raise
    except KeyboardInterrupt:
        sys.exit(_print_error(STOPPED_MESSAGE, STOPPED))
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(_print_error(f"{error.filename}: {(error.strerror or 'cannot be used').lower()}", 1))


def _run() -> None:
    try:
        if sys.argv[1:2] and sys.argv[1] in CHANGING:
            keep_from_demo()
        app()
    except UsageError as error:
        sys.exit(_print_error(str(error), 2))
    except (UnreachableError, NotDeployedError) as error:
        sys.exit(_print_error(str(error), 3))
    except SENTENCES as error:
        sys.exit(_print_error(str(error), 1))
    except ClientError as error:
        details = error.response["Error"]
        message = details.get("Message") or details.get("Code")
        sys.exit(_print_error(f"AWS refused {error.operation_name}: {message}", 1))
    except BotoCoreError as error:
        sys.exit(_print_error(f"AWS cannot be reached: {error}", 3))


def _print_error(sentence: str, code: int) -> int:
    errors.print(line(("penstock:", "red"), f" {sentence}"), soft_wrap=True)
    return code
