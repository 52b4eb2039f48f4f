"""Contracts held to the Open Data Contract Standard, by `datacontract lint` of datacontract-cli.

It has an environment of its own (`make contracts`): its dependencies hold the command's own back. It goes by the JSON
Schema that it ships: here it runs without a network.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.flights import flights
from penstock.cli.app import main

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / ".venv-datacontract" / "bin" / "datacontract"
CONTRACTS = sorted((ROOT / "training" / "models").glob("*/contract.yaml"))
NOWHERE = "http://127.0.0.1:9"
"""The discard port: a proxy that answers nobody."""


def lint(contract: Path) -> list[dict[str, Any]]:
    """What the linter finds in a contract: each check with its result and the reason."""
    assert COMMAND.exists(), "there is no datacontract-cli here: `make contracts` installs it"
    findings = contract.with_name("lint.json")
    arguments = ["lint", "--all-errors", "--output-format", "json", "--output", str(findings), str(contract)]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(contract.parent),
        "HTTPS_PROXY": NOWHERE,
        "HTTP_PROXY": NOWHERE,
    }
    completed = subprocess.run(
        [str(COMMAND), *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert findings.exists(), completed.stdout + completed.stderr
    checks: list[dict[str, Any]] = json.loads(findings.read_text())["checks"]
    assert (completed.returncode == 0) == all(check["result"] in {"passed", "warning"} for check in checks), (
        completed.stdout
    )
    return checks


def faults(contract: Path) -> list[str]:
    checks = lint(contract)
    assert checks
    return [check["reason"] for check in checks if check["result"] != "passed"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda path: path.parent.name)
def test_a_models_contract(contract: Path, tmp_path: Path) -> None:
    copy = tmp_path / "contract.yaml"
    copy.write_bytes(contract.read_bytes())
    assert faults(copy) == []


def keyless(path: Path) -> None:
    """Amounts, people, an odd name, a column without a name; no key, and a regression."""
    rows = [f"{i},{i * i % 97 / 7},{'no' if i % 3 else 'yes'},p{i}@example.org,{i * i % 89 / 3}" for i in range(200)]
    path.write_text("\n".join([",x: y,[z],email,price", *rows]))


def january(path: Path) -> None:
    """Text, times, missing values, a key."""
    flights([1]).head(500).write_csv(path)


@pytest.mark.parametrize(("make", "target"), [(january, "late"), (keyless, "price")])
def test_a_contract_drafted_by_init_follows_the_standard(
    make: Callable[[Path], None], target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a project and a sample
    (tmp_path / "training" / "models").mkdir(parents=True)
    (tmp_path / "cdk.json").write_text("{}")
    make(tmp_path / "sample.csv")
    # When `penstock init` drafts a model
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["penstock", "init", "sample.csv", "--target", target])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    # Then its contract is one
    assert faults(tmp_path / "training" / "models" / "sample" / "contract.yaml") == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("logicalTyp: timestamp", "unknown fields are ignored: 'logicalTyp'"),  # a warning there, a fault here
        ("logicalType: tiemstamp", "'tiemstamp' is not one of"),
    ],
)
def test_the_linter_finds_what_is_not_of_the_standard(wrong: str, words: str, tmp_path: Path) -> None:
    contract = tmp_path / "contract.yaml"
    contract.write_text(CONTRACTS[0].read_text().replace("logicalType: timestamp", wrong))
    (fault,) = faults(contract)
    assert words in fault
