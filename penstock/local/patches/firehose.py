"""Patch of MiniStack's Firehose, which writes one object for each record, at once and uncompressed.

Here records are buffered for `BufferingHints.IntervalInSeconds`, or until `SizeInMBs` is reached, and written as one
object, with GZIP where the stream's configuration says so.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import firehose

from penstock.local.host.cloud import ACCOUNT, REGION

Json = dict[str, Any]
Deliver = Callable[[Json, Json, bytes], None]
_MEGABYTE = 1_048_576


@dataclass
class _Buffer:
    """The buffered records of one stream."""

    stream: Json
    destination: Json
    due: float
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


class Buffers:
    """Buffers the records of all streams, and delivers them when they are due."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._buffers: dict[str, _Buffer] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the thread that delivers due buffers."""
        threading.Thread(target=self._run, name="firehose", daemon=True).start()

    def add(self, stream: Json, destination: Json, data: bytes) -> None:
        """Add a record to its stream's buffer."""
        hints = destination["config"].get("BufferingHints") or {}
        with self._lock:
            due = time.monotonic() + hints.get("IntervalInSeconds", 300)
            buffer = self._buffers.setdefault(stream["name"], _Buffer(stream, destination, due))
            buffer.parts.append(data)
            buffer.size += len(data)
            if buffer.size >= hints.get("SizeInMBs", 5) * _MEGABYTE:
                buffer.due = 0

    def flush(self, *, everything: bool = True) -> None:
        """Deliver all buffers, or only those that are due."""
        with self._lock:
            due = [name for name, buffer in self._buffers.items() if everything or buffer.due <= time.monotonic()]
            ready = [self._buffers.pop(name) for name in due]
        for buffer in ready:
            self._send(buffer)

    def _send(self, buffer: _Buffer) -> None:
        data, config = b"".join(buffer.parts), dict(buffer.destination["config"])
        if config.get("CompressionFormat") == "GZIP":
            data = gzip.compress(data)
            config["FileExtension"] = config.get("FileExtension") or ".gz"
        with request_scope(ACCOUNT, REGION):
            self._deliver(buffer.stream, {**buffer.destination, "config": config}, data)

    def _run(self) -> None:
        while True:
            time.sleep(0.2)
            self.flush(everything=False)


buffers = Buffers(firehose._deliver_to_s3)


def install() -> None:
    """Install the patches of this module."""
    firehose._deliver_to_s3 = _buffered(firehose._deliver_to_s3)


def _buffered(original: Callable[..., None]) -> Callable[..., None]:
    def deliver(stream: Json, destination: Json, data: bytes, lambda_keys: Any = None) -> None:
        config = destination["config"]
        partitioned = (config.get("DynamicPartitioningConfiguration") or {}).get("Enabled")
        if partitioned or config.get("DataFormatConversionConfiguration"):
            original(stream, destination, data, lambda_keys)  # each record has a key of its own
        else:
            buffers.add(stream, destination, data)

    return deliver
