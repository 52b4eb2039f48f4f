"""cdk-nag and cfn-lint find nothing, and every acknowledged finding has a reason."""

import json
from collections.abc import Iterator

import pytest
from aws_cdk import App, Stack
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from infra.acknowledge import acknowledge
from tests.infra.conftest import Synthesis

IGNORED = {
    "W3005": "CDK writes the dependency on a role beside the one on its policy",
}
REGIONS = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"]
"""Where SageMaker's registry is; cfn-lint looks at all regions otherwise, and it is not in all."""


def acknowledged(synthesis: Synthesis) -> Iterator[tuple[str, str]]:
    """Rule and reason of every acknowledgement, as the cloud assembly records them."""
    for path in synthesis.folder.glob("*.metadata.json"):
        for entries in json.loads(path.read_text(encoding="utf-8")).values():
            for entry in entries:
                if "acknowledged" in entry["type"]:
                    yield from entry["data"].items()


def test_nothing_is_unacknowledged(synthesis: Synthesis) -> None:
    report = json.loads((synthesis.folder / "validation-report.json").read_text(encoding="utf-8"))
    assert [plugin for plugin in report["pluginReports"] if plugin.get("violations")] == []


def test_every_acknowledgement_has_a_reason(synthesis: Synthesis) -> None:
    pairs = list(acknowledged(synthesis))
    assert len(pairs) > 20
    assert all(rule.startswith("AwsSolutions::AwsSolutions-") and len(reason.split()) > 3 for rule, reason in pairs)


def test_an_acknowledgement_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="house: give a reason for acknowledging S1"):
        acknowledge(Stack(App(), "house"), {"S1": "todo"})


def test_cfn_lint_finds_nothing(synthesis: Synthesis) -> None:
    for text in synthesis.texts().values():
        matches = lint(text, config=ManualArgs(regions=REGIONS, ignore_checks=list(IGNORED)))
        assert [f"{match.rule.id} {match.message}" for match in matches] == []
