"""What the jobs of this laptop cloud are run with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penstock.local.host.home import CloudHome
from penstock.local.host.tls import certificates


def _nothing() -> None:
    """Stand in for `save_state` where no server runs."""


@dataclass(frozen=True)
class JobSettings:
    """Where jobs find the cloud, and their bounds.

    `stop_grace` is the time in seconds between SIGTERM and SIGKILL, which is 120 s on AWS. `hosting_grace` is
    that of an endpoint's container, as long as on AWS. `slots` is how many jobs run at once. `save_state` is called
    before a job starts, so that a cloud killed during the job remembers what led to it.
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
        """The cloud's own endpoint."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def trusted(self) -> Path:
        """The certificates that a client of this cloud trusts."""
        return certificates(self.home.tls).bundle
