"""`sagemaker-featurestore-runtime` in memory: what boto3's client does for one feature group."""

import threading
from typing import Any

from botocore.exceptions import ClientError


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as AWS words it"}}, "BatchGetRecord")


class FakeRuntime:
    """The newest record of each entity, and every call."""

    def __init__(self, entity: str, time: str) -> None:
        self._entity, self._time = entity, time
        self._lock = threading.Lock()
        self.records: dict[str, dict[str, str]] = {}
        self.puts: list[dict[str, str]] = []
        self.gets: list[list[str]] = []
        self.deleted: list[dict[str, Any]] = []
        self.failing: list[ClientError] = []
        """What the next calls answer with."""
        self.holding_back = 0
        """How many identifiers each batch leaves unprocessed."""

    def put_record(self, *, FeatureGroupName: str, Record: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert FeatureGroupName
        with self._lock:
            self._fail()
            record = {item["FeatureName"]: item["ValueAsString"] for item in Record}
            self.puts.append(record)
            known = self.records.get(record[self._entity])
            if known is None or known[self._time] <= record[self._time]:
                self.records[record[self._entity]] = record
        return {}

    def batch_get_record(self, *, Identifiers: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        (asked,) = Identifiers
        names = asked["RecordIdentifiersValueAsString"]
        assert len(names) <= 100
        self.gets.append(names)
        self._fail()
        done = names[: max(1, len(names) - self.holding_back)] if self.holding_back < 1000 else []
        left = names[len(done) :]
        unread = [asked | {"RecordIdentifiersValueAsString": left}] if left else []
        found = [self._found(asked["FeatureGroupName"], name) for name in done if name in self.records]
        return {"Records": found, "Errors": [], "UnprocessedIdentifiers": unread}

    def delete_record(self, **asked: Any) -> dict[str, Any]:
        self.deleted.append(asked)
        del self.records[asked["RecordIdentifierValueAsString"]]
        return {}

    def _found(self, group: str, name: str) -> dict[str, Any]:
        values = [{"FeatureName": key, "ValueAsString": value} for key, value in self.records[name].items()]
        return {"FeatureGroupName": group, "RecordIdentifierValueAsString": name, "Record": values}

    def _fail(self) -> None:
        if self.failing:
            raise self.failing.pop(0)
