"""A subject's rows removed: nothing of them is left in any version of any object; training sees whole states only."""

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


def personal(root: Path) -> None:
    """The row key becomes personal: captures hold its hash."""
    path = root / "model" / "contract.yaml"
    path.write_text(path.read_text().replace("- name: flight_id\n", "- name: flight_id\n        classification: pii\n"))


def captured(row: dict[str, Any], key: str, name: str) -> bytes:
    instance = {column: row[column] for column in ("carrier", "origin", "distance")} | {"flight_id": key}
    about = {"at": timestamp(datetime.now(UTC)), "version": 1, "id": name, "score": 0.5, "label": True}
    return json.dumps(about | {"instance": instance}).encode() + b"\n"


class Lived:
    """A stage in which a subject has left rows everywhere."""

    def __init__(self, world: World, table: pl.DataFrame, *, hashed: bool) -> None:
        self.world, self.pseudonyms = world, None
        settings = {}
        if hashed:
            personal(world.root)
            made = client("secretsmanager").create_secret(Name="hashes", SecretString=SECRET)
            settings, self.pseudonyms = {"hash_secret": made["ARN"]}, Pseudonyms(SECRET.encode())
        self.contract: Contract = read_contract(world.root / "model")
        self.key, self.other = table["flight_id"][3], table["flight_id"][4]
        self.shown = self.pseudonyms.of("flight_id", self.key) if self.pseudonyms else self.key
        validate = world.load("validate")
        bad = table.slice(3, 1).with_columns(origin=pl.lit("SFO"))
        files = {"a.csv": table.head(ROWS), "b.csv": pl.concat([bad, table.tail(ROWS)])}
        for name, rows in files.items():
            run = world.take(name, rows.write_csv().encode())
            assert validate.handler({"run": run}, None)["outcome"] == "train"
            world.end_run(run)
        self._model()
        self._answers(table, world.load("monitor", **settings))

    def _model(self) -> None:
        names = [column.name for column in self.contract.features if not column.personal]
        typed = pl.concat(
            [pl.read_parquet(io.BytesIO(self.world.store.read(key))) for key in self.parts()], how="diagonal"
        )
        rows = typed.filter(pl.col("flight_id").is_in([self.key, self.other])).select(names)
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

    def _answers(self, table: pl.DataFrame, monitor: Any) -> None:
        subject, other = table.row(3, named=True), table.row(4, named=True)
        whose = self.pseudonyms.of("flight_id", self.other) if self.pseudonyms else self.other
        lines = captured(subject, self.shown, "i-1") + captured(other, whose, "i-2")
        self.world.store.write(f"captures/{MODEL}/{datetime.now(UTC):%Y/%m/%d/%H}/1.jsonl.gz", gzip.compress(lines))
        undelivered = {"errorCode": "x", "rawData": base64.b64encode(captured(subject, self.shown, "i-3")).decode()}
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

    def forget(self, **gateways: Any) -> Erasure:
        return self.eraser(**gateways).erase(self.subject(), by=BY, reason="asked by letter", now=NOW)

    def left(self) -> list[str]:
        """Object versions in which the subject, its hash or its inference ids still stand."""
        words = [self.key.encode(), self.shown.encode(), b'"i-1"', b"i-1,", b'"i-3"']
        return [name for name, data in everything() if any(word in data for word in words)]


def everything() -> Iterator[tuple[str, bytes]]:
    """Every version of every object, opened: Parquet as JSON, archives and compressed files as what is in them."""
    s3 = client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for item in page.get("Versions", []):
            found = s3.get_object(Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"])
            yield item["Key"], opened(item["Key"], found["Body"].read())


def opened(key: str, data: bytes) -> bytes:
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
def lived(request: pytest.FixtureRequest, world: World, table: pl.DataFrame) -> Lived:
    return Lived(world, table, hashed=request.param)


def test_nothing_of_a_subject_is_left_in_any_version_of_any_object(lived: Lived) -> None:
    # Given a subject with rows in every folder that holds rows
    assert {name.split("/")[0] for name in lived.left()} >= {
        "raw", "datasets", "quarantine", "captures", "capture-errors", "labels", "shadow",
    }  # fmt: skip
    golden = f"models/{MODEL}/s1/golden.json"
    assert len(lived.world.store.json(golden)) == 2
    # When it is forgotten
    done = lived.forget()
    # Then nothing is left of it
    assert lived.left() == []
    assert len(lived.world.store.json(golden)) == 1
    assert b"graph" in dict(everything())[f"runs/{MODEL}/a/output/job/output/model.tar.gz"]
    # And it is told what went
    assert {name: done.rows[name] for name in ("parts", "quarantine", "labels", "golden")} == {
        "parts": 1, "quarantine": 1, "labels": 2, "golden": 2,
    }  # fmt: skip
    assert (done.rows["captures"], done.models, done.unread, done.nothing) == (2, (1,), (), False)
    assert done.rows["shadow"] == 1


def test_the_others_rows_live_on(lived: Lived) -> None:
    lived.forget()
    (shadow,) = [json.loads(data) for key, data in everything() if key.startswith("shadow/")]
    assert (shadow["captures"], [pair["id"] for pair in shadow["answers"]]) == (["1.jsonl.gz"], ["i-2"])
    whole = b"".join(data for _, data in everything())
    assert lived.other.encode() in whole
    version = lived.world.ledger.current_dataset()
    assert version is not None
    dataset = Dataset.read(lived.world.store.read(lived.world.lake.version(version)))
    assert (dataset.version, dataset.rows) == (version, 2 * ROWS - 1)
    manifest = lived.world.store.json(lived.world.lake.manifest(version))
    names = [f"{part.sha256}.parquet" for part in dataset.parts]
    assert manifest[1:] == names
    assert sorted(key.rpartition("/")[2] for key in lived.parts()) == sorted(names)
    labels = lived.world.store.read(f"labels/{MODEL}/truth.csv").decode()
    assert labels == f"flight_id,late\n{lived.other},false\n"


def test_the_ledger_says_that_versions_gave_way_and_not_to_whom(lived: Lived) -> None:
    old = {item["version"] for item in lived.world.ledger.datasets()}
    done = lived.forget()
    # Then every old version names its successor
    assert set(done.datasets) == old
    for version, new in done.datasets.items():
        gone = lived.world.ledger.dataset(version)["forgotten"]
        assert gone == {"into": new, "by": BY, "at": timestamp(NOW), "reason": "asked by letter"}
        assert new is not None
        assert lived.world.ledger.dataset(new)["replaces"] == version
    # And the record holds counts, who, when and why, and nobody's name
    (record,) = lived.world.ledger.forgettings()
    assert (record["by"], record["reason"], record["rows"]) == (BY, "asked by letter", done.rows)
    written = json.dumps([item for item in lived.world.records() if item["sk"]["S"].startswith("forgotten#")])
    assert lived.key not in written
    assert lived.shown not in written
    # And runs may start again
    assert lived.world.ledger.holder("run") is None


def test_nothing_is_done_twice(lived: Lived) -> None:
    lived.forget()
    before = [name for name, _ in everything()]
    again = lived.forget()
    assert (again.nothing, again.rows, again.datasets) == (True, {}, {})
    assert [name for name, _ in everything()] == before
    assert len(lived.world.ledger.forgettings()) == 1


def test_a_look_changes_nothing(lived: Lived) -> None:
    before, records = list(everything()), lived.world.records()
    look = lived.eraser().preview(lived.subject())
    assert (list(everything()), lived.world.records()) == (before, records)
    done = lived.forget()
    assert (look.rows, look.datasets, look.objects) == (done.rows, done.datasets, done.objects)


def test_labels_that_were_written_anew_are_not_joined_again(lived: Lived) -> None:
    lived.forget()
    waiting = lived.world.ledger.waiting()
    key = f"labels/{MODEL}/truth.csv"
    version = client("s3").head_object(Bucket=BUCKET, Key=key)["VersionId"]
    said = lived.world.load("monitor").handler(object_created(key, 10, "e", version), None)
    assert (said["outcome"], lived.world.ledger.waiting()) == ("known", waiting)


def test_somebody_is_found_by_another_column(world: World, table: pl.DataFrame) -> None:
    # Given a tail number's flights, which only parts and uploads name
    lived = Lived(world, table, hashed=False)
    carrier = table["carrier"][3]
    count = int((table["carrier"] == carrier).sum())
    # When all of them go
    done = lived.eraser().erase(lived.subject(carrier, column="carrier"), by=BY, reason="asked", now=NOW)
    # Then rows that are known only by their key are gone too
    assert done.rows["parts"] == count
    assert lived.left() == []


def test_all_rows_of_a_key_go_where_one_of_them_names_somebody(world: World, table: pl.DataFrame) -> None:
    # Given a row that came twice, first without the value that is asked for
    validate = world.load("validate")
    for name, carrier in (("a", "UA"), ("b", "ZZ")):
        rows = table.head(3).with_columns(carrier=pl.lit(carrier))
        run = world.take(f"{name}.csv", rows.write_csv().encode())
        validate.handler({"run": run}, None)
        world.end_run(run)
    contract = read_contract(world.root / "model")
    eraser = Eraser(contract=contract, lake=world.lake, store=world.store, ledger=world.ledger)
    # When whoever has it is forgotten
    done = eraser.erase(Subject(contract, ["ZZ"], "carrier"), by=BY, reason="asked", now=NOW)
    # Then both rows are gone
    assert done.rows["parts"] == 6


class KilledError(BaseException):
    """The process died."""


class Dying:
    """A gateway whose process dies after so many writes."""

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

        def dying(*arguments: Any, **named: Any) -> Any:
            found = method(*arguments, **named)
            self._budget[0] -= 1
            if self._budget[0] == 0:
                raise KilledError
            return found

        return dying


def content(lived: Lived) -> dict[str, list[bytes]]:
    """What lies in the lake, by key; a document's version ids left aside."""
    found: dict[str, list[bytes]] = {}
    for name, data in everything():
        found.setdefault(name, []).append(data)
    return {name: sorted(set(held)) for name, held in found.items()}


def test_one_that_dies_after_any_write_ends_the_same_when_it_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: pl.DataFrame
) -> None:
    clean: Any = None
    for writes in range(40):
        with mock_aws():
            world = World.build(monkeypatch, tmp_path / str(writes))
            lived = Lived(world, table, hashed=True)
            budget, died = [writes], False
            try:
                lived.forget(store=Dying(world.store, budget), ledger=Dying(world.ledger, budget))
            except KilledError:
                died = True
                assert open_next(world.ledger, lambda _: None, trigger="upload", cause="x", now=NOW)
                lived.forget()
            assert lived.left() == []
            ended = (
                {name: [len(held) for held in versions] for name, versions in content(lived).items()
                 if not name.startswith(("datasets/flight-delay/versions", "labelled/"))},
                world.ledger.current_dataset(),
                [item["rows"] for item in world.ledger.forgettings()],
                world.ledger.holder("run"),
            )  # fmt: skip
            clean = clean or ended
            assert ended == clean, writes
        if writes and not died:
            assert writes > 10
            return
    raise AssertionError("it never came to its end")


def test_no_run_begins_while_rows_are_forgotten(world: World) -> None:
    assert world.ledger.begin_forgetting("forgetting-1", timestamp(NOW)) == {}
    started: list[str] = []
    said = open_next(world.ledger, started.append, trigger="operator", cause="x", occasion="o", now=NOW)
    assert (said, started) == ("rows are being forgotten; what waits is taken after that", [])


def test_while_a_run_is_under_way_nothing_is_forgotten(lived: Lived) -> None:
    run = Run("r9", "operator", "a test", (), timestamp(NOW), "o")
    assert lived.world.ledger.open_run(run)
    with pytest.raises(StaleError, match="run r9 is under way"):
        lived.forget()
    assert lived.left()


@pytest.mark.parametrize("moment", ["write", "write_json"])
def test_one_that_another_took_over_from_removes_nothing(lived: Lived, moment: str) -> None:
    # Given a forgetting that is slow, and another that begins meanwhile
    class Overtaken(Dying):
        WRITES = ()

        def __getattr__(self, name: str) -> Any:
            if name == moment:
                lived.world.ledger.begin_forgetting("forgetting-other", timestamp(NOW))
            return super().__getattr__(name)

    with pytest.raises(StaleError, match="nothing was removed by this one"):
        lived.forget(store=Overtaken(lived.world.store, [-1]))
    # Then nothing is gone, and the labels are as they were
    assert lived.left()
    if moment == "write":
        assert lived.key in lived.world.store.read(f"labels/{MODEL}/truth.csv").decode()


def test_one_that_fails_before_its_plan_leaves_the_way_free(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a lake that refuses to be read
    def refused(prefix: str) -> list[Any]:
        if "raw" in prefix:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": prefix}}, "ListObjectVersions")
        return []

    store = Store(BUCKET)
    monkeypatch.setattr(lived.world.store, "all_versions", refused)
    with pytest.raises(ClientError):
        lived.forget()
    # Then runs may begin, and the next one finds everything
    assert lived.world.ledger.holder("run") is None
    lived.forget(store=store)
    assert lived.left() == []


def test_an_upload_that_waits_is_taken_first(lived: Lived) -> None:
    # Given an upload with such a row that no run has taken
    item = lived.world.upload("c.csv", f"flight_id,late\n{lived.key},true\n".encode())["detail"]["object"]
    at = timestamp(NOW - timedelta(hours=1))
    lived.world.ledger.record_upload(Upload(item["key"], item["version-id"], item["etag"], item["size"], at))
    with pytest.raises(ForgettingError, match="no run has dealt with it"):
        lived.forget()
    assert lived.world.ledger.holder("run") is None


def test_a_reason_that_names_the_subject_is_not_kept(lived: Lived) -> None:
    with pytest.raises(ForgettingError, match="say it without the key"):
        lived.eraser().erase(lived.subject(), by=BY, reason=f"{lived.key} asked", now=NOW)


def test_a_dataset_of_nobody_else_goes_as_a_whole(world: World, table: pl.DataFrame) -> None:
    validate = world.load("validate")
    run = world.take("a.csv", table.head(1).write_csv().encode())
    validate.handler({"run": run}, None)
    world.end_run(run)
    contract = read_contract(world.root / "model")
    eraser = Eraser(contract=contract, lake=world.lake, store=world.store, ledger=world.ledger)
    done = eraser.erase(Subject(contract, [table["flight_id"][0]]), by=BY, reason="asked", now=NOW)
    assert list(done.datasets.values()) == [None]
    assert world.ledger.current_dataset() is None
    assert world.keys(f"datasets/{MODEL}/") == []


def test_keys_that_the_file_did_not_have_are_traced_to_it(world: World, table: pl.DataFrame) -> None:
    # Given keys that were made of the rows
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
    # When such a key is forgotten
    done = eraser.erase(Subject(contract, [key]), by=BY, reason="asked", now=NOW)
    # Then the upload that its row came with is gone too
    assert (done.rows, world.keys("raw/")) == ({"parts": 1, "raw": 1}, [])


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
def test_a_value_is_found_however_it_is_written(value: str, kind: Any, cells: list[Any]) -> None:
    key, target = Column("k", "string", "key"), Column("t", "boolean", "target")
    contract = Contract("c", "1", (key, Column("x", kind, "feature"), target), 0.0, "d")
    assert Subject(contract, [value], "x").among(pl.DataFrame({"x": cells})).to_list() == [True, False]


@pytest.mark.parametrize(
    ("values", "column", "words"),
    [(["x"], "colour", "no column 'colour'"), ([" "], None, "an empty key names nobody"), ([], None, "names nobody")],
)
def test_who_cannot_be_looked_for(contract: Contract, values: list[str], column: str | None, words: str) -> None:
    with pytest.raises(SubjectError, match=words):
        Subject(contract, values, column)
