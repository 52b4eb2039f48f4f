"""Rollback requests in the registry, and the conditions that a rollback has to meet.

A rollback is requested by rejecting the live version in the registry, with a description of a fixed form. So the
registry's own record has the author, as for an approval, and nobody who may not decide there can roll back. The
operator's command and `authorize` check the same conditions: the command to answer at once, `authorize` to decide.
"""

import re
from dataclasses import dataclass

from penstock.aws.model_registry import REJECTED, Package
from penstock.ledger.ledger import Ledger, NoRecordError, Record

MARK = "rolled back"
"""The ledger's decision on a version that was rolled back."""
_DESCRIPTION = re.compile(r"rolled back to version (\d{1,9}): (.*\S)\s*", re.DOTALL)


class RollbackError(Exception):
    """A rollback that is not possible; the message says why and what can be done instead."""


@dataclass(frozen=True)
class Request:
    """A request to go from one version back to another."""

    package: Package
    """The version to be rolled back, as the registry has it."""
    to: int
    reason: str


def format_request(to: int, reason: str) -> str:
    """Write the approval description that requests a rollback."""
    return f"rolled back to version {to}: {reason.strip()}"


def read_request(package: Package) -> Request | None:
    """Read the request in a version's status and description; None where there is none."""
    match = _DESCRIPTION.fullmatch(package.description)
    return Request(package, int(match[1]), match[2]) if match and package.status == REJECTED else None


def require_live(ledger: Ledger) -> Record:
    """Read the live version, which a rollback would replace.

    Raises:
        RollbackError: nothing is live, or a rollout is under way.
    """
    live = ledger.live()
    if live is None:
        raise RollbackError(f"no version of {ledger.model} is live: there is nothing to roll back")
    if (holder := ledger.holder("rollout")) is not None:
        version = ledger.rollout(holder)["version"]
        raise RollbackError(
            f"rollout {holder} of version {version} is under way: wait for its end, or stop it with "
            f"`penstock reject --version {version} --reason …`"
        )
    return live


def find_target(ledger: Ledger, live: int, to: int | None) -> Record:
    """Find the version to go back to: the requested one, or the last earlier live version that is still approved.

    Raises:
        RollbackError: it is live already, was never live, or is no longer approved.
        NoRecordError: there is no such version.
    """
    served = [item["version"] for item in ledger.rollouts() if item.get("outcome") == "live"]
    if to is None:
        candidates = [version for version in served if version != live and _approved(ledger, version)]
        if not candidates:
            raise RollbackError(f"no approved version was live before version {live}: there is none to go back to")
        to = int(candidates[0])
    if to == live:
        raise RollbackError(f"version {to} is live already")
    about = ledger.version(to)
    if to not in served:
        raise RollbackError(f"version {to} was never live: approve it (`penstock approve --version {to}`)")
    if not _approved(ledger, to):
        decision = about.get("decision") or "not approved"
        raise RollbackError(f"version {to} is {decision}: it needs a new approval (`penstock approve --version {to}`)")
    return about


def _approved(ledger: Ledger, version: int) -> bool:
    try:
        return ledger.version(version).get("decision") == "approved"
    except NoRecordError:
        return False
