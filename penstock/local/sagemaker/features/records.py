"""The records of feature groups, in SQLite: the newest of each entity, and what the offline store has yet to append.

A file of its own and not `sagemaker.json`: a run puts thousands of records, and each is kept when it is acknowledged.
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
    """What every group holds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def put(self, group: str, entity: str, event_time: float, content: Record, *, deleted: bool = False) -> None:
        """Keep a record online unless a newer one is there; of two with the same time the later one stands."""
        self._write(
            "insert into online values (?, ?, ?, ?, ?) on conflict do update set event_time = excluded.event_time, "
            "content = excluded.content, deleted = excluded.deleted where excluded.event_time >= online.event_time",
            (group, entity, event_time, json.dumps(content), int(deleted)),
        )

    def remove(self, group: str, entity: str, event_time: float) -> None:
        """Remove a record that is not newer."""
        self._write(
            "delete from online where feature_group = ? and entity = ? and event_time <= ?", (group, entity, event_time)
        )

    def get(self, group: str, entity: str) -> Record | None:
        """The newest record, unless that is a deletion."""
        found = self._read("select content from online where feature_group = ? and entity = ? and not deleted",
                           (group, entity))  # fmt: skip
        return json.loads(found[0][0]) if found else None

    def append(self, group: str, row: Record) -> None:
        """Keep a row for the offline store."""
        self._write("insert into offline (feature_group, content) values (?, ?)", (group, json.dumps(row)))

    def waiting(self) -> dict[str, list[tuple[int, Record]]]:
        """The rows that the offline store has yet to append, by group, each with its number."""
        found: dict[str, list[tuple[int, Record]]] = {}
        for number, group, content in self._read("select id, feature_group, content from offline order by id", ()):
            found.setdefault(group, []).append((number, json.loads(content)))
        return found

    def appended(self, group: str, last: int) -> None:
        """Let go of a group's rows up to a number."""
        self._write("delete from offline where feature_group = ? and id <= ?", (group, last))

    def drop(self, group: str) -> None:
        """Forget a group's online records."""
        self._write("delete from online where feature_group = ?", (group,))

    def clear(self) -> None:
        """Forget everything."""
        for table in ("online", "offline"):
            self._write(f"delete from {table}", ())  # noqa: S608 - one of two names

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock, self._connection() as connection:
            connection.execute(statement, values)

    def _read(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            return self._connection().execute(statement, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        """The file, opened when it is first needed: most clouds have no feature group."""
        if self._opened is None:
            self._opened = sqlite3.connect(self._file, check_same_thread=False)
            self._opened.execute("pragma journal_mode = wal")
            # Outlives this process's death, not the machine's: as the rest of the state.
            self._opened.execute("pragma synchronous = off")
            self._opened.executescript(_TABLES)
        return self._opened
