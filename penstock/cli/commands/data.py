"""`data list`, `data show`, `data diff`, `data restore`: dataset versions, as they were and as they differ."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.audit.dataset_diff import compare
from penstock.aws.s3_store import Store, sha256
from penstock.cli.commands.forget import forgettings
from penstock.cli.options import Json, Model, Stage
from penstock.cli.output import ago, as_json, console, table
from penstock.cli.target import Target, UsageError
from penstock.datasets.store import OtherDatasetError, read_dataset
from penstock.datasets.version import Dataset
from penstock.ledger.ledger import NoRecordError, Record

Name = Annotated[str, typer.Argument(help="A dataset version, or as much of its beginning as names it alone.")]


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
    found = [_summary(item) | _marks(item) | {"current": item["version"] == current} for item in ledger.datasets()]
    if json:
        as_json(found)
        return
    rows = [
        (
            item["version"][:12] + (" (current)" if item["current"] else " (gave way)" if "forgotten" in item else ""),
            f"{item['rows']:,}",
            str(item["parts"]),
            item["run"] or "",
            ago(item["at"]),
        )
        for item in found
    ]
    table(["version", "rows", "parts", "run", "made"], rows, title="dataset versions")


def show(version: Name, *, model: Model = None, stage: Stage = "local", json: Json = False) -> None:
    """Show a dataset version: its parts in order, and the uploads that they came from."""
    target = Target.of(stage, model)
    record = _record(target, version)
    if "forgotten" in record:
        as_json(_summary(record) | _marks(record)) if json else console.print(f"dataset {forgettings(record)[0]}")
        return
    dataset = dataset_of(target, Store(target.lake.bucket), record)
    if json:
        parts = [_part(part) for part in dataset.parts]
        as_json(_summary(record) | _marks(record) | {"contract": dataset.contract, "cut": dataset.cut, "parts": parts})
        return
    console.print(f"dataset {dataset.version}")
    for sentence in forgettings(record):
        console.print(sentence)
    console.print(f"{dataset.rows:,} rows in {len(dataset.parts)} parts, under the contract {dataset.contract[:12]}")
    words = {"since": "rows from {} on", "holdout_from": "holdout from {} on"}
    for name, moment in dataset.cut.items():
        console.print(words[name].format(datetime.fromtimestamp(moment / 1e6, UTC).isoformat()))
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
    """Say what changed from A to B: rows, parts, columns, and each column's distribution (PSI)."""
    target = Target.of(stage, model)
    store, lake = Store(target.lake.bucket), target.lake
    one, two = (dataset_of(target, store, _record(target, name)) for name in (a, b))
    found = compare(one, two, lambda part: store.read(lake.part(part)))
    if json:
        as_json(found)
        return
    console.print(f"from {one.version[:12]} to {two.version[:12]}")
    parts = found["parts"]
    rows = [
        ("rows", f"{one.rows:,}", f"{two.rows:,}", f"{found['rows']['change']:+,}"),
        ("parts", str(len(one.parts)), str(len(two.parts)), f"+{len(parts['added'])} -{len(parts['removed'])}"),
        ("contract", one.contract[:12], two.contract[:12], "" if one.contract == two.contract else "changed"),
    ]
    table(["", "A", "B", "change"], rows)
    for word in ("added", "removed", "retyped"):
        if named := found["columns"][word]:
            console.print(f"columns {word}: {', '.join(named)}")
    shifted = [
        (item["column"], f"{item['psi']:.3f}", "more than chance" if item["psi"] > item["noise"] else "")
        for item in found["distributions"]
    ]
    table(["column", "PSI", ""], shifted, title="distributions")


def restore(
    version: Name,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new or empty folder.")],
    model: Model = None,
    stage: Stage = "local",
    json: Json = False,
) -> None:
    """Write a dataset version into a folder, byte for byte as training had it, every digest checked."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"{to} is not an empty folder: name another, so that nothing else lies among the parts")
    target = Target.of(stage, model)
    store, lake = Store(target.lake.bucket), target.lake
    dataset = dataset_of(target, store, _record(target, version))
    to.mkdir(parents=True, exist_ok=True)
    for part in dataset.parts:
        data = store.read(lake.part(part.sha256))
        if (digest := sha256(data)) != part.sha256:
            raise NoRecordError(f"part {part.sha256[:12]} as it was: what lies at its place has the digest {digest}")
        (to / f"{part.sha256}.parquet").write_bytes(data)
    (to / "dataset.json").write_text(dataset.document(), encoding="utf-8")
    names = [f"{part.sha256}.parquet" for part in dataset.parts]
    if json:
        as_json({"version": dataset.version, "folder": str(to), "rows": dataset.rows, "parts": names})
    else:
        console.print(f"restored {dataset.version[:12]}: {dataset.rows:,} rows in {len(names)} parts, digests checked")


def _record(target: Target, name: str) -> Record:
    """The record of a version, by its name's beginning or `current`.

    Raises:
        NoRecordError: there is none.
        UsageError: there are several.
    """
    ledger = target.ledger
    if name == "current":
        if (version := ledger.current_dataset()) is None:
            raise NoRecordError(f"the ledger has no dataset of {target.model} yet: upload some data first")
        return ledger.dataset(version)
    found = [item for item in ledger.datasets() if item["version"].startswith(name)]
    if not found:
        raise NoRecordError(f"the ledger has no dataset {name!r} of {target.model}: see `penstock data list`")
    if len(found) > 1:
        raise UsageError(f"{len(found)} dataset versions begin with {name!r}: give more of the name")
    return found[0]


def dataset_of(target: Target, store: Store, record: Record) -> Dataset:
    """A dataset version from its file in the lake.

    Raises:
        NoRecordError: rows of it were forgotten, or the file is another's.
    """
    if "forgotten" in record:
        raise NoRecordError(f"dataset {forgettings(record)[0]}: it cannot be had any more as it was")
    try:
        return read_dataset(store, target.lake, record)
    except OtherDatasetError as error:
        raise NoRecordError(str(error)) from None


def _summary(record: Record) -> dict[str, Any]:
    known = {name: record.get(name) for name in ("version", "rows", "run", "at")}
    return known | {"parts": record.get("part_count", len(record.get("parts", [])))}


def _marks(record: Record) -> Record:
    return {name: record[name] for name in ("forgotten", "replaces", "forgetting") if name in record}


def _part(part: Any) -> dict[str, Any]:
    return {"sha256": part.sha256, "rows": part.rows, "bytes": part.size, "uploads": list(part.uploads)}
