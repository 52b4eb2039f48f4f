"""One model in production: registry, pipeline, service, monitor, and what each may do.

Built from the end of the journey to its start, because each construct is given what comes after it. The loop closes
by events: what the monitor finds wakes the pipeline through the alarm's rule.
"""

from pathlib import Path

from aws_cdk import CfnOutput, Duration, Stack, StackSynthesizer
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.base.alarms import alarm, metric
from infra.constructs.base.function import FunctionFactory
from infra.constructs.base.hash_key import HashKey
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.training_image import TrainingImage
from infra.constructs.base.workflow import grant_run
from infra.constructs.batch.batch_scoring import Batch
from infra.constructs.monitor.model_monitor import ModelMonitor
from infra.constructs.pipeline.feature_store import FeatureStore
from infra.constructs.pipeline.mlflow_access import grant_log
from infra.constructs.pipeline.training_pipeline import TrainingPipeline
from infra.constructs.registry.model_registry import ModelRegistry
from infra.constructs.registry.new_code import NewCode
from infra.constructs.service.prediction_service import PredictionService
from infra.lake_stack import LakeStack
from infra.stages import Stage, may_approve_itself, refuse_folder, refuse_open_api
from penstock import events
from penstock.contract.model import Contract
from penstock.features.group import FeatureGroup
from penstock.lake import (
    BATCH_ERRORS,
    BATCH_INPUT,
    BATCH_OUTPUT,
    BATCH_WORK,
    CAPTURES,
    DATASETS,
    LABELLED,
    LABELS,
    MODELS,
    MONITOR,
    QUARANTINE,
    RAW,
    RUNS,
    SHADOW,
)
from penstock.spec.model import ModelSpec
from penstock.stack_outputs import ModelOutputs


class ModelStack(Stack):
    """A folder of `training/models/` in production."""

    def __init__(
        self,
        scope: Construct,
        *,
        stage: Stage,
        root: Path,
        spec: ModelSpec,
        contract: Contract,
        features: FeatureGroup | None,
        lake_stack: LakeStack,
        synthesizer: StackSynthesizer,
    ) -> None:
        approves_itself = may_approve_itself(stage, spec)  # refused before anything is bundled
        refuse_folder(stage, spec)
        refuse_open_api(stage, spec)
        super().__init__(
            scope,
            ModelOutputs.stack(stage.name, spec.name),
            description=f"Penstock, stage {stage.name}: {spec.name}",
            synthesizer=synthesizer,
            termination_protection=stage.protected,
        )
        self.failures = sqs.Queue(
            self,
            "Failures",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        self.add_stack_dependency(lake_stack)
        self.lake = ModelLake(self, "Lake", lake_stack=lake_stack.stack_name, model=spec.name)
        hashes = any(column.hashed for column in contract.columns)
        self.hash_key = HashKey(self, "HashKey", stage=stage, lake=self.lake) if hashes else None
        factory = FunctionFactory(stage=stage, root=root, failures=self.failures)
        image = TrainingImage(self, "Image", stage=stage, root=root)
        self.service = PredictionService(
            self,
            "Service",
            stage=stage,
            image=image,
            serving=spec.serving,
            capturing=spec.capture,
            rollout=spec.rollout,
            factory=factory,
            lake=self.lake,
            hash_key=self.hash_key,
        )
        self.registry = ModelRegistry(
            self,
            "Registry",
            stage=stage,
            factory=factory,
            lake=self.lake,
            service=self.service,
            feature_store=features.binding if features else "",
            approves_itself=approves_itself,
        )
        self.new_code = NewCode(self, "NewCode", service=self.service, registry=self.registry)
        store = FeatureStore(self, "Features", stage=stage, lake=self.lake, group=features) if features else None
        self.pipeline = TrainingPipeline(
            self,
            "Pipeline",
            stage=stage,
            root=root,
            spec=spec,
            image=image,
            factory=factory,
            lake=self.lake,
            group_name=self.registry.group_name,
            features_made=store.creation_time if store else "",
        )
        self.batch = Batch(self, "Batch", stage=stage, factory=factory, lake=self.lake)
        self.monitor = ModelMonitor(
            self,
            "Monitor",
            stage=stage,
            monitoring=spec.monitoring,
            factory=factory,
            lake=self.lake,
            hash_key=self.hash_key,
        )
        self.pipeline.start_on("Drifted", events.AlarmRaised.pattern(alarm_arn=self.monitor.drift_alarm.alarm_arn))
        if store is not None:
            self._grant_features(store)
        self._grant_training()
        if spec.experiments is not None:
            grant_log(spec.experiments, self.pipeline.register.role)
        self._grant_service()
        if spec.rollout.shadows:
            self._grant_shadow()
        self._grant_endpoints()
        self._grant_batch()
        self._grant_monitor()
        if self.hash_key is not None:
            self.hash_key.grant_read(self.service.predict.role)
            self.hash_key.grant_read(self.service.endpoints.role)
            self.hash_key.grant_read(self.monitor.monitor.role)
        self._alarms(stage)
        self._outputs()

    def _grant_training(self) -> None:
        start_run, validate = self.pipeline.start_run.role, self.pipeline.validate.role
        inspection, training = self.pipeline.inspection.role, self.pipeline.job.role
        register, end_run = self.pipeline.register.role, self.pipeline.end_run.role
        self.lake.grant_records(start_run)
        grant_run(self.pipeline.machine, start_run)
        self.lake.grant_records(validate)
        self.lake.grant_read(validate, RAW, LABELLED, DATASETS, MODELS, RUNS)
        self.lake.grant_list_versions(validate, RAW)
        self.lake.grant_write(validate, DATASETS, QUARANTINE, RUNS)
        self.pipeline.code.grant_read(validate)
        self.lake.grant_read(inspection, RAW, LABELLED, DATASETS, RUNS)
        self.lake.grant_write(inspection, DATASETS, QUARANTINE, RUNS)
        self.lake.grant_read(training, DATASETS, RUNS)
        self.lake.grant_write(training, RUNS)
        self.lake.grant_records(register)
        self.lake.grant_read(register, RUNS, MODELS)
        self.lake.grant_write(register, MODELS, RUNS)
        self.registry.grant_register(register)
        self.pipeline.image.grant_describe(register)
        self.lake.grant_records(end_run)
        self.lake.grant_notify(end_run)

    def _grant_service(self) -> None:
        authorize, predict = self.registry.authorize.role, self.service.predict.role
        smoke_test, end_rollout = self.service.rollout.smoke_test.role, self.service.rollout.end_rollout.role
        watch_rollout = self.service.rollout.watch_rollout.role
        self.lake.grant_records(authorize)
        self.lake.grant_notify(authorize)
        self.lake.grant_read(authorize, MODELS, RAW)
        self.registry.grant_describe(authorize)
        self.registry.grant_set_status(authorize)
        grant_run(self.service.rollout.machine, authorize)
        self.service.grant_read_live(authorize)
        self.registry.grant_describe(self.service.rollout.role)
        self.registry.grant_describe(end_rollout)
        self.registry.grant_set_pending(end_rollout)
        self.lake.grant_read(predict, MODELS)
        self.service.grant_capture(predict)
        self.lake.grant_read_records(smoke_test)
        self.lake.grant_read(smoke_test, MODELS)
        self.service.grant_invoke_versions(smoke_test)
        self.lake.grant_records(watch_rollout)
        self.lake.grant_read(watch_rollout, CAPTURES)
        self.lake.grant_records(end_rollout)
        self.lake.grant_notify(end_rollout)
        self.service.rollout.grant_prune(end_rollout, self.service.predict.resource)

    def _grant_shadow(self) -> None:
        watch_rollout = self.service.rollout.watch_rollout.role
        self.lake.grant_read(watch_rollout, SHADOW)
        self.lake.grant_write(watch_rollout, SHADOW)
        self.service.grant_invoke_versions(watch_rollout)

    def _grant_endpoints(self) -> None:
        """Grant for Lambda targets too: a version served by an endpoint stays so until the next rollout."""
        endpoints, rollout = self.service.endpoints, self.service.rollout
        self.lake.grant_read(endpoints.role, RUNS)
        self.service.grant_capture(endpoints.role)
        endpoints.grant_invoke(self.service.predict.role)
        endpoints.grant_make(rollout.role)
        endpoints.grant_sweep(rollout.end_rollout.role)
        endpoints.grant_sweep(self.registry.authorize.role)
        self.service.grant_read_live(rollout.end_rollout.role)

    def _grant_features(self, store: FeatureStore) -> None:
        store.grant_put(self.pipeline.validate.role)
        if store.online:
            store.grant_get(self.service.predict.role)

    def _grant_batch(self) -> None:
        start_batch, plan_batch = self.batch.start_batch.role, self.batch.plan_batch.role
        score_part, join_batch = self.batch.score_part.role, self.batch.join_batch.role
        self.lake.grant_records(start_batch)
        grant_run(self.batch.machine, start_batch)
        self.lake.grant_records(plan_batch)
        self.lake.grant_read(plan_batch, BATCH_INPUT, BATCH_WORK, BATCH_OUTPUT, MODELS)
        self.lake.grant_write(plan_batch, BATCH_WORK)
        self.lake.grant_read(score_part, BATCH_WORK, MODELS)
        self.lake.grant_write(score_part, BATCH_WORK)
        self.lake.grant_read_records(join_batch)
        self.lake.grant_read(join_batch, BATCH_WORK)
        self.lake.grant_write(join_batch, BATCH_OUTPUT, BATCH_ERRORS)
        self.lake.grant_records(self.batch.end_batch.role)
        self.lake.grant_notify(self.batch.end_batch.role)

    def _grant_monitor(self) -> None:
        monitor = self.monitor.monitor.role
        self.lake.grant_records(monitor)
        self.lake.grant_read(monitor, CAPTURES, LABELS, LABELLED, MODELS, MONITOR)
        self.lake.grant_write(monitor, LABELLED, MONITOR)
        self.monitor.grant_metrics(monitor)

    def _alarms(self, stage: Stage) -> None:
        """Alarms on failures that no function reports itself."""
        period = Duration.seconds(stage.alarm_seconds)
        captures = metric(
            self.monitor.namespace, "CapturesDropped", period_seconds=stage.alarm_seconds, statistic="Sum"
        )
        watched = {
            "Undelivered": (
                self.failures.metric_approximate_number_of_messages_visible(period=period, statistic="Maximum"),
                "events wait in the failures queue: a function could not be reached, or failed on them",
            ),
            "PredictErrors": (self.service.predict.resource.metric_errors(period=period), "predict raised errors"),
            "CapturesDropped": (captures, "answered requests were not captured"),
            "PipelineFailed": (self.pipeline.machine.metric_failed(period=period), "a run failed"),
            "BatchFailed": (self.batch.machine.metric_failed(period=period), "a batch failed"),
            "RolloutFailed": (self.service.rollout.machine.metric_failed(period=period), "a rollout failed"),
        }
        for name, (measured, sentence) in watched.items():
            alarm(
                self,
                name,
                metric=measured,
                threshold=1,
                description=f"{self.lake.model}: {sentence}",
                topic=self.lake.topic,
            )

    def _outputs(self) -> None:
        outputs = ModelOutputs(
            ApiUrl=self.service.url,
            PipelineArn=self.pipeline.machine.state_machine_arn,
            RolloutArn=self.service.rollout.machine.state_machine_arn,
            GroupName=self.registry.group_name,
            PredictName=self.service.predict.resource.function_name,
            MonitorName=self.monitor.monitor.resource.function_name,
            StartRunName=self.pipeline.start_run.resource.function_name,
            CaptureName=self.service.capture.ref,
            AuthorizeName=self.registry.authorize.resource.function_name,
            DriftAlarmName=self.monitor.drift_alarm.alarm_name,
            BatchArn=self.batch.machine.state_machine_arn,
            HashSecretArn=self.service.hash_secret,
            DomainTarget=self.service.domain_target,
            EndpointPlan=self.service.endpoints.binding,
        )
        for name, value in vars(outputs).items():
            if value:
                CfnOutput(self, name, value=value)
