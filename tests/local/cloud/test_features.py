"""The feature store of the laptop cloud: groups, records online and offline, and who may use them."""

import io
import json
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from penstock.aws.feature_store import FeatureStore, StoredGroup, find_groups
from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import Client, allow, client_for, free_port, make_role, until

RUNTIME, BUCKET, GROUP = "sagemaker-featurestore-runtime", "features-lake", "flights"
DEFINITIONS = [
    {"FeatureName": "flight", "FeatureType": "String"},
    {"FeatureName": "at", "FeatureType": "String"},
    {"FeatureName": "delay", "FeatureType": "Fractional"},
    {"FeatureName": "seats", "FeatureType": "Integral"},
]


def definition(**changed: Any) -> dict[str, Any]:
    return {
        "FeatureGroupName": GROUP,
        "RecordIdentifierFeatureName": "flight",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": DEFINITIONS,
        "OnlineStoreConfig": {"EnableOnlineStore": True},
    } | changed


@pytest.fixture(scope="module")
def group(client: Client) -> str:
    """A group with both stores."""
    client("s3").create_bucket(Bucket=BUCKET)
    role = make_role(
        client, "flights-features", "sagemaker", allow("s3:PutObject", f"arn:aws:s3:::{BUCKET}/features/*")
    )
    offline = {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/features/"}, "DisableGlueTableCreation": True}
    client("sagemaker").create_feature_group(**definition(RoleArn=role, OfflineStoreConfig=offline))
    return GROUP


def put(client: Client, flight: str, at: str, **values: str) -> None:
    record = {"flight": flight, "at": at} | values
    listed = [{"FeatureName": name, "ValueAsString": value} for name, value in record.items()]
    client(RUNTIME).put_record(FeatureGroupName=GROUP, Record=listed)


def get(client: Client, flight: str, **options: Any) -> dict[str, str]:
    reply = client(RUNTIME).get_record(FeatureGroupName=GROUP, RecordIdentifierValueAsString=flight, **options)
    return {item["FeatureName"]: item["ValueAsString"] for item in reply.get("Record", [])}


def refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_group_is_described_listed_changed_and_deleted(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    # Given a second group, of which features are added
    sagemaker.create_feature_group(**definition(FeatureGroupName="other", Tags=[{"Key": "a", "Value": "b"}]))
    added = [{"FeatureName": "gate", "FeatureType": "String"}]
    arn = sagemaker.update_feature_group(FeatureGroupName="other", FeatureAdditions=added)["FeatureGroupArn"]
    # Then it says so
    described = sagemaker.describe_feature_group(FeatureGroupName="other")
    assert described["FeatureDefinitions"] == DEFINITIONS + added
    assert (described["FeatureGroupStatus"], described["FeatureGroupArn"]) == ("Created", arn)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    both = sagemaker.list_feature_groups(SortBy="Name", SortOrder="Ascending")["FeatureGroupSummaries"]
    assert [item["FeatureGroupName"] for item in both] == [group, "other"]
    # And when it is deleted it is gone
    sagemaker.delete_feature_group(FeatureGroupName="other")
    assert refused(sagemaker.describe_feature_group, FeatureGroupName="other")[0] == "ResourceNotFound"
    storage = sagemaker.describe_feature_group(FeatureGroupName=group)["OfflineStoreConfig"]["S3StorageConfig"]
    assert storage["ResolvedOutputS3Uri"].startswith(f"s3://{BUCKET}/features/000000000000/sagemaker/us-east-1/")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"FeatureGroupName": "a b"}, "featureGroupName"),
        ({"RecordIdentifierFeatureName": "nobody"}, "nobody is not among"),
        ({"EventTimeFeatureName": "seats"}, "of type Fractional or String"),
        ({"FeatureDefinitions": [*DEFINITIONS, {"FeatureName": "write_time", "FeatureType": "String"}]}, "reserved"),
        ({"FeatureDefinitions": [*DEFINITIONS, DEFINITIONS[2]]}, "unique"),
        ({"OnlineStoreConfig": {"EnableOnlineStore": False}}, "At least one"),
    ],
)
def test_requests_that_aws_refuses_are_refused(client: Client, changed: dict[str, Any], words: str) -> None:
    code, message = refused(
        client("sagemaker").create_feature_group, **(definition(FeatureGroupName="refused") | changed)
    )
    assert code == "ValidationException"
    assert words in message


def test_the_newest_record_of_an_entity_wins(client: Client, group: str) -> None:
    # Given records that come out of order
    put(client, "UA1", "2026-03-02T00:00:00Z", delay="2", seats="180")
    put(client, "UA1", "2026-03-01T00:00:00.500Z", delay="1")
    assert get(client, "UA1") == {"flight": "UA1", "at": "2026-03-02T00:00:00Z", "delay": "2", "seats": "180"}
    # When a newer one comes, it replaces the other whole
    put(client, "UA1", "2026-03-02T00:00:00.001Z", delay="3.5")
    assert get(client, "UA1") == {"flight": "UA1", "at": "2026-03-02T00:00:00.001Z", "delay": "3.5"}
    assert get(client, "UA1", FeatureNames=["delay"]) == {"delay": "3.5"}
    # And several are read at once; one that is not there is left out
    put(client, "UA2", "2026-03-02T00:00:00Z", seats="9")
    identifiers = [{"FeatureGroupName": group, "RecordIdentifiersValueAsString": ["UA1", "UA2", "UA3"]}]
    reply = client(RUNTIME).batch_get_record(Identifiers=identifiers)
    assert [item["RecordIdentifierValueAsString"] for item in reply["Records"]] == ["UA1", "UA2"]
    assert (reply["Errors"], reply["UnprocessedIdentifiers"]) == ([], [])


def test_a_deleted_record_is_gone(client: Client, group: str) -> None:
    about = {"FeatureGroupName": group, "RecordIdentifierValueAsString": "DL1", "EventTime": "2026-03-03T00:00:00Z"}
    for mode, comes_back in (("SoftDelete", False), ("HardDelete", True)):
        put(client, "DL1", "2026-03-02T00:00:00Z", delay="2")
        client(RUNTIME).delete_record(**about, DeletionMode=mode)
        assert get(client, "DL1") == {}
        # A soft deletion is a record too, with a time: an older one does not replace it.
        put(client, "DL1", "2026-03-02T12:00:00Z", delay="2")
        assert (get(client, "DL1") != {}) == comes_back


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"flight": "UA1"}, "at is missing"),
        ({"at": "2026-03-02T00:00:00Z"}, "flight is missing"),
        ({"flight": "UA1", "at": "yesterday"}, "yesterday"),
        ({"flight": "UA1", "at": "2026-03-02T00:00:00Z", "seats": "many"}, "Integral"),
        ({"flight": "UA1", "at": "2026-03-02T00:00:00Z", "gate": "4"}, "gate is not defined"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(client: Client, group: str, record: dict[str, str], words: str) -> None:
    listed = [{"FeatureName": name, "ValueAsString": value} for name, value in record.items()]
    code, message = refused(client(RUNTIME).put_record, FeatureGroupName=group, Record=listed)
    assert code == "ValidationError"
    assert words in message


def test_a_missing_group_is_reported(client: Client, group: str) -> None:
    request = {"FeatureGroupName": "nowhere", "RecordIdentifierValueAsString": "UA1"}
    assert refused(client(RUNTIME).get_record, **request)[0] == "ResourceNotFound"


def test_every_record_is_appended_to_files_within_seconds(client: Client, group: str) -> None:
    # Given a record that is older than what is online, and a deletion
    put(client, "AA1", "2026-03-02T00:00:00Z", delay="2", seats="180")
    put(client, "AA1", "2026-03-01T00:00:00Z", delay="-1.5")
    client(RUNTIME).delete_record(
        FeatureGroupName=group, RecordIdentifierValueAsString="AA1", EventTime="2026-03-04T00:00:00Z"
    )
    s3 = client("s3")

    def rows() -> list[dict[str, Any]]:
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        frames = [pl.read_parquet(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())) for key in keys]
        return pl.concat(frames).filter(flight="AA1").sort("api_invocation_time").to_dicts() if frames else []

    # Then the files have all three, typed, with SageMaker's own columns
    records = until(lambda: records if len(records := rows()) == 3 else None)
    assert [(row["delay"], row["seats"], row["is_deleted"]) for row in records] == [
        (2.0, 180, False),
        (-1.5, None, False),
        (None, None, True),
    ]
    assert all(row["write_time"] >= row["api_invocation_time"] for row in records)


def test_a_role_does_what_it_may_on_its_group(cloud: LaptopCloud, client: Client, group: str) -> None:
    # Given a role that may read one group
    client("sagemaker").create_feature_group(**definition(FeatureGroupName="secret"))
    own = f"arn:aws:sagemaker:us-east-1:000000000000:feature-group/{group[:-1]}?"
    role = make_role(client, "features-reader", "lambda", allow("sagemaker:BatchGetRecord", own))
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    client("iam").update_assume_role_policy(RoleName="features-reader", PolicyDocument=policy)
    keys = client("sts").assume_role(RoleArn=role, RoleSessionName="reader")["Credentials"]
    make: Any = boto3.client
    reader = make(
        RUNTIME,
        region_name="us-east-1",
        endpoint_url=cloud.url,
        verify=cloud.environment()["AWS_CA_BUNDLE"],
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=Config(proxies={}, retries={"max_attempts": 1}),
    )
    put(client, "B61", "2026-03-02T00:00:00Z", delay="2")
    mine = {"FeatureGroupName": group, "RecordIdentifiersValueAsString": ["B61"]}
    # Then it reads that one, writes nothing, and another group neither first nor second in a batch
    assert len(reader.batch_get_record(Identifiers=[mine])["Records"]) == 1
    record = [{"FeatureName": "flight", "ValueAsString": "B61"}]
    assert "AccessDenied" in refused(reader.put_record, FeatureGroupName=group, Record=record)[0]
    for batch in ([mine | {"FeatureGroupName": "secret"}], [mine, mine | {"FeatureGroupName": "secret"}]):
        code, message = refused(reader.batch_get_record, Identifiers=batch)
        assert code in ("AccessDeniedException", "AccessForbidden")
        assert "sagemaker:BatchGetRecord" in message


def test_a_models_groups_are_found_and_forget(client: Client) -> None:
    # Given two groups of a model, one that is offline only, and one of a model with a longer name
    role = make_role(client, "forgotten-features", "sagemaker")
    online: dict[str, Any] = {"OnlineStoreConfig": {"EnableOnlineStore": True}}
    storage = {"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/features"}}
    offline = {"OnlineStoreConfig": {"EnableOnlineStore": False}, "OfflineStoreConfig": storage, "RoleArn": role}
    stores: dict[str, dict[str, Any]] = {
        "delay-00000001": online,
        "delay-00000002": online,
        "delay-00000003": offline,
        "delay-x-00000004": online,
    }
    for name, chosen in stores.items():
        client("sagemaker").create_feature_group(**definition(FeatureGroupName=f"penstock-dev-{name}", **chosen))
    # When its groups are asked for, then the first three are told
    groups = sorted(find_groups("penstock-dev-delay-????????", client("sagemaker")), key=lambda group: group.name)
    start = "penstock-dev-delay-0000000"
    assert groups == [StoredGroup(f"{start}{n}", "flight", "at", online=n < 3) for n in (1, 2, 3)]
    # And each that is online forgets an entity, whose record is of the future
    for group in groups[:2]:
        store = FeatureStore(group.name, client(RUNTIME))
        store.put(iter([{"flight": "UA 1\n", "at": "2999-01-01T00:00:00.000Z"}]))
        assert store.get(["UA 1\n"]) == {"UA 1\n": {"flight": "UA 1\n", "at": "2999-01-01T00:00:00.000Z"}}
        assert store.forget("UA 1\n", group.time_name)
        assert store.get(["UA 1\n"]) == {}


def template(name: str, *features: str, **policies: str) -> str:
    definitions = [{"FeatureName": feature, "FeatureType": "String"} for feature in ("flight", "at", *features)]
    properties = definition(FeatureGroupName=name, FeatureDefinitions=definitions)
    group = {"Type": "AWS::SageMaker::FeatureGroup", "Properties": properties, **policies}
    return json.dumps({"Resources": {"Group": group}, "Outputs": {"Name": {"Value": {"Ref": "Group"}}}})


def test_cloudformation_makes_changes_and_replaces_a_group(client: Client) -> None:
    cloudformation, sagemaker = client("cloudformation"), client("sagemaker")

    def deployed(body: str, call: Any) -> str:
        call(StackName="features", TemplateBody=body)
        stack = until(lambda: next((s for s in stacks() if s["StackStatus"].endswith("_COMPLETE")), None))
        assert "ROLLBACK" not in stack["StackStatus"]
        return str(stack["Outputs"][0]["OutputValue"])

    def stacks() -> list[dict[str, Any]]:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName="features")["Stacks"]
        return stacks

    def features(name: str) -> list[str]:
        described = sagemaker.describe_feature_group(FeatureGroupName=name)["FeatureDefinitions"]
        return [item["FeatureName"] for item in described]

    assert deployed(template("first"), cloudformation.create_stack) == "first"
    # When a feature is added, the group stays
    assert deployed(template("first", "gate"), cloudformation.update_stack) == "first"
    assert features("first") == ["flight", "at", "gate"]
    # When the name is another, another group is made, and the one before kept where the template says so
    retained = {"UpdateReplacePolicy": "Retain"}
    assert deployed(template("second", "gate", **retained), cloudformation.update_stack) == "second"
    assert features("second") == features("first")
    # When the stack goes, its group goes
    cloudformation.delete_stack(StackName="features")
    until(
        lambda: (
            "second"
            not in [
                item["FeatureGroupName"]
                for item in sagemaker.list_feature_groups(MaxResults=100)["FeatureGroupSummaries"]
            ]
        )
    )
    assert features("first")


def test_acknowledged_records_survive_a_kill(tmp_path: Path) -> None:
    # Given a cloud with a group and a record
    own = LaptopCloud(tmp_path / "home", port=free_port())
    own.up()
    try:
        client_for(own)("sagemaker").create_feature_group(**definition())
        put(client_for(own), "WN1", "2026-03-02T00:00:00Z", delay="2")
        # When it is stopped and started
        own.down()
        own.up()
        # Then both are there
        assert get(client_for(own), "WN1")["delay"] == "2"
    finally:
        own.down()
