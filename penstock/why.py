"""Why is this version live? The chain from a version back to the uploaded files, out of the ledger."""

from typing import Any

from penstock.ledger import Ledger, NoRecordError, Record


def why(ledger: Ledger, version: int | None = None) -> Record:
    """The chain of a version, the live one unless another is named: version ← approval ← run ← dataset ← uploads.

    Raises:
        NoRecordError: nothing is live, or there is no such version.
    """
    live = ledger.live()
    if version is None:
        if live is None:
            raise NoRecordError(f"live version of {ledger.model}: approve one first")
        version = int(live["version"])
    about = ledger.version(version)
    run = ledger.run(about["run"])
    gates = run["steps"].get("gates", {})
    return {
        "model": ledger.model,
        "version": version,
        "live": live is not None and int(live["version"]) == version,
        "sha256": about["sha256"],
        "metrics": about["metrics"],
        "rollouts": [_of(item, "id", "outcome", "reason", "opened", "ended") for item in _rollouts(ledger, version)],
        "approvals": ledger.approvals(version),
        "gates": gates.get("verdicts", []),
        "run": _of(run, "id", "trigger", "cause", "opened", "ended", "outcome", "reason") | {"code": about["code"]},
        "dataset": _dataset(ledger, about["dataset"]),
    }


def _rollouts(ledger: Ledger, version: int) -> list[Record]:
    return [rollout for rollout in ledger.rollouts() if rollout["version"] == version]


def _dataset(ledger: Ledger, version: str) -> Record:
    found = ledger.dataset(version)
    uploads = [
        {"upload": upload, "part": part["sha256"], "rows": part["rows"]}
        for part in found["parts"]
        for upload in part["uploads"]
    ]
    about = {"version": version, "rows": found["rows"], "contract": found["contract"], "uploads": uploads}
    return about | {name: found[name] for name in ("forgotten", "replaces", "forgetting") if name in found}


def _of(record: Record, *names: str) -> dict[str, Any]:
    return {name: record.get(name) for name in names}
