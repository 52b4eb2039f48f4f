"""The policy of an approval: who may give one, how many it takes, and who is excluded as the run's initiator.

Pure: a case in, a verdict out. `penstock.release.decisions` gathers the case: the registry's record of who changed the
status, the ledger's earlier decisions, and the run's record of who started it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

from penstock.ledger.ledger import Record
from penstock.spec.model import Approval

COUNTED = "counted"
"""The decision recorded for an approval where more are required; the version waits again."""
AUTO = "policy auto"
"""The author of an approval by policy `auto`."""
_SINGLE_SIGN_ON = "AWSReservedSSO_"
_ENDS_A_COUNT = {"approved", "rejected", "set back"}
UNKNOWN = "unknown"
"""An initiator whose identity is not recorded."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An approval to be judged."""

    by: str
    """ARN of the approver, as the registry has it; empty where it has none."""
    reason: str
    age: timedelta
    """Of the version."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of an approval without objection."""

    refusal: str | None = None
    """Why it does not count; None where it does."""
    count: int = 1
    """Different principals who have approved so far."""
    required: int = 1

    @property
    def is_enough(self) -> bool:
        return self.refusal is None and self.count >= self.required

    def sentence(self, principals: Sequence[str]) -> str:
        """Describe the count for the registry, while more are required."""
        return f"{self.count} of {self.required} approvals, by {', '.join(principals)}"


def principal(arn: str) -> str:
    """Reduce an ARN to its principal; two approvals must be by different ones.

    A role's session name is chosen freely, so a role is one principal under every name; but IAM Identity Center names
    the sessions of its roles after the person.
    """
    head, _, rest = arn.partition(":assumed-role/")
    if not rest:
        return arn
    role, _, _session = rest.partition("/")
    return arn if role.startswith(_SINGLE_SIGN_ON) else f"{head}:assumed-role/{role}"


def objection(policy: Approval, case: Case) -> str | None:
    """Find why the approver may not approve, or not without a reason, or no longer; None where they may."""
    if not any(fnmatchcase(case.by, pattern) for pattern in policy.who):
        return f"{case.by or 'an unknown identity'} is not among approval.who in model.yaml"
    if policy.reason and not case.reason.strip():
        return "an approval needs a reason (the approval description)"
    return find_expiry(policy, case.age)


def find_expiry(policy: Approval, age: timedelta) -> str | None:
    """Find why a version of this age may no longer be approved; None while it may."""
    expired = age > timedelta(days=policy.max_age_days)
    return f"the version is older than {policy.max_age_days} days: train anew" if expired else None


def earlier_approvers(decisions: Sequence[Record], at: str) -> list[str]:
    """List the principals whose earlier approvals of a version still count, in their order.

    Args:
        decisions: on the version, oldest first, as the ledger has them.
        at: when this approval was given; it does not count before itself where its event comes twice.
    """
    approvers: list[str] = []
    for item in decisions:
        if item["at"] >= at:
            break
        if item["decision"] in _ENDS_A_COUNT:
            approvers = []
        elif item["decision"] == COUNTED:
            approvers.append(principal(item["by"]))
    return approvers


def judge(policy: Approval, by: str, before: Sequence[str], initiators: Sequence[str]) -> Verdict:
    """Judge an approval without objection: whether it counts, and whether it is enough.

    Args:
        policy: of the model.
        by: ARN of the approver.
        before: principals who approved earlier.
        initiators: ARNs of those who started the run or brought its data; `UNKNOWN` for one that is not recorded.
            With four eyes an unknown one requires two approvals: one of the two is then somebody else's.
    """
    own = principal(by)
    if policy.four_eyes and own in {principal(arn) for arn in initiators}:
        return Verdict(refusal=f"{by} started the run, and approval.four_eyes in model.yaml requires somebody else")
    if own in before:
        return Verdict(refusal=f"{own} has approved already, and model.yaml asks for different people")
    is_unknown = policy.four_eyes and UNKNOWN in initiators
    return Verdict(count=len(before) + 1, required=max(policy.approvers, 2 if is_unknown else 1))
