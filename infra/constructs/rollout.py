"""The rollout: the only thing that publishes versions of the predict function and moves its alias."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.function import Workshop
from infra.constructs.model_lake import ModelLake
from infra.constructs.rendered import rendered
from infra.constructs.rollout_definition import END_SECONDS, SMOKE_TEST_SECONDS, RolloutParts, definition
from infra.constructs.workflow import Workflow, workflow_role
from infra.stages import Stage
from penstock.settings import EndRolloutSettings, SmokeTestSettings

_ACTIONS = [
    "lambda:GetAlias",
    "lambda:GetFunctionConfiguration",
    "lambda:PublishVersion",
    "lambda:UpdateAlias",
    "lambda:UpdateFunctionConfiguration",
]


class Rollout(Construct):
    """State machine, smoke_test and end_rollout."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        workshop: Workshop,
        lake: ModelLake,
        predict: lambda_.Function,
    ) -> None:
        super().__init__(scope, construct_id)
        kept = {
            "stage": stage.name,
            "model": lake.model,
            "bucket": lake.bucket,
            "ledger": lake.ledger,
        }
        self.smoke_test = workshop.function(
            self,
            "SmokeTest",
            name="smoke_test",
            settings=SmokeTestSettings(**kept, function=predict.function_name),
            memory_mb=512,
            timeout_seconds=SMOKE_TEST_SECONDS,
            takes_events=False,
        )
        self.end_rollout = workshop.function(
            self,
            "EndRollout",
            name="end_rollout",
            settings=EndRolloutSettings(**kept, topic=lake.topic.topic_arn),
            memory_mb=512,
            timeout_seconds=END_SECONDS,
            takes_events=False,
        )
        self.machine: sfn.StateMachine = self._machine(stage, lake.model, predict)

    def _machine(self, stage: Stage, model: str, predict: lambda_.Function) -> sfn.StateMachine:
        role = self.role = workflow_role(self)
        steps = [self.smoke_test.resource, self.end_rollout.resource]
        parts = RolloutParts(
            model=model,
            smoke_test=steps[0].function_arn,
            end_rollout=steps[1].function_arn,
            poll_seconds=stage.poll_seconds,
        )
        versions = f"{predict.function_arn}:*"
        # CDK has no grants for these actions. They end at this one function and its versions.
        role.add_to_policy(iam.PolicyStatement(actions=_ACTIONS, resources=[predict.function_arn, versions]))
        acknowledge_wildcards(role, "Versions are numbered as they come.", rendered(role, versions))
        # Not grant_invoke, which allows every version too: the definition names the functions themselves.
        called = [step.function_arn for step in steps]
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=called))
        return Workflow(self, "Machine", stage=stage, role=role, definition=definition(parts)).machine
