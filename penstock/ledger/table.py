"""The ledger's table: conditional writes and transactions on the records of one model, of any kind."""

import json
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Self, cast

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

Record = dict[str, Any]
CONFLICTS = 5
"""Attempts at a transaction that conflicts with another one."""


class NoRecordError(Exception):
    """A record that the ledger does not have; the message names it."""


class StaleError(Exception):
    """A write of a run that is no longer in progress: it was given up, and its uploads belong to another run."""


class Table:
    """The records of one model, by their sort key."""

    def __init__(self, table: str, model: str) -> None:
        resource = boto3.resource("dynamodb")
        self._table = resource.Table(table)
        self._client: Any = resource.meta.client
        self._name, self.model = table, model

    @classmethod
    def of(cls, settings: Any) -> Self:
        """Return the ledger that a function's settings name."""
        return cls(settings.ledger, settings.model)

    def _key(self, sk: str) -> Record:
        return {"pk": self.model, "sk": sk}

    def _find(self, sk: str) -> Record | None:
        item = self._table.get_item(Key=self._key(sk), ConsistentRead=True).get("Item")
        return from_dynamodb(item) if item else None

    def _get(self, sk: str, name: str) -> Record:
        item = self._find(sk)
        if item is None:
            raise NoRecordError(f"the ledger has no {name}")
        return item

    def _all(self, start: str) -> list[Record]:
        condition = Key("pk").eq(self.model) & Key("sk").begins_with(start)
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name, KeyConditionExpression=condition, ConsistentRead=True
        )
        return [from_dynamodb(item) for page in pages for item in page["Items"]]

    def _update(self, sk: str, values: Record) -> None:
        self._client.update_item(**self._set(sk, values)["Update"])

    def _put(self, sk: str, values: Record, *, new: bool = False) -> Record:
        put = {"TableName": self._name, "Item": self._key(sk) | to_dynamodb(values)}
        return {"Put": put | ({"ConditionExpression": "attribute_not_exists(pk)"} if new else {})}

    def _set(self, sk: str, values: Record, condition: tuple[str, str] | None = None) -> Record:
        names = {f"#{i}": name for i, name in enumerate(values)}
        attributes = {f":{i}": to_dynamodb(value) for i, value in enumerate(values.values())}
        update = {
            "TableName": self._name,
            "Key": self._key(sk),
            "UpdateExpression": "SET " + ", ".join(f"#{i} = :{i}" for i in range(len(values))),
        }
        if condition:
            names["#if"], attributes[":if"] = condition
            update["ConditionExpression"] = "#if = :if"
        return {"Update": update | {"ExpressionAttributeNames": names, "ExpressionAttributeValues": attributes}}

    def _delete(self, sk: str, *, exists: bool = False, holder: str | None = None) -> Record:
        delete: Record = {"TableName": self._name, "Key": self._key(sk)}
        if exists:
            delete["ConditionExpression"] = "attribute_exists(pk)"
        if holder is not None:
            delete["ConditionExpression"] = "attribute_not_exists(pk) OR holder = :holder"
            delete["ExpressionAttributeValues"] = {":holder": holder}
        return {"Delete": delete}

    def _check_holder(self, sk: str, holder: str) -> Record:
        return self._check(sk, "holder", holder)

    def _check(self, sk: str, name: str, value: Any) -> Record:
        check: Record = {"TableName": self._name, "Key": self._key(sk), "ConditionExpression": "#name = :value"}
        attributes = {"ExpressionAttributeNames": {"#name": name}, "ExpressionAttributeValues": {":value": value}}
        return {"ConditionCheck": check | attributes}

    def _transact(self, *writes: Record) -> bool:
        """Carry out all writes or none; False if a condition did not hold."""
        for attempt in range(1, CONFLICTS + 1):
            try:
                self._client.transact_write_items(TransactItems=list(writes))
            except ClientError as error:
                reasons = cast("Any", error.response).get("CancellationReasons") or []
                codes = {reason.get("Code") for reason in reasons}
                if "ConditionalCheckFailed" in codes:
                    return False
                if "TransactionConflict" not in codes or attempt == CONFLICTS:
                    raise
                time.sleep(0.02 * 2**attempt)  # another transaction holds one of the items, for milliseconds
            else:
                return True
        raise AssertionError("the last attempt returns or raises")


def to_dynamodb(value: Any) -> Any:
    """Convert a JSON value to DynamoDB's types: numbers to Decimal, tuples to lists."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def from_dynamodb(value: Any) -> Any:
    """Convert an item to JSON types, without its keys."""
    if isinstance(value, Mapping):
        return {name: from_dynamodb(item) for name, item in value.items() if name not in {"pk", "sk"}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [from_dynamodb(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
