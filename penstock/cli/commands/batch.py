"""`batch`, `batches`: score a complete file in the cloud, and list such batches."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from penstock.aws.s3_store import Store
from penstock.batch.names import SCORED, batch_id
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import ago, as_json, coloured, console, line, table
from penstock.cli.target import Target, UsageError
from penstock.cli.upload import put_files
from penstock.ledger.ledger import NoRecordError, Record
from penstock.readers.open_table import ENDINGS, is_readable

EXIT = {"scored": 0, "skipped": 0, "refused": 11, "failed": 12}
"""Exit code for each outcome of a batch."""
POLL_SECONDS = 0.4


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(batch)
    app.command()(batches)


def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON Lines or Parquet with raw columns.")],
    *,
    model: Model = None,
    stage: Stage = "local",
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end; the exit code says how it ended.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="OUT", help="Wait, and write the scores to this file.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Score a file with the live version: upload it, follow the batch, fetch the scores with their ids."""
    if not file.is_file():
        raise UsageError(f"{file} is not a file")
    if not is_readable(file.name):
        raise UsageError(f"{file} ends in none of {', '.join(ENDINGS)}")
    if to is not None and (to.is_dir() or not to.absolute().parent.is_dir()):
        raise UsageError(
            f"{to} is {'a folder' if to.is_dir() else 'in a folder that does not exist'}: --to names a file"
        )
    target = Target.of(stage, model)
    (upload,) = put_files(target, {file: target.lake.batch_input(file.name)}, quiet=json)
    if not json:
        console.print(f"uploaded {upload['uri']}")
    if not wait and to is None:
        if json:
            as_json(upload)
        return
    record = follow_batch(target, batch_id(target.model, upload["key"], upload["version_id"]), quiet=json)
    _print_result(target, record, to, json=json)
    raise typer.Exit(EXIT[record["outcome"]])


def batches(
    *,
    model: Model = None,
    stage: Stage = "local",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 20,
    json: Json = False,
) -> None:
    """List batches, newest first, each with its outcome and reason."""
    records = Target.of(stage, model).ledger.batches()[:limit]
    if json:
        as_json(records)
        return
    rows = [
        (
            item["id"],
            item["name"],
            ago(item["opened"]),
            str((item["live"] or {}).get("version", "–")),
            f"{item['rows']:,}" if "rows" in item else "",
            coloured(item.get("outcome", "open")),
            item.get("reason", ""),
        )
        for item in records
    ]
    table(["batch", "file", "opened", "version", "rows", "ending", "reason"], rows, title="batches")


def follow_batch(target: Target, name: str, *, quiet: bool, patience: float = 60) -> Record:
    """Show a batch's progress until it has ended, and return its record.

    Raises:
        NoRecordError: it did not start in time.
    """
    ledger, end = target.ledger, time.monotonic() + patience
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("parts"))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("waiting", total=None)
        while (record := ledger.find_batch(name)) is None or record["state"] == "open":
            if record is None and time.monotonic() > end:
                raise NoRecordError(f"batch {name} after {patience:.0f} s; `penstock batches` lists what there is")
            if record is not None and "parts" in record:
                completed = _count_parts(target, record)
                progress.update(task, description=record["name"], total=record["parts"], completed=completed)
            time.sleep(POLL_SECONDS if target.stage == "local" else 10 * POLL_SECONDS)
    return record


def _count_parts(target: Target, record: Record) -> int:
    folder = target.lake.batch_work(record["work"], SCORED)
    return sum(1 for _ in Store(target.lake.bucket).keys(folder))


def _print_result(target: Target, record: Record, to: Path | None, *, json: bool) -> None:
    lake = target.lake
    has_output = record["outcome"] in {"scored", "skipped"}
    if has_output and to is not None:
        Store(lake.bucket).download(lake.batch_output(record["name"]), None, to)
    location = {"output": lake.uri(lake.batch_output(record["name"]))} if has_output else {}
    if json:
        as_json(record | location)
        return
    console.print(line(coloured(record["outcome"]), f": {record['reason']}"))
    if has_output:
        console.print(f"scores: {to or location['output']}")
