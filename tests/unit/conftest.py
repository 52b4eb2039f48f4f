"""An AWS of moto in process, with what a stage has, and the model files that several tests share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from moto import mock_aws

from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.spec.model import ModelSpec, read_model
from tests.support.caches import Caches
from tests.support.world import REGION, World

# The same examples every time: a failure here is one everywhere.
hypothesis.settings.register_profile("unit", database=None, derandomize=True, deadline=None)
hypothesis.settings.load_profile("unit")

PROJECT = Path(__file__).parents[2]
FLIGHT_DELAY = PROJECT / "training" / "models" / "flight-delay"


@pytest.fixture(scope="session")
def caches() -> Caches:
    """Clients and documents that all unit tests of a process share."""
    return Caches()


@pytest.fixture(scope="module", autouse=True)
def _caches(caches: Caches) -> Iterator[None]:
    """Only here: the worker may have tests of the laptop cloud too."""
    with caches.used():
        yield


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own AWS configuration reaches a test."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL", "PENSTOCK_MODEL", "PENSTOCK_STAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A stage's parts in moto's AWS."""
    with mock_aws(), ExitStack() as closing:
        yield World.build(monkeypatch, tmp_path, closing)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return read_contract(FLIGHT_DELAY)


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return read_model(FLIGHT_DELAY)


@pytest.fixture(scope="session")
def tiny_onnx() -> bytes:
    """A real, small model file (see `tiny.py`)."""
    from tests.support import tiny  # scikit-learn takes seconds to import, and few tests need it

    return tiny.build()


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a model folder with a `model.yaml` and a `contract.yaml`."""

    def write(model: str, contract: str = "") -> Path:
        folder = tmp_path / "a-model"
        folder.mkdir(exist_ok=True)
        (folder / "model.yaml").write_text(model, encoding="utf-8")
        (folder / "contract.yaml").write_text(contract, encoding="utf-8")
        (folder / "train.py").write_text("def fit(train, validation, params): ...\n", encoding="utf-8")
        return folder

    return write
