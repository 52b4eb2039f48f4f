"""Replay captured requests to the new version of a rollout, and store its answers apart from the captures.

Each look leaves one document in the lake. It names the captures that were read, so that a look that is tried again
asks nothing twice, and another rollout of the same version begins anew.
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
from penstock.release.shadow_comparison import Pair, Request, group_requests, pair_answers, sample

THREADS = 4
"""Requests that are asked side by side; each holds one of the account's concurrent functions."""
MAX_FILES = 20
"""Capture files that one look reads, the newest first."""
SECONDS = 60
"""After which a look asks no more: it has two minutes for all it does."""


@dataclass(frozen=True, kw_only=True)
class ShadowReplay:
    """The replay of one rollout."""

    store: Store
    lake: Lake
    rollout: str
    invoke: Callable[[dict[str, Any]], Reply | None]
    """Asks the new version; None is no reply that says anything about it."""
    live: int
    """Number of the model's version whose captured requests are asked."""
    max_rows: int
    """Rows that one look asks."""

    def look(self, since: datetime, now: datetime) -> list[Pair]:
        """Replay the new captured requests since then; return all pairs of answers of the rollout so far."""
        documents = [json.loads(gzip.decompress(self.store.read(key))) for key in self.store.keys(self._folder())]
        keys = self._unread_keys(since, {key for document in documents for key in document["captures"]})
        # Sampled from each file first, so that one file's rows at a time are in memory.
        requests = sample((request for key in keys for request in self._read_requests(key, since)), self.max_rows)
        pairs = self._ask(requests)
        # Where Lambda took nothing of what was asked, the next look reads the same captures.
        if keys and (pairs or not requests):
            documents.append({"captures": keys, "answers": pairs})
            self._write(documents[-1], now)
        return [pair for document in documents for pair in document["answers"]]

    def _folder(self) -> str:
        return self.lake.shadow(self.rollout)

    def _unread_keys(self, since: datetime, read: set[str]) -> list[str]:
        """List the newest unread files that may hold answers since then."""
        first = captures.hour_prefix(self.lake, since - captures.LONGEST_BUFFER)
        keys = [key for key in self.store.keys(self.lake.prefix(CAPTURES), first) if key not in read]
        return keys[-MAX_FILES:]

    def _read_requests(self, key: str, since: datetime) -> list[Request]:
        """Read a sample of a file's requests that the live version answered since then."""
        start = since.astimezone(UTC).isoformat(timespec="milliseconds")
        rows = captures.rows(self.store.read(key))
        live = (row for row in rows if row["version"] == self.live and str(row["at"]) >= start)
        return sample(group_requests(live), self.max_rows)

    def _ask(self, requests: Sequence[Request]) -> list[Pair]:
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(THREADS) as pool:
            results = pool.map(lambda request: self._ask_one(request, end), requests)
            return [pair for pairs in results for pair in pairs]

    def _ask_one(self, request: Request, end: float) -> list[Pair]:
        """Replay one request; return its rows with both answers, none if there was no time or no reply."""
        reply = self.invoke(request.event()) if time.monotonic() < end else None
        return [] if reply is None else pair_answers(request, reply.document, failed=reply.raised)

    def _write(self, document: Mapping[str, Any], now: datetime) -> None:
        name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}.json.gz"
        self.store.write(self._folder() + name, gzip.compress(json.dumps(document).encode()), "application/gzip")
