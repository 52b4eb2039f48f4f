"""The training pipeline: from uploads to a registered version, or to an ending with the reason.

start_run decides what becomes a run; the state machine takes it through its steps. What starts it (uploads, the drift
alarm, the end of the run before) reaches it by events, so that this construct knows neither service nor monitor.
"""

from pathlib import Path

from aws_cdk import Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.bundling import EXPERIMENTS
from infra.constructs.base.event_rules import invoke_on_events
from infra.constructs.base.function import Function, FunctionFactory
from infra.constructs.base.model_code import ModelCode
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.training_image import TrainingImage
from infra.constructs.base.workflow import Workflow, grant_call, workflow_role
from infra.constructs.pipeline.inspection_definition import InspectionParts
from infra.constructs.pipeline.sagemaker_job import SageMakerJob
from infra.constructs.pipeline.training_definition import (
    END_SECONDS,
    REGISTER_SECONDS,
    VALIDATE_SECONDS,
    TrainingParts,
    definition,
)
from infra.constructs.pipeline.tuning_definition import name_prefix
from infra.constructs.pipeline.tuning_job import grant_tune
from infra.stages import Stage
from infra.training_code import training_code
from penstock import events
from penstock.lake import RAW
from penstock.settings import EndRunSettings, RegisterSettings, StartRunSettings, ValidateSettings
from penstock.spec.model import ModelSpec

VALIDATE_STORAGE_MB = 10_240
"""A file lies there decompressed, with its parts and its bad rows; what takes more is for a job."""


class TrainingPipeline(Construct):
    """State machine, its functions, and what opens runs."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        root: Path,
        spec: ModelSpec,
        image: TrainingImage,
        factory: FunctionFactory,
        lake: ModelLake,
        group_name: str,
        features_made: str,
    ) -> None:
        """Make the pipeline.

        Args:
            scope: where it belongs.
            construct_id: its id there.
            stage: the stage.
            root: the project.
            spec: of the model.
            image: that its jobs run in.
            factory: makes functions.
            lake: the model's.
            group_name: model package group that versions are registered in.
            features_made: when the feature group was made; empty where there is none.
        """
        super().__init__(scope, construct_id)
        self._stage, self._spec, self._factory, self._lake = stage, spec, factory, lake
        code, self.code = training_code(root, spec.name), ModelCode(self, "Code", root=root, model=spec.name)
        common = {
            "stage": stage.name,
            "model": spec.name,
            "bucket": lake.bucket,
            "ledger": lake.ledger,
        }
        self.image = image
        self.job = SageMakerJob(self, "Job", kind="Training", stage=stage, image=self.image, lake=lake)
        self.inspection = SageMakerJob(self, "Inspection", kind="Processing", stage=stage, image=self.image, lake=lake)
        self.validate = factory.create(
            self,
            "Validate",
            name="validate",
            settings=ValidateSettings(
                **common,
                code=code.digest,
                sources=code.sources,
                model_code=code.model,
                training_code=code.steps,
                packages=code.packages,
                archive=self.code.uri,
                image=self.image.uri,
                base=code.base(stage.image),
                features_made=features_made,
            ),
            memory_mb=3008,
            storage_mb=VALIDATE_STORAGE_MB,
            timeout_seconds=VALIDATE_SECONDS,
            takes_events=False,
        )
        self.register = factory.create(
            self,
            "Register",
            name="register",
            settings=RegisterSettings(**common, group=group_name),
            memory_mb=2048,
            timeout_seconds=REGISTER_SECONDS,
            takes_events=False,
            group=EXPERIMENTS if spec.experiments else None,
        )
        self.end_run = factory.create(
            self,
            "EndRun",
            name="end_run",
            settings=EndRunSettings(**common, topic=lake.topic.topic_arn),
            memory_mb=512,
            timeout_seconds=END_SECONDS,
            takes_events=False,
        )
        self.machine: sfn.StateMachine = self._machine()
        self.start_run: Function = factory.create(
            self,
            "StartRun",
            name="start_run",
            settings=StartRunSettings(**common, pipeline=self.machine.state_machine_arn),
            memory_mb=512,
            timeout_seconds=60,
            takes_events=True,
        )
        uploads = events.ObjectCreated.pattern(bucket=lake.bucket, prefix=lake.prefix(RAW))
        self.start_on("Uploaded", uploads)
        self.start_on("RunEnded", events.ExecutionEnded.pattern(state_machine=self.machine.state_machine_arn))

    def start_on(self, construct_id: str, pattern: events.Pattern) -> None:
        """Invoke start_run on events of a pattern."""
        invoke_on_events(
            self,
            construct_id,
            pattern=pattern,
            function=self.start_run.resource,
            failures=self._factory.failures,
            description=f"penstock-{self._stage.name}-{self._spec.name}: wakes start_run ({construct_id})",
        )

    def _machine(self) -> sfn.StateMachine:
        scope = Construct(self, "Machine")
        role = workflow_role(scope)
        functions = [self.validate.resource, self.register.resource, self.end_run.resource]
        parts = TrainingParts(
            model=self._spec.name,
            validate=functions[0].function_arn,
            register=functions[1].function_arn,
            end_run=functions[2].function_arn,
            image=self.image.uri,
            role=self.job.role.role_arn,
            key=self._lake.key_arn,
            training=self._spec.training,
            tuning=self._spec.tuning,
            inspection=InspectionParts(
                role=self.inspection.role.role_arn,
                stage=self._stage.name,
                bucket=self._lake.bucket,
                region=Stack.of(self).region,
                validating=self._spec.validation,
            ),
        )
        grant_call(role, [function.function_arn for function in functions])
        if self._spec.tuning:
            grant_tune(self.job, role, name_prefix(self._stage.name, self._spec.name))
        else:
            self.job.grant_run(role)
        self.inspection.grant_run(role)
        return Workflow(scope, "Workflow", stage=self._stage, role=role, definition=definition(parts)).machine
