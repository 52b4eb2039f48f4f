"""`init`, `check`: a first model folder from a sample, and a file held against a contract; neither needs a cloud."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import polars as pl
import typer

from penstock.cli.options import Json, Model
from penstock.cli.output import as_json, console, line, mark, table
from penstock.cli.target import UsageError, model_of, project_root
from penstock.contract.file_check import refusal
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import Tally, examine
from penstock.datasets.part_writer import PartWriter
from penstock.readers.open_table import TableError, open_table
from penstock.scaffold import files as init_files
from penstock.scaffold import guess as drafting
from penstock.spec.consistency import agree
from penstock.spec.model import MODELS, read_model

QUARANTINED = 11
WRITERS = {".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson", ".parquet": "sink_parquet"}
SAMPLE = 1_000_000
"""Rows of a file from which a first contract is guessed."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("check")(check_file)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sample: CSV, JSON Lines or Parquet.")],
    *,
    target: Annotated[str, typer.Option("--target", help="The column to predict.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The model's name; the file's, unless given.", show_default=False)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="The column that names a row; guessed, unless given.", show_default=False),
    ] = None,
) -> None:
    """Write a first model folder from a sample: contract, gates and training function. It runs as it is."""
    root = project_root()
    _be_file(file)
    sample = _sample(file)
    named = name or drafting.model_name(file.name)
    draft = drafting.draft(sample, name=named, source=file.name, target=target, key=key)
    folder = init_files.write(draft, root)
    console.print(f"{folder.relative_to(root).as_posix()}: contract.yaml, model.yaml, train.py\n")
    rows = [(item.column.name, item.column.type, item.column.role, item.why) for item in draft.guesses]
    left = [(column, "", "left out", f"{why[:1].upper()}{why[1:]}.") for column, why in draft.left_out.items()]
    table(["column", "type", "role", "why"], [*rows, *left], title=f"guessed from {draft.rows} rows: read it")
    if draft.tolerance > drafting.TOLERANCE:
        said = f" the contract tolerates {draft.tolerance:.0%} bad rows, because the sample has as many"
        console.print(line(("!", "yellow"), said))
    console.print(
        f"\nnext: penstock up && penstock push {shlex.quote(str(file))} --model {named} --wait", soft_wrap=True
    )


def check_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON Lines or Parquet.")],
    *,
    model: Model = None,
    bad: Annotated[
        Path | None,
        typer.Option("--bad", metavar="FILE", help="Write the bad rows with their reasons here.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Hold a file against a model's contract, as an upload is. Exit code 11 where it would be refused."""
    root = project_root()
    _be_file(file)
    if bad is not None and bad.suffix not in WRITERS:
        raise UsageError(f"--bad {bad}: the name ends with one of {', '.join(WRITERS)}")
    if bad is not None and bad.resolve() == file.resolve():
        raise UsageError(f"--bad {bad}: the file itself would be overwritten; name another")
    if bad is not None and not bad.parent.is_dir():
        raise UsageError(f"--bad {bad}: there is no folder {bad.parent}")
    folder = root / MODELS / model_of(root, model)
    contract = read_contract(folder)
    agree(folder, read_model(folder), contract)
    found = _found(file, contract, bad, quiet=json)
    as_json({"file": str(file), "model": contract.name} | found) if json else _print(file, found)
    raise typer.Exit(QUARANTINED if found["refusal"] else 0)


def _found(file: Path, contract: Contract, bad: Path | None, *, quiet: bool) -> dict[str, Any]:
    """What an upload of the file would be found to be, as the cloud's report has it."""
    tally, refused = Tally(), None
    with TemporaryDirectory(prefix="penstock-") as folder, _status(f"checking {file}", quiet=quiet) as say:
        writer = PartWriter(Path(folder) / "bad") if bad is not None else None
        try:
            with open_table(file, file.name, scratch=Path(folder)) as table:
                tally = examine(contract, table, bad=writer, progress=say)
        except TableError as error:
            refused = str(error)
        if writer is not None and bad is not None and (files := writer.close()):
            _write([file.path for file in files], bad)
    return {
        "rows": tally.rows,
        "bad": tally.bad,
        "reasons": dict(tally.reasons),
        "refusal": refused or refusal(contract, tally, datetime.now(UTC)),
        "unknown": list(tally.unknown),
    }


@contextmanager
def _status(what: str, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    with console.status(what) as status:
        yield lambda rows: status.update(f"{what}: {rows:,} rows")


def _sample(file: Path) -> pl.DataFrame:
    """The rows that are guessed from."""
    rows: list[pl.DataFrame] = []
    with (
        TemporaryDirectory(prefix="penstock-") as folder,
        open_table(file, file.name, scratch=Path(folder)) as table,
    ):
        for batch in table.batches():
            rows.append(batch)
            if sum(frame.height for frame in rows) >= SAMPLE:
                break
        return pl.concat(rows) if rows else pl.DataFrame(schema=dict.fromkeys(table.names, pl.String))


def _be_file(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"{file} is not a file")


def _print(file: Path, found: dict[str, Any]) -> None:
    """The report as a person reads it."""
    good = found["rows"] - found["bad"]
    said = found["refusal"] or f"{good} of {found['rows']} rows are good" + (
        "" if found["bad"] == 0 else "; the others:"
    )
    console.print(line(mark(good=not found["refusal"]), f" {file}: {said}"), soft_wrap=True)
    ranked = sorted(found["reasons"].items(), key=lambda item: (-item[1], item[0]))
    if ranked:
        table(["rows", "reason"], [(str(count), reason) for reason, count in ranked])
    if found["unknown"]:
        console.print(f"not in the contract, left out: {', '.join(found['unknown'])}")


def _write(rows: list[Path], path: Path) -> None:
    """Bad rows as a file of the kind that its name says."""
    getattr(pl.scan_parquet(rows), WRITERS[path.suffix])(path)
