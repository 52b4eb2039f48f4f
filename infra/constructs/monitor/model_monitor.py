"""The monitor: a function that runs on a schedule and on new labels, its metrics, and the drift alarm."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.constructs.base.alarms import alarm, metric
from infra.constructs.base.event_rules import invoke_on_events, invoke_on_schedule
from infra.constructs.base.function import Function, FunctionFactory
from infra.constructs.base.hash_key import HashKey
from infra.constructs.base.model_lake import ModelLake
from infra.stages import Stage
from penstock import events
from penstock.aws import emf
from penstock.lake import LABELS
from penstock.settings import MonitorSettings
from penstock.spec.model import Monitoring

DRIFT = "DriftPSI"


class ModelMonitor(Construct):
    """Monitor function, schedule, labels rule and drift alarm."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        monitoring: Monitoring,
        factory: FunctionFactory,
        lake: ModelLake,
        hash_key: HashKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.namespace = emf.namespace(stage.name, lake.model)
        self.monitor: Function = factory.create(
            self,
            "Monitor",
            name="monitor",
            settings=MonitorSettings(
                stage=stage.name,
                model=lake.model,
                bucket=lake.bucket,
                ledger=lake.ledger,
                namespace=self.namespace,
                hash_secret=hash_key.arn if hash_key else "",
            ),
            memory_mb=2048,
            timeout_seconds=600,
            takes_events=True,
        )
        about = f"penstock-{stage.name}-{lake.model}: wakes monitor"
        function, failures = self.monitor.resource, factory.failures
        invoke_on_schedule(
            self,
            "Schedule",
            minutes=monitoring.schedule_minutes,
            function=function,
            failures=failures,
            description=f"{about} (Schedule)",
        )
        invoke_on_events(
            self,
            "Labelled",
            pattern=events.ObjectCreated.pattern(bucket=lake.bucket, prefix=lake.prefix(LABELS)),
            function=function,
            failures=failures,
            description=f"{about} (Labelled)",
        )
        self.drift_alarm: cloudwatch.Alarm = alarm(
            self,
            "Drift",
            metric=metric(self.namespace, DRIFT, period_seconds=stage.alarm_seconds),
            threshold=monitoring.psi_threshold,
            description=f"{lake.model}: the requests have drifted from the data that the live version was trained on",
            topic=lake.topic,
        )

    def grant_metrics(self, grantee: iam.IRole) -> None:
        """Put metrics into the model's namespace."""
        grantee.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],  # it takes no resource; the namespace is the limit
                conditions={"StringEqualsIfExists": {"cloudwatch:namespace": self.namespace}},
            )
        )
        acknowledge(grantee, {"IAM5[Resource::*]": "X-Ray and metrics take no resource; the namespace is the limit."})
