"""A live version and its captured rows, for tests of the monitor."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.contract.model import Contract
from penstock.ledger.ledger import timestamp
from penstock.monitoring import drift
from penstock.scoring.signature import Scores
from tests.support.world import World

BASELINE_ROWS = 3_000


def go_live(world: World, baseline: dict[str, Any], version: int = 1) -> None:
    since = timestamp(datetime.now(UTC) - timedelta(minutes=1))
    world.store.write_json(world.lake.model_file("s1", "baseline.json"), baseline)
    assert world.ledger.open_rollout(f"o{version}", version, since)
    live = {"version": version, "sha256": "s1", "lambda_version": "1"}
    assert world.ledger.end_rollout(f"o{version}", "live", "x", since, live)


def capture(world: World, rows: list[dict[str, Any]], name: str, version: int = 1, label: bool = True) -> None:
    """Write a file of this hour as Firehose does."""
    now = datetime.now(UTC)
    lines = [
        json.dumps(
            {"at": timestamp(now), "version": version, "id": f"{name}-{index}"}
            | {"score": index / len(rows), "label": label, "instance": row}
        )
        for index, row in enumerate(rows)
    ]  # fmt: skip
    world.store.write(f"captures/flight-delay/{now:%Y/%m/%d/%H}/{name}", "\n".join(lines).encode())


def use_multiclass(world: World) -> None:
    """Change the model's task to three classes, which are texts."""
    for name, old, new in (
        ("model.yaml", "task: binary", "task: multiclass"),
        ("contract.yaml", "logicalType: boolean", "logicalType: string"),
    ):
        path = world.root / "model" / name
        text = path.read_text().replace(old, new)
        path.write_text(text[: text.index("gates:")] if "gates:" in text else text)


def capture_multiclass(world: World, rows: list[dict[str, Any]], *scores: list[float]) -> None:
    """Write captured rows with probabilities of three classes."""
    at = datetime.now(UTC)
    lines = [
        {"at": timestamp(at), "version": 1, "id": f"a-{index}", "score": max(vector), "scores": vector}
        | {"label": ["large", "mid", "small"][vector.index(max(vector))], "instance": row}
        for index, (row, vector) in enumerate(zip(rows, scores, strict=False))
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    world.store.write(f"captures/flight-delay/{at:%Y/%m/%d/%H}/a", data)


def multiclass_baseline(contract: Contract, rows: list[dict[str, Any]], scores: Scores) -> dict[str, Any]:
    from training.steps.export.onnx_export import fields

    columns = {column.name: [row[column.name] for row in rows] for column in contract.features}
    return drift.baseline(fields(contract.features), columns, scores, ("large", "mid", "small"))
