"""Side-by-side comparison of runs or versions: differing parameters, metrics with the best one, digests, gates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock.evaluation import tuning_record as tuning
from penstock.ledger.ledger import Ledger, Record
from penstock.spec.model import LOWER_IS_BETTER

DIGESTS = ("data", "code", "parameters", "image", "contract")
"""The digests of a run's inputs, as validate notes them."""


def metrics(of: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Compare metrics: for each that any of them has `{"metric", "values", "best"}`.

    `best` lists the indices of the best value; it is empty where only one has a value, or all have the same.
    """
    names = sorted({name for one in of for name, value in one.items() if _number(value)})
    rows = []
    for name in names:
        values = [one[name] if _number(one.get(name)) else None for one in of]
        rows.append({"metric": name, "values": values, "best": _best(name, values)})
    return rows


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _best(name: str, values: Sequence[float | None]) -> list[int]:
    present = [value for value in values if value is not None]
    if len(present) < 2 or min(present) == max(present):
        return []
    best = min(present) if name in LOWER_IS_BETTER else max(present)
    return [place for place, value in enumerate(values) if value == best]


def parameters(of: Sequence[Mapping[str, Any]]) -> list[Record]:
    """List differing parameters: `{"parameter": "training.params.depth", "values"}`; None where one lacks it."""
    flat = [_flat(one) for one in of]
    names = sorted({name for one in flat for name in one})
    rows = [{"parameter": name, "values": [one.get(name) for one in flat]} for name in names]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Flatten `{"a": {"b": 1}}` to `{"a.b": 1}`; lists count as one value."""
    if not isinstance(value, Mapping) or (name and not value):
        return {name: value}
    return {
        key: leaf for part, inner in value.items() for key, leaf in _flat(inner, f"{name}.{part}".strip(".")).items()
    }


def gates(of: Sequence[Sequence[Mapping[str, Any]]]) -> list[Record]:
    """Compare gates: for each that any of them has `{"gate", "verdicts"}`, with None where it was not judged."""
    names = list(dict.fromkeys(verdict["gate"] for one in of for verdict in one if "gate" in verdict))
    by_gate = [{verdict["gate"]: verdict for verdict in one if "gate" in verdict} for one in of]
    return [{"gate": name, "verdicts": [one.get(name) for one in by_gate]} for name in names]


def runs(ledger: Ledger, of: Sequence[Record]) -> Record:
    """Compare runs, in the order they are given."""
    steps = [run["steps"] for run in of]
    validated = [step.get("validate", {}) for step in steps]
    judged = [step.get("gates", {}) for step in steps]
    return {
        "runs": [_run(ledger, run) for run in of],
        "metrics": metrics([(step.get("evaluation") or {}).get("challenger") or {} for step in judged]),
        "parameters": parameters([tuning.parameters(step) for step in steps]),
        "digests": {name: [step.get("inputs", {}).get(name) for step in validated] for name in DIGESTS},
        "gates": gates([step.get("verdicts", []) for step in judged]),
    }


def _run(ledger: Ledger, run: Record) -> Record:
    ended, dataset = run.get("ended"), run["steps"].get("validate", {}).get("dataset")
    seconds = (_at(ended) - _at(run["opened"])).total_seconds() if ended else None
    return {
        "id": run["id"],
        "trigger": run["trigger"],
        "opened": run["opened"],
        "outcome": run.get("outcome", "open"),
        "reason": run.get("reason"),
        "seconds": seconds,
        "dataset": dataset,
        "rows": ledger.dataset(dataset)["rows"] if dataset else None,
        "version": run["steps"].get("register", {}).get("version"),
        "mlflow": run["steps"].get("mlflow", {}).get("url"),
    }


def _at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


def versions(ledger: Ledger, a: int, b: int) -> Record:
    """Compare two registered versions, except for their datasets (`dataset_diff.compare`).

    Raises:
        NoRecordError: there is no such version.
    """
    both = [ledger.version(number) for number in (a, b)]
    comparison = runs(ledger, [ledger.run(one["run"]) for one in both])
    names = ("version", "run", "registered", "decision", "dataset", "sha256", "code")
    numbers = metrics([one["metrics"] for one in both])
    return comparison | {
        "model": ledger.model,
        "versions": [{name: one.get(name) for name in names} for one in both],
        "metrics": [item | {"change": _change(*item["values"])} for item in numbers],
    }


def _change(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a
