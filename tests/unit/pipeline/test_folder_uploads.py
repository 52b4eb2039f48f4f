"""A folder with `_SUCCESS` is one upload, taken by one run; dataset modes other than append."""

from types import ModuleType
from typing import Any

import polars as pl
import pytest

from demo.flights import flights
from tests.support.world import BUCKET, CODE, World


@pytest.fixture(scope="module")
def january() -> pl.DataFrame:
    return flights([1]).head(300)


def csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def validate(world: World, run: str) -> dict[str, Any]:
    function: ModuleType = world.load("validate")
    result: dict[str, Any] = function.handler({"run": run}, None)
    return result


def test_all_objects_of_a_complete_folder_are_one_upload(world: World, january: pl.DataFrame) -> None:
    # Given a folder with three good objects (one was overwritten), an unreadable one and a marker, closed
    world.upload("2013/a.csv", b"first try")
    for index in range(3):
        world.upload(f"2013/{'abc'[index]}.csv", csv(january.slice(index * 100, 100)))
    world.upload("2013/d.csv", b"")
    world.upload("2013/_temporary/e.csv", b"half")
    run = world.take("2013/_SUCCESS", b"", run="run1")
    # When its run is validated
    result = validate(world, run)
    # Then the dataset has the rows of all good objects, and the report lists each object
    assert (result["outcome"], world.ledger.dataset(result["dataset"])["rows"]) == ("train", 300)
    report = world.store.json(world.lake.quarantine(run, "report.json"))
    assert [item["key"].rpartition("/")[2] for item in report] == ["a.csv", "b.csv", "c.csv", "d.csv"]
    assert [item["refusal"] is None for item in report] == [True, True, True, False]
    # And the ledger has it as one upload
    assert [(item["key"], item["state"]) for item in world.ledger.uploads()] == [
        ("raw/flight-delay/2013/_SUCCESS", "dataset")
    ]


def test_a_repeated_step_reads_what_the_first_one_read(world: World, january: pl.DataFrame) -> None:
    world.upload("2013/a.csv", csv(january))
    run = world.take("2013/_SUCCESS", b"", run="run1")
    first = validate(world, run)
    # When an object is overwritten and another comes, and the step is repeated
    world.upload("2013/a.csv", csv(january.head(7)))
    world.upload("2013/b.csv", csv(january.head(9)))
    # Then nothing has changed for this run
    assert validate(world, run) == first


def test_a_folder_of_many_objects(world: World, january: pl.DataFrame) -> None:
    # Given more objects than a transaction could take
    for index in range(60):
        world.upload(f"2013/{index:03}.csv", csv(january.slice(index * 5, 5)))
    result = validate(world, world.take("2013/_SUCCESS", b"", run="run1"))
    assert world.ledger.dataset(result["dataset"])["rows"] == 300
    assert len(world.store.json(world.lake.manifest(result["dataset"]))) == 61


def test_an_empty_folder_is_quarantined(world: World) -> None:
    result = validate(world, world.take("2013/_SUCCESS", b"", run="run1"))
    assert (result["outcome"], result["reason"]) == (
        "quarantined",
        "raw/flight-delay/2013/_SUCCESS: the folder holds no files",
    )


def test_the_older_of_two_uploads_is_a_version_of_its_own(world: World, january: pl.DataFrame) -> None:
    # Given a model whose newest upload is all of its data, and two uploads taken by one run
    path = world.root / "model" / "model.yaml"
    path.write_text(path.read_text().replace("dataset: append", "dataset: replace"))
    older = world.upload("a.csv", csv(january.head(100)))["detail"]["object"]
    from penstock.ledger.ledger import Upload

    world.ledger.record_upload(Upload(older["key"], older["version-id"], "e", 1, "2026-01-01"))
    result = validate(world, world.take("b.csv", csv(january.tail(150)), run="run1"))
    # Then the newer one is the dataset, and the older one can be restored from a version of its own
    assert world.ledger.dataset(result["dataset"])["rows"] == 150
    datasets = {item["key"].rpartition("/")[2]: item["dataset"] for item in world.ledger.uploads()}
    assert datasets["b.csv"] == result["dataset"] == world.ledger.current_dataset()
    assert world.ledger.dataset(datasets["a.csv"])["rows"] == 100
    assert world.keys(f"datasets/flight-delay/versions/{datasets['a.csv']}")


def test_the_boundary_of_a_split_by_time_is_passed_to_the_job(world: World, january: pl.DataFrame) -> None:
    path = world.root / "model" / "model.yaml"
    path.write_text(path.read_text() + "\nsplit: {by: time}\n")
    result = validate(world, world.take("a.csv", csv(january), run="run1"))
    request = world.store.json(world.lake.run_input("run1", "request.json"))
    version = world.store.json(world.lake.version(result["dataset"]))
    assert request["cut"] == {"holdout_from": version["holdout_from"]}


def test_a_run_is_compared_with_the_last_finished_one(world: World, january: pl.DataFrame) -> None:
    # Given a run that finished
    dataset = validate(world, world.take("a.csv", csv(january.head(100)), run="run1"))["dataset"]
    world.ledger.note_trained(dataset, CODE, "run1")
    world.end_run("run1")
    # When the next has other data
    validate(world, world.take("b.csv", csv(january.tail(100)), run="run2"))
    comparison = world.ledger.run("run2")["steps"]["validate"]["compared"]
    assert comparison == {"with": "run1", "differ": ["data"], "sentence": "other data than run run1"}
    world.end_run("run2", "failed")
    # And when a run has nothing new, then it is skipped and names the run that it equals
    world.ledger.put_dataset(dataset)
    result = validate(world, world.open_run("run3"))
    assert (result["outcome"], result["same_as"]) == ("skipped", "run1")
    assert result["compared"]["sentence"] == "equals run run1 in data, code, parameters, image and contract"


def test_another_image_is_trained_on_the_same_data(world: World, january: pl.DataFrame) -> None:
    dataset = validate(world, world.take("a.csv", csv(january), run="run1"))["dataset"]
    world.ledger.note_trained(dataset, CODE, "run1")
    world.end_run("run1")
    world.monkeypatch.setenv("PENSTOCK_IMAGE", "another/image:2")
    result = validate(world, world.open_run("run2"))
    assert (result["outcome"], result["compared"]["differ"]) == ("train", ["image"])


def test_the_newest_version_of_each_object_is_listed(world: World) -> None:
    world.upload("f/a.csv", b"1")
    newest = world.upload("f/a.csv", b"22")["detail"]["object"]
    versions = list(world.store.versions("raw/flight-delay/f/"))
    assert [(item.key, item.version_id, item.size) for item in versions] == [
        ("raw/flight-delay/f/a.csv", newest["version-id"], 2)
    ]
    assert world.store.bucket == BUCKET
