"""The shadow of a rollout: captured requests asked of the new version, and its answers kept apart.

Each look leaves one document in the lake. What lies there says which captures were read, so that a look that is tried
again asks nothing twice, and another rollout of the same version begins anew.
"""

import gzip
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.aws.lambda_version import Reply
from penstock.aws.s3_store import Store
from penstock.captures import reader as captures
from penstock.lake import CAPTURES, Lake
from penstock.release.shadow_requests import Pair, Request, drawn, pairs, requests

AT_ONCE = 4
"""Requests that are asked side by side; each holds one of the account's concurrent functions."""
MOST_FILES = 20
"""Capture files that one look reads, the newest first."""
SECONDS = 60
"""After which a look asks no more: it has two minutes for all it does."""


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """One rollout's."""

    store: Store
    lake: Lake
    rollout: str
    ask: Callable[[dict[str, Any]], Reply | None]
    """The new version; None is no reply that says anything about it."""
    live: int
    """Number of the model's version whose captured requests are asked."""
    most: int
    """Rows that one look asks."""

    def look(self, since: datetime, now: datetime) -> list[Pair]:
        """Ask what was captured since then and not asked before; all pairs of answers of the rollout so far."""
        before = [json.loads(gzip.decompress(self.store.read(key))) for key in self.store.keys(self._place())]
        keys = self._unread(since, {key for document in before for key in document["captures"]})
        # Drawn of each file first, so that one file's rows at a time are in memory.
        asked = drawn((request for key in keys for request in self._of(key, since)), self.most)
        found = self._asked(asked)
        # Where Lambda took nothing of what was asked, the next look reads the same captures.
        if keys and (found or not asked):
            before.append({"captures": keys, "answers": found})
            self._keep(before[-1], now)
        return [pair for document in before for pair in document["answers"]]

    def _place(self) -> str:
        return self.lake.shadow(self.rollout)

    def _unread(self, since: datetime, read: set[str]) -> list[str]:
        """The newest files that may hold what was answered since then."""
        first = captures.hour_prefix(self.lake, since - captures.LONGEST_BUFFER)
        keys = [key for key in self.store.keys(self.lake.prefix(CAPTURES), first) if key not in read]
        return keys[-MOST_FILES:]

    def _of(self, key: str, since: datetime) -> list[Request]:
        """What to ask of a file's requests that the live version answered since then."""
        start = since.astimezone(UTC).isoformat(timespec="milliseconds")
        rows = captures.rows(self.store.read(key))
        mine = (row for row in rows if row["version"] == self.live and str(row["at"]) >= start)
        return drawn(requests(mine), self.most)

    def _asked(self, asked: Sequence[Request]) -> list[Pair]:
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [pair for found in pool.map(lambda request: self._pairs(request, end), asked) for pair in found]

    def _pairs(self, request: Request, end: float) -> list[Pair]:
        """A request's rows with both answers; none where there was no time, or no reply."""
        reply = self.ask(request.event()) if time.monotonic() < end else None
        return [] if reply is None else pairs(request, reply.document, failed=reply.raised)

    def _keep(self, document: Mapping[str, Any], now: datetime) -> None:
        name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}.json.gz"
        self.store.write(self._place() + name, gzip.compress(json.dumps(document).encode()), "application/gzip")
