"""`forget`: a subject's rows removed from everything that holds rows."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from penstock.aws.s3_store import Store
from penstock.captures.pseudonyms import Pseudonyms
from penstock.cli.options import Json, Model, Stage, given_reason
from penstock.cli.output import as_json, console, errors
from penstock.cli.target import Target, UsageError
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.erasure.eraser import Eraser, Erasure
from penstock.erasure.subject import Subject
from penstock.features.inventory import StoredFeatures
from penstock.ledger.ledger import Record
from penstock.spec.model import MODELS, read_model

NOBODY = 14
"""Exit code: no row has such a key."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(forget)


def forget(
    key: Annotated[list[str], typer.Option("--key", help="Whose rows: a value of the row key; may be repeated.")],
    reason: Annotated[str, typer.Option("--reason", help="For the record; without the key.", callback=given_reason)],
    *,
    column: Annotated[str | None, typer.Option("--column", help="The keys are values of this column instead.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Remove a subject's rows for good, from all that holds rows, features too. Exit code 14: none found."""
    target = Target.of(stage, model)
    contract = read_contract(target.root / MODELS / target.model)
    subject = Subject(contract, key, column, _pseudonyms(target, contract))
    store = Store(target.lake.bucket)
    eraser = Eraser(
        contract=contract, lake=target.lake, store=store, ledger=target.ledger, features=_features(target, store)
    )
    if dry_run or not yes:
        found = eraser.preview(subject)
        if dry_run or (found.nothing and not target.ledger.forgetting_cut_off()):
            _end(found, json=json, verb="would be removed")
        _say(found, verb="are to be removed", quiet=json)
        errors.print("An upload goes as a whole: its other rows live on in the dataset. This cannot be undone.")
        if not typer.confirm("Remove them for good?", err=True):
            raise UsageError("nothing was removed")
    found = eraser.erase(
        subject, by=target.client("sts").get_caller_identity()["Arn"], reason=reason, now=datetime.now(UTC)
    )
    # What came meanwhile was left waiting.
    target.client("lambda").invoke(FunctionName=target.outputs.StartRunName, Payload=b'{"waiting": true}')
    _end(found, json=json, verb="were removed")


def _pseudonyms(target: Target, contract: Contract) -> Pseudonyms | None:
    if not any(column.hashed for column in contract.columns):
        return None
    if not (arn := target.outputs.HashSecretArn):
        raise UsageError(f"contract.yaml hashes a column, the deployed {target.model} does not yet: deploy it first")
    return Pseudonyms.of_secret(arn)


def _features(target: Target, store: Store) -> StoredFeatures:
    is_configured = read_model(target.root / MODELS / target.model).feature_store is not None
    return StoredFeatures(stage=target.stage, lake=target.lake, store=store, is_configured=is_configured)


def _end(found: Erasure, *, json: bool, verb: str) -> None:
    """Say what there was, and end; nobody found is an exit code of its own."""
    if json:
        as_json(asdict(found))
    else:
        _say(found, verb=verb)
    raise typer.Exit(NOBODY if found.nothing else 0)


def _say(found: Erasure, *, verb: str, quiet: bool = False) -> None:
    if quiet:
        return
    if found.finished:
        console.print("a forgetting that had been cut off was finished first")
    if found.nothing:
        console.print("no row was found")
    else:
        rows = ", ".join(f"{count:,} from {folder}" for folder, count in sorted(found.rows.items()))
        console.print(f"rows {verb}: {rows} ({found.objects:,} object versions)")
    if found.features:
        console.print(f"online features {verb}: {found.features:,} records")
        console.print("entities that others share have none then until the next run: `penstock retrain --reason …`")
    for old, new in found.datasets.items():
        console.print(f"dataset {old[:12]} gives way to {new[:12] if new else 'nothing: no row is left'}")
    if found.models:
        versions = ", ".join(map(str, found.models))
        console.print(f"trained on such rows: version {versions}; `penstock retrain --reason …` makes one that is not")
    for name in found.unread:
        console.print(f"could not be looked into: {name}")


def forgettings(record: Record) -> list[str]:
    """What forgettings did to a dataset version, from its record: a sentence each."""
    said = []
    if gone := record.get("forgotten"):
        place = f"{gone['into'][:12]} took its place" if gone["into"] else "no row was left"
        said.append(f"{record['version'][:12]} lost rows that {gone['by']} had forgotten {gone['at']}: {place}")
        said[-1] += f" ({gone['reason']})"
    if made := record.get("forgetting"):
        said.append(
            f"took the place of {record['replaces'][:12]}, without rows that {made['by']} had forgotten "
            f"{made['at']} ({made['reason']})"
        )
    return said
