"""One life of a model through its functions' handlers, with a clock that only advances between steps."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from types import ModuleType
from typing import Any

import polars as pl

from demo.flights import flights
from penstock.aws.model_registry import APPROVED, REJECTED, Package, Registry
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.erasure.eraser import Eraser
from penstock.erasure.subject import Subject
from penstock.ledger.ledger import timestamp
from penstock.spec.model import Experiments
from tests.support.office import ALICE, FakeRegistry
from tests.support.training_artifact import GOOD, archive_of, artifact_files
from tests.support.world import FUNCTION, GROUP, MODEL, NOW, World, alarm_raised, execution_ended, package_changed
from tests.unit.predict.test_handler import request, stream

ROWS, BAD_ROWS = 600, 10
BAD = {"roc_auc": 0.8, "log_loss": 0.25}
TOKEN = "5ec2e7" * 2
SHADOW = 0


class Published:
    """A fake of Lambda that invokes one published version of the predict function."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.asked: list[dict[str, Any]] = []

    def invoke(self, *, FunctionName: str, Payload: str | bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName.startswith(f"{FUNCTION}:")
        self.asked.append(json.loads(Payload))
        reply = self._module.handler(self.asked[-1], None)
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(reply).encode())}


@dataclass
class Story:
    """The stage, the time, and the reply of every step."""

    world: World
    model: dict[str, bytes]
    """The files of the training job."""
    other: bytes
    """A second model file."""
    mlflow: str
    """Address of a tracking server."""
    time: datetime = NOW
    replies: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Placeholders in the snapshot, by the value that differs in each process."""
    functions: dict[str, ModuleType] = field(default_factory=dict)
    registry: FakeRegistry = field(default_factory=FakeRegistry)

    def function(self, name: str, **changed: str) -> ModuleType:
        """Load a function as a cold start does, with this story's clock."""
        module = self.world.load(name, **changed)
        if hasattr(module, "datetime"):
            self.world.monkeypatch.setattr(module, "datetime", self._clock())
        return module

    def _clock(self) -> type[datetime]:
        story = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return story.time.astimezone(tz)

        return Clock

    def call(self, name: str, event: dict[str, Any], words: str = "") -> Any:
        """Invoke a function a minute after the last invocation and record the reply."""
        if name not in self.functions:
            self.functions[name] = self.function(name)
        self.time += timedelta(minutes=1)
        reply = self.functions[name].handler(event, None)
        self.replies[f"{len(self.replies):02} {name} {words}".rstrip()] = reply
        return reply

    @cached_property
    def table(self) -> pl.DataFrame:
        """Flights, some with an airport that is not New York's."""
        return flights([1]).head(2 * ROWS)

    @cached_property
    def contract(self) -> Contract:
        return read_contract(self.world.root / "model")

    def instances(self, start: int, count: int) -> list[dict[str, Any]]:
        names = [self.contract.key.name, *(column.name for column in self.contract.features)]
        return self.table.slice(start, count).select(names).to_dicts()

    # From an upload to a registered version

    def upload(self) -> None:
        origin = pl.when(pl.int_range(pl.len()) < BAD_ROWS).then(pl.lit("SWF")).otherwise(pl.col("origin"))
        rows = self.table.head(ROWS).with_columns(origin.alias("origin"))
        self.call("start_run", self.world.upload("a.csv", rows.write_csv().encode()), "takes an upload")
        self.run_opened("first run")
        late = self.table.tail(ROWS).write_csv().encode()
        self.call("start_run", self.world.upload("2013/b.csv", late), "waits for the folder's end")
        self.call("start_run", self.world.upload("2013/_SUCCESS", b""), "is told of a folder")

    def run_opened(self, words: str) -> str:
        run = self.world.ledger.holder("run")
        assert run is not None
        self.names[run] = f"<{words}>"
        return run

    def trained(self, number: int, challenger: dict[str, float], model: bytes) -> None:
        """Run the open run from its first step to its last."""
        run = self.world.ledger.holder("run")
        assert run is not None
        if "register" not in self.functions:
            module = self.functions["register"] = self.function("register")
            registration: Any = module.registration
            spec = registration.spec.model_copy(update={"experiments": Experiments(mlflow=self.mlflow)})
            self.world.monkeypatch.setattr(module, "registration", replace(registration, spec=spec))
        plan = self.call("validate", {"run": run}, f"of run {number}")
        key = f"{self.world.lake.run_output(run)}job/output/model.tar.gz"
        files = {name: data for name, data in self.model.items() if name != "evaluation.json"}
        members = artifact_files(challenger, {"roc_auc": 0.9} if number > 1 else None) | files | {"model.onnx": model}
        self.world.store.write(key, archive_of(members))
        event = {"run": run, "dataset": plan["dataset"], "artifact": self.world.lake.uri(key), "image": "an/image:1"}
        ending = self.call("register", event, f"of run {number}")
        about = {name: ending[name] for name in ("outcome", "reason")}
        self.call("end_run", {"run": run, **about}, f"of run {number}")

    def run_ended(self) -> None:
        """Send the event of the last execution's end."""
        run = self.world.executions(self.world.pipeline)[-1]["name"]
        self.call("start_run", execution_ended(self.world.pipeline, run, "SUCCEEDED"), "hears of a run's end")

    # From an approval to what serves

    def change(self, number: int, status: str, reason: str) -> str:
        """Change a version's status as Alice and return its ARN."""
        arn = str(self.world.ledger.version(number)["arn"])
        package: Package = self.registry.packages.get(arn) or Registry(GROUP).describe(arn)
        self.time += timedelta(minutes=1)
        self.registry.packages[arn] = replace(
            package, created=NOW, changed=self.time, changed_by=ALICE, status=status, description=reason
        )
        return arn

    def decide(self, number: int, status: str, reason: str, words: str) -> None:
        arn = self.change(number, status, reason)
        if "authorize" not in self.functions:
            module = self.functions["authorize"] = self.function("authorize")
            authorization: Any = module.authorization
            self.world.monkeypatch.setattr(module, "authorization", replace(authorization, registry=self.registry))
        self.call("authorize", package_changed(arn, number, status), words)

    def rolled_out(self, number: int, weight: int | None = None, outcome: str = "live") -> ModuleType:
        """Run the open rollout to its end and return the published version."""
        started = json.loads(self.world.executions(self.world.rollout)[-1]["input"])
        lambda_version = self.world.publish(started["environment"])
        bound = {name.removeprefix("PENSTOCK_").lower(): value for name, value in started["environment"].items()}
        predict = self.function(
            "predict", **{name: value for name, value in bound.items() if name not in {"stage", "model", "bucket"}}
        )
        lambdas = Published(predict)
        if "smoke_test" not in self.functions:
            self.functions["smoke_test"] = self.function("smoke_test")
        self.world.monkeypatch.setattr(self.functions["smoke_test"].versions, "_client", lambdas)
        event = {**started, "lambda_version": lambda_version}
        self.call("smoke_test", event, f"of version {number}")
        self.replies["smoke_test asks"] = lambdas.asked[0] | {"body": sorted(json.loads(lambdas.asked[0]["body"]))}
        if weight is not None:
            self._answers_unseen(lambdas)
            ends = self.time + timedelta(minutes=5)
            times = {"since": timestamp(self.time), "ends": timestamp(ends)}
            self.call("watch_rollout", event | times | {"weight": weight}, f"of version {number}")
        ending = {"rollout": started["rollout"], "outcome": outcome, "lambda_version": lambda_version}
        if outcome != "live":
            ending |= {"error": {"Error": "AlarmRaised", "Cause": "errors during the canary"}}
        self.call("end_rollout", ending, f"of version {number}")
        ended = execution_ended(self.world.rollout, started["rollout"], "SUCCEEDED")
        self.call("authorize", ended, "hears of a rollout's end")
        return predict

    def _answers_unseen(self, lambdas: Published) -> None:
        """Let the rollout's watcher invoke this published version."""
        module = self.functions["watch_rollout"] = self.function("watch_rollout")
        self.world.monkeypatch.setattr(module.versions, "_client", lambdas)

    # What the live version does

    def send_requests(self, predict: ModuleType) -> None:
        """Send good and bad requests to the live version."""
        self.functions["predict"] = predict
        good = json.loads(self.model["golden.json"])[0]["instance"]
        events = {
            "one row": request(good),
            "two rows with their key": request(good | {"flight_id": "f1"}, good),
            "lacks a column": request({name: good[name] for name in list(good)[1:]}),
            "no rows": request(),
            "no JSON": request(body="{"),
            "another media type": request(good, headers={"content-type": "text/plain"}),
            "CSV": request(
                headers={"content-type": "text/csv", "accept": "text/csv"},
                body=f"{','.join(good)}\n{','.join(map(str, good.values()))}\n",
            ),
            "explained": request(good, rawQueryString="explain=true", queryStringParameters={"explain": "true"}),
        }
        for words, event in events.items():
            self.call("predict", event, words)
        for path in ("/ping", "/openapi.json", "/nothing"):
            about = {"requestId": "r1", "domainName": "a.example", "http": {"method": "GET", "path": path}}
            self.call("predict", {"version": "2.0", "headers": {}, "requestContext": about}, path)

    def scored_as_a_whole(self) -> None:
        """Run batches of a few rows, one of them bad."""
        rows = self.instances(0, 7)
        rows[3] |= {"origin": None}
        for name, data in {"a.jsonl": rows, "b.csv": rows}.items():
            text = pl.DataFrame(data).write_csv() if name == "b.csv" else "".join(f"{json.dumps(r)}\n" for r in data)
            self.call("start_batch", self.world.upload(name, text.encode(), "batch/input"), name)
            batch = self.world.executions(self.world.batch)[-1]["name"]
            self.names[batch] = f"<batch {name}>"
            if "plan_batch" not in self.functions:
                self.functions["plan_batch"] = self.function("plan_batch", part_rows="4")
            plan = self.call("plan_batch", {"batch": batch}, name)
            self.names[str(self.world.ledger.batch(batch)["work"])] = f"<work {name}>"
            for item in plan["items"]:
                self.call("score_part", item, f"{name} {item['part']}")
            ending = self.call("join_batch", {"batch": batch}, name)
            self.call("end_batch", {"batch": batch, **ending}, name)

    def watched(self, version: int) -> None:
        """Monitor captures with drift, and labels for two of them."""
        at = timestamp(self.time)
        lines = [
            {"at": at, "version": version, "id": f"i-{index}", "score": index / ROWS, "label": True}
            | {"instance": row | {"distance": row["distance"] * 3}}
            for index, row in enumerate(self.instances(ROWS, ROWS))
        ]
        text = "\n".join(map(json.dumps, lines))
        self.world.store.write(f"captures/{MODEL}/{self.time:%Y/%m/%d/%H}/a", text.encode())
        self.call("monitor", {}, "looks")
        self.call("monitor", {}, "looks again")
        key = self.instances(ROWS + 5, 1)[0]["flight_id"]
        labels = f"flight_id,late\n{key},true\nnobody,false\n".encode()
        self.call("monitor", self.world.upload("truth.csv", labels, "labels"), "takes labels")

    def forget(self) -> dict[str, Any]:
        """Erase one flight's rows."""
        world, key = self.world, str(self.table["flight_id"][20])
        world.monkeypatch.setattr("secrets.token_hex", lambda _: TOKEN)
        world.monkeypatch.setattr("secrets.token_bytes", bytes)
        eraser = Eraser(contract=self.contract, lake=world.lake, store=world.store, ledger=world.ledger)
        subject = Subject(self.contract, (key,), None, None)
        result = eraser.erase(subject, by=ALICE, reason="asked by letter", now=self.time)
        return {"rows": result.rows, "objects": result.objects, "datasets": result.datasets, "models": result.models}


def lived(story: Story, looked: Callable[[Story], None]) -> None:
    """The whole story; `looked` is called before and after the forgetting."""
    stream()
    story.world.predict()
    story.functions["predict"] = story.function("predict")
    story.call("predict", request({}), "before any version")
    story.upload()
    story.trained(1, GOOD, story.model["model.onnx"])
    story.decide(1, APPROVED, "", "refuses an approval without reason")
    story.decide(1, APPROVED, "better than nothing", "takes an approval")
    story.send_requests(story.rolled_out(1))
    story.run_ended()
    story.run_opened("second run")
    story.trained(2, GOOD, story.other)
    story.decide(2, APPROVED, "better than before", "takes the next")
    story.rolled_out(2, SHADOW)
    story.scored_as_a_whole()
    story.watched(2)
    story.call("start_run", alarm_raised(), "hears the alarm")
    story.run_opened("third run")
    story.trained(3, BAD, story.other)
    story.decide(2, REJECTED, "rolled back to version 1: flights are late", "rolls back")
    story.rolled_out(1)
    story.decide(2, APPROVED, "once more", "takes what was taken back")
    story.rolled_out(2, 10, "rolled back")
    looked(story)
    story.replies["forgetting"] = story.forget()
    looked(story)
