"""Acknowledged cdk-nag findings, each with the reason why the template is right.

A reason is for the reader of `validation-report.json`; an acknowledgement without one is refused. Acknowledgements are
recorded only when the rules run, so that templates cannot depend on them.
"""

import os
from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

PACK = "AwsSolutions"


def validating() -> bool:
    """Return whether this synthesis runs the rules; `CDK_VALIDATION=false` skips them for speed."""
    return os.environ.get("CDK_VALIDATION", "true").lower() != "false"


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge findings at a construct and below it: rule or `rule[finding]` → reason.

    Raises:
        ValueError: a reason of fewer than four words.
    """
    if empty := [rule for rule, reason in reasons.items() if len(reason.split()) < 4]:
        raise ValueError(f"{construct.node.path}: give a reason for acknowledging {', '.join(empty)}")
    if validating():
        rules = [Acknowledgment(id=f"{PACK}::{PACK}-{rule}", reason=reason) for rule, reason in sorted(reasons.items())]
        Validations.of(construct).acknowledge(*rules)


def acknowledge_wildcards(construct: IConstruct, reason: str, *resources: str) -> None:
    """Acknowledge IAM statements whose resource holds a `*`, one finding each."""
    acknowledge(construct, {f"IAM5[Resource::{resource}]": reason for resource in resources})
