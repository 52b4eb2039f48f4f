"""`forget`: remove a subject's rows from everything that holds rows."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from penstock.aws.s3_store import Store
from penstock.captures.pseudonyms import Pseudonyms
from penstock.cli.options import Json, Model, Stage, check_reason
from penstock.cli.output import as_json, console, errors
from penstock.cli.target import Target, UsageError
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.erasure.eraser import Eraser, Erasure
from penstock.erasure.subject import Subject
from penstock.features.inventory import StoredFeatures
from penstock.spec.model import MODELS, read_model

NOBODY = 14
"""Exit code: no row has such a key."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(forget)


def forget(
    key: Annotated[list[str], typer.Option("--key", help="The subject: a value of the row key; may be repeated.")],
    reason: Annotated[
        str,
        typer.Option("--reason", help="The reason, for the record; do not put the key into it.", callback=check_reason),
    ],
    *,
    column: Annotated[
        str | None, typer.Option("--column", help="The keys are values of this column instead of the row key.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Remove a subject's rows for good, wherever they are, online features included. Exit code 14: no such row."""
    target = Target.of(stage, model)
    contract = read_contract(target.root / MODELS / target.model)
    subject = Subject(contract, key, column, _pseudonyms(target, contract))
    store = Store(target.lake.bucket)
    eraser = Eraser(
        contract=contract, lake=target.lake, store=store, ledger=target.ledger, features=_features(target, store)
    )
    if dry_run or not yes:
        preview = eraser.preview(subject)
        if dry_run or (preview.nothing and not target.ledger.forgetting_cut_off()):
            _exit(preview, json=json, verb="would be removed")
        _print_erasure(preview, verb="are to be removed", quiet=json)
        errors.print("An upload is removed as a whole; its other rows stay in the dataset. This cannot be undone.")
        if not typer.confirm("Remove them for good?", err=True):
            raise UsageError("nothing was removed")
    erasure = eraser.erase(
        subject, by=target.client("sts").get_caller_identity()["Arn"], reason=reason, now=datetime.now(UTC)
    )
    # Uploads that arrived in the meantime wait for a run.
    target.client("lambda").invoke(FunctionName=target.outputs.StartRunName, Payload=b'{"waiting": true}')
    _exit(erasure, json=json, verb="were removed")


def _pseudonyms(target: Target, contract: Contract) -> Pseudonyms | None:
    if not any(column.hashed for column in contract.columns):
        return None
    if not (arn := target.outputs.HashSecretArn):
        raise UsageError(f"contract.yaml hashes a column, the deployed {target.model} does not yet: deploy it first")
    return Pseudonyms.of_secret(arn)


def _features(target: Target, store: Store) -> StoredFeatures:
    has_feature_store = read_model(target.root / MODELS / target.model).feature_store is not None
    return StoredFeatures(stage=target.stage, lake=target.lake, store=store, is_configured=has_feature_store)


def _exit(erasure: Erasure, *, json: bool, verb: str) -> None:
    """Print an erasure and exit, with a code of its own where no row has such a key."""
    if json:
        as_json(asdict(erasure))
    else:
        _print_erasure(erasure, verb=verb)
    raise typer.Exit(NOBODY if erasure.nothing else 0)


def _print_erasure(erasure: Erasure, *, verb: str, quiet: bool = False) -> None:
    if quiet:
        return
    if erasure.finished:
        console.print("an interrupted `penstock forget` was completed first")
    if erasure.nothing:
        console.print("no row was found")
    else:
        rows = ", ".join(f"{count:,} from {folder}" for folder, count in sorted(erasure.rows.items()))
        console.print(f"rows {verb}: {rows} ({erasure.objects:,} object versions)")
    if erasure.features:
        console.print(f"online features {verb}: {erasure.features:,} records")
        console.print("entities shared with others have none until the next run: `penstock retrain --reason …`")
    for old, new in erasure.datasets.items():
        console.print(f"dataset {old[:12]} is replaced by {new[:12] if new else 'nothing: no row is left'}")
    if erasure.models:
        versions = ", ".join(map(str, erasure.models))
        console.print(
            f"trained on such rows: version {versions}; `penstock retrain --reason …` trains one without them"
        )
    for name in erasure.unread:
        console.print(f"could not be read: {name}")
