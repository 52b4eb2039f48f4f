"""Saves MiniStack's state while it runs.

MiniStack saves when it stops. A laptop's lid or a `kill -9` does not stop it, it ends it, so every service whose state
changed is saved every few seconds as well.
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
    """A background thread that writes what changed since it last looked."""

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
        """Wait for a save that is under way; MiniStack's own save at shutdown follows."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            started = time.monotonic()
            self.save()
            # Never more than a tenth of one core, however large the state has grown.
            pause = max(self._interval, 9 * (time.monotonic() - started))

    def save(self) -> None:
        """Write every service whose state changed."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        for service, get_state in ministack._build_persistence_save_dict().items():
            text = _serialised(service, get_state)
            if text is None:
                continue
            digest = hashlib.blake2b(text.encode()).digest()
            if self._digests.get(service) != digest:
                write_atomically(Path(persistence.STATE_DIR) / f"{service}.json", text)
                self._digests[service] = digest
            time.sleep(0)  # lets a request in between two services


def _serialised(service: str, get_state: Callable[[], Any]) -> str | None:
    """Return the file content for a service; None where it has no state or changed under our hands each time."""
    for attempt in range(_ATTEMPTS):
        try:
            state = get_state()
            if state is None:
                return None
            wrapped = {
                "__ministack_format__": persistence._state_format_version(service),
                "payload": state,
            }
            return json.dumps(wrapped, default=persistence._json_default)
        except RuntimeError as error:  # a dictionary changed its size while it was copied
            if attempt + 1 == _ATTEMPTS:
                _log.info("The state of %s is saved at the next turn: %s", service, error)
        except Exception:
            _log.exception("The state of %s cannot be saved", service)
            return None
    return None
