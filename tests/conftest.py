"""How the tests are shared out to pytest-xdist workers: a file at a time, the longest first."""

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# GNU readline sets both in the process that starts the workers; Rich then wraps at the width of a terminal that is not
# there, whatever a test sets later.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)

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


APART = "tests/unit/pipeline/test_exactly_once.py"
"""Takes minutes, and its tests share nothing that is dear: any worker may take any of them."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types
    """Gives the tests of a file to one worker, as they share fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file == APART else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Share tests out by file; `loadgroup` of pytest-xdist 3.8 groups nothing under pytest 9.2."""
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next((place for place, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))
