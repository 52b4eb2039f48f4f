"""The import rules of the project as data: which package may import which, and who may speak to AWS.

`tests/unit/test_imports.py` holds them, and `docs/generate.py` draws the packages from them.
"""

from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
APPLICATIONS = ("penstock.cli", "penstock.ui", "penstock.local")
"""Packages of `penstock` that use the library and that the library never imports."""
SIDES = ("infra", "functions", "training")
"""What is deployed: each imports the library, and never another side or an application."""

ARROWS: Mapping[str, frozenset[str]] = {
    package: frozenset(imported.split())
    for package, imported in {
        "api": "scoring",
        "audit": "datasets evaluation ledger monitoring spec",
        "aws": "",
        "batch": "aws contract ledger readers scoring",
        "captures": "aws scoring",
        "contract": "readers",
        "datasets": "aws ledger spec",
        "erasure": "aws batch captures contract datasets features ledger readers",
        "evaluation": "scoring spec",
        "features": "aws contract datasets spec",
        "ledger": "",
        "monitoring": "aws captures contract evaluation ledger readers scoring spec",
        "pipeline": "aws contract datasets evaluation features ledger readers report spec",
        "readers": "",
        "release": "api aws captures ledger monitoring scoring spec",
        "report": "evaluation spec",
        "scaffold": "contract spec",
        "scoring": "",
        "spec": "contract",
    }.items()
}
"""Each library package of `penstock` and the packages that it imports; the modules at the top are open to all."""

CONSTRUCT_ARROWS: Mapping[str, frozenset[str]] = {
    package: frozenset(imported.split())
    for package, imported in {
        "base": "",
        "batch": "base",
        "monitor": "base",
        "pipeline": "base",
        "registry": "base service",
        "service": "base",
    }.items()
}
"""The same for the packages of `infra/constructs`."""

GATEWAYS = frozenset(
    {
        "penstock/captures/pseudonyms.py",
        "penstock/ledger/releases.py",
        "penstock/ledger/table.py",
        "penstock/release/endpoints.py",
        "penstock/release/live_service.py",
    }
)
"""Modules outside `penstock/aws` that may import boto3: each owns one AWS resource of its package."""


def layers(arrows: Mapping[str, frozenset[str]] = ARROWS) -> list[list[str]]:
    """Group packages so that each imports only from earlier groups; the first imports none.

    Raises:
        ValueError: some packages import each other in a circle; the message names them.
    """
    placed: list[list[str]] = []
    waiting = dict(arrows)
    while waiting:
        layer = sorted(package for package, imported in waiting.items() if not imported & waiting.keys())
        if not layer:
            raise ValueError(f"these packages import each other in a circle: {', '.join(sorted(waiting))}")
        placed.append(layer)
        waiting = {package: imported for package, imported in waiting.items() if package not in layer}
    return placed


def direct_arrows(arrows: Mapping[str, frozenset[str]] = ARROWS) -> list[tuple[str, str]]:
    """The arrows without those that follow from others (the transitive reduction), to draw."""
    reach: dict[str, frozenset[str]] = {}
    for layer in layers(arrows):
        for package in layer:
            reach[package] = arrows[package].union(*(reach[imported] for imported in arrows[package]))
    return [
        (package, imported)
        for package in sorted(arrows)
        for imported in sorted(arrows[package])
        if not any(imported in reach[other] for other in arrows[package])
    ]
