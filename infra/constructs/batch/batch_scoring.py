"""Batch scoring: the live version scores a file under `batch/<model>/input/`."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.base.event_rules import invoke_on_events
from infra.constructs.base.function import Function, FunctionFactory
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.rendered import rendered
from infra.constructs.base.workflow import Workflow, executions_of, grant_call, workflow_role
from infra.constructs.batch.batch_definition import (
    END_SECONDS,
    JOIN_SECONDS,
    PLAN_SECONDS,
    SCORE_SECONDS,
    BatchParts,
    definition,
)
from infra.stages import Stage
from penstock import events
from penstock.lake import BATCH_INPUT
from penstock.settings import (
    EndBatchSettings,
    JoinBatchSettings,
    PlanBatchSettings,
    ScorePartSettings,
    StartBatchSettings,
)

STORAGE_MB = 10_240
"""Disk for an uploaded file and its decompressed content, or for the parts of a Parquet output."""


class Batch(Construct):
    """State machine, its functions, and the rules that start batches."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, factory: FunctionFactory, lake: ModelLake
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage, self._factory, self._lake = stage, factory, lake
        plain = {"stage": stage.name, "model": lake.model, "bucket": lake.bucket}
        with_ledger = plain | {"ledger": lake.ledger}
        self.plan_batch = self._step(
            "PlanBatch",
            "plan_batch",
            PlanBatchSettings(**with_ledger),
            memory_mb=3008,
            seconds=PLAN_SECONDS,
            storage=True,
        )
        self.score_part = self._step(
            "ScorePart", "score_part", ScorePartSettings(**plain), memory_mb=1769, seconds=SCORE_SECONDS
        )
        self.join_batch = self._step(
            "JoinBatch",
            "join_batch",
            JoinBatchSettings(**with_ledger),
            memory_mb=1769,
            seconds=JOIN_SECONDS,
            storage=True,
        )
        topic = lake.topic.topic_arn
        self.end_batch = self._step(
            "EndBatch", "end_batch", EndBatchSettings(**with_ledger, topic=topic), memory_mb=512, seconds=END_SECONDS
        )
        self.machine: sfn.StateMachine = self._machine()
        self.start_batch = factory.create(
            self,
            "StartBatch",
            name="start_batch",
            settings=StartBatchSettings(**with_ledger, machine=self.machine.state_machine_arn),
            memory_mb=512,
            timeout_seconds=60,
            takes_events=True,
        )
        upload = events.ObjectCreated.pattern(bucket=lake.bucket, prefix=lake.prefix(BATCH_INPUT))
        self._start_on("Came", upload)
        self._start_on("Ended", events.ExecutionEnded.pattern(state_machine=self.machine.state_machine_arn))

    def _step(
        self,
        construct_id: str,
        name: str,
        settings: StartBatchSettings | PlanBatchSettings | ScorePartSettings | JoinBatchSettings | EndBatchSettings,
        *,
        memory_mb: int,
        seconds: int,
        storage: bool = False,
    ) -> Function:
        return self._factory.create(
            self,
            construct_id,
            name=name,
            settings=settings,
            memory_mb=memory_mb,
            storage_mb=STORAGE_MB if storage else None,
            timeout_seconds=seconds,
            takes_events=False,
        )

    def _start_on(self, construct_id: str, pattern: events.Pattern) -> None:
        invoke_on_events(
            self,
            construct_id,
            pattern=pattern,
            function=self.start_batch.resource,
            failures=self._factory.failures,
            description=f"penstock-{self._stage.name}-{self._lake.model}: wakes start_batch ({construct_id})",
        )

    def _machine(self) -> sfn.StateMachine:
        role = workflow_role(self)
        steps = [step.resource for step in (self.plan_batch, self.score_part, self.join_batch, self.end_batch)]
        called = [step.function_arn for step in steps]
        parts = BatchParts(
            model=self._lake.model,
            plan_batch=called[0],
            score_part=called[1],
            join_batch=called[2],
            end_batch=called[3],
            at_once=self._stage.batch_parts,
        )
        grant_call(role, called)
        machine = Workflow(self, "Machine", stage=self._stage, role=role, definition=definition(parts)).machine
        self._grant_map(machine, role)
        return machine

    def _grant_map(self, machine: sfn.StateMachine, role: iam.Role) -> None:
        """Allow what a Distributed Map needs on its own state machine: its items are executions of it.

        In a policy of its own, for the machine waits for the role's, which therefore cannot name the machine.
        https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        """
        items = executions_of(machine, "/*")
        actions = ["states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"]
        policy = iam.Policy(
            self,
            "Items",
            roles=[role],
            statements=[
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine.state_machine_arn]),
                iam.PolicyStatement(actions=actions, resources=[items]),
            ],
        )
        acknowledge_wildcards(policy, "A map's items are executions, named as they come.", rendered(policy, items))
