"""`report`: the page that says how a version or a run was judged."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.aws.s3_store import Store
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import as_json, console
from penstock.cli.target import Target, UsageError
from penstock.ledger.ledger import Ledger, NoRecordError, Record


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    named: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION|RUN]", help="Unless given, of the newest run that has one.", show_default=False
        ),
    ] = None,
    *,
    model: Model = None,
    stage: Stage = "local",
    to: Annotated[
        Path | None, typer.Option("--to", help="The file; unless given, named here after model and run.")
    ] = None,
    json: Json = False,
) -> None:
    """Download the report of a version or a run and print its path; with --json only say where it lies."""
    target = Target.of(stage, model)
    run = run_of(target.ledger, named)
    written = report_of(run)
    if written is None:
        raise NoRecordError(f"run {run['id']} has no report: it ended before its gates decided")
    store = Store(target.lake.bucket)
    if json:
        uri = target.lake.uri(written["key"])
        as_json({"run": run["id"], "key": written["key"], "version_id": written["version_id"], "uri": uri})
        if to is None:
            return
    path = to or Path(f"{target.model}-{run['id']}.html")
    try:
        path.write_bytes(store.read(written["key"], written["version_id"]))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file with --to") from None
    if not json:
        console.print(str(path.resolve()), soft_wrap=True)


def run_of(ledger: Ledger, named: str | None) -> Record:
    """The run of a version's number or a run's name; of neither, the newest run with a report.

    Raises:
        NoRecordError: there is none.
    """
    if named is not None:
        return ledger.run(ledger.version(int(named))["run"] if _is_version(named) else named)
    for run in ledger.runs():
        if report_of(run):
            return run
    raise NoRecordError(f"{ledger.model} has no report yet: push data first")


def _is_version(named: str) -> bool:
    return named.isascii() and named.isdigit() and len(named) <= 6


def report_of(run: Record) -> Record | None:
    """Where a run's report is: `key` and `version_id`."""
    found = run["steps"].get("report")
    return dict(found) if found else None
