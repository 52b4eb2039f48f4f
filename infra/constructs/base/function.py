"""Lambda functions: bundle, typed settings, own role, log group with retention, timeout, dead-letter queue."""

from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import bundling
from infra.acknowledge import acknowledge
from infra.stages import Stage
from penstock.settings import Settings


class Function(Construct):
    """A Lambda function package of a folder in `functions/`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        root: Path,
        name: str,
        settings: Settings,
        memory_mb: int,
        timeout_seconds: int,
        failures: sqs.IQueue | None,
        storage_mb: int | None,
        group: str | None,
    ) -> None:
        """Make the function.

        Args:
            scope: where it belongs.
            construct_id: its id there.
            stage: the stage.
            root: the project, whose sources are bundled.
            name: folder in `functions/`.
            settings: its environment, all of it.
            memory_mb: memory; CPU grows with it.
            timeout_seconds: after which an invocation is ended.
            failures: where events go that it failed on; None for a function that is only invoked synchronously.
            storage_mb: of `/tmp`; None for Lambda's 512.
            group: of its third-party packages; None for its own (`bundling.GROUPS`).
        """
        super().__init__(scope, construct_id)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log = logs.LogGroup(
            self, "Log", retention=logs.RetentionDays[stage.log_retention], removal_policy=RemovalPolicy.DESTROY
        )
        log.grant_write(self.role)
        package = bundling.bundle(root, name, settings.model, python=stage.python, vendored=stage.vendored, group=group)
        self.code = f"{package.digest} python{stage.python} {memory_mb} {timeout_seconds}"
        """Identifies code and runtime configuration; it changes when either does."""
        self.resource = lambda_.Function(
            self,
            "Resource",
            runtime=lambda_.Runtime(f"python{stage.python}", lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.X86_64,
            handler=f"functions.{name}.handler.handler",
            code=lambda_.Code.from_asset(str(package.path), asset_hash=package.digest),
            role=self.role,
            environment=settings.environment(),
            memory_size=memory_mb,
            ephemeral_storage_size=None if storage_mb is None else Size.mebibytes(storage_mb),
            timeout=Duration.seconds(timeout_seconds),
            log_group=log,
            tracing=lambda_.Tracing.ACTIVE,
            dead_letter_queue=failures,
            description=f"{Stack.of(self).stack_name}: {name}",
        )
        acknowledge(
            self,
            {
                "L1": "The newest that uv.lock's packages are tested on; on the laptop, its own.",
                "IAM5[Resource::*]": "X-Ray takes trace segments for no resource in particular.",
            },
        )


@dataclass(frozen=True, kw_only=True)
class FunctionFactory:
    """Creates the functions of one model's stack, with their common settings."""

    stage: Stage
    root: Path
    failures: sqs.IQueue
    """Dead-letter queue of events that could not be delivered or handled."""

    def create(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: Settings,
        memory_mb: int,
        timeout_seconds: int,
        takes_events: bool,
        storage_mb: int | None = None,
        group: str | None = None,
    ) -> Function:
        """Create a function of the model; one that takes events gets the dead-letter queue."""
        return Function(
            scope,
            construct_id,
            stage=self.stage,
            root=self.root,
            name=name,
            settings=settings,
            memory_mb=memory_mb,
            timeout_seconds=timeout_seconds,
            failures=self.failures if takes_events else None,
            storage_mb=storage_mb,
            group=group,
        )
