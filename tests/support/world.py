"""A stage in moto's AWS, and its functions, imported as Lambda imports them."""

import importlib
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from penstock.aws.s3_store import Store
from penstock.lake import Lake, prefix
from penstock.ledger.ledger import Ledger, Upload, timestamp
from penstock.release.live_service import LIVE
from penstock.settings import (
    AuthorizeSettings,
    EndBatchSettings,
    EndRolloutSettings,
    EndRunSettings,
    JoinBatchSettings,
    MonitorSettings,
    PlanBatchSettings,
    PredictSettings,
    RegisterSettings,
    ScorePartSettings,
    Settings,
    SmokeTestSettings,
    StartBatchSettings,
    StartRunSettings,
    ValidateSettings,
    WatchRolloutSettings,
)

REGION, ACCOUNT = "us-east-1", "123456789012"
BUCKET, TABLE, MODEL, STAGE = "penstock-test-lake", "penstock-test-ledger", "flight-delay", "dev"
GROUP, STREAM, FUNCTION = "penstock-dev-flight-delay", "penstock-capture", "penstock-predict"
CODE = "c0de" * 16
FLIGHT_DELAY = Path(__file__).parents[2] / "training" / "models" / MODEL
NOW = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
DEFINITION = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})


@cache
def client(service: str) -> Any:
    """Return a boto3 client, untyped and cached; moto answers it in every test."""
    make: Any = boto3.client
    return make(service, region_name=REGION)


@dataclass
class World:
    """A stage with one model."""

    monkeypatch: pytest.MonkeyPatch
    root: Path
    closing: ExitStack = field(default_factory=ExitStack)
    """Resources to close at the end of the test."""

    @classmethod
    def build(cls, monkeypatch: pytest.MonkeyPatch, root: Path, closing: ExitStack | None = None) -> "World":
        world = cls(monkeypatch, root, closing or ExitStack())
        client("s3").create_bucket(Bucket=BUCKET)
        client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        shutil.copytree(FLIGHT_DELAY, root / "model")
        return world

    # What not every test needs is made when it is first asked for.

    @cached_property
    def topic(self) -> str:
        """The ARN of a topic with a subscribed queue."""
        arn = client("sns").create_topic(Name="notices")["TopicArn"]
        client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox")
        assert self.inbox
        return str(arn)

    @cached_property
    def inbox(self) -> str:
        return str(client("sqs").create_queue(QueueName="inbox")["QueueUrl"])

    @cached_property
    def pipeline(self) -> str:
        return self._machine("pipeline")

    @cached_property
    def rollout(self) -> str:
        return self._machine("rollout")

    @cached_property
    def batch(self) -> str:
        return self._machine("batch")

    @cached_property
    def group(self) -> str:
        client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
        return GROUP

    def predict(self) -> None:
        """Create the predict function as CloudFormation does: with a version and the alias, without a model."""
        role = client("iam").create_role(RoleName="predict", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("handler.py", "")
        client("lambda").create_function(
            FunctionName=FUNCTION,
            Runtime="python3.13",
            Role=role,
            Handler="handler.handler",
            Code={"ZipFile": buffer.getvalue()},
        )
        self.publish({})

    def publish(self, variables: dict[str, str]) -> str:
        """Publish a version of the predict function and point the alias at it."""
        functions = client("lambda")
        functions.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": variables})
        version = str(functions.publish_version(FunctionName=FUNCTION)["Version"])
        try:
            functions.update_alias(FunctionName=FUNCTION, Name=LIVE, FunctionVersion=version)
        except functions.exceptions.ResourceNotFoundException:
            functions.create_alias(FunctionName=FUNCTION, Name=LIVE, FunctionVersion=version)
        return version

    @staticmethod
    def _machine(name: str) -> str:
        role = f"arn:aws:iam::{ACCOUNT}:role/steps"
        reply = client("stepfunctions").create_state_machine(name=name, definition=DEFINITION, roleArn=role)
        return str(reply["stateMachineArn"])

    @property
    def lake(self) -> Lake:
        return Lake(BUCKET, MODEL)

    @cached_property
    def store(self) -> Store:
        return Store(BUCKET)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(TABLE, MODEL)

    def settings_of(self, name: str, **changed: str) -> Settings:
        """Return a function's settings in this stage."""
        lake = {"stage": STAGE, "model": MODEL, "bucket": BUCKET, "ledger": TABLE}
        plain = {"stage": STAGE, "model": MODEL, "bucket": BUCKET}
        makers: dict[str, Callable[[], Settings]] = {
            "start_run": lambda: StartRunSettings(**lake, pipeline=self.pipeline),
            "validate": lambda: ValidateSettings(**(lake | {"code": CODE} | changed)),
            "register": lambda: RegisterSettings(**lake, group=self.group),
            "end_run": lambda: EndRunSettings(**lake, topic=self.topic),
            "authorize": lambda: AuthorizeSettings(
                **lake, topic=self.topic, group=self.group, rollout=self.rollout, function=FUNCTION, capture=STREAM
            ),
            "smoke_test": lambda: SmokeTestSettings(**lake, function=FUNCTION),
            "watch_rollout": lambda: WatchRolloutSettings(**lake, function=FUNCTION),
            "end_rollout": lambda: EndRolloutSettings(**lake, topic=self.topic, function=FUNCTION),
            "predict": lambda: PredictSettings(**(plain | {"capture": STREAM} | changed)),
            "start_batch": lambda: StartBatchSettings(**lake, machine=self.batch),
            "plan_batch": lambda: PlanBatchSettings(**lake, **changed),
            "score_part": lambda: ScorePartSettings(**plain),
            "join_batch": lambda: JoinBatchSettings(**lake),
            "end_batch": lambda: EndBatchSettings(**lake, topic=self.topic),
            "monitor": lambda: MonitorSettings(**lake, namespace="Penstock/dev/flight-delay", **changed),
        }
        return makers[name]()

    def load(self, name: str, **changed: str) -> ModuleType:
        """Import the handler's module anew, as a cold start does, with its settings' environment."""
        for variable, value in self.settings_of(name, **changed).environment().items():
            self.monkeypatch.setenv(variable, value)
        self.monkeypatch.setenv("LAMBDA_TASK_ROOT", str(self.root))
        for loaded in [module for module in sys.modules if module.startswith(f"functions.{name}")]:
            self.monkeypatch.delitem(sys.modules, loaded)
        if name == "predict":
            return self._signing_itself(f"functions.{name}.handler")
        return importlib.import_module(f"functions.{name}.handler")

    def _signing_itself(self, module: str) -> ModuleType:
        """Import a module that reads its endpoints at import; hide them from boto3, which moto answers."""
        with pytest.MonkeyPatch.context() as patch:
            for service in ("S3", "FIREHOSE", "SAGEMAKER_RUNTIME"):
                patch.setenv(f"AWS_ENDPOINT_URL_{service}", self.front)
            loaded = importlib.import_module(module)
        self.closing.callback(loaded.capture.close)
        if loaded.proxy is not None:
            self.closing.callback(loaded.proxy.endpoint.close)
        return loaded

    @cached_property
    def front(self) -> str:
        """The address of the server for predict's signed calls of S3 and Firehose."""
        from tests.support.front import of_moto, serving

        return self.closing.enter_context(serving(of_moto))

    # What happened

    def notices(self) -> list[dict[str, str]]:
        """Return subject and text of every notice since the last call."""
        notices = []
        while messages := client("sqs").receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                body = json.loads(message["Body"])
                notices.append({"subject": body["Subject"], "text": body["Message"]})
                client("sqs").delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return notices

    def executions(self, machine: str) -> list[dict[str, Any]]:
        """Describe a state machine's executions, oldest first."""
        steps = client("stepfunctions")
        executions = steps.list_executions(stateMachineArn=machine)["executions"]
        return [steps.describe_execution(executionArn=item["executionArn"]) for item in reversed(executions)]

    def records(self) -> list[dict[str, Any]]:
        """Return all items of the ledger's table."""
        items: list[dict[str, Any]] = client("dynamodb").scan(TableName=TABLE)["Items"]
        return items

    def keys(self, prefix: str) -> list[str]:
        return list(self.store.keys(prefix))

    # Events, as AWS writes them

    def upload(self, name: str, data: bytes, folder: str = "raw") -> dict[str, Any]:
        """Upload an object and return S3's event."""
        key = f"{prefix(folder, MODEL)}{name}"
        reply = client("s3").put_object(Bucket=BUCKET, Key=key, Body=data)
        return object_created(key, len(data), reply["ETag"].strip('"'), reply["VersionId"])

    def take(self, name: str, data: bytes, run: str = "") -> str:
        """Upload an object and open a run with it."""
        event = self.upload(name, data)
        item = event["detail"]["object"]
        at = timestamp(datetime.now(UTC))
        upload = Upload(item["key"], item["version-id"], item["etag"], item["size"], at)
        assert self.ledger.record_upload(upload)
        return self.open_run(run or name.partition(".")[0])

    def open_run(self, run: str) -> str:
        """Open a run for all waiting uploads."""
        from penstock.ledger.ledger import Run

        at = timestamp(datetime.now(UTC))
        assert self.ledger.open_run(Run(run, "upload", "a test", tuple(self.ledger.waiting()), at))
        return run

    def end_run(self, run: str, outcome: str = "registered") -> None:
        assert self.ledger.end_run(run, outcome, "the test said so", timestamp(datetime.now(UTC)))


def object_created(key: str, size: int, etag: str, version_id: str, bucket: str = BUCKET) -> dict[str, Any]:
    """Build S3's `Object Created` event of EventBridge."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": ACCOUNT,
        "time": "2026-03-04T05:06:07Z",
        "region": REGION,
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {"key": key, "size": size, "etag": etag, "version-id": version_id, "sequencer": "00617F08299329"},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": ACCOUNT,
            "source-ip-address": "198.51.100.7",
            "reason": "PutObject",
        },
    }


def execution_ended(machine: str, name: str, status: str, cause: str | None = None) -> dict[str, Any]:
    """Build Step Functions' `Execution Status Change` event."""
    return {
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": ACCOUNT,
        "time": "2026-03-04T05:06:07Z",
        "region": REGION,
        "resources": [f"{machine.replace(':stateMachine:', ':execution:')}:{name}"],
        "detail": {
            "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
            "stateMachineArn": machine,
            "name": name,
            "status": status,
            "startDate": 1551225271984,
            "stopDate": 1551225271999,
            "input": "{}",
            "output": None,
            "error": "States.TaskFailed" if cause else None,
            "cause": cause,
        },
    }


def alarm_raised(name: str = "drift", at: str = "2026-03-04T05:06:07.000+0000", value: str = "ALARM") -> dict[str, Any]:
    """Build CloudWatch's `Alarm State Change` event."""
    return {
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": ACCOUNT,
        "time": "2026-03-04T05:06:08Z",
        "region": REGION,
        "resources": [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"],
        "detail": {
            "alarmName": name,
            "configuration": {"description": "", "metrics": []},
            "previousState": {"reason": "", "timestamp": "2026-03-04T05:01:07.000+0000", "value": "OK"},
            "state": {"reason": "Threshold Crossed: 1 datapoint [0.4] was greater", "timestamp": at, "value": value},
        },
    }


def package_changed(arn: str, version: int, status: str = "Approved", group: str = GROUP) -> dict[str, Any]:
    """Build SageMaker's `Model Package State Change` event."""
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "account": ACCOUNT,
        "time": "2026-03-04T05:06:07Z",
        "region": REGION,
        "resources": [arn],
        "detail": {
            "ModelPackageGroupName": group,
            "ModelPackageName": f"{group}/{version}",
            "ModelPackageVersion": version,
            "ModelPackageArn": arn,
            "CreationTime": 1583356026000,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": status,
            "UpdatedModelPackageFields": ["ModelApprovalStatus"],
        },
    }
