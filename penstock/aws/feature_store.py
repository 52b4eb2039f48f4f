"""The gateway to SageMaker's feature store: the records of a group, each an entity with its latest features as text."""

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
CHUNK = 1000
"""Records given to the threads before the next ones are read."""
CALL_RECORDS = 100
TRIES = 3
_NOT_ALLOWED = re.compile(r"[\\\n\r\x85\u2028\u2029]")
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
PATIENT = Config(
    connect_timeout=5, read_timeout=20, max_pool_connections=THREADS, retries={"mode": "standard", "max_attempts": 10}
)
"""For a run, which waits until throttling is over."""
IMPATIENT = Config(connect_timeout=0.5, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
"""For a request, whose caller waits."""


class FeatureStoreError(Exception):
    """A failed call of the store; the message says which and why."""


@dataclass(frozen=True)
class StoredGroup:
    """An existing group, as SageMaker has it."""

    name: str
    entity_name: str
    """The feature that names a record's entity."""
    time_name: str
    """The feature that holds a record's event time."""
    online: bool


class FeatureStore:
    """A feature group."""

    def __init__(self, group: str, client: Any) -> None:
        """Use a client of `sagemaker-featurestore-runtime`; `for_run` and `for_request` make one."""
        self.group = group
        self._client = client

    @classmethod
    def for_run(cls, group: str) -> Self:
        """Return the group with a client that waits, for a run."""
        return cls(group, _client(PATIENT))

    @classmethod
    def for_request(cls, group: str) -> Self:
        """Return the group with a client that gives up soon, for a request."""
        return cls(group, _client(IMPATIENT))

    def put(self, records: Iterator[Record]) -> int:
        """Put records, some at a time; return their count. Putting a record twice has no further effect.

        Raises:
            FeatureStoreError: one was not taken; some of the others were.
        """
        count = 0
        with ThreadPoolExecutor(THREADS) as pool:
            while chunk := list(islice(records, CHUNK)):
                try:
                    list(pool.map(self._put, chunk))
                except (BotoCoreError, ClientError) as error:
                    # Not which record: an entity's name may be personal.
                    reason = f"after {count:,} records that were taken: {error}"
                    raise FeatureStoreError(f"the feature group {self.group} refused a record, {reason}") from None
                count += len(chunk)
        return count

    def _put(self, record: Record) -> None:
        values = [{"FeatureName": name, "ValueAsString": escape(value)} for name, value in record.items()]
        self._client.put_record(FeatureGroupName=self.group, Record=values)

    def get(self, entities: Sequence[str]) -> dict[str, Record]:
        """Read the latest record of each entity; entities without one are left out.

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        records: dict[str, Record] = {}
        for start in range(0, len(entities), CALL_RECORDS):
            waiting = list(entities[start : start + CALL_RECORDS])
            for _ in range(TRIES):
                waiting = self._get(waiting, records)
                if not waiting:
                    break
            else:
                raise FeatureStoreError(f"the feature group {self.group} left {len(waiting)} records unread")
        return records

    def _get(self, entities: list[str], records: dict[str, Record]) -> list[str]:
        """Add the records that one call returns; return the entities that it did not read."""
        identifiers = [{"FeatureGroupName": self.group, "RecordIdentifiersValueAsString": [*map(escape, entities)]}]
        try:
            reply = self._client.batch_get_record(Identifiers=identifiers)
        except (BotoCoreError, ClientError) as error:
            raise FeatureStoreError(f"the feature group {self.group} does not answer: {error}") from None
        if errors := reply["Errors"]:
            raise FeatureStoreError(f"the feature group {self.group} does not answer: {errors[0]['ErrorCode']}")
        for item in reply["Records"]:
            records[_unescape(item["RecordIdentifierValueAsString"])] = _values(item["Record"])
        unread = reply["UnprocessedIdentifiers"]
        return [_unescape(name) for item in unread for name in item["RecordIdentifiersValueAsString"]]

    def forget(self, entity: str, time_name: str) -> bool:
        """Delete an entity's record from the online store permanently; return whether there was one.

        The offline store's files are part of the lake and are not touched.

        Args:
            entity: its name, as a request gives it.
            time_name: the feature that holds the event time (`FeatureGroup.time_name`, `StoredGroup.time_name`).

        Raises:
            FeatureStoreError: the store is down, busy, or refuses.
        """
        record = self.get([entity]).get(entity)
        if record is None:
            return False
        # A deletion takes effect only with an event time later than the record's.
        later = max(datetime.fromisoformat(record[time_name]) + timedelta(seconds=1), datetime.now(UTC))
        try:
            self._client.delete_record(
                FeatureGroupName=self.group,
                RecordIdentifierValueAsString=escape(entity),
                EventTime=event_time(later),
                TargetStores=["OnlineStore"],
                DeletionMode="HardDelete",
            )
        except (BotoCoreError, ClientError) as error:
            raise FeatureStoreError(f"the feature group {self.group} did not delete a record: {error}") from None
        return True

    def forget_all(self, entities: Sequence[str], time_name: str) -> None:
        """Delete the records of many entities; arguments and errors as `forget`."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda entity: self.forget(entity, time_name), entities))


def find_groups(pattern: str, client: Any = None) -> list[StoredGroup]:
    """Find the groups whose names fit a pattern (`groups_pattern`).

    A model has more than one when its specification or contract was changed: the earlier ones are kept.

    Raises:
        FeatureStoreError: they cannot be listed; names the permissions that it needs.
    """
    try:
        sagemaker = client or _sagemaker()
        pages = sagemaker.get_paginator("list_feature_groups").paginate(NameContains=pattern.rstrip("?"))
        names = [item["FeatureGroupName"] for page in pages for item in page["FeatureGroupSummaries"]]
        groups = [
            sagemaker.describe_feature_group(FeatureGroupName=name) for name in names if fnmatchcase(name, pattern)
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
        for group in groups
    ]


def event_time(moment: datetime) -> str:
    """Format a moment for the store: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _sagemaker() -> Any:
    make: Any = boto3.client
    return make("sagemaker")


def _client(config: Config) -> Any:
    make: Any = boto3.client
    return make("sagemaker-featurestore-runtime", config=config)


def _values(record: Sequence[Mapping[str, str]]) -> Record:
    return {item["FeatureName"]: _unescape(item["ValueAsString"]) for item in record if "ValueAsString" in item}


def escape(value: str) -> str:
    """Escape line ends in a value: the API's pattern for values, `.*`, allows none."""
    return _NOT_ALLOWED.sub(lambda match: f"\\u{ord(match[0]):04x}", value)


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value)
