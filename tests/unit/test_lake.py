"""The S3 keys of the lake."""

import pytest

from penstock import lake
from penstock.lake import Lake, LakeKeyError

LAKE = Lake("bucket", "m")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (LAKE.raw("a.csv"), "raw/m/a.csv"),
        (LAKE.labels("a.csv"), "labels/m/a.csv"),
        (LAKE.labelled("d1"), "labelled/m/d1.parquet"),
        (LAKE.quarantine("r1", "x.parquet"), "quarantine/m/r1/x.parquet"),
        (LAKE.part("d1"), "datasets/m/parts/d1.parquet"),
        (LAKE.version("v1"), "datasets/m/versions/v1.json"),
        (LAKE.manifest("v1"), "datasets/m/manifests/v1.json"),
        (LAKE.listing("r1", "d1"), "runs/m/r1/folders/d1.json"),
        (LAKE.run_input("r1"), "runs/m/r1/input/"),
        (LAKE.run_input("r1", "request.json"), "runs/m/r1/input/request.json"),
        (LAKE.run_output("r1"), "runs/m/r1/output/"),
        (LAKE.model_file("s1", "model.onnx"), "models/m/s1/model.onnx"),
        (LAKE.monitor("3", "mark.json"), "monitor/m/3/mark.json"),
        (LAKE.shadow("o1"), "shadow/m/o1/"),
        (LAKE.shadow("o1", "t.json.gz"), "shadow/m/o1/t.json.gz"),
        (LAKE.uri("raw/m/a"), "s3://bucket/raw/m/a"),
    ],
)
def test_the_key_of_each_kind(key: str, expected: str) -> None:
    assert key == expected


def test_a_name_is_read_back() -> None:
    assert lake.name_of(LAKE.raw("2013/a b.csv"), lake.RAW, "m") == "2013/a b.csv"


@pytest.mark.parametrize("key", ["raw/mm/a.csv", "raw/m/", "raw/m", "labels/m/a.csv", "/raw/m/a.csv", ""])
def test_a_key_from_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(LakeKeyError, match="is not an object under raw/m/"):
        lake.name_of(key, lake.RAW, "m")


def test_a_uri_is_split() -> None:
    assert lake.split_uri(LAKE.uri("raw/m/a?b#c.csv")) == ("bucket", "raw/m/a?b#c.csv")


@pytest.mark.parametrize("uri", ["bucket/key", "s3://bucket", "s3://bucket/", "s3:///key", "https://bucket/key", ""])
def test_a_uri_that_is_not_s3_is_refused(uri: str) -> None:
    with pytest.raises(LakeKeyError, match="is not of the form s3://bucket/key"):
        lake.split_uri(uri)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("a.csv", True),
        ("year=1/a.csv", True),
        ("_SUCCESS", False),
        ("_temporary/a", False),
        (".a.crc", False),
        ("a/", False),
    ],
)
def test_markers_are_no_data(name: str, holds: bool) -> None:
    assert lake.holds_rows(name) is holds
