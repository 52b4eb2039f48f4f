"""Table, bucket, state machine and event bus in memory, quick enough for thousands of schedules, that fail on plan.

Every call of AWS goes through one gate. There a process may die before the call's effect or after it, another process
may do a whole step of its own first, someone may stop the execution, and then all else may go on to its end before the
function that was given up does. What is kept of AWS is what the code relies on:
conditions, transactions of at most 100 different items, versions of objects, executions that are unique by name, and
asynchronous invocations that are tried three times and then lie in the failures queue.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, TypeVar

from botocore.exceptions import ClientError

from penstock.aws.s3_store import Store
from penstock.ledger.ledger import Ledger, StaleError
from tests.support.world import BUCKET, MODEL, REGION, TABLE, execution_ended, object_created

Fault = Literal["before", "after", "meanwhile", "abort", "overtaken"]
Item = dict[str, Any]
T = TypeVar("T")
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:pipeline"
INVOCATIONS = 3
"""One and two retries."""
STEP_ATTEMPTS = {"validate": 2, "inspect": 2, "validate_inspected": 2, "train": 1, "end": 5}


class CrashError(BaseException):
    """The process is gone, and with it whatever might have caught an exception."""


def refused(code: str, operation: str, **more: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}, **more}
    return ClientError(response, operation)


@dataclass
class Execution:
    name: str
    status: str = "RUNNING"
    step: str = "validate"
    attempts: int = 0
    busy: bool = False
    result: Item = field(default_factory=dict)


@dataclass
class Delivery:
    event: Item
    left: int = INVOCATIONS


@dataclass
class Cloud:
    """One model's part of a stage."""

    plan: dict[int, Fault]
    """What happens at which call."""
    picks: list[int]
    """Which of the things that could go on does."""
    repeated: set[int]
    """Which deliveries come twice."""
    calls: int = 0
    puts: list[tuple[str, bytes]] = field(default_factory=list)
    """Objects still to be put."""
    items: dict[str, Item] = field(default_factory=dict)
    objects: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    queue: list[Delivery] = field(default_factory=list)
    dead: list[Delivery] = field(default_factory=list)
    delivered: int = 0
    clock: int = 0
    depth: int = 0
    trained: list[str] = field(default_factory=list)
    functions: dict[str, ModuleType] = field(default_factory=dict)
    inspect: Callable[[str], None] = lambda _: None
    """What the processing job does for a run."""
    inspected: int = 0
    """Processing jobs that came to their end."""

    # The gate

    def call(self, effect: Callable[[], T]) -> T:
        self.calls += 1
        fault = self.plan.get(self.calls)
        if fault == "before":
            raise CrashError
        if fault in {"abort", "overtaken"}:
            self._abort()
        if fault in {"meanwhile", "overtaken"} and self.depth < 2:
            self.depth += 1
            while self.go_on() and fault == "overtaken":
                pass
            self.depth -= 1
        result = effect()
        if fault == "after":
            raise CrashError
        return result

    def _abort(self) -> None:
        running = [item for item in self.executions.values() if item.status == "RUNNING"]
        if running:
            self._ended(running[0], "ABORTED")

    def _ended(self, execution: Execution, status: str) -> None:
        execution.status = status
        self.queue.append(Delivery(execution_ended(MACHINE, execution.name, status, "the test said so")))

    # What goes on

    def put(self, name: str, data: bytes) -> str:
        """An object comes; S3's event of it is on its way."""
        key = f"raw/{MODEL}/{name}"
        self.clock += 1
        version = f"v{self.clock}"
        self.objects.setdefault(key, []).append((version, data))
        event = object_created(key, len(data), "etag", version)
        event["time"] = f"2026-03-04T05:06:{self.clock // 3:02}Z"
        event["detail"]["object"]["sequencer"] = f"{self.clock:X}"
        self.queue.append(Delivery(event))
        return f"{key}#{version}"

    def go_on(self) -> bool:
        """One thing happens of those that can; False when nothing can."""
        actions: list[Callable[[], None]] = [self._put_next] if self.puts else []
        actions += [lambda item=item: self._deliver(item) for item in self.queue]  # type: ignore[misc]
        ready = [item for item in self.executions.values() if item.status == "RUNNING" and not item.busy]
        actions += [lambda item=item: self._step(item) for item in ready]  # type: ignore[misc]
        if not actions:
            return False
        actions[(self.picks.pop(0) if self.picks else 0) % len(actions)]()
        return True

    def _put_next(self) -> None:
        self.put(*self.puts.pop(0))

    def _deliver(self, delivery: Delivery) -> None:
        self.queue.remove(delivery)
        self.delivered += 1
        if self.delivered in self.repeated:
            self.queue.append(replace(delivery, left=INVOCATIONS))
        try:
            self.functions["start_run"].handler(delivery.event, None)
        except CrashError:
            again = replace(delivery, left=delivery.left - 1)
            (self.queue if again.left else self.dead).append(again)

    def _step(self, execution: Execution) -> None:
        execution.busy = True
        execution.attempts += 1
        try:
            following = getattr(self, f"_{execution.step}")(execution)
        except (CrashError, StaleError):
            if execution.status == "RUNNING" and execution.attempts >= STEP_ATTEMPTS[execution.step]:
                self._failed(execution)
        else:
            execution.attempts = 0
            if execution.status == "RUNNING":
                execution.step = following
                if following == "done":
                    self._ended(execution, "SUCCEEDED")
        execution.busy = False

    def _failed(self, execution: Execution) -> None:
        if execution.step == "end":
            self._ended(execution, "FAILED")
            return
        error = {"Error": "Crash", "Cause": "the process is gone"}
        execution.result = {"outcome": "failed", "step": execution.step, "error": error}
        execution.step, execution.attempts = "end", 0

    def _validate(self, execution: Execution) -> str:
        return self._validated(execution, {})

    def _inspect(self, execution: Execution) -> str:
        self.inspect(execution.name)
        self.inspected += 1
        return "validate_inspected"

    def _validate_inspected(self, execution: Execution) -> str:
        return self._validated(execution, {"inspected": True})

    def _validated(self, execution: Execution, more: Item) -> str:
        execution.result = self.functions["validate"].handler({"run": execution.name, **more}, None)
        outcome = execution.result["outcome"]
        return outcome if outcome in {"train", "inspect"} else "end"

    def _train(self, execution: Execution) -> str:
        dataset = execution.result["dataset"]
        code = self.functions["validate"].settings.code
        self.trained.append(dataset)
        self.functions["validate"].validation.ledger.note_trained(dataset, code, execution.name)
        execution.result = {"outcome": "registered", "reason": "version 1"}
        return "end"

    def _end(self, execution: Execution) -> str:
        given = ("outcome", "reason", "step", "error")
        about = {name: execution.result[name] for name in given if name in execution.result}
        self.functions["end_run"].handler({"run": execution.name, **about}, None)
        return "done"

    # The services

    def ledger(self) -> Ledger:
        made: Any = Ledger.__new__(Ledger)
        made._table, made._client, made._name, made.model = Table(self), Table(self), TABLE, MODEL
        return made  # type: ignore[no-any-return]

    def store(self) -> Store:
        made = Store.__new__(Store)
        made.bucket, made._client = BUCKET, Bucket(self)
        return made

    def steps(self) -> Any:
        return SimpleNamespace(start_execution=self._start, describe_execution=self._describe)

    def notifier(self) -> Any:
        return SimpleNamespace(send=lambda *_: self.call(lambda: None))

    def _start(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002, N803 - AWS's words
        def effect() -> None:
            known = self.executions.setdefault(name, Execution(name))
            if known.status != "RUNNING":
                raise refused("ExecutionAlreadyExists", "StartExecution")

        self.call(effect)

    def _describe(self, *, executionArn: str) -> Item:  # noqa: N803
        name = executionArn.rpartition(":")[2]
        return self.call(lambda: {"status": self.executions[name].status, "cause": "the test said so"})


@dataclass
class Table:
    """DynamoDB, as far as the ledger uses it; resource and client in one."""

    cloud: Cloud

    def get_item(self, *, Key: Item, ConsistentRead: bool) -> Item:  # noqa: N803
        def effect() -> Item:
            found = self.cloud.items.get(Key["sk"])
            return {"Item": json.loads(json.dumps(found))} if found is not None else {}

        assert ConsistentRead
        return self.cloud.call(effect)

    def put_item(self, *, Item: Item) -> None:  # noqa: N803
        self.cloud.call(lambda: self._write("Put", {"Item": Item}))

    def update_item(self, **update: Any) -> None:
        def effect() -> None:
            if not self._allows(update):
                raise refused("ConditionalCheckFailedException", "UpdateItem")
            self._write("Update", update)

        self.cloud.call(effect)

    def transact_write_items(self, *, TransactItems: list[Item]) -> None:  # noqa: N803
        def effect() -> None:
            writes = [next(iter(item.items())) for item in TransactItems]
            keys = [_key(write) for _, write in writes]
            assert len(keys) <= 100
            assert len(set(keys)) == len(keys), "DynamoDB refuses two writes of one item in a transaction"
            reasons = [{"Code": "None" if self._allows(write) else "ConditionalCheckFailed"} for _, write in writes]
            if any(reason["Code"] != "None" for reason in reasons):
                raise refused("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)
            for kind, write in writes:
                self._write(kind, write)

        self.cloud.call(effect)

    def get_paginator(self, operation: str) -> Any:
        assert operation == "query"
        return SimpleNamespace(paginate=self._query)

    def _query(self, *, KeyConditionExpression: Any, **_: Any) -> list[Item]:  # noqa: N803
        _, begins = KeyConditionExpression.get_expression()["values"]
        start = begins.get_expression()["values"][1]
        found = [self.cloud.items[sk] for sk in sorted(self.cloud.items) if sk.startswith(start)]
        return self.cloud.call(lambda: [{"Items": json.loads(json.dumps(found))}])

    def _allows(self, write: Item) -> bool:
        item = self.cloud.items.get(_key(write))
        names, values = write.get("ExpressionAttributeNames", {}), write.get("ExpressionAttributeValues", {})
        alternatives = write.get("ConditionExpression", "").split(" OR ")
        return any(_holds(term, item, names, values) for term in alternatives)

    def _write(self, kind: str, write: Item) -> None:
        sk = _key(write)
        if kind == "Delete":
            self.cloud.items.pop(sk, None)
        elif kind == "Put":
            self.cloud.items[sk] = json.loads(json.dumps(write["Item"], default=float))
        elif kind == "Update":
            item = self.cloud.items.setdefault(sk, {"sk": sk})
            for assignment in write["UpdateExpression"].removeprefix("SET ").split(", "):
                path, value = assignment.split(" = ")
                *above, last = [write["ExpressionAttributeNames"].get(step, step) for step in path.split(".")]
                target = item
                for step in above:
                    target = target[step]
                target[last] = json.loads(json.dumps(write["ExpressionAttributeValues"][value], default=float))


def _key(write: Item) -> str:
    return str(write.get("Key", write.get("Item"))["sk"])  # type: ignore[index]


def _holds(term: str, item: Item | None, names: Item, values: Item) -> bool:
    if not term:
        return True
    if term.startswith("attribute_"):
        return (item is None) == term.startswith("attribute_not_exists")
    name, value = term.split(" = ")
    return item is not None and item.get(names.get(name, name)) == values[value]


@dataclass
class Bucket:
    """S3 with versions, as far as the store uses it."""

    cloud: Cloud

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> Item:  # noqa: N803
        def effect() -> Item:
            versions = self.cloud.objects.get(Key, [])
            found = [data for version, data in versions if VersionId in {None, version}]
            if not found:
                raise refused("NoSuchKey", "GetObject")
            return {"Body": io.BytesIO(found[-1])}

        return self.cloud.call(effect)

    def head_object(self, *, Bucket: str, Key: str) -> Item:  # noqa: N803
        def effect() -> Item:
            if Key not in self.cloud.objects:
                raise refused("404", "HeadObject")
            return {"ContentLength": len(self.cloud.objects[Key][-1][1])}

        return self.cloud.call(effect)

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **_: Any) -> Item:  # noqa: N803
        def effect() -> Item:
            versions = self.cloud.objects.setdefault(Key, [])
            versions.append((f"w{len(versions)}", Body if isinstance(Body, bytes) else Body.read()))
            return {"VersionId": versions[-1][0]}

        return self.cloud.call(effect)

    def get_paginator(self, operation: str) -> Any:
        known = {"list_object_versions": self._versions, "list_objects_v2": self._listed}
        return SimpleNamespace(paginate=known[operation])

    def _listed(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[Item]:  # noqa: N803
        def listed() -> list[Item]:
            keys = sorted(self.cloud.objects)
            return [{"Key": key} for key in keys if key.startswith(Prefix) and key > StartAfter]

        yield {"Contents": self.cloud.call(listed)}

    def _versions(self, *, Bucket: str, Prefix: str) -> Iterator[Item]:  # noqa: N803
        def listed() -> list[Item]:
            return [
                {
                    "Key": key,
                    "VersionId": version,
                    "ETag": '"etag"',
                    "Size": len(data),
                    "IsLatest": version == versions[-1][0],
                }
                for key, versions in sorted(self.cloud.objects.items())
                if key.startswith(Prefix)
                for version, data in versions
            ]

        yield {"Versions": self.cloud.call(listed)}
