"""`data list`, `data show`, `data diff`, `data restore`: dataset versions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.audit.dataset_diff import compare
from penstock.aws.s3_store import Store, sha256
from penstock.cli.datasets import erasure_sentences, load_dataset
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import ago, as_json, console, table
from penstock.cli.target import Target, UsageError
from penstock.ledger.ledger import NoRecordError, Record

Name = Annotated[str, typer.Argument(help="A dataset version, or a beginning of it that no other shares.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Dataset versions: list, show, compare, restore.")
    group.command("list")(list_versions)
    group.command()(show)
    group.command()(diff)
    group.command()(restore)
    app.add_typer(group, name="data")


def list_versions(*, model: Model = None, stage: Stage = "local", json: Json = False) -> None:
    """List dataset versions, newest first."""
    ledger = Target.of(stage, model).ledger
    current = ledger.current_dataset()
    versions = [
        _summary(item) | _erasure_marks(item) | {"current": item["version"] == current} for item in ledger.datasets()
    ]
    if json:
        as_json(versions)
        return
    rows = [
        (
            item["version"][:12] + (" (current)" if item["current"] else " (replaced)" if "forgotten" in item else ""),
            f"{item['rows']:,}",
            str(item["parts"]),
            item["run"] or "",
            ago(item["at"]),
        )
        for item in versions
    ]
    table(["version", "rows", "parts", "run", "created"], rows, title="dataset versions")


def show(version: Name, *, model: Model = None, stage: Stage = "local", json: Json = False) -> None:
    """Show a dataset version: its parts in order, each with the uploads that it came from."""
    target = Target.of(stage, model)
    record = _record(target, version)
    if "forgotten" in record:
        if json:
            as_json(_summary(record) | _erasure_marks(record))
        else:
            console.print(f"dataset {erasure_sentences(record)[0]}")
        return
    dataset = load_dataset(target, Store(target.lake.bucket), record)
    if json:
        parts = [_part(part) for part in dataset.parts]
        details = {"contract": dataset.contract, "cut": dataset.cut, "parts": parts}
        as_json(_summary(record) | _erasure_marks(record) | details)
        return
    console.print(f"dataset {dataset.version}")
    for sentence in erasure_sentences(record):
        console.print(sentence)
    console.print(f"{dataset.rows:,} rows in {len(dataset.parts)} parts, under the contract {dataset.contract[:12]}")
    sentences = {"since": "rows from {} on", "holdout_from": "holdout from {} on"}
    for name, moment in dataset.cut.items():
        console.print(sentences[name].format(datetime.fromtimestamp(moment / 1e6, UTC).isoformat()))
    rows = [(part.sha256[:12], f"{part.rows:,}", f"{part.size:,}", "\n".join(part.uploads)) for part in dataset.parts]
    table(["part", "rows", "bytes", "uploads"], rows)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A dataset version.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, or `current`.")] = "current",
    *,
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Compare A and B: rows, parts, columns, and each column's distribution (PSI)."""
    target = Target.of(stage, model)
    store, lake = Store(target.lake.bucket), target.lake
    one, two = (load_dataset(target, store, _record(target, name)) for name in (a, b))
    comparison = compare(one, two, lambda part: store.read(lake.part(part)))
    if json:
        as_json(comparison)
        return
    console.print(f"from {one.version[:12]} to {two.version[:12]}")
    parts = comparison["parts"]
    rows = [
        ("rows", f"{one.rows:,}", f"{two.rows:,}", f"{comparison['rows']['change']:+,}"),
        ("parts", str(len(one.parts)), str(len(two.parts)), f"+{len(parts['added'])} -{len(parts['removed'])}"),
        ("contract", one.contract[:12], two.contract[:12], "" if one.contract == two.contract else "changed"),
    ]
    table(["", "A", "B", "change"], rows)
    for change in ("added", "removed", "retyped"):
        if names := comparison["columns"][change]:
            console.print(f"columns {change}: {', '.join(names)}")
    shifts = [
        (item["column"], f"{item['psi']:.3f}", "more than chance" if item["psi"] > item["noise"] else "")
        for item in comparison["distributions"]
    ]
    table(["column", "PSI", ""], shifts, title="distributions")


def restore(
    version: Name,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new or empty folder.")],
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Write a dataset version into a folder, byte for byte as training read it, and check every digest."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"{to} is not an empty folder: name another, so that no other files mix with the parts")
    target = Target.of(stage, model)
    store, lake = Store(target.lake.bucket), target.lake
    dataset = load_dataset(target, store, _record(target, version))
    to.mkdir(parents=True, exist_ok=True)
    for part in dataset.parts:
        data = store.read(lake.part(part.sha256))
        if (digest := sha256(data)) != part.sha256:
            raise NoRecordError(f"part {part.sha256[:12]} as it was: the object under its key has the digest {digest}")
        (to / f"{part.sha256}.parquet").write_bytes(data)
    (to / "dataset.json").write_text(dataset.document(), encoding="utf-8")
    names = [f"{part.sha256}.parquet" for part in dataset.parts]
    if json:
        as_json({"version": dataset.version, "folder": str(to), "rows": dataset.rows, "parts": names})
    else:
        console.print(f"restored {dataset.version[:12]}: {dataset.rows:,} rows in {len(names)} parts, digests checked")


def _record(target: Target, name: str) -> Record:
    """Return the record of a version, by a beginning of its name or `current`.

    Raises:
        NoRecordError: no version matches.
        UsageError: several match.
    """
    ledger = target.ledger
    if name == "current":
        if (version := ledger.current_dataset()) is None:
            raise NoRecordError(f"the ledger has no dataset of {target.model} yet: upload some data first")
        return ledger.dataset(version)
    matches = [item for item in ledger.datasets() if item["version"].startswith(name)]
    if not matches:
        raise NoRecordError(f"the ledger has no dataset {name!r} of {target.model}: see `penstock data list`")
    if len(matches) > 1:
        raise UsageError(f"{len(matches)} dataset versions begin with {name!r}: give more characters")
    return matches[0]


def _summary(record: Record) -> dict[str, Any]:
    members = {name: record.get(name) for name in ("version", "rows", "run", "at")}
    return members | {"parts": record.get("part_count", len(record.get("parts", [])))}


def _erasure_marks(record: Record) -> Record:
    return {name: record[name] for name in ("forgotten", "replaces", "forgetting") if name in record}


def _part(part: Any) -> dict[str, Any]:
    return {"sha256": part.sha256, "rows": part.rows, "bytes": part.size, "uploads": list(part.uploads)}
