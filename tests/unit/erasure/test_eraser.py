"""Erasure: no version of any object has a row of the subject, and training never sees a partial erasure."""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from demo.flights import flights
from penstock.aws.s3_store import Store
from penstock.captures.pseudonyms import Pseudonyms
from penstock.contract.model import Column, Contract
from penstock.contract.odcs import read_contract
from penstock.datasets.version import Dataset
from penstock.erasure.eraser import Eraser, Erasure, ForgettingError
from penstock.erasure.subject import Subject, SubjectError
from penstock.ledger.ledger import Ledger, Run, StaleError, Upload, timestamp
from penstock.pipeline.run_opening import open_next
from tests.support.world import BUCKET, MODEL, NOW, World, client, object_created

SECRET = "k" * 64
ROWS = 200
BY = "arn:aws:iam::123456789012:user/operator"


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights([1]).head(2 * ROWS)


def make_key_personal(root: Path) -> None:
    """Make the row key personal, so that captures have its hash."""
    path = root / "model" / "contract.yaml"
    path.write_text(path.read_text().replace("- name: flight_id\n", "- name: flight_id\n        classification: pii\n"))


def capture_line(row: dict[str, Any], key: str, name: str) -> bytes:
    instance = {column: row[column] for column in ("carrier", "origin", "distance")} | {"flight_id": key}
    about = {"at": timestamp(datetime.now(UTC)), "version": 1, "id": name, "score": 0.5, "label": True}
    return json.dumps(about | {"instance": instance}).encode() + b"\n"


class Stage:
    """A stage with rows of a subject everywhere."""

    def __init__(self, world: World, table: pl.DataFrame, *, hashed: bool) -> None:
        self.world, self.pseudonyms = world, None
        settings = {}
        if hashed:
            make_key_personal(world.root)
            secret = client("secretsmanager").create_secret(Name="hashes", SecretString=SECRET)
            settings, self.pseudonyms = {"hash_secret": secret["ARN"]}, Pseudonyms(SECRET.encode())
        self.contract: Contract = read_contract(world.root / "model")
        self.key, self.other = table["flight_id"][3], table["flight_id"][4]
        self.captured_key = self.pseudonyms.of("flight_id", self.key) if self.pseudonyms else self.key
        validate = world.load("validate")
        bad = table.slice(3, 1).with_columns(origin=pl.lit("SFO"))
        files = {"a.csv": table.head(ROWS), "b.csv": pl.concat([bad, table.tail(ROWS)])}
        for name, rows in files.items():
            run = world.take(name, rows.write_csv().encode())
            assert validate.handler({"run": run}, None)["outcome"] == "train"
            world.end_run(run)
        self._put_model()
        self._put_answers(table, world.load("monitor", **settings))

    def _put_model(self) -> None:
        names = [column.name for column in self.contract.features if not column.personal]
        table = pl.concat(
            [pl.read_parquet(io.BytesIO(self.world.store.read(key))) for key in self.parts()], how="diagonal"
        )
        rows = table.filter(pl.col("flight_id").is_in([self.key, self.other])).select(names)
        numbers = [
            pl.col(c.name).cast(pl.Float32).cast(rows.schema[c.name]) for c in self.contract.features if c.numeric
        ]
        instances = [
            {name: value for name, value in item.items() if value is not None}
            for item in rows.with_columns(numbers).to_dicts()
        ]
        golden = json.dumps([{"instance": instance, "score": 0.5} for instance in instances]).encode()
        self.world.store.write(f"models/{MODEL}/s1/golden.json", golden)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, data in (("model.onnx", b"graph"), ("golden.json", golden)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        self.world.store.write(f"runs/{MODEL}/a/output/job/output/model.tar.gz", buffer.getvalue())
        dataset = self.world.ledger.current_dataset()
        assert self.world.ledger.put_version(1, dataset=dataset, run="a", sha256="s1", arn="arn")

    def _put_answers(self, table: pl.DataFrame, monitor: Any) -> None:
        subject, other = table.row(3, named=True), table.row(4, named=True)
        other_key = self.pseudonyms.of("flight_id", self.other) if self.pseudonyms else self.other
        lines = capture_line(subject, self.captured_key, "i-1") + capture_line(other, other_key, "i-2")
        self.world.store.write(f"captures/{MODEL}/{datetime.now(UTC):%Y/%m/%d/%H}/1.jsonl.gz", gzip.compress(lines))
        undelivered = {
            "errorCode": "x",
            "rawData": base64.b64encode(capture_line(subject, self.captured_key, "i-3")).decode(),
        }
        self.world.store.write(f"capture-errors/{MODEL}/x/1", json.dumps(undelivered).encode())
        pairs = [{"id": name, "live": {"score": 0.5}, "outcome": "failed"} for name in ("i-1", "i-2")]
        shadow = json.dumps({"captures": ["1.jsonl.gz"], "answers": pairs}).encode()
        self.world.store.write(f"shadow/{MODEL}/o1/1.json.gz", gzip.compress(shadow))
        text = f"flight_id,late\n{self.key},true\n{self.other},false\n"
        monitor.handler(self.world.upload("truth.csv", text.encode(), folder="labels"), None)
        monitor.handler(self.world.upload("ids.csv", b"id,late\ni-1,true\ni-2,true\n", folder="labels"), None)

    def parts(self) -> list[str]:
        return self.world.keys(f"datasets/{MODEL}/parts/")

    def eraser(self, store: Store | None = None, ledger: Ledger | None = None) -> Eraser:
        return Eraser(
            contract=self.contract,
            lake=self.world.lake,
            store=store or self.world.store,
            ledger=ledger or self.world.ledger,
        )

    def subject(self, *keys: str, column: str | None = None) -> Subject:
        return Subject(self.contract, keys or (self.key,), column, self.pseudonyms)

    def erase(self, **gateways: Any) -> Erasure:
        return self.eraser(**gateways).erase(self.subject(), by=BY, reason="asked by letter", now=NOW)

    def traces(self) -> list[str]:
        """Return the keys of object versions that contain the subject, its hash or its inference ids."""
        words = [self.key.encode(), self.captured_key.encode(), b'"i-1"', b"i-1,", b'"i-3"']
        return [name for name, data in everything() if any(word in data for word in words)]


def everything() -> Iterator[tuple[str, bytes]]:
    """Yield the content of every version of every object: Parquet as JSON, archives and compressed files unpacked."""
    s3 = client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for item in page.get("Versions", []):
            reply = s3.get_object(Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"])
            yield item["Key"], unpack(item["Key"], reply["Body"].read())


def unpack(key: str, data: bytes) -> bytes:
    if key.endswith(".parquet"):
        return pl.read_parquet(io.BytesIO(data)).write_ndjson().encode()
    if key.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return b"".join(file.read() for item in archive if (file := archive.extractfile(item)) is not None)
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    if key.startswith("capture-errors/"):
        return base64.b64decode(json.loads(plain)["rawData"])
    return plain


@pytest.fixture(params=[False, True], ids=["plain", "hashed"])
def stage(request: pytest.FixtureRequest, world: World, table: pl.DataFrame) -> Stage:
    return Stage(world, table, hashed=request.param)


def test_no_version_of_any_object_has_a_row_of_the_subject(stage: Stage) -> None:
    # Given a subject with rows in every folder that holds rows
    assert {name.split("/")[0] for name in stage.traces()} >= {
        "raw", "datasets", "quarantine", "captures", "capture-errors", "labels", "shadow",
    }  # fmt: skip
    golden = f"models/{MODEL}/s1/golden.json"
    assert len(stage.world.store.json(golden)) == 2
    # When it is erased
    result = stage.erase()
    # Then no trace is left
    assert stage.traces() == []
    assert len(stage.world.store.json(golden)) == 1
    assert b"graph" in dict(everything())[f"runs/{MODEL}/a/output/job/output/model.tar.gz"]
    # And the result counts what was removed
    assert {name: result.rows[name] for name in ("parts", "quarantine", "labels", "golden")} == {
        "parts": 1, "quarantine": 1, "labels": 2, "golden": 2,
    }  # fmt: skip
    assert (result.rows["captures"], result.models, result.unread, result.nothing) == (2, (1,), (), False)
    assert result.rows["shadow"] == 1


def test_other_rows_are_unchanged(stage: Stage) -> None:
    stage.erase()
    (shadow,) = [json.loads(data) for key, data in everything() if key.startswith("shadow/")]
    assert (shadow["captures"], [pair["id"] for pair in shadow["answers"]]) == (["1.jsonl.gz"], ["i-2"])
    whole = b"".join(data for _, data in everything())
    assert stage.other.encode() in whole
    version = stage.world.ledger.current_dataset()
    assert version is not None
    dataset = Dataset.read(stage.world.store.read(stage.world.lake.version(version)))
    assert (dataset.version, dataset.rows) == (version, 2 * ROWS - 1)
    manifest = stage.world.store.json(stage.world.lake.manifest(version))
    names = [f"{part.sha256}.parquet" for part in dataset.parts]
    assert manifest[1:] == names
    assert sorted(key.rpartition("/")[2] for key in stage.parts()) == sorted(names)
    labels = stage.world.store.read(f"labels/{MODEL}/truth.csv").decode()
    assert labels == f"flight_id,late\n{stage.other},false\n"


def test_the_ledger_records_the_replacements_without_the_subject(stage: Stage) -> None:
    old = {item["version"] for item in stage.world.ledger.datasets()}
    result = stage.erase()
    # Then every old version names its replacement
    assert set(result.datasets) == old
    for version, new in result.datasets.items():
        mark = stage.world.ledger.dataset(version)["forgotten"]
        assert mark == {"into": new, "by": BY, "at": timestamp(NOW), "reason": "asked by letter"}
        assert new is not None
        assert stage.world.ledger.dataset(new)["replaces"] == version
    # And the record has counts, who, when and why, and not the subject
    (record,) = stage.world.ledger.forgettings()
    assert (record["by"], record["reason"], record["rows"]) == (BY, "asked by letter", result.rows)
    text = json.dumps([item for item in stage.world.records() if item["sk"]["S"].startswith("forgotten#")])
    assert stage.key not in text
    assert stage.captured_key not in text
    # And runs may start again
    assert stage.world.ledger.holder("run") is None


def test_a_repeated_erasure_finds_nothing(stage: Stage) -> None:
    stage.erase()
    before = [name for name, _ in everything()]
    again = stage.erase()
    assert (again.nothing, again.rows, again.datasets) == (True, {}, {})
    assert [name for name, _ in everything()] == before
    assert len(stage.world.ledger.forgettings()) == 1


def test_a_preview_changes_nothing(stage: Stage) -> None:
    before, records = list(everything()), stage.world.records()
    preview = stage.eraser().preview(stage.subject())
    assert (list(everything()), stage.world.records()) == (before, records)
    result = stage.erase()
    assert (preview.rows, preview.datasets, preview.objects) == (result.rows, result.datasets, result.objects)


def test_rewritten_labels_are_not_joined_again(stage: Stage) -> None:
    stage.erase()
    waiting = stage.world.ledger.waiting()
    key = f"labels/{MODEL}/truth.csv"
    version = client("s3").head_object(Bucket=BUCKET, Key=key)["VersionId"]
    reply = stage.world.load("monitor").handler(object_created(key, 10, "e", version), None)
    assert (reply["outcome"], stage.world.ledger.waiting()) == ("known", waiting)


def test_a_subject_is_found_by_another_column(world: World, table: pl.DataFrame) -> None:
    # Given the flights of a carrier, which only parts and uploads name
    stage = Stage(world, table, hashed=False)
    carrier = table["carrier"][3]
    count = int((table["carrier"] == carrier).sum())
    # When all of them are erased
    result = stage.eraser().erase(stage.subject(carrier, column="carrier"), by=BY, reason="asked", now=NOW)
    # Then rows that have only the key are removed too
    assert result.rows["parts"] == count
    assert stage.traces() == []


def test_all_rows_with_the_key_of_a_matching_row_are_removed(world: World, table: pl.DataFrame) -> None:
    # Given two rows with one key, of which only the second has the value
    validate = world.load("validate")
    for name, carrier in (("a", "UA"), ("b", "ZZ")):
        rows = table.head(3).with_columns(carrier=pl.lit(carrier))
        run = world.take(f"{name}.csv", rows.write_csv().encode())
        validate.handler({"run": run}, None)
        world.end_run(run)
    contract = read_contract(world.root / "model")
    eraser = Eraser(contract=contract, lake=world.lake, store=world.store, ledger=world.ledger)
    # When the subject with that value is erased
    result = eraser.erase(Subject(contract, ["ZZ"], "carrier"), by=BY, reason="asked", now=NOW)
    # Then both rows are removed
    assert result.rows["parts"] == 6


class KilledError(BaseException):
    """The process was killed."""


class Dying:
    """A gateway whose process is killed after so many writes."""

    WRITES: tuple[str, ...] = (
        "write",
        "write_json",
        "delete_versions",
        "begin_forgetting",
        "plan_forgetting",
        "replace_dataset",
        "drop_waiting",
        "end_forgetting",
    )

    def __init__(self, real: Any, budget: list[int]) -> None:
        self._real, self._budget = real, budget

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in self.WRITES:
            return method

        def call(*arguments: Any, **options: Any) -> Any:
            result = method(*arguments, **options)
            self._budget[0] -= 1
            if self._budget[0] == 0:
                raise KilledError
            return result

        return call


def content(stage: Stage) -> dict[str, list[bytes]]:
    """Return the distinct contents of each key's versions."""
    contents: dict[str, list[bytes]] = {}
    for name, data in everything():
        contents.setdefault(name, []).append(data)
    return {name: sorted(set(versions)) for name, versions in contents.items()}


def test_an_erasure_killed_after_any_write_is_completed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: pl.DataFrame
) -> None:
    undisturbed: Any = None
    for writes in range(40):
        with mock_aws():
            world = World.build(monkeypatch, tmp_path / str(writes))
            stage = Stage(world, table, hashed=True)
            budget, was_killed = [writes], False
            try:
                stage.erase(store=Dying(world.store, budget), ledger=Dying(world.ledger, budget))
            except KilledError:
                was_killed = True
                assert open_next(world.ledger, lambda _: None, trigger="upload", cause="x", now=NOW)
                stage.erase()
            assert stage.traces() == []
            state = (
                {name: [len(data) for data in versions] for name, versions in content(stage).items()
                 if not name.startswith(("datasets/flight-delay/versions", "labelled/"))},
                world.ledger.current_dataset(),
                [item["rows"] for item in world.ledger.forgettings()],
                world.ledger.holder("run"),
            )  # fmt: skip
            undisturbed = undisturbed or state
            assert state == undisturbed, writes
        if writes and not was_killed:
            assert writes > 10
            return
    raise AssertionError("it was never completed")


def test_no_run_begins_during_an_erasure(world: World) -> None:
    assert world.ledger.begin_forgetting("forgetting-1", timestamp(NOW)) == {}
    runs: list[str] = []
    sentence = open_next(world.ledger, runs.append, trigger="operator", cause="x", occasion="o", now=NOW)
    assert (sentence, runs) == ("rows are being forgotten; what waits is taken after that", [])


def test_no_erasure_begins_during_a_run(stage: Stage) -> None:
    run = Run("r9", "operator", "a test", (), timestamp(NOW), "o")
    assert stage.world.ledger.open_run(run)
    with pytest.raises(StaleError, match="run r9 is under way"):
        stage.erase()
    assert stage.traces()


@pytest.mark.parametrize("moment", ["write", "write_json"])
def test_an_erasure_that_was_overtaken_removes_nothing(stage: Stage, moment: str) -> None:
    # Given a slow erasure, and another that begins meanwhile
    class Overtaken(Dying):
        WRITES = ()

        def __getattr__(self, name: str) -> Any:
            if name == moment:
                stage.world.ledger.begin_forgetting("forgetting-other", timestamp(NOW))
            return super().__getattr__(name)

    with pytest.raises(StaleError, match="nothing was removed by this one"):
        stage.erase(store=Overtaken(stage.world.store, [-1]))
    # Then nothing is removed, and the labels are unchanged
    assert stage.traces()
    if moment == "write":
        assert stage.key in stage.world.store.read(f"labels/{MODEL}/truth.csv").decode()


def test_an_erasure_that_fails_before_its_plan_releases_the_lock(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a lake that cannot be read
    def refuse(prefix: str) -> list[Any]:
        if "raw" in prefix:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": prefix}}, "ListObjectVersions")
        return []

    store = Store(BUCKET)
    monkeypatch.setattr(stage.world.store, "all_versions", refuse)
    with pytest.raises(ClientError):
        stage.erase()
    # Then runs may begin, and the next erasure is complete
    assert stage.world.ledger.holder("run") is None
    stage.erase(store=store)
    assert stage.traces() == []


def test_a_waiting_upload_must_be_processed_first(stage: Stage) -> None:
    # Given an upload with such a row that no run has processed
    item = stage.world.upload("c.csv", f"flight_id,late\n{stage.key},true\n".encode())["detail"]["object"]
    at = timestamp(NOW - timedelta(hours=1))
    stage.world.ledger.record_upload(Upload(item["key"], item["version-id"], item["etag"], item["size"], at))
    with pytest.raises(ForgettingError, match="no run has dealt with it"):
        stage.erase()
    assert stage.world.ledger.holder("run") is None


def test_a_reason_that_contains_the_key_is_refused(stage: Stage) -> None:
    with pytest.raises(ForgettingError, match="write it without the key"):
        stage.eraser().erase(stage.subject(), by=BY, reason=f"{stage.key} asked", now=NOW)


def test_a_dataset_of_one_subject_is_removed_as_a_whole(world: World, table: pl.DataFrame) -> None:
    validate = world.load("validate")
    run = world.take("a.csv", table.head(1).write_csv().encode())
    validate.handler({"run": run}, None)
    world.end_run(run)
    contract = read_contract(world.root / "model")
    eraser = Eraser(contract=contract, lake=world.lake, store=world.store, ledger=world.ledger)
    result = eraser.erase(Subject(contract, [table["flight_id"][0]]), by=BY, reason="asked", now=NOW)
    assert list(result.datasets.values()) == [None]
    assert world.ledger.current_dataset() is None
    assert world.keys(f"datasets/{MODEL}/") == []


def test_derived_keys_are_traced_to_their_upload(world: World, table: pl.DataFrame) -> None:
    # Given keys that were derived from the rows
    path = world.root / "model" / "contract.yaml"
    text = path.read_text().replace("- name: flight_id\n", "- name: flight_id\n        transformLogic: row_hash\n")
    path.write_text(text)
    run = world.take("a.csv", table.head(20).drop("flight_id").write_csv().encode())
    world.load("validate").handler({"run": run}, None)
    world.end_run(run)
    (part,) = world.keys(f"datasets/{MODEL}/parts/")
    key = pl.read_parquet(io.BytesIO(world.store.read(part)))["flight_id"][0]
    contract = read_contract(world.root / "model")
    eraser = Eraser(contract=contract, lake=world.lake, store=world.store, ledger=world.ledger)
    # When the row of such a key is erased
    result = eraser.erase(Subject(contract, [key]), by=BY, reason="asked", now=NOW)
    # Then its upload is removed too
    assert (result.rows, world.keys("raw/")) == ({"parts": 1, "raw": 1}, [])


@pytest.mark.parametrize(
    ("value", "kind", "cells"),
    [
        ("7", "integer", [7, 8]),
        ("7.0", "integer", ["7", "70"]),
        ("7", "number", [7.0, 7.5]),
        ("007", "string", ["007", "7"]),
        ("true", "boolean", [True, False]),
    ],
)
def test_a_value_is_found_in_any_notation(value: str, kind: Any, cells: list[Any]) -> None:
    key, target = Column("k", "string", "key"), Column("t", "boolean", "target")
    contract = Contract("c", "1", (key, Column("x", kind, "feature"), target), 0.0, "d")
    assert Subject(contract, [value], "x").matches(pl.DataFrame({"x": cells})).to_list() == [True, False]


@pytest.mark.parametrize(
    ("values", "column", "words"),
    [
        (["x"], "colour", "no column 'colour'"),
        ([" "], None, "an empty key identifies nobody"),
        ([], None, "identifies nobody"),
    ],
)
def test_values_that_identify_nobody_are_refused(
    contract: Contract, values: list[str], column: str | None, words: str
) -> None:
    with pytest.raises(SubjectError, match=words):
        Subject(contract, values, column)
