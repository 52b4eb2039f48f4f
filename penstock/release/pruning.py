"""The rules for deleting published versions of the predict function and endpoints.

A rollback publishes anew, from the registry and the model file, so no published version is kept for it. Kept are the
versions that the alias refers to, the one that was live just before, for an operator's use in an emergency, and the
newest few, to look at.

An endpoint bills by the hour: kept are only those of the versions that the alias refers to.
"""

from collections.abc import Collection, Sequence

from penstock.spec.model import ModelSpec

FIRST = 1
"""CloudFormation's version: a resource of the stack, which binds no model."""

KEEP, KEEP_WITH_SNAPSHOTS = 10, 2
"""Newest versions that are kept; fewer where each has a snapshot that costs something."""


def versions_to_keep(spec: ModelSpec) -> int:
    """Return how many of the newest versions to keep, by the specification or its default."""
    return spec.rollout.keep_versions or (KEEP_WITH_SNAPSHOTS if spec.serving.snap_start else KEEP)


def superfluous_versions(published: Sequence[int], serving: Collection[int], keep: int) -> list[int]:
    """Choose the published versions to delete, oldest first.

    Args:
        published: all numbers.
        serving: what the alias refers to, and what was live before.
        keep: how many of the newest to keep in any case.
    """
    newest = sorted(published)[-keep:]
    return [number for number in sorted(published) if number not in {FIRST, *serving, *newest}]


def idle_endpoints(endpoints: Sequence[str], serving: Collection[str]) -> list[str]:
    """Choose the endpoints to delete.

    Args:
        endpoints: all of a model's, by name.
        serving: those of the versions that the alias refers to.
    """
    return sorted(set(endpoints) - set(serving))
