"""Saves MiniStack's state at intervals while it runs.

MiniStack itself saves only when it is stopped. A flat battery or `kill -9` ends it without that, so each service whose
state has changed is saved every few seconds as well.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack import app as ministack
from ministack.core import persistence

from penstock.local.host.home import write_atomically

_log = logging.getLogger(__name__)
_ATTEMPTS = 3


class StateSaver:
    """A background thread that writes the state of services that have changed since its last turn."""

    def __init__(self, interval: float = 3.0) -> None:
        self._interval = interval
        self._digests: dict[str, bytes] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to save at intervals."""
        self._thread = threading.Thread(target=self._run, name="state-saver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait for a save in progress; MiniStack's own save at shutdown follows."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            started = time.monotonic()
            self.save()
            # At most a tenth of one core, however large the state.
            pause = max(self._interval, 9 * (time.monotonic() - started))

    def save(self) -> None:
        """Write the state of every service that has changed."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        for service, get_state in ministack._build_persistence_save_dict().items():
            text = _serialise(service, get_state)
            if text is None:
                continue
            digest = hashlib.blake2b(text.encode()).digest()
            if self._digests.get(service) != digest:
                write_atomically(Path(persistence.STATE_DIR) / f"{service}.json", text)
                self._digests[service] = digest
            time.sleep(0)  # lets requests run between two services


def _serialise(service: str, get_state: Callable[[], Any]) -> str | None:
    """Return the file content for a service; None where it has no state, or changed during every attempt."""
    for attempt in range(_ATTEMPTS):
        try:
            state = get_state()
            if state is None:
                return None
            document = {
                "__ministack_format__": persistence._state_format_version(service),
                "payload": state,
            }
            return json.dumps(document, default=persistence._json_default)
        except RuntimeError as error:  # a dictionary changed its size while it was copied
            if attempt + 1 == _ATTEMPTS:
                _log.info("The state of %s is saved at the next turn: %s", service, error)
        except Exception:
            _log.exception("The state of %s cannot be saved", service)
            return None
    return None
