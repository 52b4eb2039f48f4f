"""`why`: the chain behind a version or an answer, as a tree, as JSON or as OpenLineage events."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.tree import Tree

from penstock.audit import openlineage as lineage
from penstock.audit.why import why as chain
from penstock.aws.s3_store import NoObjectError, Store
from penstock.captures import reader as captures
from penstock.cli.commands.forget import forgettings
from penstock.cli.options import Json, NamedModel, Stage, Version
from penstock.cli.output import Word, as_json, coloured, console, errors, line, mark
from penstock.cli.target import Target, UsageError
from penstock.evaluation import tuning_record as tuning
from penstock.ledger.ledger import Record
from penstock.monitoring.drift import class_names
from penstock.spec.model import MODELS, read_model

Prediction = Annotated[
    str | None, typer.Option("--prediction", metavar="ID", help="Why this answer? The id that came with it.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Oldest capture to look into (2026-03-04); else monitoring.label_days back."),
]
OpenLineage = Annotated[bool, typer.Option("--openlineage", help="The runs behind it as OpenLineage events, in JSON.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(why)


def why(
    model: NamedModel = None,
    *,
    version: Version = None,
    prediction: Prediction = None,
    since: Since = None,
    stage: Stage = "local",
    json: Json = False,
    openlineage: OpenLineage = False,
) -> None:
    """Say why a version is live, or why an answer was given: rollout, approval, gates, run, dataset, uploads."""
    if since is not None and prediction is None:
        raise UsageError("--since says how far back to look for a --prediction: give its id too")
    target = Target.of(stage, model)
    asked = _captured(target, prediction, since) if prediction is not None else None
    found = chain(target.ledger, target.lake, version, asked)
    if asked is not None and "scores" in asked:
        found["prediction"] |= {"scores": _named(target, found["sha256"], asked)}
    if openlineage:
        making = target.ledger.run(found["dataset"]["run"] or found["run"]["id"])
        as_json(lineage.build_events(found, making, stage))
    elif json:
        as_json(found)
    else:
        console.print(_tree(found))


def _captured(target: Target, prediction: str, since: str | None) -> Record:
    """A prediction's captured row; how far the search is, for whoever waits for it."""
    now = datetime.now(UTC)
    start = _moment(since) if since is not None else now - timedelta(days=_label_days(target))
    if start > now:
        raise UsageError(f"--since {since} is still to come")
    with errors.status("looking through the captures") as status:
        return captures.find(
            Store(target.lake.bucket),
            target.lake,
            prediction,
            since=start,
            until=now,
            progress=lambda files, day: status.update(
                f"looking through the captures of {day:%Y-%m-%d}: {files:,} files"
            ),
        )


def _named(target: Target, sha256: str, asked: Record) -> Record | list[float]:
    """The probabilities of a prediction by their classes; as they were captured where the baseline is gone."""
    try:
        baseline = Store(target.lake.bucket).json(target.lake.model_file(sha256, "baseline.json"))
    except NoObjectError:
        return list(asked["scores"])
    return captures.probabilities(asked, class_names(baseline)) or list(asked["scores"])


def _label_days(target: Target) -> int:
    return read_model(target.root / MODELS / target.model).monitoring.label_days


def _moment(since: str) -> datetime:
    try:
        found = datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(f"--since {since!r} is no date: write it like 2026-03-04 or 2026-03-04T05:00") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _tree(found: Record) -> Tree:
    state = coloured("live") if found["live"] else "not live"
    name = f"{found['model']} version {found['version']}"
    by = f" · endpoint {found['endpoint']}" if found["endpoint"] else ""
    version: list[Word] = [(name, "bold"), " ", state, f" · SHA-256 {found['sha256']}{by}"]
    if asked := found["prediction"]:
        tree = Tree(line((f"prediction {asked['id']}", "bold"), f" · {asked['at']} · {asked['file']}"))
        tree.add(f"asked {_pairs(asked['instance'])}")
        known = {"id", "at", "file", "version", "instance", "rollout"}
        tree.add(f"answered {_pairs({key: value for key, value in asked.items() if key not in known})}")
        _version(tree.add(line(*version)), found)
        return tree
    tree = Tree(line(*version))
    _version(tree, found)
    return tree


def _pairs(values: Record) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "nothing that is kept"


def _version(tree: Tree, found: Record) -> None:
    served = found["prediction"]["rollout"] if found["prediction"] else None
    for rollout in found["rollouts"]:
        ending = f" {rollout['ended'] or ''}: {rollout['reason'] or ''}"
        asked = f" (back from version {rollout['rolls_back']}: {rollout['because']})"
        back = asked if rollout["rolls_back"] is not None else ""
        if rollout["new_code"]:
            back = f" (new code {rollout['new_code']}, by {rollout['by']}: {rollout['because']})"
        this = " · served this answer" if rollout["id"] == served else ""
        tree.add(line(f"rollout {rollout['id']} ", coloured(rollout["outcome"] or "open"), back, ending, this))
    for decision in found["approvals"]:
        refusal = f" – {decision['refusal']}" if "refusal" in decision else ""
        said = f" by {decision['by']} {decision['at']}: {decision['reason']}{refusal}"
        tree.add(line(coloured(decision["decision"]), said))
    run = found["run"]
    about = f" {run['opened']} · {run['cause']} · code {run['code'][:12]}"
    branch = tree.add(line(f"run {run['id']} ", coloured(run["outcome"] or "open"), about))
    if run["image"]:
        branch.add(f"image {run['image']}{' · ' + run['image_digest'] if run['image_digest'] else ''}")
    if found["mlflow"]:
        branch.add(line(f"MLflow {found['mlflow']}"))
    if run["tuning"]:
        branch.add(f"tuned {tuning.sentence(run['tuning'])}")
    for verdict in found["gates"]:
        branch.add(line(mark(good=verdict["passed"]), f" {verdict['sentence']}"))
    _dataset(branch, found["dataset"])


def _dataset(branch: Tree, dataset: Record) -> None:
    data = branch.add(f"dataset {dataset['version']} · {dataset['rows']:,} rows · contract {dataset['contract'][:12]}")
    manifest = f"?versionId={dataset['manifest_version']}" if dataset["manifest_version"] else ""
    data.add(f"manifest {dataset['manifest']}{manifest}")
    for sentence in forgettings(dataset):
        data.add(line((sentence, "yellow")))
    for upload in dataset["uploads"]:
        data.add(f"{upload['upload']} · {upload['rows']:,} rows · part {upload['part'][:12]}")
