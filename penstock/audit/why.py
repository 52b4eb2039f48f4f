"""Why a version is live, or why an answer was given: the chain back to the uploaded files, from the ledger."""

from typing import Any

from penstock.lake import Lake
from penstock.ledger.ledger import Ledger, NoRecordError, Record

DATASET_MARKS = ("forgotten", "replaces", "forgetting")


def why(ledger: Ledger, lake: Lake, version: int | None = None, prediction: Record | None = None) -> Record:
    """Read the chain of a version: prediction ← version ← rollout ← approval ← gates ← run ← dataset ← uploads.

    Args:
        ledger: of the model.
        lake: where its files are.
        version: which; the prediction's where there is one, else the live one.
        prediction: a captured row, as `captures.find` gives it.

    Raises:
        NoRecordError: nothing is live, there is no such version, or the prediction is another version's.
    """
    live = ledger.live()
    version = _version(ledger, live, version, prediction)
    about = ledger.version(version)
    run = ledger.run(about["run"])
    rollouts = [item for item in ledger.rollouts() if item["version"] == version]
    names = (
        "id",
        "outcome",
        "reason",
        "opened",
        "ended",
        "rolls_back",
        "because",
        "new_code",
        "by",
        "shadow",
        "endpoint",
    )
    return {
        "model": ledger.model,
        "prediction": prediction | {"rollout": _served_by(rollouts, prediction["at"])} if prediction else None,
        "version": version,
        "live": live is not None and int(live["version"]) == version,
        "endpoint": _endpoint(live, version),
        "sha256": about["sha256"],
        "metrics": about["metrics"],
        "mlflow": about.get("mlflow") or None,
        "rollouts": [_of(item, *names) for item in rollouts],
        "approvals": ledger.approvals(version),
        "gates": run["steps"].get("gates", {}).get("verdicts", []),
        "run": _run(run, about),
        "dataset": _dataset(ledger, lake, about["dataset"]),
    }


def _version(ledger: Ledger, live: Record | None, version: int | None, prediction: Record | None) -> int:
    if prediction is not None:
        author = int(prediction["version"])
        if version not in {None, author}:
            raise NoRecordError(f"prediction {prediction['id']} of version {version}: version {author} answered it")
        return author
    if version is not None:
        return version
    if live is None:
        raise NoRecordError(f"live version of {ledger.model}: approve one first")
    return int(live["version"])


def _endpoint(live: Record | None, version: int) -> str | None:
    """Return the SageMaker endpoint of a version; None if it is not live, or the predict function scores."""
    return live.get("endpoint") if live is not None and int(live["version"]) == version else None


def _served_by(rollouts: list[Record], at: str) -> str | None:
    """Return the rollout by which a version served at a moment; a canary answers before its rollout has ended."""
    return next((str(item["id"]) for item in rollouts if item["opened"] <= at), None)


def _run(run: Record, about: Record) -> Record:
    fields = _of(run, "id", "trigger", "cause", "opened", "ended", "outcome", "reason")
    validation = run["steps"].get("validate", {})
    digest = validation.get("inputs", {}).get("image")
    image = {
        "image": validation.get("image") or None,
        "image_sha256": digest,
        "image_digest": about.get("image_digest") or None,
    }
    return fields | {"tuning": run["steps"].get("tuning"), "code": about["code"]} | image


def _dataset(ledger: Ledger, lake: Lake, version: str) -> Record:
    record = ledger.dataset(version)
    uploads = [
        {"upload": upload, "part": part["sha256"], "rows": part["rows"]}
        for part in record["parts"]
        for upload in part["uploads"]
    ]
    about = {
        "version": version,
        "rows": record["rows"],
        "contract": record["contract"],
        "run": record.get("run"),
        "manifest": lake.uri(lake.version(version)),
        "manifest_version": record.get("document"),
        "uploads": uploads,
    }
    return about | {name: record[name] for name in DATASET_MARKS if name in record}


def _of(record: Record, *names: str) -> dict[str, Any]:
    return {name: record.get(name) for name in names}
