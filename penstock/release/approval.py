"""The policy of an approval: who may give one, how many it takes, and who may not because the run is theirs.

Pure: a case in, a verdict out. What the case is made of (the registry's record of who changed the status, the ledger's
earlier decisions, the run's record of who started it) is asked elsewhere, in `functions/authorize`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from penstock.ledger.ledger import Record
from penstock.spec.model import Approval

COUNTED = "counted"
"""The decision that an approval is when more are wanted: it is kept, and the version waits again."""
AUTO = "policy auto"
"""Who approved where nobody did."""
_SINGLE_SIGN_ON = "AWSReservedSSO_"
_ENDS_A_COUNT = {"approved", "rejected", "set back"}
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Case:
    """An approval, with what is known about it."""

    by: str
    """ARN of whoever approved, as the registry has it; empty where it has none."""
    reason: str
    age: timedelta
    """Of the version."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an approval that was rightly given amounts to."""

    refusal: str | None = None
    """Why it does not count; None where it does."""
    given: int = 1
    """How many different principals have approved by now."""
    wanted: int = 1

    @property
    def enough(self) -> bool:
        return self.refusal is None and self.given >= self.wanted

    def sentence(self, principals: Sequence[str]) -> str:
        """For the registry, while more are wanted."""
        return f"{self.given} of {self.wanted} approvals, by {', '.join(principals)}"


def principal(arn: str) -> str:
    """Who an ARN stands for: what two approvals must differ in.

    Whoever assumes a role chooses the session's name, so a role is one principal under whatever name; but the sessions
    of IAM Identity Center's roles are named by it, after the person.
    """
    head, _, rest = arn.partition(":assumed-role/")
    if not rest:
        return arn
    role, _, _session = rest.partition("/")
    return arn if role.startswith(_SINGLE_SIGN_ON) else f"{head}:assumed-role/{role}"


def objection(policy: Approval, case: Case) -> str | None:
    """Why whoever approved may not, or not so, or not any more; None where they may."""
    if not any(fnmatchcase(case.by, pattern) for pattern in policy.who):
        return f"{case.by or 'an unknown identity'} is not among approval.who in model.yaml"
    if policy.reason and not case.reason.strip():
        return "an approval needs a reason (the approval description)"
    return outdated(policy, case.age)


def outdated(policy: Approval, age: timedelta) -> str | None:
    """Why the version may no longer be approved by anybody."""
    over = age > timedelta(days=policy.max_age_days)
    return f"the version is older than {policy.max_age_days} days: train anew" if over else None


def earlier(decisions: Sequence[Record], at: str) -> list[str]:
    """The principals whose approvals of a version count before the one given at `at`, in their order.

    Args:
        decisions: on the version, oldest first, as the ledger has them.
        at: when this approval was given; the same approval told twice is none before itself.
    """
    found: list[str] = []
    for item in decisions:
        if item["at"] >= at:
            break
        if item["decision"] in _ENDS_A_COUNT:
            found = []
        elif item["decision"] == COUNTED:
            found.append(principal(item["by"]))
    return found


def judge(policy: Approval, by: str, before: Sequence[str], starters: Sequence[str]) -> Verdict:
    """Whether an approval that there is no objection to counts, and whether it is enough.

    Args:
        policy: of the model.
        by: ARN of whoever approved.
        before: principals who approved earlier.
        starters: ARNs of who started the run or brought its data; `UNKNOWN` for one that nobody knows.
            With four eyes an unknown one asks for two approvals: one of the two is then somebody else's.
    """
    own = principal(by)
    if policy.four_eyes and own in {principal(arn) for arn in starters}:
        return Verdict(refusal=f"{by} started the run, and approval.four_eyes in model.yaml asks for somebody else")
    if own in before:
        return Verdict(refusal=f"{own} has approved already, and model.yaml asks for different people")
    blind = policy.four_eyes and UNKNOWN in starters
    return Verdict(given=len(before) + 1, wanted=max(policy.approvers, 2 if blind else 1))
