"""A laptop cloud on which the demo's model is live, deployed and trained once for all modules that start from it.

Its folder is copied, and the copy comes up on a port of its own within seconds.
"""

import shutil
from pathlib import Path

import pytest

from demo import flights
from tests.local.conftest import free_port, until
from tests.local.stage.deployed import MODEL, register
from tests.local.stage.project import Project, copy_rolled_out, make_key_personal
from tests.support.shared_folder import shared_folder

BATCH_BEFORE_LIVE = "batch-before-live.txt"
"""What a batch printed while no version was live."""


def copy_live(factory: pytest.TempPathFactory) -> Project:
    """Start a copy: version 1 is live, version 2 waits for approval, version 3 is rejected."""
    origin = shared_folder(factory, "live-model", _deploy)
    root = factory.mktemp("project") / "copy"
    shutil.copytree(origin, root, symlinks=True)
    project = Project(root, free_port())
    project.run("up", "--no-deploy")
    return project


def _deploy(root: Path) -> None:
    project = copy_rolled_out(root, free_port())
    make_key_personal(project.model_folder / "contract.yaml")
    project.run("up")
    table = flights.flights([1])
    first = root / "first.csv"
    table.head(3).write_csv(first)
    batch = project.run("batch", str(first), "--model", MODEL, "--wait", check=False)
    (root / BATCH_BEFORE_LIVE).write_text(batch.stdout)
    data = root / "data"
    data.mkdir()
    # Few rows more, so that the later models score much like the first.
    register(project, data, (table.head(6000), table.slice(6000, 100), table.slice(6100, 100)))
    # A newer version that waits would be in the way of version 2.
    project.run("reject", MODEL, "--version", "3", "--reason", "not yet")
    until(lambda: project.json("why", MODEL, "--version", "3")["approvals"])
    project.run("down")
