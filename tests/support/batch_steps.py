"""The batch functions in a stage of moto's AWS, called in the order of the state machine."""

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import polars as pl

from infra.constructs.batch.batch_definition import BatchParts, definition
from penstock.aws.s3_store import sha256
from penstock.batch.names import batch_id
from penstock.lake import BATCH_INPUT, Lake
from penstock.ledger.ledger import Ledger, Record
from penstock.scoring.model import Model
from tests.support.tiny import GOOD
from tests.support.world import MODEL, World

NAMES = ("start_batch", "plan_batch", "score_part", "join_batch", "end_batch")
HEADER = list(GOOD)
MACHINE = definition(
    BatchParts(model="m", plan_batch="plan", score_part="score", join_batch="join", end_batch="end", at_once=2)
)


def rows(count: int, **changed: Any) -> list[dict[str, Any]]:
    """Return good rows, each with another amount."""
    return [GOOD | {"amount": round(1.5 + number * 0.37, 3)} | changed for number in range(count)]


def as_csv(items: list[dict[str, Any]]) -> bytes:
    """Return a CSV file of rows; a missing value is an empty cell."""
    names = list(dict.fromkeys(name for item in items for name in item))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(items)
    return text.getvalue().encode()


def as_jsonl(items: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(item)}\n" for item in items).encode()


def as_parquet(items: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(items, infer_schema_length=None).write_parquet(buffer)
    return buffer.getvalue()


def go_live(world: World, data: bytes, version: int = 3) -> None:
    """Make a model file the live version."""
    digest = sha256(data)
    key = world.lake.model_file(digest, "model.onnx")
    version_id = world.store.write(key, data)
    world.ledger.put_version(version, sha256=digest, model_version_id=version_id, arn="a", run="r")
    world.ledger.open_rollout(f"r{version}", version, "t", sha256=digest)
    live = {"version": version, "sha256": digest, "lambda_version": "1"}
    assert world.ledger.end_rollout(f"r{version}", "live", "", "t", live)


def predictions(data: bytes, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the predictions of a request with these rows."""
    model = Model(data)
    rows_of_request = model.decode(json.dumps({"instances": items}).encode())
    return [model.prediction(score) for score in model.score_rows(rows_of_request).tolist()]


@dataclass
class Steps:
    """The functions of one stage, and the parts that were scored."""

    world: World
    functions: dict[str, ModuleType]
    scored: list[int] = field(default_factory=list)
    stop_at: int | None = None
    """The part at which the execution is stopped."""

    @classmethod
    def load(cls, world: World, part_rows: int = 4) -> "Steps":
        changed = {"plan_batch": {"part_rows": str(part_rows)}}
        return cls(world, {name: world.load(name, **changed.get(name, {})) for name in NAMES})

    def upload(self, name: str, data: bytes) -> str:
        """Upload a file; return its batch's id."""
        event = self.world.upload(name, data, BATCH_INPUT)
        self.functions["start_batch"].handler(event, None)
        item = event["detail"]["object"]
        return batch_id(MODEL, item["key"], item["version-id"])

    def run(self, batch: str) -> Record:
        """Run the steps of the state machine, unless it is stopped; return the batch's record."""
        plan = self.functions["plan_batch"].handler({"batch": batch}, None)
        ending = {"outcome": plan["outcome"], "reason": plan["reason"]}
        if plan["outcome"] == "score":
            for item in plan["items"]:
                if item["part"] == self.stop_at:
                    return self.world.ledger.batch(batch)
                self.scored.append(self.functions["score_part"].handler(item, None))
        if plan["outcome"] in {"score", "join"}:
            ending = self.functions["join_batch"].handler({"batch": batch}, None)
        self.functions["end_batch"].handler({"batch": batch, **ending}, None)
        return self.world.ledger.batch(batch)

    def score(self, name: str, data: bytes) -> Record:
        """Upload a file and run its batch."""
        return self.run(self.upload(name, data))

    @property
    def lake(self) -> Lake:
        return self.world.lake

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def output(self, name: str) -> list[dict[str, Any]]:
        """Return the output's rows; a CSV has text only."""
        data = self.world.store.read(self.lake.batch_output(name))
        if name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        if name.endswith(".parquet"):
            return pl.read_parquet(io.BytesIO(data)).to_dicts()
        if name.endswith(".csv"):
            return list(csv.DictReader(io.StringIO(data.decode())))
        return [json.loads(line) for line in data.splitlines()]

    def errors(self, name: str) -> list[dict[str, Any]]:
        data = self.world.store.read(self.lake.batch_errors(name))
        return [json.loads(line) for line in data.splitlines()]
