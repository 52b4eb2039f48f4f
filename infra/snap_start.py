"""Use of Lambda SnapStart, decided by region at deployment, as the region is unknown at synthesis.

Published versions only; no function with provisioned concurrency, EFS or more than 512 MB of `/tmp`: predict has none.
Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html, as it was in November 2026, and
https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/govcloud-lambda.html for the other partitions.
"""

from typing import Final, Literal

from aws_cdk import Aws, CfnCondition, Fn, Token
from constructs import Construct

from infra.stages import Stage

FIRST_PYTHON: Final = (3, 12)
WITHOUT: Final = ("ap-east-2", "ap-southeast-6")
"""Regions without SnapStart: Taipei and New Zealand; every other region of the partition `aws` has it."""
ON, OFF = "PublishedVersions", "None"


def apply_on(scope: Construct, stage: Stage, requested: bool | Literal["auto"]) -> str:
    """Return `SnapStart.ApplyOn` for the versions that a rollout publishes.

    Args:
        scope: of the condition, where the region decides.
        stage: whose runtime decides before that.
        requested: `serving.snap_start` of the specification.
    """
    runtime = tuple(int(part) for part in stage.python.split(".")) >= FIRST_PYTHON
    if not requested or not (stage.snap_starts and runtime):
        return OFF
    if requested != "auto":
        return ON
    unlike = [Fn.condition_not(Fn.condition_equals(Aws.REGION, region)) for region in WITHOUT]
    there = Fn.condition_and(Fn.condition_equals(Aws.PARTITION, "aws"), *unlike)
    condition = CfnCondition(scope, "HasSnapStart", expression=there)
    return Token.as_string(Fn.condition_if(condition.logical_id, ON, OFF))
