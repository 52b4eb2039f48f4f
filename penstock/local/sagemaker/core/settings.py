"""Settings of jobs and endpoints on the laptop cloud."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penstock.local.host.home import CloudHome
from penstock.local.host.tls import certificates


def _nothing() -> None:
    """Stand in for `save_state` where no server runs."""


@dataclass(frozen=True)
class JobSettings:
    """Where jobs and endpoints find the cloud, and their limits.

    `stop_grace` is the time in seconds between SIGTERM and SIGKILL, which is 120 s on AWS; `hosting_grace` is the same
    for an endpoint's container, as long as on AWS. `slots` is the number of jobs that run at once. `save_state` is
    called before a job starts, so that a cloud killed during the job still has the state that led to it.
    """

    home: CloudHome
    port: int
    slots: int = 2
    stop_grace: float = 5.0
    hosting_grace: float = 30.0
    checkpoint_interval: float = 10.0
    save_state: Callable[[], None] = _nothing

    @property
    def endpoint(self) -> str:
        """The URL of the cloud."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def trusted(self) -> Path:
        """The certificate bundle for clients of this cloud."""
        return certificates(self.home.tls).bundle
