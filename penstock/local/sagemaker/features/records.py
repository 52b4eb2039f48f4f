"""The records of feature groups in SQLite: the newest of each entity, and the rows queued for the offline store.

Not part of `sagemaker.json`, since a run puts thousands of records, and each must be stored when it is acknowledged.
"""

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

from penstock.local.sagemaker.core.record_store import Record

_TABLES = """
create table if not exists online (
    feature_group text, entity text, event_time real, content text, deleted integer,
    primary key (feature_group, entity)
);
create table if not exists offline (id integer primary key autoincrement, feature_group text, content text);
"""


class FeatureRecords:
    """The records of all groups."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def put(self, group: str, entity: str, event_time: float, content: Record, *, deleted: bool = False) -> None:
        """Store a record online unless there is a newer one; of two with the same time, the later call wins."""
        self._write(
            "insert into online values (?, ?, ?, ?, ?) on conflict do update set event_time = excluded.event_time, "
            "content = excluded.content, deleted = excluded.deleted where excluded.event_time >= online.event_time",
            (group, entity, event_time, json.dumps(content), int(deleted)),
        )

    def remove(self, group: str, entity: str, event_time: float) -> None:
        """Remove a record unless it is newer than a time."""
        self._write(
            "delete from online where feature_group = ? and entity = ? and event_time <= ?", (group, entity, event_time)
        )

    def get(self, group: str, entity: str) -> Record | None:
        """Return the newest record of an entity; None if there is none, or it is a deletion."""
        rows = self._read("select content from online where feature_group = ? and entity = ? and not deleted",
                           (group, entity))  # fmt: skip
        return json.loads(rows[0][0]) if rows else None

    def append(self, group: str, row: Record) -> None:
        """Queue a row for the offline store."""
        self._write("insert into offline (feature_group, content) values (?, ?)", (group, json.dumps(row)))

    def queued_rows(self) -> dict[str, list[tuple[int, Record]]]:
        """Return the rows queued for the offline store, by group, each with its number."""
        rows: dict[str, list[tuple[int, Record]]] = {}
        for number, group, content in self._read("select id, feature_group, content from offline order by id", ()):
            rows.setdefault(group, []).append((number, json.loads(content)))
        return rows

    def remove_queued(self, group: str, last: int) -> None:
        """Remove a group's queued rows up to a number."""
        self._write("delete from offline where feature_group = ? and id <= ?", (group, last))

    def drop(self, group: str) -> None:
        """Delete a group's online records."""
        self._write("delete from online where feature_group = ?", (group,))

    def clear(self) -> None:
        """Delete all records and queued rows."""
        for table in ("online", "offline"):
            self._write(f"delete from {table}", ())  # noqa: S608 - one of two fixed names

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock, self._connection() as connection:
            connection.execute(statement, values)

    def _read(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            return self._connection().execute(statement, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        """Open the file at the first use, since most clouds have no feature group."""
        if self._database is None:
            self._database = sqlite3.connect(self._file, check_same_thread=False)
            self._database.execute("pragma journal_mode = wal")
            # Survives a crash of this process, not of the machine, like the rest of the state.
            self._database.execute("pragma synchronous = off")
            self._database.executescript(_TABLES)
        return self._database
