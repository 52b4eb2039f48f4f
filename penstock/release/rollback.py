"""A rollback as the registry carries it, and whether it may be.

Whoever takes a version back rejects it in the registry, in words of one form. So the registry's own record says who
asked, as for an approval, and whoever may not decide there cannot roll back either. Operator's command and `authorize`
ask the same questions here: the one to answer at once, the other because only its answer counts.
"""

import re
from dataclasses import dataclass

from penstock.aws.model_registry import REJECTED, Package
from penstock.ledger.ledger import Ledger, NoRecordError, Record

MARK = "rolled back"
"""The decision that the ledger has of a version that was taken back."""
_WORDS = re.compile(r"rolled back to version (\d{1,9}): (.*\S)\s*", re.DOTALL)


class RollbackError(Exception):
    """A rollback that cannot be; the message says why and what can be done instead."""


@dataclass(frozen=True)
class Request:
    """To go from a version back to another."""

    package: Package
    """The version that is taken back, as the registry has it."""
    to: int
    reason: str


def words(to: int, reason: str) -> str:
    """The approval description that asks for a rollback."""
    return f"rolled back to version {to}: {reason.strip()}"


def asked(package: Package) -> Request | None:
    """The request that a version's status and description are; None where they are none."""
    found = _WORDS.fullmatch(package.description)
    return Request(package, int(found[1]), found[2]) if found and package.status == REJECTED else None


def taken_back(ledger: Ledger) -> Record:
    """What a rollback would take back: the version that is live, while nothing else is being rolled out.

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


def target(ledger: Ledger, live: int, to: int | None) -> Record:
    """The version to go back to: the named one, else what was live last before this one and is still approved.

    Raises:
        RollbackError: it is live already, was never live, or is not approved any more.
        NoRecordError: there is no such version.
    """
    served = [item["version"] for item in ledger.rollouts() if item.get("outcome") == "live"]
    if to is None:
        earlier = [version for version in served if version != live and _approved(ledger, version)]
        if not earlier:
            raise RollbackError(f"no approved version was live before version {live}: there is none to go back to")
        to = int(earlier[0])
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
