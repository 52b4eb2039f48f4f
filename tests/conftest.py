"""How the tests are shared out to pytest-xdist workers: a file at a time, the longest first."""

import pytest

LONGEST = (
    "tests/local/stage/test_rollouts.py",
    "tests/local/stage/test_journey.py",
    "tests/local/stage/test_endpoint.py",
    "tests/local/stage/test_strategies.py",
    "tests/local/stage/test_init.py",
    "tests/local/stage/test_new_code.py",
    "tests/local/stage/test_batches.py",
    "tests/local/stage/",
    "tests/infra/",
    "tests/unit/pipeline/test_exactly_once.py",
    "tests/unit/training/",
    "tests/unit/release/",
    "tests/unit/erasure/",
)
"""Beginnings of node ids. What takes long and starts last leaves the other worker idle."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, as they share fixtures; a test with a group of its own goes anywhere."""
    items.sort(key=_rank)
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _rank(item: pytest.Item) -> int:
    return next((place for place, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))
