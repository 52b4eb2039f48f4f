"""Exactly once: events that repeat, come late or out of order, and processes that die; each upload counts once.

The functions are the real ones, over a cloud in memory (`crashing_cloud.py`); only reading a file and checking its rows
is replaced by something quick.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from penstock.aws.s3_store import sha256
from penstock.datasets.version import Dataset, Part
from penstock.ledger.ledger import Ledger, StaleError, Upload
from penstock.pipeline import run_triggers
from penstock.pipeline.inspection import FileFinding, Inspection
from penstock.pipeline.validation import Validation
from penstock.settings import EndRunSettings, StartRunSettings, ValidateSettings
from penstock.spec.model import Mode, Validating, Window
from tests.support.crashing_cloud import MACHINE, Cloud, Fault
from tests.support.world import BUCKET, CODE, FLIGHT_DELAY, MODEL, STAGE, TABLE
from training.steps.job.inspect_files import inspect_files

NAMES = ("start_run", "validate", "end_run")
SCHEDULES, BLOCKS = 1_620, 6
"""Blocks repeat some of each other's: so many hold as many different schedules as 1,500 drawn at once."""


class QuickInspection(Inspection):
    """Accepts a file that begins with `good` and refuses the others."""

    def inspect(self, _run: str, upload: Upload) -> FileFinding:
        data = self.store.read(upload.key, upload.version_id)
        if not data.startswith(b"good"):
            return FileFinding(upload, 1, 1, {"bad": 1}, "none of the 1 rows is good")
        digest = sha256(data)
        self.store.write(self.lake.part(digest), data)
        source = f"{self.lake.uri(upload.key)}?versionId={upload.version_id}"
        return FileFinding(upload, 1, parts=(Part(digest, 1, len(data), (source,), rulings=self.contract.rulings),))


class Quick(Validation):
    """Validates with the quick inspection; reads a job's findings as usual."""

    def _inspect_file(self, run: str, upload: Upload, *, inspected: bool) -> FileFinding:
        return super()._inspect_file(run, upload, inspected=True) if inspected else self.inspection.inspect(run, upload)

    @property
    def inspection(self) -> Inspection:
        return QuickInspection(contract=self.contract, lake=self.lake, store=self.store)


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The handlers, imported as in a cold start."""
    root = tmp_path_factory.mktemp("task")
    (root / "model").mkdir()
    for name in ("model.yaml", "contract.yaml"):
        (root / "model" / name).write_bytes((FLIGHT_DELAY / name).read_bytes())
    lake = {"stage": STAGE, "model": MODEL, "bucket": BUCKET, "ledger": TABLE}
    settings_list = [
        StartRunSettings(**lake, pipeline=MACHINE),
        ValidateSettings(**lake, code=CODE),
        EndRunSettings(**lake, topic="arn:aws:sns:us-east-1:123456789012:notices"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        environment = {name: value for one in settings_list for name, value in one.environment().items()}
        region = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        for name, value in (environment | region | {"LAMBDA_TASK_ROOT": str(root)}).items():
            patch.setenv(name, value)
        for name in NAMES:
            patch.delitem(sys.modules, f"functions.{name}.handler", raising=False)
        loaded = {name: import_module(f"functions.{name}.handler") for name in NAMES}
        for module in loaded.values():
            patch.setattr(module, "logger", Silence())
        patch.setattr(run_triggers, "logger", Silence())
        yield loaded


class Silence:
    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


@dataclass(frozen=True)
class Schedule:
    uploads: tuple[tuple[str, tuple[bytes, ...]], ...]
    """Name and contents; a name with a slash is a closed folder of as many objects."""
    mode: Mode
    plan: tuple[tuple[int, Fault], ...]
    picks: tuple[int, ...]
    repeated: frozenset[int]
    job: bool = False
    """Whether a processing job checks the files, as if they were large."""


CONTENT = st.sampled_from([b"good 1", b"good 2", b"good 3", b"good 4", b"bad 1", b"bad 2"])
OBJECT = st.tuples(st.sampled_from(["a.csv", "b.csv"]), st.tuples(CONTENT))
FOLDER = st.tuples(st.just("folder/"), st.lists(CONTENT, max_size=3).map(tuple))
FAULTS = st.sampled_from(["before", "after", "meanwhile", "abort", "overtaken"])
SCHEDULE = st.builds(
    Schedule,
    uploads=st.lists(st.one_of(OBJECT, OBJECT, FOLDER), min_size=1, max_size=6).map(tuple),
    mode=st.sampled_from(["append", "append", "replace", Window(uploads=2)]),
    plan=st.dictionaries(st.integers(1, 150), FAULTS, max_size=4).map(lambda plan: tuple(sorted(plan.items()))),
    picks=st.lists(st.integers(0, 11), max_size=40).map(tuple),
    repeated=st.frozensets(st.integers(1, 12), max_size=4),
    job=st.booleans(),
)


def objects(schedule: Schedule) -> list[tuple[str, bytes]]:
    """The objects in the order in which they are put."""
    items = []
    for number, (name, contents) in enumerate(schedule.uploads):
        if name.endswith("/"):
            folder = f"{number}-{name}"
            items += [(f"{folder}{index}.csv", content) for index, content in enumerate(contents)]
            items.append((f"{folder}_SUCCESS", b""))
        else:
            items.append((name, contents[0]))
    return items


def enter(functions: dict[str, ModuleType], cloud: Cloud, mode: Mode, *, job: bool = False) -> Ledger:
    """Connect the functions to this cloud."""
    ledger = cloud.ledger()
    start_run, validate, end_run = (functions[name] for name in NAMES)
    triggers, ending = start_run.triggers, end_run.ending
    triggers.executions._client = cloud.steps()
    start_run.triggers = replace(triggers, ledger=ledger)  # type: ignore[attr-defined]
    end_run.ending = replace(ending, ledger=ledger, notifier=cloud.notifier())  # type: ignore[attr-defined]
    original: Validation = validate.validation
    size = Validating(job_above_mb=0) if job else Validating()
    quick = Quick(
        spec=original.spec.model_copy(update={"dataset": mode, "validation": size}),
        contract=original.contract,
        lake=original.lake,
        store=cloud.store(),
        ledger=ledger,
        code=original.code,
        stage=original.stage,
    )
    validate.validation = quick  # type: ignore[attr-defined]
    cloud.inspect = lambda run: inspect_files(run, quick.inspection, lambda _: None)
    cloud.functions = functions
    return ledger


def settle(cloud: Cloud, ledger: Ledger) -> None:
    """Run everything to its end; resend the failures queue, and request a run for the uploads that still wait."""
    for request in range(10):
        while cloud.go_on():
            one_at_a_time(cloud)
        cloud.plan = {}
        if not cloud.dead and not ledger.waiting() and ledger.holder("run") is None:
            return
        for delivery in cloud.dead:
            delivery.left = 1
        cloud.queue, cloud.dead = cloud.dead, []
        if not cloud.queue:
            cloud.functions["start_run"].handler({"retrain": "what waits", "request": str(request)}, None)
    raise AssertionError("it does not come to rest")


def one_at_a_time(cloud: Cloud) -> None:
    holder = cloud.items.get("lock#run", {}).get("holder")
    opened = [item["id"] for sk, item in cloud.items.items() if sk.startswith("run#") and item["state"] == "open"]
    assert opened == ([holder] if holder else [])


def clean(functions: dict[str, ModuleType], schedule: Schedule) -> tuple[Cloud, Ledger]:
    """Take the same uploads one after the other, without faults and without a job."""
    cloud = Cloud(plan={}, picks=[], repeated=set())
    ledger = enter(functions, cloud, schedule.mode)
    for name, data in objects(schedule):
        cloud.put(name, data)
        settle(cloud, ledger)
    return cloud, ledger


def current(cloud: Cloud, ledger: Ledger) -> Dataset | None:
    version = ledger.current_dataset()
    return None if version is None else dataset_of(cloud, ledger, version)


def dataset_of(cloud: Cloud, ledger: Ledger, version: str) -> Dataset:
    documents = dict(cloud.objects[f"datasets/{MODEL}/versions/{version}.json"])
    dataset = Dataset.read(documents[ledger.dataset(version)["document"]])
    assert dataset.version == version
    names = json.loads(cloud.objects[f"datasets/{MODEL}/manifests/{version}.json"][-1][1])[1:]
    assert names == [f"{part.sha256}.parquet" for part in dataset.parts]
    for part in dataset.parts:
        assert sha256(cloud.objects[f"datasets/{MODEL}/parts/{part.sha256}.parquet"][-1][1]) == part.sha256
    return dataset


def states(ledger: Ledger) -> dict[str, str]:
    return {f"{item['key']}#{item['version_id']}": item["state"] for item in ledger.uploads()}


def accounted_for(cloud: Cloud, ledger: Ledger, schedule: Schedule) -> None:
    """Check that every upload is in one dataset version or in quarantine, by one run that took it."""
    raw = {key: versions for key, versions in cloud.objects.items() if key.startswith("raw/")}
    whole = [key for key in raw if key.count("/") == 2 or key.endswith("/_SUCCESS")]
    expected = {f"{key}#{version}" for key in whole for version, _ in raw[key]}
    assert set(states(ledger)) == expected
    for item in ledger.uploads():
        run = ledger.run(item["run"])
        assert (item["key"], item["version_id"]) in [(upload["key"], upload["version_id"]) for upload in run["uploads"]]
        name = f"{item['key']}#{item['version_id']}"
        takers = [run for run in ledger.runs() if name in {upload.name for upload in ledger.uploads_of(run)}]
        assert len([run for run in takers if run["outcome"] != "failed"]) <= 1
        folder = item["key"].removesuffix("_SUCCESS") if item["key"].endswith("/_SUCCESS") else None
        if folder:
            contents = [versions[-1][1] for key, versions in raw.items() if key.startswith(folder)]
        else:
            contents = [data for version, data in raw[item["key"]] if version == item["version_id"]]
        good = {sha256(data) for data in contents if data.startswith(b"good")}
        assert item["state"] == ("dataset" if good else "quarantined")
        if good:
            assert good <= {part.sha256 for part in dataset_of(cloud, ledger, item["dataset"]).parts}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_upload_counts_once(functions: dict[str, ModuleType], block: int) -> None:
    @seed(block)
    @settings(max_examples=SCHEDULES // BLOCKS, suppress_health_check=[HealthCheck.too_slow])
    @given(SCHEDULE)
    @example(
        Schedule((("a.csv", (b"good 1",)),), "append", ((1, "after"), (2, "after"), (3, "after")), (), frozenset())
    )
    @example(
        Schedule((("a.csv", (b"good 1",)),) * 2, "replace", ((20, "abort"), (21, "meanwhile")), (), frozenset({1}))
    )
    def run(schedule: Schedule) -> None:
        counts_once(functions, schedule)

    run()


def counts_once(functions: dict[str, ModuleType], schedule: Schedule) -> None:
    # Given uploads, and faults
    undisturbed, expected = clean(functions, schedule)
    cloud = Cloud(plan=dict(schedule.plan), picks=list(schedule.picks), repeated=set(schedule.repeated))
    ledger = enter(functions, cloud, schedule.mode, job=schedule.job)
    cloud.puts = objects(schedule)
    # When everything has come to rest
    settle(cloud, ledger)
    # Then nothing waits and no run is open, each upload is accounted for, and the result is that without faults
    assert (ledger.waiting(), ledger.holder("run")) == ([], None)
    assert all(run["state"] == "ended" for run in ledger.runs())
    assert states(ledger) == states(expected)
    assert current(cloud, ledger) == current(undisturbed, expected)
    accounted_for(cloud, ledger, schedule)
    # And without faults nothing was trained twice
    if not schedule.plan:
        assert len(cloud.trained) == len(set(cloud.trained))


@pytest.mark.parametrize("fault", ["before", "after", "meanwhile", "abort", "overtaken"])
@pytest.mark.parametrize("pick", [0, 1])
@pytest.mark.parametrize(("mode", "job"), [("append", False), ("replace", False), ("append", True)])
def test_a_fault_at_any_call_changes_no_result(
    functions: dict[str, ModuleType], fault: Fault, mode: Mode, pick: int, *, job: bool
) -> None:
    # Given three uploads, a folder among them
    uploads = (("a.csv", (b"good 1",)), ("folder/", (b"good 2", b"bad 1")), ("a.csv", (b"good 3",)))
    undisturbed, expected = clean(functions, Schedule(uploads, mode, (), (), frozenset()))
    # When the process dies (or is overtaken, or stopped) at each call that it makes, one after the other
    calls = 0
    while True:
        calls += 1
        cloud = Cloud(plan={calls: fault}, picks=[pick] * 200, repeated={2})
        ledger = enter(functions, cloud, mode, job=job)
        cloud.puts = objects(Schedule(uploads, mode, (), (), frozenset()))
        settle(cloud, ledger)
        # Then the result is that without faults
        assert states(ledger) == states(expected)
        assert current(cloud, ledger) == current(undisturbed, expected)
        accounted_for(cloud, ledger, Schedule(uploads, mode, (), (), frozenset()))
        if cloud.calls < calls:
            break
    assert calls > 80
    assert (cloud.inspected > 0) == job


def test_a_hundred_uploads_in_a_minute_end_in_few_runs(functions: dict[str, ModuleType]) -> None:
    cloud = Cloud(plan={}, picks=[], repeated=set(range(1, 30)))
    ledger = enter(functions, cloud, "append")
    cloud.puts = [(f"{number}.csv", f"good {number}".encode()) for number in range(100)]
    settle(cloud, ledger)
    assert len(ledger.runs()) <= 4
    dataset = current(cloud, ledger)
    assert dataset is not None
    assert [part.sha256 for part in dataset.parts] == [sha256(f"good {number}".encode()) for number in range(100)]


def test_an_abandoned_run_changes_nothing(functions: dict[str, ModuleType]) -> None:
    # Given a run whose execution was stopped, and whose upload the next run has taken
    cloud = Cloud(plan={}, picks=[], repeated=set())
    ledger = enter(functions, cloud, "append")
    cloud.put("a.csv", b"good 1")
    cloud.go_on()
    first = ledger.holder("run")
    assert first is not None
    ledger.end_run(first, "failed", "stopped", "t")
    cloud.put("b.csv", b"good 2")
    settle(cloud, ledger)
    before = json.dumps(cloud.items, sort_keys=True)
    # When its function goes on all the same, then it fails, and the ledger is as it was
    with pytest.raises(StaleError, match=f"{first}"):
        functions["validate"].handler({"run": first}, None)
    assert json.dumps(cloud.items, sort_keys=True) == before


def test_an_upload_that_ends_every_run_goes_to_quarantine(functions: dict[str, ModuleType]) -> None:
    # Given a file on which validation dies, and good ones that come with it
    cloud = Cloud(plan={}, picks=[], repeated=set())
    ledger = enter(functions, cloud, "append")
    validation: Any = functions["validate"].validation
    read = validation.store.read

    def dies(key: str, version_id: str | None = None) -> bytes:
        data: bytes = read(key, version_id)
        if data == b"poison":
            raise StaleError("killed")
        return data

    validation.store.read = dies
    cloud.put("poison.csv", b"poison")
    for number in range(12):
        cloud.put(f"{number}.csv", f"good {number}".encode())
        while cloud.go_on():
            pass
    # Then it is given up after five runs, with the reason, and the others are in the dataset
    uploads = {item["key"].rpartition("/")[2]: item for item in ledger.uploads()}
    assert uploads["poison.csv"]["state"] == "quarantined"
    assert uploads["poison.csv"]["refusal"].startswith("5 runs ended before they dealt with it, the last one so: ")
    assert {item["state"] for name, item in uploads.items() if name != "poison.csv"} == {"dataset"}
    assert ledger.waiting() == []
