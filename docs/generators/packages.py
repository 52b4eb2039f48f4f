"""The generated part of the page on architecture: the packages of `penstock` and the arrows between them.

The arrows are the data of the test that holds them (`tests/support/architecture.py`).
"""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from docs.generators.markdown import NOTICE, code, table

RULES = Path(__file__).parents[2] / "tests" / "support" / "architecture.py"
BEGIN, END = "<!-- packages:begin -->", "<!-- packages:end -->"
PACKAGES = {
    "api": "The form of requests and answers: JSON, CSV, JSON Lines, explanations, the OpenAPI document.",
    "audit": "Why a version is live, lineage, versions and datasets side by side.",
    "aws": "Gateways to AWS: S3, the model registry, the feature store, CloudWatch, notifications, signatures.",
    "batch": "Files scored as a whole: plan, parts, join.",
    "captures": "What is kept of an answered request: lines, hashes, delivery, reading.",
    "contract": "`contract.yaml` and the check of rows and files against it.",
    "datasets": "Dataset versions and their parts.",
    "erasure": "`penstock forget`: find a subject's rows and remove them.",
    "evaluation": "Metrics, intervals, slices, thresholds and gates.",
    "features": "The feature store: groups, names, which rows are stored.",
    "ledger": "What happened, in one DynamoDB table to which records are only added.",
    "monitoring": "Drift, live quality and ground truth.",
    "pipeline": "The way of an upload to a registered version: runs, inspection, validation.",
    "readers": "Files to tables in bounded memory: CSV, JSON Lines, Parquet, gzip.",
    "release": "Approval, rollout and rollback of a version.",
    "report": "The HTML report and the model card.",
    "scaffold": "`penstock init`: a first model folder from a sample.",
    "scoring": "The ONNX file, loaded and scored, and its signature.",
    "spec": "`model.yaml` as typed data.",
}


def with_packages(text: str) -> str:
    """Fill the marked block of a page.

    Raises:
        LookupError: the page has no such block, or a package has no description here.
    """
    if BEGIN not in text or END not in text:
        raise LookupError(f"the page has no block {BEGIN}…{END}")
    rules = _rules()
    block = f"{BEGIN}\n{NOTICE}\n\n{_drawing(rules)}\n\n{_listing(rules.ARROWS)}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)


def _rules() -> ModuleType:
    """Load the test's data by its path: some installed package is called `tests` too."""
    spec = importlib.util.spec_from_file_location("architecture", RULES)
    if spec is None or spec.loader is None:
        raise LookupError(f"{RULES} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _drawing(rules: ModuleType) -> str:
    """Draw the arrows that do not follow from others, the packages that import most at the top."""
    nodes = [f"    {package}" for layer in reversed(rules.layers()) for package in layer]
    lines = [f"    {package} --> {imported}" for package, imported in rules.direct_arrows()]
    return "\n".join(["```mermaid", "flowchart TB", *nodes, *lines, "```"])


def _listing(arrows: Mapping[str, frozenset[str]]) -> str:
    if difference := set(arrows) ^ set(PACKAGES):
        raise LookupError(f"PACKAGES in docs/generators/packages.py differs in {', '.join(sorted(difference))}")
    rows = [
        (code(f"penstock/{package}"), PACKAGES[package], ", ".join(map(code, sorted(arrows[package]))) or "none")
        for package in sorted(arrows)
    ]
    return table(("Package", "Holds", "Imports"), rows)
