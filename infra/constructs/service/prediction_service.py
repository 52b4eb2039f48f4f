"""The prediction service: the predict function behind its HTTPS address, its capture, its rollout, its endpoints.

CloudFormation makes version 1 and the alias `live` once. From then on the rollout alone publishes versions and moves
the alias: both have fixed ids and properties that no deployment changes, so that new code waits for a rollout.
"""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.acknowledge import acknowledge_wildcards
from infra.constructs.base.function import FunctionFactory
from infra.constructs.base.hash_key import HashKey
from infra.constructs.base.model_lake import ModelLake
from infra.constructs.base.rendered import rendered
from infra.constructs.base.training_image import TrainingImage
from infra.constructs.service.capture_stream import CaptureStream
from infra.constructs.service.model_endpoints import ModelEndpoints
from infra.constructs.service.predict_api import PredictApi
from infra.constructs.service.rollout import Rollout
from infra.constructs.service.rollout_steps import LIVE
from infra.snap_start import apply_on
from infra.stages import Stage
from penstock.predict_settings import DEPLOYED
from penstock.settings import PredictSettings, ServeSettings
from penstock.spec.model import Capturing, Serving
from penstock.spec.model import Rollout as RolloutSpec


class PredictionService(Construct):
    """Predict function, API, capture, rollout, and what a version's endpoint is made of."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        image: TrainingImage,
        serving: Serving,
        capturing: Capturing,
        rollout: RolloutSpec,
        factory: FunctionFactory,
        lake: ModelLake,
        hash_key: HashKey | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.hash_secret = hash_key.arn if hash_key else ""
        self.capture: firehose.CfnDeliveryStream = CaptureStream(self, "Capture", stage=stage, lake=lake).resource
        settings = PredictSettings(
            stage=stage.name,
            model=lake.model,
            bucket=lake.bucket,
            capture=self.capture.ref,
            max_rows=str(serving.max_rows),
            capture_sample=str(capturing.sample),
            captured=capturing.when,
            hash_secret=self.hash_secret,
        )
        self.deployed = {name: getattr(settings, name) for name in DEPLOYED}
        """What a published version keeps of a deployment, beside the code."""
        self.predict = factory.create(
            self,
            "Predict",
            name="predict",
            settings=settings,
            memory_mb=serving.function_mb,
            timeout_seconds=serving.timeout_seconds,
            takes_events=False,
        )
        first = lambda_.Version(
            self, "Version1", lambda_=self.predict.resource, description="before the first rollout: no model"
        )
        live = lambda_.Alias(self, "Live", alias_name=LIVE, version=first)
        api = PredictApi(self, "Api", stage=stage, model=lake.model, serving=serving, alias=live)
        self.url, self.domain_target = api.url, api.domain_target
        self.rollout = Rollout(
            self,
            "Rollout",
            stage=stage,
            spec=rollout,
            serving=serving,
            factory=factory,
            lake=lake,
            predict=self.predict.resource,
            snap_start=apply_on(self, stage, serving.snap_start),
        )
        self.endpoints = ModelEndpoints(
            self,
            "Endpoints",
            stage=stage,
            serving=serving,
            image=image,
            lake=lake,
            environment=ServeSettings(
                stage=stage.name,
                model=lake.model,
                **{name: value for name, value in self.deployed.items() if name != "captured"},
            ).environment(),
        )

    def grant_capture(self, grantee: iam.IRole) -> None:
        """Allow sending rows to the capture stream."""
        grantee.add_to_principal_policy(
            iam.PolicyStatement(actions=["firehose:PutRecordBatch"], resources=[self.capture.attr_arn])
        )

    def grant_read_live(self, grantee: iam.IRole) -> None:
        """Allow reading which version the alias points at, and what that version binds."""
        function = self.predict.resource.function_arn
        actions = ["lambda:GetAlias", "lambda:GetFunctionConfiguration"]
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[function, f"{function}:*"]))
        acknowledge_wildcards(grantee, "Versions are numbered as they come.", rendered(grantee, f"{function}:*"))

    def grant_invoke_versions(self, grantee: iam.IRole) -> None:
        """Allow invoking every published version."""
        versions = f"{self.predict.resource.function_arn}:*"
        grantee.add_to_principal_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[versions]))
        acknowledge_wildcards(grantee, "Versions are numbered as they come.", rendered(grantee, versions))
