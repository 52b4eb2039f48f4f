"""`why`: the provenance of a version or a prediction, as a tree, as JSON or as OpenLineage events."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.tree import Tree

from penstock.audit.why import why as trace_provenance
from penstock.aws.s3_store import NoObjectError, Store
from penstock.captures import reader as captures
from penstock.cli.datasets import erasure_sentences
from penstock.cli.options import Json, NamedModel, Stage, Version
from penstock.cli.output import Word, as_json, coloured, console, errors, line, mark
from penstock.cli.target import Target, UsageError
from penstock.evaluation import tuning_record as tuning
from penstock.ledger.ledger import Record
from penstock.monitoring.drift import class_names
from penstock.spec.model import MODELS, read_model

Prediction = Annotated[
    str | None, typer.Option("--prediction", metavar="ID", help="Explain this prediction, by the id in its response.")
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", help="Search captures from this day on (2026-03-04); by default monitoring.label_days back."
    ),
]
OpenLineage = Annotated[
    bool, typer.Option("--openlineage", help="Print the runs behind it as OpenLineage events, in JSON.")
]


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
    """Show why a version is live or a prediction was made: rollout, approval, gates, run, dataset, uploads."""
    if since is not None and prediction is None:
        raise UsageError("--since limits the search for a --prediction: give its id too")
    target = Target.of(stage, model)
    row = _find_capture(target, prediction, since) if prediction is not None else None
    chain = trace_provenance(target.ledger, target.lake, version, row)
    if row is not None and "scores" in row:
        chain["prediction"] |= {"scores": _scores_by_class(target, chain["sha256"], row)}
    if openlineage:
        from penstock.audit import openlineage as lineage  # noqa: PLC0415 - imported only on request

        run = target.ledger.run(chain["dataset"]["run"] or chain["run"]["id"])
        as_json(lineage.build_events(chain, run, stage))
    elif json:
        as_json(chain)
    else:
        console.print(_render(chain))


def _find_capture(target: Target, prediction: str, since: str | None) -> Record:
    """Return a prediction's captured row, showing the progress of the search."""
    now = datetime.now(UTC)
    start = _parse_time(since) if since is not None else now - timedelta(days=_label_days(target))
    if start > now:
        raise UsageError(f"--since {since} is in the future")
    with errors.status("searching the captures") as status:
        return captures.find(
            Store(target.lake.bucket),
            target.lake,
            prediction,
            since=start,
            until=now,
            progress=lambda files, day: status.update(f"searching the captures of {day:%Y-%m-%d}: {files:,} files"),
        )


def _scores_by_class(target: Target, sha256: str, row: Record) -> Record | list[float]:
    """Return a prediction's probabilities by class; the captured list where the baseline no longer exists."""
    try:
        baseline = Store(target.lake.bucket).json(target.lake.model_file(sha256, "baseline.json"))
    except NoObjectError:
        return list(row["scores"])
    return captures.probabilities(row, class_names(baseline)) or list(row["scores"])


def _label_days(target: Target) -> int:
    return read_model(target.root / MODELS / target.model).monitoring.label_days


def _parse_time(since: str) -> datetime:
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise UsageError(f"--since {since!r} is no date: write it like 2026-03-04 or 2026-03-04T05:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _render(chain: Record) -> Tree:
    state = coloured("live") if chain["live"] else "not live"
    name = f"{chain['model']} version {chain['version']}"
    endpoint = f" · endpoint {chain['endpoint']}" if chain["endpoint"] else ""
    version: list[Word] = [(name, "bold"), " ", state, f" · SHA-256 {chain['sha256']}{endpoint}"]
    if prediction := chain["prediction"]:
        tree = Tree(line((f"prediction {prediction['id']}", "bold"), f" · {prediction['at']} · {prediction['file']}"))
        tree.add(f"request {_pairs(prediction['instance'])}")
        other = {"id", "at", "file", "version", "instance", "rollout"}
        tree.add(f"response {_pairs({key: value for key, value in prediction.items() if key not in other})}")
        _add_version(tree.add(line(*version)), chain)
        return tree
    tree = Tree(line(*version))
    _add_version(tree, chain)
    return tree


def _pairs(values: Record) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "no captured values"


def _add_version(tree: Tree, chain: Record) -> None:
    """Add the rollouts, decisions and the run of a version."""
    served = chain["prediction"]["rollout"] if chain["prediction"] else None
    for rollout in chain["rollouts"]:
        outcome = coloured(rollout["outcome"] or "open")
        reason = f" {rollout['ended'] or ''}: {rollout['reason'] or ''}"
        this = " · served this answer" if rollout["id"] == served else ""
        tree.add(line(f"rollout {rollout['id']} ", outcome, _rollout_cause(rollout), reason, this))
    for decision in chain["approvals"]:
        refusal = f" – {decision['refusal']}" if "refusal" in decision else ""
        text = f" by {decision['by']} {decision['at']}: {decision['reason']}{refusal}"
        tree.add(line(coloured(decision["decision"]), text))
    _add_run(tree, chain)


def _rollout_cause(rollout: Record) -> str:
    """Name the cause of a rollout that is a rollback or brings new code; empty for a new version's."""
    if rollout["new_code"]:
        return f" (new code {rollout['new_code']}, by {rollout['by']}: {rollout['because']})"
    if rollout["rolls_back"] is not None:
        return f" (back from version {rollout['rolls_back']}: {rollout['because']})"
    return ""


def _add_run(tree: Tree, chain: Record) -> None:
    run = chain["run"]
    details = f" {run['opened']} · {run['cause']} · code {run['code'][:12]}"
    branch = tree.add(line(f"run {run['id']} ", coloured(run["outcome"] or "open"), details))
    if run["image"]:
        branch.add(f"image {run['image']}{' · ' + run['image_digest'] if run['image_digest'] else ''}")
    if chain["mlflow"]:
        branch.add(line(f"MLflow {chain['mlflow']}"))
    if run["tuning"]:
        branch.add(f"tuned {tuning.sentence(run['tuning'])}")
    for verdict in chain["gates"]:
        branch.add(line(mark(good=verdict["passed"]), f" {verdict['sentence']}"))
    _add_dataset(branch, chain["dataset"])


def _add_dataset(branch: Tree, dataset: Record) -> None:
    data = branch.add(f"dataset {dataset['version']} · {dataset['rows']:,} rows · contract {dataset['contract'][:12]}")
    manifest = f"?versionId={dataset['manifest_version']}" if dataset["manifest_version"] else ""
    data.add(f"manifest {dataset['manifest']}{manifest}")
    for sentence in erasure_sentences(dataset):
        data.add(line((sentence, "yellow")))
    for upload in dataset["uploads"]:
        data.add(f"{upload['upload']} · {upload['rows']:,} rows · part {upload['part'][:12]}")
