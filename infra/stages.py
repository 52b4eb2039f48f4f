"""The stages as frozen data: whatever differs between the laptop and production differs here and nowhere else."""

import sys
from dataclasses import dataclass, replace
from typing import Literal

from penstock.spec.base import STAGES as NAMES
from penstock.spec.model import ModelSpec


class StageError(Exception):
    """No stage, or one that does not exist; the message says which there are."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    python: str
    """Version of the functions' runtime."""
    vendored: bool
    """Whether a bundle holds its third-party packages; the laptop cloud runs functions on its own interpreter."""
    image: str | None
    """The training image; None to build it and push it to the account's asset repository."""
    keeps_data: bool
    """Whether what holds data outlives its stack."""
    protected: bool
    """Whether stacks and ledger refuse to be deleted."""
    own_credentials: bool
    """Deploy with the caller's credentials rather than with the CDK's bootstrap roles."""
    log_retention: Literal["ONE_WEEK", "ONE_MONTH", "ONE_YEAR"]
    """A member of the CDK's `RetentionDays`."""
    buffer_seconds: int
    """How long Firehose gathers captures before it writes them."""
    alarm_seconds: int
    """Period of the alarms' metrics."""
    approves_itself: bool
    """Whether a model may say `approval.policy: auto`."""
    batch_parts: int
    """Parts of a batch that are scored at once; each holds one of the account's concurrent functions."""
    open_api: bool
    """Whether a model may say `serving.auth: none`."""
    poll_seconds: int
    """How long a rollout waits between two looks at what it waits for."""
    endpoint_poll_seconds: int
    """How long a rollout waits between two looks at an endpoint that starts."""
    drain_seconds: int
    """How long an endpoint outlives the traffic that was taken from it: requests may be on their way to it."""
    bake_minute_seconds: float
    """How long a minute of `rollout.bake_minutes` takes."""
    watch_seconds: int
    """How long a rollout waits between two looks at a version that takes traffic."""
    watch_period_seconds: int
    """Period of the metrics that a rollout's alarms look at; Lambda publishes its own by the minute."""
    snap_starts: bool
    """Whether versions may start from snapshots; the laptop cloud has none to restore."""


_HOST_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

LOCAL = Stage(
    name="local",
    python=_HOST_PYTHON,
    vendored=False,
    image="penstock-training:local",
    keeps_data=False,
    protected=False,
    own_credentials=True,
    log_retention="ONE_WEEK",
    buffer_seconds=1,
    alarm_seconds=10,
    approves_itself=True,
    batch_parts=2,
    open_api=True,
    poll_seconds=1,
    endpoint_poll_seconds=1,
    drain_seconds=3,
    bake_minute_seconds=0.4,
    watch_seconds=1,
    watch_period_seconds=10,
    snap_starts=False,
)
DEV = Stage(
    name="dev",
    python="3.13",
    vendored=True,
    image=None,
    keeps_data=True,
    protected=False,
    own_credentials=False,
    log_retention="ONE_MONTH",
    buffer_seconds=60,
    alarm_seconds=300,
    approves_itself=True,
    batch_parts=20,
    open_api=False,
    poll_seconds=3,
    endpoint_poll_seconds=15,
    drain_seconds=60,
    bake_minute_seconds=60,
    watch_seconds=30,
    watch_period_seconds=60,
    snap_starts=True,
)
PROD = replace(DEV, name="prod", protected=True, log_retention="ONE_YEAR", approves_itself=False)
STAGES = {stage.name: stage for stage in (LOCAL, DEV, PROD)}


def may_approve_itself(stage: Stage, spec: ModelSpec) -> bool:
    """Return whether authorize approves a model's versions in a stage.

    Raises:
        StageError: the model asks for it, and the stage does not allow it.
    """
    wants_auto = spec.approval.policy == "auto"
    if wants_auto and not stage.approves_itself:
        raise StageError(
            f"training/models/{spec.name}/model.yaml: approval.policy: auto is not for stage {stage.name}, where a "
            "person approves: say person"
        )
    return wants_auto


def refuse_folder(stage: Stage, spec: ModelSpec) -> None:
    """Refuse to log runs to a folder on AWS, where a function's disk is lost after it.

    Raises:
        StageError: the model asks for it, and the stage's functions run on AWS.
    """
    if stage.vendored and spec.experiments and spec.experiments.folder:
        raise StageError(
            f"training/models/{spec.name}/model.yaml: experiments.mlflow: a folder is for the laptop, and in stage "
            f"{stage.name} nobody would find it again: give a server's address, or the ARN of SageMaker's"
        )


def refuse_open_api(stage: Stage, spec: ModelSpec) -> None:
    """Refuse an API without authentication where others can reach it.

    Raises:
        StageError: the model asks for it, and the stage is not the laptop.
    """
    if spec.serving.auth == "none" and not stage.open_api:
        raise StageError(
            f"training/models/{spec.name}/model.yaml: serving.auth: none is for the laptop, and in stage {stage.name} "
            "anybody could call: say iam, or jwt with issuer and audience"
        )


def stage_named(name: str | None) -> Stage:
    """Return the stage of that name.

    Raises:
        StageError: there is none of that name, or no name was given.
    """
    names = "|".join(NAMES)
    if not name:
        raise StageError(f"no stage given: say which one with -c stage={names}")
    if name not in STAGES:
        raise StageError(f"there is no stage {name!r}: say -c stage={names}")
    return STAGES[name]
