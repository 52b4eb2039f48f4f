"""`init`, `check`: a first model folder from a sample, and a file held against a contract; neither needs a cloud."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from penstock import init as drafting
from penstock import init_files
from penstock.agreement import agree
from penstock.check import REASONS, Checked, TableError, check, read_table
from penstock.cli.options import Json, Model
from penstock.cli.output import as_json, console, line, mark, table
from penstock.cli.target import UsageError, model_of, project_root
from penstock.contract import Contract, read_contract
from penstock.spec import MODELS, read_model

QUARANTINED = 11
WRITERS = {".csv": "write_csv", ".jsonl": "write_ndjson", ".ndjson": "write_ndjson", ".parquet": "write_parquet"}


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
    sample = read_table(file.read_bytes(), file.name)
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
    folder = root / MODELS / model_of(root, model)
    contract = read_contract(folder)
    agree(folder, read_model(folder), contract)
    try:
        checked = check(contract, read_table(file.read_bytes(), file.name))
    except TableError as error:
        found: dict[str, Any] = {"rows": 0, "bad": 0, "reasons": {}, "refusal": str(error), "unknown": []}
    else:
        found = _document(contract, checked)
        if bad is not None and checked.bad.height:
            _write(checked.bad, bad)
    as_json({"file": str(file), "model": contract.name} | found) if json else _print(file, found)
    raise typer.Exit(QUARANTINED if found["refusal"] else 0)


def refusal(contract: Contract, checked: Checked) -> str | None:
    """Why the whole file would be refused, in the cloud's words; None where it would be taken."""
    most = sorted(checked.reasons.items(), key=lambda item: (-item[1], item[0]))[:3]
    commonest = ", ".join(f"{count} × {reason}" for reason, count in most)
    if not checked.good.height:
        return f"none of the {checked.rows} rows is good ({commonest})"
    if checked.share <= contract.tolerance:
        return None
    return (
        f"{checked.bad.height} of {checked.rows} rows are bad ({checked.share:.1%}), "
        f"the contract tolerates {contract.tolerance:.1%} ({commonest})"
    )


def _be_file(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"{file} is not a file")


def _document(contract: Contract, checked: Checked) -> dict[str, Any]:
    """As the cloud's report has it."""
    return {
        "rows": checked.rows,
        "bad": checked.bad.height,
        "reasons": checked.reasons,
        "refusal": refusal(contract, checked),
        "unknown": list(checked.unknown),
    }


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


def _write(rows: pl.DataFrame, path: Path) -> None:
    """Bad rows as a file of the kind that its name says."""
    flat = rows.with_columns(pl.col(REASONS).list.join("; "))
    getattr(flat, WRITERS[path.suffix])(path)
