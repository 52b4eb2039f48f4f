"""The gateways to S3, the registry, SNS, Step Functions, Lambda and CloudWatch."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from penstock.aws.cloudwatch import Metrics
from penstock.aws.executions import ExecutionOutcome, Executions
from penstock.aws.model_registry import APPROVED, PENDING, Package, Registry, group_of
from penstock.aws.notifier import Notifier
from penstock.aws.s3_store import NoObjectError, NotDeletedError, Store, sha256
from penstock.captures import reader as captures
from penstock.release.live_service import Service, Serving
from tests.support.world import BUCKET, FUNCTION, GROUP, World, client


def test_a_version_of_an_object_stays_readable(world: World) -> None:
    store = world.store
    first = store.write("a/b", b"one")
    second = store.write("a/b", b"two")
    assert (store.read("a/b"), store.read("a/b", first), store.read("a/b", second)) == (b"two", b"one", b"two")
    assert store.read("a/b", "null") == b"two"


@pytest.mark.parametrize("version", [None, "null"])
def test_an_object_that_is_not_there_is_named(world: World, version: str | None) -> None:
    with pytest.raises(NoObjectError, match=f"s3://{BUCKET}/a/b is not there"):
        world.store.read("a/b", version)


def test_a_version_that_was_deleted_is_not_there(world: World) -> None:
    version = world.store.write("a/b", b"one")
    client("s3").delete_object(Bucket=BUCKET, Key="a/b", VersionId=version)
    world.store.write("a/b", b"two")
    with pytest.raises(NoObjectError):
        world.store.read("a/b", version)


def test_every_version_is_listed_and_deleted_for_good(world: World) -> None:
    # Given an object of two versions beside another, and one that was deleted
    store = world.store
    versions = [store.write("a/b", data) for data in (b"one", b"two")]
    other = store.write("a/c", b"x")
    client("s3").delete_object(Bucket=BUCKET, Key="a/c")
    versions_of = {(item.key, item.version_id): newest for item, newest in store.all_versions("a/")}
    assert versions_of == {("a/b", versions[0]): False, ("a/b", versions[1]): True, ("a/c", other): False}
    # When more than one call takes are deleted, some of which are gone already
    store.delete_versions([("a/b", versions[0]), *((f"a/{number}", "gone") for number in range(1_000)), ("a/c", other)])
    # Then only the others are there
    assert [item.version_id for item, _ in store.all_versions("a/")] == [versions[1]]


def test_a_version_that_s3_keeps_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    response = {"Errors": [{"Key": "a/b", "Code": "AccessDenied", "Message": "the object is locked"}]}
    monkeypatch.setattr(world.store._client, "delete_objects", lambda **_: response)
    with pytest.raises(NotDeletedError, match="S3 kept a/b and 0 others: the object is locked"):
        world.store.delete_versions([("a/b", "v1")])


def test_a_mark_travels_with_an_object(world: World) -> None:
    plain, marked = world.store.write("a/b", b"one"), world.store.write("a/b", b"two", mark="forgotten")
    assert [world.store.mark("a/b", version) for version in (plain, marked, "null")] == ["", "forgotten", "forgotten"]
    assert world.store.mark("a/none", "null") == ""


def test_another_error_of_s3_does_not_mean_absence(world: World) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        Store("no-such-bucket").read("a")


def test_json_is_read_and_keys_are_listed(world: World) -> None:
    for name in ("c", "a", "b"):
        world.store.write_json(f"p/{name}.json", {"is": name})
    world.store.write("q/z", b"")
    assert world.store.json("p/b.json") == {"is": "b"}
    assert world.keys("p/") == ["p/a.json", "p/b.json", "p/c.json"]
    assert list(world.store.keys("p/", after="p/a.json")) == ["p/b.json", "p/c.json"]
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


ABOUT: dict[str, Any] = {
    "since": datetime(2020, 1, 1, tzinfo=UTC),
    "description": "run r1",
    "image": "an/image:1",
    "artifact": "s3://b/model.tar.gz",
    "metrics": "s3://b/evaluation.json",
    "baseline": "s3://b/d",
}


def registered(registry: Registry, run: str) -> Package:
    return registry.register(run=run, properties={"run": run, "sha256": "s"}, **ABOUT)


def test_a_version_waits_for_approval_with_its_origin(world: World) -> None:
    # Given an empty group
    # When a run registers its model
    package = registered(Registry(world.group), "r1")
    # Then it is version 1, pending, and the registry knows run, file and metrics
    assert (package.version, package.status, package.approved) == (1, PENDING, False)
    assert group_of(package.arn) == GROUP
    about = client("sagemaker").describe_model_package(ModelPackageName=package.arn)
    assert about["CustomerMetadataProperties"] == {"run": "r1", "sha256": "s"}
    assert about["ModelPackageDescription"] == "run r1"
    assert about["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == "s3://b/model.tar.gz"
    assert about["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == "s3://b/evaluation.json"
    assert about["DriftCheckBaselines"]["ModelDataQuality"]["Statistics"]["S3Uri"] == "s3://b/d"


def test_the_same_run_again_is_the_same_version(world: World) -> None:
    registry = Registry(world.group)
    versions = [registered(registry, run).version for run in ("r1", "r1", "r2", "r1", "r2")]
    assert versions == [1, 1, 2, 1, 2]


def test_a_status_is_set_with_its_reason(world: World) -> None:
    registry = Registry(world.group)
    arn = registered(registry, "r1").arn
    registry.set_status(arn, APPROVED, "because " + "x" * 2_000)
    package = registry.describe(arn)
    assert (package.status, package.approved) == (APPROVED, True)
    assert package.description.startswith("because x")
    assert package.created <= package.changed


def test_a_run_does_not_find_an_older_version_of_its_name(world: World) -> None:
    # Given a version that says it is of run r1, and is older than it
    registry = Registry(world.group)
    registered(registry, "r1")
    # When the run registers, twice
    later = ABOUT | {"since": datetime.now(UTC) + timedelta(days=1)}
    package = registry.register(run="r1", properties={"run": "r1"}, **later)
    # Then it is its own
    assert package.version == 2


def test_an_execution_is_started_once_and_has_its_outcome(world: World) -> None:
    # Given an execution that is started twice
    executions = Executions(world.rollout)
    assert [executions.start("o1", {"a": 1}) for _ in range(2)] == [None, None]
    assert [json.loads(item["input"]) for item in world.executions(world.rollout)] == [{"a": 1}]
    # When it is stopped and started again
    arn = world.executions(world.rollout)[0]["executionArn"]
    client("stepfunctions").stop_execution(executionArn=arn)
    outcome = executions.start("o1", {"a": 1})
    # Then it says so, and there is no other
    assert outcome == ExecutionOutcome("ABORTED", "")  # moto keeps no cause
    assert ExecutionOutcome("ABORTED", "by hand").sentence("it") == "it ended ABORTED: by hand"
    assert ExecutionOutcome("TIMED_OUT", "").sentence("it") == "it ended TIMED_OUT"
    assert len(world.executions(world.rollout)) == 1


def test_a_missing_state_machine_is_an_error(world: World) -> None:
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        Executions(world.rollout + "-not").start("o1", {})


def test_the_live_version_is_read_from_the_alias(world: World) -> None:
    # Given the function as CloudFormation makes it
    world.predict()
    service = Service(FUNCTION)
    assert service.live() == Serving("1", None, "", service.code())
    # When a version with a model is published, and another after it that takes no traffic
    version = world.publish({"PENSTOCK_VERSION": "3", "PENSTOCK_MODEL_SHA256": "s3"})
    client("lambda").update_function_configuration(
        FunctionName=FUNCTION, Environment={"Variables": {"PENSTOCK_VERSION": "4"}}
    )
    # Then the first is what serves
    assert service.live() == Serving(version, 3, "s3", service.code())


def test_the_live_version_has_the_shares_beside_it(world: World) -> None:
    world.predict()
    new = world.publish({"PENSTOCK_VERSION": "3"})
    weights = {"AdditionalVersionWeights": {new: 0.1}}
    client("lambda").update_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1", RoutingConfig=weights)
    live = Service(FUNCTION).live()
    assert (live.lambda_version, live.version, live.sha256, live.shares) == ("1", None, "", {new: 0.1})


def test_superfluous_versions_are_deleted_and_no_others(world: World) -> None:
    # Given CloudFormation's version and five of rollouts, the newest of them live
    world.predict()
    for number in range(5):
        world.publish({"PENSTOCK_VERSION": str(number)})
    service = Service(FUNCTION)
    assert service.published() == [1, 2, 3, 4, 5, 6]
    # When all but the newest two are pruned, and version 3 was live before
    assert service.prune({3}, 2) == [2, 4]
    # Then the others are there, and what serves serves
    assert service.published() == [1, 3, 5, 6]
    assert service.live().lambda_version == "6"


def test_a_notice_has_one_line_of_at_most_100_characters_as_subject(world: World) -> None:
    notifier = Notifier(world.topic)
    notifier.send("one\nline " + "x" * 200, "the text\nof two lines")
    notice = world.notices()[0]
    assert notice["subject"].startswith("one line xxx")
    assert len(notice["subject"]) == 100
    assert notice["text"] == "the text\nof two lines"


def test_metrics_are_put_to_cloudwatch(world: World) -> None:
    Metrics("Penstock/dev/m").put({"DriftPSI": 0.25, "WindowRows": 500})
    metrics = client("cloudwatch").list_metrics(Namespace="Penstock/dev/m")["Metrics"]
    assert {(item["MetricName"], len(item["Dimensions"])) for item in metrics} == {("DriftPSI", 0), ("WindowRows", 0)}


def test_captures_are_read_in_order_packed_or_not(world: World) -> None:
    # Given three files as Firehose writes them, one of them packed
    prefix = "captures/flight-delay/2026/03/04/"
    lines = [json.dumps({"id": str(number)}) + "\n" for number in range(5)]
    world.store.write(prefix + "06/b", gzip.compress("".join(lines[2:4]).encode()))
    world.store.write(prefix + "05/a", "".join(lines[:2]).encode())
    world.store.write(prefix + "06/c", (lines[4] + "\n").encode())
    # When those behind the fifth hour's file are read
    files = list(captures.read(world.store, world.lake, after=prefix + "05/a"))
    # Then there are the other two, oldest first
    assert [key.rpartition("/")[2] for key, _ in files] == ["b", "c"]
    assert [row["id"] for _, rows in files for row in rows] == ["2", "3", "4"]


def test_the_hours_prefix_is_before_its_files(world: World) -> None:
    prefix = captures.hour_prefix(world.lake, datetime(2026, 3, 4, 5, 59, tzinfo=UTC))
    assert prefix == "captures/flight-delay/2026/03/04/05/"
    assert prefix < "captures/flight-delay/2026/03/04/05/name"
