"""The records of SageMaker and the file that they are saved to.

The laptop cloud has one account and one region. The file is written at every change of a job's or a package's state, so
that a crash loses nothing that a response has confirmed.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.local.host.home import write_atomically

Record = dict[str, Any]


@dataclass
class Store:
    """The records by name or ARN, each with the members of its Describe response.

    `tags` and `policies` are by ARN. `versions` has the highest version ever assigned in a group, which does not go
    down when the newest package is deleted.
    """

    file: Path
    groups: dict[str, Record] = field(default_factory=dict)
    packages: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    training_jobs: dict[str, Record] = field(default_factory=dict)
    processing_jobs: dict[str, Record] = field(default_factory=dict)
    tuning_jobs: dict[str, Record] = field(default_factory=dict)
    feature_groups: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)
    endpoint_configs: dict[str, Record] = field(default_factory=dict)
    endpoints: dict[str, Record] = field(default_factory=dict)
    scalable_targets: dict[str, Record] = field(default_factory=dict)
    scaling_policies: dict[str, Record] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    client_tokens: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def content(self) -> dict[str, Any]:
        """Return all tables by name, as they are saved."""
        return {name: getattr(self, name) for name in _TABLES}

    def save(self) -> None:
        """Write the file."""
        with self.lock:
            write_atomically(self.file, json.dumps({"__ministack_format__": 2, "payload": self.content()}))

    def load(self, content: dict[str, Any]) -> None:
        """Add the saved records."""
        with self.lock:
            for name in _TABLES:
                getattr(self, name).update(content.get(name, {}))

    def clear(self) -> None:
        """Delete all records."""
        with self.lock:
            for name in _TABLES:
                getattr(self, name).clear()


_TABLES = (
    "groups", "packages", "versions", "training_jobs", "processing_jobs", "tags", "policies", "client_tokens",
    "feature_groups", "tuning_jobs", "models", "endpoint_configs", "endpoints", "scalable_targets", "scaling_policies",
)  # fmt: skip
