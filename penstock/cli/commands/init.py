"""`init`, `check`: write a first model folder from a sample, and check a file against a contract, without a cloud."""

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
from penstock.cli.target import UsageError, choose_model, project_root
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
"""Exit code: an upload of the file would be refused."""
WRITERS = {".csv": "sink_csv", ".jsonl": "sink_ndjson", ".ndjson": "sink_ndjson", ".parquet": "sink_parquet"}
SAMPLE = 1_000_000
"""Number of rows, at least, from which a first contract is guessed."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("check")(check_file)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sample: CSV, JSON Lines or Parquet.")],
    *,
    target: Annotated[str, typer.Option("--target", help="The column to predict.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The model's name; by default the file's.", show_default=False)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="The column that identifies a row; by default it is guessed.", show_default=False),
    ] = None,
) -> None:
    """Write a first model folder from a sample: contract, gates and a training function that runs unchanged."""
    root = project_root()
    _check_is_file(file)
    sample = _read_sample(file)
    model = name or drafting.model_name(file.name)
    draft = drafting.draft(sample, name=model, source=file.name, target=target, key=key)
    folder = init_files.write(draft, root)
    console.print(f"{folder.relative_to(root).as_posix()}: contract.yaml, model.yaml, train.py\n")
    rows = [(item.column.name, item.column.type, item.column.role, item.why) for item in draft.guesses]
    excluded = [(column, "", "left out", f"{why[:1].upper()}{why[1:]}.") for column, why in draft.left_out.items()]
    table(["column", "type", "role", "why"], [*rows, *excluded], title=f"guessed from {draft.rows} rows: check them")
    if draft.tolerance > drafting.TOLERANCE:
        warning = f" the contract tolerates {draft.tolerance:.0%} bad rows, because the sample has as many"
        console.print(line(("!", "yellow"), warning))
    console.print(
        f"\nnext: penstock up && penstock push {shlex.quote(str(file))} --model {model} --wait", soft_wrap=True
    )


def check_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON Lines or Parquet.")],
    *,
    model: Model = None,
    bad: Annotated[
        Path | None,
        typer.Option(
            "--bad", metavar="FILE", help="Write the bad rows with their reasons to this file.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check a file against a model's contract, as an upload is checked. Exit code 11 if it would be refused."""
    root = project_root()
    _check_is_file(file)
    if bad is not None and bad.suffix not in WRITERS:
        raise UsageError(f"--bad {bad}: the name ends with one of {', '.join(WRITERS)}")
    if bad is not None and bad.resolve() == file.resolve():
        raise UsageError(f"--bad {bad}: the file itself would be overwritten; name another")
    if bad is not None and not bad.parent.is_dir():
        raise UsageError(f"--bad {bad}: there is no folder {bad.parent}")
    folder = root / MODELS / choose_model(root, model)
    contract = read_contract(folder)
    agree(folder, read_model(folder), contract)
    result = _check(file, contract, bad, quiet=json)
    as_json({"file": str(file), "model": contract.name} | result) if json else _print_result(file, result)
    raise typer.Exit(QUARANTINED if result["refusal"] else 0)


def _check(file: Path, contract: Contract, bad: Path | None, *, quiet: bool) -> dict[str, Any]:
    """Check the file as an upload; return the members of the cloud's report, and write the bad rows to `bad`."""
    tally, error_message = Tally(), None
    with TemporaryDirectory(prefix="penstock-") as folder, _status(f"checking {file}", quiet=quiet) as show_rows:
        writer = PartWriter(Path(folder) / "bad") if bad is not None else None
        try:
            with open_table(file, file.name, scratch=Path(folder)) as table:
                tally = examine(contract, table, bad=writer, progress=show_rows)
        except TableError as error:
            error_message = str(error)
        if writer is not None and bad is not None and (files := writer.close()):
            _write_rows([file.path for file in files], bad)
    return {
        "rows": tally.rows,
        "bad": tally.bad,
        "reasons": dict(tally.reasons),
        "refusal": error_message or refusal(contract, tally, datetime.now(UTC)),
        "unknown": list(tally.unknown),
    }


@contextmanager
def _status(text: str, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a spinner; the function that it yields adds a number of rows to the text."""
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    with console.status(text) as status:
        yield lambda rows: status.update(f"{text}: {rows:,} rows")


def _read_sample(file: Path) -> pl.DataFrame:
    """Read the first batches of a file, until there are SAMPLE rows."""
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


def _check_is_file(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"{file} is not a file")


def _print_result(file: Path, result: dict[str, Any]) -> None:
    good = result["rows"] - result["bad"]
    verdict = result["refusal"] or f"{good} of {result['rows']} rows are good" + (
        "" if result["bad"] == 0 else "; the others:"
    )
    console.print(line(mark(good=not result["refusal"]), f" {file}: {verdict}"), soft_wrap=True)
    ranked = sorted(result["reasons"].items(), key=lambda item: (-item[1], item[0]))
    if ranked:
        table(["rows", "reason"], [(str(count), reason) for reason, count in ranked])
    if result["unknown"]:
        console.print(f"not in the contract, left out: {', '.join(result['unknown'])}")


def _write_rows(rows: list[Path], path: Path) -> None:
    """Write Parquet files' rows to one file, in the format of its suffix."""
    getattr(pl.scan_parquet(rows), WRITERS[path.suffix])(path)
