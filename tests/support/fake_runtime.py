"""An in-memory fake of boto3's `sagemaker-featurestore-runtime` client, for one feature group."""

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
        """Errors of the next calls."""
        self.holding_back = 0
        """Number of identifiers that each batch leaves unprocessed."""

    def put_record(self, *, FeatureGroupName: str, Record: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert FeatureGroupName
        with self._lock:
            self._fail()
            record = {item["FeatureName"]: item["ValueAsString"] for item in Record}
            self.puts.append(record)
            current = self.records.get(record[self._entity])
            if current is None or current[self._time] <= record[self._time]:
                self.records[record[self._entity]] = record
        return {}

    def batch_get_record(self, *, Identifiers: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        (request,) = Identifiers
        names = request["RecordIdentifiersValueAsString"]
        assert len(names) <= 100
        self.gets.append(names)
        self._fail()
        processed = names[: max(1, len(names) - self.holding_back)] if self.holding_back < 1000 else []
        unprocessed = names[len(processed) :]
        unread = [request | {"RecordIdentifiersValueAsString": unprocessed}] if unprocessed else []
        records = [self._record(request["FeatureGroupName"], name) for name in processed if name in self.records]
        return {"Records": records, "Errors": [], "UnprocessedIdentifiers": unread}

    def delete_record(self, **request: Any) -> dict[str, Any]:
        self.deleted.append(request)
        del self.records[request["RecordIdentifierValueAsString"]]
        return {}

    def _record(self, group: str, name: str) -> dict[str, Any]:
        values = [{"FeatureName": key, "ValueAsString": value} for key, value in self.records[name].items()]
        return {"FeatureGroupName": group, "RecordIdentifierValueAsString": name, "Record": values}

    def _fail(self) -> None:
        if self.failing:
            raise self.failing.pop(0)
