"""The rollout: the only workflow that publishes versions of the predict function and moves its alias."""

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.base.function import FunctionFactory
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.rendered import rendered
from infra.constructs.base.workflow import Workflow, grant_call, workflow_role
from infra.constructs.service.rollout_canary import WATCH_SECONDS, WatchPlan
from infra.constructs.service.rollout_definition import END_SECONDS, SMOKE_TEST_SECONDS, RolloutParts, definition
from infra.constructs.service.rollout_endpoint import EndpointWaits
from infra.stages import Stage
from penstock.settings import EndRolloutSettings, SmokeTestSettings, WatchRolloutSettings
from penstock.spec.model import Rollout as RolloutSpec
from penstock.spec.model import Serving

_ACTIONS = [
    "lambda:GetAlias",
    "lambda:GetFunctionConfiguration",
    "lambda:PublishVersion",
    "lambda:UpdateAlias",
    "lambda:UpdateFunctionConfiguration",
]


class Rollout(Construct):
    """The rollout's state machine with the functions smoke_test, watch_rollout and end_rollout."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        spec: RolloutSpec,
        serving: Serving,
        factory: FunctionFactory,
        lake: ModelLake,
        predict: lambda_.Function,
        snap_start: str,
    ) -> None:
        super().__init__(scope, construct_id)
        common = {
            "stage": stage.name,
            "model": lake.model,
            "bucket": lake.bucket,
            "ledger": lake.ledger,
        }
        self.smoke_test = factory.create(
            self,
            "SmokeTest",
            name="smoke_test",
            settings=SmokeTestSettings(**common, function=predict.function_name),
            memory_mb=512,
            timeout_seconds=SMOKE_TEST_SECONDS,
            takes_events=False,
        )
        self.watch_rollout = factory.create(
            self,
            "WatchRollout",
            name="watch_rollout",
            settings=WatchRolloutSettings(**common, function=predict.function_name),
            memory_mb=1024,
            timeout_seconds=WATCH_SECONDS,
            takes_events=False,
        )
        self.end_rollout = factory.create(
            self,
            "EndRollout",
            name="end_rollout",
            settings=EndRolloutSettings(**common, topic=lake.topic.topic_arn, function=predict.function_name),
            memory_mb=512,
            timeout_seconds=END_SECONDS,
            takes_events=False,
        )
        self.machine: sfn.StateMachine = self._machine(
            stage,
            WatchPlan.of(spec, stage, lake.model),
            EndpointWaits.of(serving, stage),
            lake.model,
            predict,
            snap_start,
        )

    def _machine(
        self,
        stage: Stage,
        watching: WatchPlan,
        starting: EndpointWaits,
        model: str,
        predict: lambda_.Function,
        snap_start: str,
    ) -> sfn.StateMachine:
        role = self.role = workflow_role(self)
        steps = [self.smoke_test.resource, self.watch_rollout.resource, self.end_rollout.resource]
        parts = RolloutParts(
            model=model,
            smoke_test=steps[0].function_arn,
            watch_rollout=steps[1].function_arn,
            end_rollout=steps[2].function_arn,
            poll_seconds=stage.poll_seconds,
            watching=watching,
            starting=starting,
            snap_start=snap_start,
        )
        versions = f"{predict.function_arn}:*"
        # CDK has no grants for these actions. They end at this one function and its versions.
        role.add_to_policy(iam.PolicyStatement(actions=_ACTIONS, resources=[predict.function_arn, versions]))
        acknowledge_wildcards(role, "Versions are numbered as they come.", rendered(role, versions))
        self._grant_alarms(role, watching)
        grant_call(role, [step.function_arn for step in steps])
        return Workflow(self, "Machine", stage=stage, role=role, definition=definition(parts)).machine

    def _grant_alarms(self, role: iam.Role, watching: WatchPlan) -> None:
        """Allow putting, describing and deleting the alarms of a rollout."""
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{watching.prefix}*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        every = alarms.replace(watching.prefix, "")
        own = ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm"]
        role.add_to_policy(iam.PolicyStatement(actions=own, resources=[alarms]))
        # IAM asks about a listing as one of all alarms, whichever names it gives.
        role.add_to_policy(iam.PolicyStatement(actions=["cloudwatch:DescribeAlarms"], resources=[every]))
        acknowledge_wildcards(role, "A rollout's alarms are named by its version.", rendered(role, alarms))
        acknowledge_wildcards(role, "CloudWatch lists alarms as a whole.", rendered(role, every))

    def grant_prune(self, grantee: iam.IRole, predict: lambda_.Function) -> None:
        """Allow listing and deleting published versions; `function:*` does not include the function itself."""
        versions = f"{predict.function_arn}:*"
        listing = ["lambda:GetAlias", "lambda:ListVersionsByFunction"]
        grantee.add_to_principal_policy(
            iam.PolicyStatement(actions=listing, resources=[predict.function_arn, versions])
        )
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=["lambda:DeleteFunction"], resources=[versions]))
        acknowledge_wildcards(grantee, "Versions are numbered as they come.", rendered(grantee, versions))
