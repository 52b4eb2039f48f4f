"""The other services that Penstock needs, called with real roles and IAM enforced."""

import gzip
import io
import json
import ssl
import time
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from penstock.local.host.cloud import LaptopCloud
from tests.local.conftest import Client, allow, make_role, until

ACCOUNT = "000000000000"
REGION = "us-east-1"

HANDLER = """
import json, os, boto3, helper

class NoRows(Exception):
    pass

def handler(event, context):
    print("version", os.environ["WHICH"])
    if event.get("raise"):
        raise NoRows("there are no rows")
    if event.get("approve"):
        boto3.client("sagemaker").create_model_package_group(ModelPackageGroupName=event["approve"])
    if event.get("metric"):
        directive = {"Namespace": "Penstock", "Dimensions": [["model"]], "Metrics": [{"Name": "drift"}]}
        embedded = {"Timestamp": event["metric"], "CloudWatchMetrics": [directive]}
        print(json.dumps({"_aws": embedded, "model": "delays", "drift": 9}))
    if event.get("source") == "aws.s3" or event.get("keep"):
        boto3.client("s3").put_object(Bucket="services-lake", Key="seen/" + event.get("keep", "event"),
            Body=json.dumps(event))
    if "requestContext" in event:
        caller = event["requestContext"]["authorizer"]["iam"]["userArn"]
        return {"statusCode": 200, "body": json.dumps({"version": os.environ["WHICH"], "caller": caller})}
    return {"version": os.environ["WHICH"], "helper": helper.NAME, "arn": context.invoked_function_arn}
"""


def bundle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", HANDLER)
        archive.writestr("helper.py", 'NAME = "from the bundle"')
    return buffer.getvalue()


@pytest.fixture(scope="module")
def lake(client: Client) -> str:
    client("s3").create_bucket(Bucket="services-lake")
    return "services-lake"


@pytest.fixture(scope="module")
def function(client: Client, lake: str) -> str:
    """A function with two versions, `one` and `two`, and the alias `live` on the first."""
    role = make_role(
        client, "services-function", "lambda",
        allow("s3:PutObject", f"arn:aws:s3:::{lake}/seen/*"),
        allow("sagemaker:CreateModelPackageGroup", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/by-*"),
    )  # fmt: skip
    functions = client("lambda")
    functions.create_function(
        FunctionName="scores", Runtime="python3.11", Handler="index.handler", Role=role, Timeout=20,
        Code={"ZipFile": bundle()}, Environment={"Variables": {"WHICH": "one"}},
    )  # fmt: skip
    functions.publish_version(FunctionName="scores")
    functions.update_function_configuration(FunctionName="scores", Environment={"Variables": {"WHICH": "two"}})
    functions.publish_version(FunctionName="scores")
    functions.update_function_configuration(FunctionName="scores", Environment={"Variables": {"WHICH": "latest"}})
    functions.create_alias(FunctionName="scores", Name="live", FunctionVersion="1")
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:scores"


def invoke(client: Client, qualifier: str, **event: Any) -> dict[str, Any]:
    answer = client("lambda").invoke(FunctionName="scores", Qualifier=qualifier, Payload=json.dumps(event))
    content: dict[str, Any] = json.load(answer["Payload"])
    return {**content, "error": answer.get("FunctionError"), "executed": answer["ExecutedVersion"]}


def test_a_version_keeps_its_environment(client: Client, function: str) -> None:
    # Given versions published before the environment changed, when they are invoked, then each has its own
    assert invoke(client, "1")["version"] == "one"
    assert invoke(client, "2")["version"] == "two"
    assert invoke(client, "$LATEST")["version"] == "latest"
    assert invoke(client, "live")["helper"] == "from the bundle"


def test_a_weighted_alias_shares_its_calls(client: Client, function: str) -> None:
    # Given an alias that gives half of its calls to version 2
    client("lambda").update_alias(
        FunctionName="scores", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    # When it is called often
    counts = Counter(invoke(client, "live")["version"] for _ in range(40))
    client("lambda").update_alias(FunctionName="scores", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    # Then both versions answer (one of them alone: less than once in a billion runs)
    assert set(counts) == {"one", "two"}
    # And without weights only the first does
    assert {invoke(client, "live")["version"] for _ in range(5)} == {"one"}


def test_an_exception_has_its_name(client: Client, function: str) -> None:
    # Given a function that raises, when it is invoked, then the error is told as AWS tells it
    error = invoke(client, "1", **{"raise": True})
    assert error["error"] == "Unhandled"
    assert error["errorType"] == "NoRows"
    assert error["errorMessage"] == "there are no rows"


def test_each_invocation_has_its_own_log(client: Client, function: str) -> None:
    # Given a warm function, and how long it takes here without its log
    invoke(client, "1")
    functions, started = client("lambda"), time.monotonic()
    for _ in range(5):
        functions.invoke(FunctionName="scores", Qualifier="1")
    plain, started = time.monotonic() - started, time.monotonic()
    # When it is invoked with its log, then nothing waits for that, and no line is missing
    answers = [functions.invoke(FunctionName="scores", Qualifier="1", LogType="Tail") for _ in range(5)]
    assert time.monotonic() - started < 2 + 5 * plain
    assert all("LogResult" in answer for answer in answers)


def test_a_function_acts_as_its_role(client: Client, function: str) -> None:
    # Given a function whose role may make groups of certain names
    # When it makes one
    assert invoke(client, "1", approve="by-function")["error"] is None
    # Then the registry names the role and the function
    described = client("sagemaker").describe_model_package_group(ModelPackageGroupName="by-function")
    arn = described["CreatedBy"]["IamIdentity"]["Arn"]
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/services-function/scores"
    # And another name is refused
    refused = invoke(client, "1", approve="other")
    assert "not authorized to perform: sagemaker:CreateModelPackageGroup" in refused["errorMessage"]


def test_an_upload_reaches_a_function(client: Client, function: str, lake: str) -> None:
    # Given a versioned bucket that tells EventBridge, and a rule for one prefix
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=lake, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(Bucket=lake, NotificationConfiguration={"EventBridgeConfiguration": {}})
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [lake]}, "object": {"key": [{"prefix": "raw/"}]}},
    }
    client("events").put_rule(Name="uploads", EventPattern=json.dumps(pattern))
    client("events").put_targets(Rule="uploads", Targets=[{"Id": "function", "Arn": f"{function}:live"}])
    # When an object is uploaded
    put = s3.put_object(Bucket=lake, Key="raw/delays/a.csv", Body=b"1,2")

    # Then the function has the event with all that AWS puts into it
    def recorded_event() -> dict[str, Any] | None:
        try:
            event: dict[str, Any] = json.load(s3.get_object(Bucket=lake, Key="seen/event")["Body"])
        except ClientError:
            return None
        return event

    detail = until(recorded_event)["detail"]["object"]
    assert (detail["key"], detail["size"]) == ("raw/delays/a.csv", 3)
    assert detail["etag"] == put["ETag"].strip('"')
    assert detail["version-id"] == put["VersionId"]
    assert detail["sequencer"]


def test_an_event_that_fails_ends_in_the_dead_letter_queue(client: Client, function: str) -> None:
    # Given a function that EventBridge invokes, without retries, with a queue for failures
    url = client("sqs").create_queue(QueueName="failures")["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:failures"
    client("lambda").put_function_event_invoke_config(
        FunctionName="scores", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    client("events").put_rule(Name="bad", EventPattern='{"source": ["test.bad"]}')
    target = {"Id": "function", "Arn": function, "InputTransformer": {"InputTemplate": '{"raise": true}'}}
    client("events").put_targets(Rule="bad", Targets=[target])
    # When the event comes
    client("events").put_events(Entries=[{"Source": "test.bad", "DetailType": "x", "Detail": "{}"}])
    # Then the failure is in the queue with its reason
    message = until(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages"))[0]
    body = json.loads(message["Body"])
    assert body["responsePayload"]["errorType"] == "NoRows"
    assert body["requestPayload"] == {"raise": True}


def signed(cloud: LaptopCloud, url: str, key: dict[str, str] | None) -> Any:
    """Send a request to an API through its real host name, signed or not."""
    address = f"https://127.0.0.1:{cloud.url.rpartition(':')[2]}/predict"
    host = url.removeprefix("https://").split("/", maxsplit=1)[0]
    request = AWSRequest(method="POST", url=url, data=b'{"rows": []}', headers={"Host": host})
    if key:
        credentials = Credentials(key["AWS_ACCESS_KEY_ID"], key["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
    context = ssl.create_default_context(cafile=cloud.environment()["AWS_CA_BUNDLE"])
    sent = urllib.request.Request(address, data=request.data, headers=dict(request.headers), method="POST")
    return urllib.request.urlopen(sent, context=context)  # noqa: S310 - an https address of our own


def test_an_api_serves_an_alias_to_signed_callers_only(client: Client, cloud: LaptopCloud, function: str) -> None:
    # Given an HTTP API with IAM authorization before the alias
    api = client("apigatewayv2")
    http_api = api.create_api(Name="predictions", ProtocolType="HTTP")
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}:live/invocations"
    integration = api.create_integration(
        ApiId=http_api["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="2.0"
    )
    api.create_route(
        ApiId=http_api["ApiId"], RouteKey="POST /predict", AuthorizationType="AWS_IAM",
        Target=f"integrations/{integration['IntegrationId']}",
    )  # fmt: skip
    api.create_stage(ApiId=http_api["ApiId"], StageName="$default", AutoDeploy=True)
    client("lambda").add_permission(
        FunctionName="scores", Qualifier="live", StatementId="api", Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )  # fmt: skip
    url = f"{http_api['ApiEndpoint']}/predict"
    port = cloud.url.rpartition(":")[2]
    assert http_api["ApiEndpoint"] == f"https://{http_api['ApiId']}.execute-api.localhost:{port}"
    # When the operator calls it, then the alias's version answers and knows the caller
    with signed(cloud, url, cloud.environment()) as answer:
        content = json.load(answer)
    assert content == {"version": "one", "caller": f"arn:aws:iam::{ACCOUNT}:user/operator"}
    # And nobody gets in without a signature
    with pytest.raises(urllib.error.HTTPError) as refused:
        signed(cloud, url, None)
    assert refused.value.code == 403
    refused.value.close()


def test_metrics_in_a_log_raise_an_alarm_that_is_an_event(client: Client, function: str) -> None:
    # Given an alarm on one model's drift, another on another model's, and a rule for alarms
    url = client("sqs").create_queue(QueueName="alarms")["QueueUrl"]
    watch = client("cloudwatch")
    for model in ("delays", "other"):
        watch.put_metric_alarm(
            AlarmName=f"drift-{model}", Namespace="Penstock", MetricName="drift", Statistic="Maximum", Period=60,
            EvaluationPeriods=1, Threshold=5, ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching", Dimensions=[{"Name": "model", "Value": model}],
        )  # fmt: skip
    pattern = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
    client("events").put_rule(Name="alarms", EventPattern=json.dumps(pattern))
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:alarms"
    client("events").put_targets(Rule="alarms", Targets=[{"Id": "queue", "Arn": queue}])
    # When a function logs a metric of the first model
    invoke(client, "1", metric=int(time.time() * 1000))
    # Then its alarm is an event
    message = until(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages"))[0]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["detail"]["alarmName"] == "drift-delays"
    assert event["detail"]["previousState"]["value"] in ("OK", "INSUFFICIENT_DATA")
    # And the other model's alarm is quiet
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in watch.describe_alarms()["MetricAlarms"]}
    assert states["drift-other"] != "ALARM"


def test_an_aliass_version_has_metrics_of_its_own(client: Client, function: str) -> None:
    # Given a failed call of the alias
    invoke(client, "live", **{"raise": True})
    # When the version behind the alias is asked for
    names = {"FunctionName": "scores", "Resource": "scores:live", "ExecutedVersion": "1"}
    statistics = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="Errors", Period=60, Statistics=["Sum"],
        Dimensions=[{"Name": name, "Value": value} for name, value in names.items()],
        StartTime=time.time() - 300, EndTime=time.time() + 60,
    )  # fmt: skip
    # Then its error is counted
    assert sum(point["Sum"] for point in statistics["Datapoints"]) >= 1


def test_captures_are_gathered_and_compressed(client: Client, lake: str) -> None:
    # Given a stream with a second's buffer
    role = make_role(client, "services-stream", "firehose", allow("s3:*", "*"))
    firehose = client("firehose")
    firehose.create_delivery_stream(
        DeliveryStreamName="captures",
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "RoleARN": role,
            "BucketARN": f"arn:aws:s3:::{lake}",
            "Prefix": "captures/!{timestamp:yyyy/MM/dd/HH}/",
            "ErrorOutputPrefix": "errors/",
            "CompressionFormat": "GZIP",
            "BufferingHints": {"IntervalInSeconds": 1, "SizeInMBs": 1},
        },
    )
    # When three records come
    for number in range(3):
        firehose.put_record(DeliveryStreamName="captures", Record={"Data": f"{number}\n".encode()})

    # Then they lie in one compressed object under the hour
    def objects() -> list[dict[str, Any]]:
        objects: list[dict[str, Any]] = (
            client("s3").list_objects_v2(Bucket=lake, Prefix="captures/").get("Contents", [])
        )
        return objects

    listed = until(objects)
    assert len(listed) == 1
    hour = time.strftime("captures/%Y/%m/%d/", time.gmtime())
    assert listed[0]["Key"].startswith(hour)
    assert listed[0]["Key"].endswith(".gz")
    body = client("s3").get_object(Bucket=lake, Key=listed[0]["Key"])["Body"].read()
    assert gzip.decompress(body) == b"0\n1\n2\n"


def test_a_failed_callback_fails_its_task(client: Client, function: str) -> None:
    # Given a machine that hands a token to a function that fails
    role = make_role(client, "services-machine", "states", allow("lambda:InvokeFunction", [function, f"{function}:*"]))
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function, "Payload": {"raise": True, "token.$": "$$.Task.Token"}},
        "Retry": [{"ErrorEquals": ["NoRows"], "MaxAttempts": 1, "IntervalSeconds": 9, "MaxDelaySeconds": 1}],
        "Catch": [{"ErrorEquals": ["NoRows"], "Next": "Caught"}],
        "End": True,
    }
    definition = json.dumps({"StartAt": "Ask", "States": {"Ask": state, "Caught": {"Type": "Succeed"}}})
    steps = client("stepfunctions")
    machine = steps.create_state_machine(name="asks", definition=definition, roleArn=role)["stateMachineArn"]
    # When it runs, then the failure is caught by its name, within the retry's bound
    execution = steps.start_execution(stateMachineArn=machine)["executionArn"]
    ended = until(lambda: (d := steps.describe_execution(executionArn=execution))["status"] != "RUNNING" and d, 6)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert json.loads(ended["output"])["Error"] == "NoRows"


def test_a_state_machine_publishes_the_revision_it_saw(client: Client, function: str) -> None:
    # Given a machine that publishes a version of a certain revision
    functions, steps = client("lambda"), client("stepfunctions")
    role = make_role(client, "services-publisher", "states", allow("lambda:PublishVersion", function))
    arguments = {"FunctionName": "scores", "RevisionId": "{% $states.input.revision %}"}
    state = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:lambda:publishVersion", "Arguments": arguments}
    states = {"Publish": {**state, "End": True}}
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": "Publish", "States": states})
    machine = steps.create_state_machine(name="publishes", definition=definition, roleArn=role)["stateMachineArn"]

    def publish(revision: str) -> Any:
        document = json.dumps({"revision": revision})
        arn = steps.start_execution(stateMachineArn=machine, input=document)["executionArn"]
        return until(lambda: (d := steps.describe_execution(executionArn=arn))["status"] != "RUNNING" and d)

    # When it is the present one, then the version's description comes back
    functions.update_function_configuration(FunctionName="scores", Description="changed")
    published = publish(functions.get_function_configuration(FunctionName="scores")["RevisionId"])
    assert published["status"] == "SUCCEEDED", published.get("cause")
    version = json.loads(published["output"])["Version"]
    assert functions.get_function_configuration(FunctionName="scores", Qualifier=version)["Description"] == "changed"
    # And a revision that is gone is refused by its name
    assert publish("00000000-0000-0000-0000-000000000000")["error"] == "Lambda.PreconditionFailedException"


def test_a_transaction_says_which_condition_failed(client: Client) -> None:
    # Given a table with one item
    table = client("dynamodb")
    table.create_table(
        TableName="ledger", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    table.put_item(TableName="ledger", Item={"id": {"S": "there"}})
    puts = [
        {"Put": {"TableName": "ledger", "Item": {"id": {"S": name}}, "ConditionExpression": "attribute_not_exists(id)"}}
        for name in ("new", "there")
    ]
    # When a transaction puts it again beside a new one
    with pytest.raises(ClientError) as refused:
        table.transact_write_items(TransactItems=puts)
    # Then nothing is written and the reasons are in order
    reasons = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    assert "Item" not in table.get_item(TableName="ledger", Key={"id": {"S": "new"}})


def test_encryption_with_a_key_of_ones_own(client: Client) -> None:
    # Given a bucket, a topic and a queue with a key
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    client("s3").create_bucket(Bucket="sealed")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    client("s3").put_bucket_encryption(Bucket="sealed", ServerSideEncryptionConfiguration={"Rules": [rule]})
    topic = client("sns").create_topic(Name="sealed", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    url = client("sqs").create_queue(QueueName="sealed", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:sealed"
    sender = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**sender, "Resource": queue}]})
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    # When they are used
    stored = client("s3").put_object(Bucket="sealed", Key="a", Body=b"1")
    client("sns").publish(TopicArn=topic, Message="hello")
    # Then they work
    assert stored["ServerSideEncryption"] == "aws:kms"
    assert client("s3").get_object(Bucket="sealed", Key="a")["Body"].read() == b"1"
    message = until(lambda: client("sqs").receive_message(QueueUrl=url).get("Messages"))[0]
    assert json.loads(message["Body"])["Message"] == "hello"
