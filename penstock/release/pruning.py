"""Which published versions of the predict function, and which endpoints, may go.

A rollback publishes anew, from the registry and the model file, so no published version is kept for it. Kept is what
a rollout under way could need (the alias's own), what was live just before, for an operator's hands in an emergency,
and the newest few, to look at.

An endpoint bills by the hour: kept is what a version that the alias refers to answers by, and nothing to look at.
"""

from collections.abc import Collection, Sequence

from penstock.spec.model import ModelSpec

FIRST = 1
"""CloudFormation's: a resource of the stack, which binds no model."""

KEPT, KEPT_WITH_SNAPSHOTS = 10, 2


def kept(spec: ModelSpec) -> int:
    """How many of the newest stay: what the specification says, otherwise fewer where each costs something."""
    return spec.rollout.keep_versions or (KEPT_WITH_SNAPSHOTS if spec.serving.snap_start else KEPT)


def superfluous(published: Sequence[int], serving: Collection[int], keep: int) -> list[int]:
    """Published versions that may be deleted, oldest first.

    Args:
        published: all numbers.
        serving: what the alias refers to, and what was live before.
        keep: how many of the newest stay in any case.
    """
    newest = sorted(published)[-keep:]
    return [number for number in sorted(published) if number not in {FIRST, *serving, *newest}]


def idle(endpoints: Sequence[str], serving: Collection[str]) -> list[str]:
    """Endpoints that may be deleted.

    Args:
        endpoints: all of a model's, by name.
        serving: what the versions that the alias refers to answer by.
    """
    return sorted(set(endpoints) - set(serving))
