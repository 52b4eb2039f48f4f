"""The one door to SageMaker's feature store: records of a group, each an entity with its latest features as text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Record = Mapping[str, str]
"""Feature → value."""
THREADS = 16
AT_ONCE = 1000
"""Records handed to the threads before the next ones are looked at."""
CALL_RECORDS = 100
TRIES = 3
_NOT_TAKEN = re.compile(r"[\\\n\r\x85\u2028\u2029]")
_PACKED = re.compile(r"\\u([0-9a-f]{4})")
PATIENT = Config(
    connect_timeout=5, read_timeout=20, max_pool_connections=THREADS, retries={"mode": "standard", "max_attempts": 10}
)
"""For a run: throttling is waited out."""
IMPATIENT = Config(connect_timeout=0.5, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
"""For a request: somebody waits."""


class FeatureStoreError(Exception):
    """The store did not do what it was asked; the message says what and why."""


@dataclass(frozen=True)
class StoredGroup:
    """A group that there is, by what SageMaker knows of it."""

    name: str
    entity_name: str
    """The feature that names a record's entity."""
    time_name: str
    """The feature that holds a record's event time."""
    online: bool


class FeatureStore:
    """A feature group."""

    def __init__(self, group: str, client: Any) -> None:
        """Use a client of `sagemaker-featurestore-runtime`; `patient` and `impatient` make one."""
        self.group = group
        self._client = client

    @classmethod
    def patient(cls, group: str) -> Self:
        """The group as a run has it."""
        return cls(group, _client(PATIENT))

    @classmethod
    def impatient(cls, group: str) -> Self:
        """The group as a request has it."""
        return cls(group, _client(IMPATIENT))

    def put(self, records: Iterator[Record]) -> int:
        """Put records, some at a time; how many there were. The same record twice is the same as once.

        Raises:
            FeatureStoreError: one was not taken; some of the others were.
        """
        count = 0
        with ThreadPoolExecutor(THREADS) as pool:
            while some := list(islice(records, AT_ONCE)):
                try:
                    list(pool.map(self._put, some))
                except (BotoCoreError, ClientError) as error:
                    # Not which record: an entity's name may be personal.
                    said = f"after {count:,} records that were taken: {error}"
                    raise FeatureStoreError(f"the feature group {self.group} refused a record, {said}") from None
                count += len(some)
        return count

    def _put(self, record: Record) -> None:
        values = [{"FeatureName": name, "ValueAsString": packed(value)} for name, value in record.items()]
        self._client.put_record(FeatureGroupName=self.group, Record=values)

    def get(self, entities: Sequence[str]) -> dict[str, Record]:
        """The latest record of each entity; those that are not there are left out.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        found: dict[str, Record] = {}
        for start in range(0, len(entities), CALL_RECORDS):
            waiting = list(entities[start : start + CALL_RECORDS])
            for _ in range(TRIES):
                waiting = self._get(waiting, found)
                if not waiting:
                    break
            else:
                raise FeatureStoreError(f"the feature group {self.group} left {len(waiting)} records unread")
        return found

    def _get(self, entities: list[str], found: dict[str, Record]) -> list[str]:
        """One call; the entities that it left."""
        asked = [{"FeatureGroupName": self.group, "RecordIdentifiersValueAsString": [*map(packed, entities)]}]
        try:
            reply = self._client.batch_get_record(Identifiers=asked)
        except (BotoCoreError, ClientError) as error:
            raise FeatureStoreError(f"the feature group {self.group} does not answer: {error}") from None
        if errors := reply["Errors"]:
            raise FeatureStoreError(f"the feature group {self.group} does not answer: {errors[0]['ErrorCode']}")
        for item in reply["Records"]:
            found[_unpacked(item["RecordIdentifierValueAsString"])] = _values(item["Record"])
        left = reply["UnprocessedIdentifiers"]
        return [_unpacked(name) for item in left for name in item["RecordIdentifiersValueAsString"]]

    def forget(self, entity: str, time_name: str) -> bool:
        """Delete an entity's record from the online store for good; whether there was one.

        The offline store's files are the lake's, and are left to whoever rewrites those.

        Args:
            entity: its name, as a request gives it.
            time_name: the feature that holds the event time (`FeatureGroup.time_name`, `StoredGroup.time_name`).

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        record = self.get([entity]).get(entity)
        if record is None:
            return False
        # A deletion counts from its event time on, which must be later than the record's.
        later = max(datetime.fromisoformat(record[time_name]) + timedelta(seconds=1), datetime.now(UTC))
        try:
            self._client.delete_record(
                FeatureGroupName=self.group,
                RecordIdentifierValueAsString=packed(entity),
                EventTime=event_time(later),
                TargetStores=["OnlineStore"],
                DeletionMode="HardDelete",
            )
        except (BotoCoreError, ClientError) as error:
            raise FeatureStoreError(f"the feature group {self.group} did not delete a record: {error}") from None
        return True

    def forget_all(self, entities: Sequence[str], time_name: str) -> None:
        """Delete many entities' records; arguments and errors as `forget`."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda entity: self.forget(entity, time_name), entities))


def stored_groups(pattern: str, client: Any = None) -> list[StoredGroup]:
    """The groups whose names fit a pattern (`groups_pattern`).

    A model has more than one when its specification or contract was changed: the earlier ones are kept.

    Raises:
        FeatureStoreError: they cannot be listed; says which leave that needs.
    """
    try:
        sagemaker = client or _sagemaker()
        pages = sagemaker.get_paginator("list_feature_groups").paginate(NameContains=pattern.rstrip("?"))
        listed = [item["FeatureGroupName"] for page in pages for item in page["FeatureGroupSummaries"]]
        described = [
            sagemaker.describe_feature_group(FeatureGroupName=name) for name in listed if fnmatchcase(name, pattern)
        ]
    except (BotoCoreError, ClientError) as error:
        needs = "sagemaker:ListFeatureGroups and sagemaker:DescribeFeatureGroup"
        raise FeatureStoreError(f"the feature groups cannot be listed, which needs {needs}: {error}") from None
    return [
        StoredGroup(
            group["FeatureGroupName"],
            group["RecordIdentifierFeatureName"],
            group["EventTimeFeatureName"],
            bool(group.get("OnlineStoreConfig", {}).get("EnableOnlineStore")),
        )
        for group in described
    ]


def event_time(moment: datetime) -> str:
    """A moment as the store takes it: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _sagemaker() -> Any:
    make: Any = boto3.client
    return make("sagemaker")


def _client(config: Config) -> Any:
    make: Any = boto3.client
    return make("sagemaker-featurestore-runtime", config=config)


def _values(record: Sequence[Mapping[str, str]]) -> Record:
    return {item["FeatureName"]: _unpacked(item["ValueAsString"]) for item in record if "ValueAsString" in item}


def packed(value: str) -> str:
    """A value on one line: the API's pattern for values, `.*`, takes no line end."""
    return _NOT_TAKEN.sub(lambda found: f"\\u{ord(found[0]):04x}", value)


def _unpacked(value: str) -> str:
    return _PACKED.sub(lambda found: chr(int(found[1], 16)), value)
