"""`report`: download the HTML report of a version or a run."""

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
    version_or_run: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION|RUN]", help="By default the newest run with a report.", show_default=False),
    ] = None,
    *,
    model: Model = None,
    stage: Stage = "local",
    to: Annotated[
        Path | None, typer.Option("--to", help="The file; by default <model>-<run>.html in this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Download the report of a version or a run and print its path; with --json only print where it is stored."""
    target = Target.of(stage, model)
    run = find_run(target.ledger, version_or_run)
    location = report_location(run)
    if location is None:
        raise NoRecordError(f"run {run['id']} has no report: it ended before its gates decided")
    store = Store(target.lake.bucket)
    if json:
        as_json({"run": run["id"], **location, "uri": target.lake.uri(location["key"])})
        if to is None:
            return
    path = to or Path(f"{target.model}-{run['id']}.html")
    try:
        path.write_bytes(store.read(location["key"], location["version_id"]))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file with --to") from None
    if not json:
        console.print(str(path.resolve()), soft_wrap=True)


def find_run(ledger: Ledger, version_or_run: str | None) -> Record:
    """Return the run of a version number or of a run id; of None, the newest run with a report.

    Raises:
        NoRecordError: there is none.
    """
    if version_or_run is not None:
        is_version = _is_version(version_or_run)
        return ledger.run(ledger.version(int(version_or_run))["run"] if is_version else version_or_run)
    for run in ledger.runs():
        if report_location(run):
            return run
    raise NoRecordError(f"{ledger.model} has no report yet: push data first")


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


def report_location(run: Record) -> Record | None:
    """Return `key` and `version_id` of a run's report, None if it has none."""
    report = run["steps"].get("report")
    return {name: report[name] for name in ("key", "version_id")} if report else None
