"""The laptop cloud of a module's project, and clients of it."""

import pytest

from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import client_for
from tests.local.stage.deployed import Client, exported
from tests.local.stage.project import Project


@pytest.fixture(scope="module")
def cloud(project: Project) -> LaptopCloud:
    return project.cloud()


@pytest.fixture(scope="module")
def client(cloud: LaptopCloud) -> Client:
    return client_for(cloud)


@pytest.fixture(scope="module")
def outputs(client: Client) -> dict[str, str]:
    return exported(client)
