"""Each patch of MiniStack is still needed: without it the feature is still missing.

A test that fails here is good news: MiniStack has the feature. Remove the patch, and this test with it.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from penstock.local.patches.lambda_functions import draw_version
from penstock.local.patches.lambda_metrics import embedded_metrics
from penstock.local.patches.step_functions import retry_delay

# Run in a process of its own: MiniStack as it comes, with its settings read at import.
PROBE = """
import asyncio, inspect, json, time
from ministack.core import iam_actions, lambda_runtime
from ministack.services import cloudwatch, eventbridge, firehose, lambda_svc, s3, stepfunctions

def source(thing):
    return inspect.getsource(thing)

arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
version = {name: {"config": {"FunctionArn": arn, "Version": name}} for name in ("1", "2")}
alias = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 1.0}}}
lambda_svc._functions["f"] = {"config": {"FunctionArn": arn}, "versions": version, "aliases": {"live": alias}}

alarm = {"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Threshold": 1, "StateValue": "OK", "Period": 60,
         "ComparisonOperator": "GreaterThanThreshold", "Dimensions": [{"Name": "model", "Value": "b"}]}
cloudwatch.record_metric("n", "m", 5, "None", {"model": "a"})
cloudwatch._evaluate_alarm(alarm)

drain = inspect.signature(lambda_runtime.Worker._drain_stderr_bounded)
worker = lambda_runtime._PYTHON_WORKER_SCRIPT
print(json.dumps({
    "the revision of a published version": "_check_revision" not in source(lambda_svc._publish_version),
    "the names of alias actions":
        iam_actions._lambda_action("PUT", "/2015-03-31/functions/f/aliases/live") != "UpdateAlias",
    "weighted aliases": lambda_svc._get_func_record_for_ref("f:live")[1]["Version"] == "1",
    "the wait for a first line": drain.parameters["first_line_wait"].default == 0.05,
    "the name of an exception": "type(e).__name__" not in worker,
    "retries of functions that EventBridge invokes":
        "invoke_async_with_retry" not in source(eventbridge._dispatch_to_lambda),
    "Lambda metrics by alias and version": "ExecutedVersion" not in source(lambda_svc._emit_lambda_metrics),
    "embedded metrics": "CloudWatchMetrics" not in source(lambda_svc),
    "dimensions of alarms": alarm["StateValue"] == "ALARM",
    "events of alarms": "Alarm State Change" not in source(cloudwatch),
    "compression of captures": "CompressionFormat" not in source(firehose._deliver_to_s3),
    "buffers of captures": "IntervalInSeconds" not in source(firehose._put_record),
    "the version in S3's events": "version-id" not in source(s3._fire_s3_event),
    "the bound of a retry": "MaxDelaySeconds" not in source(stepfunctions),
    "a callback whose call fails": "except _ExecutionError:\\n            pass" in source(
        stepfunctions._invoke_with_callback),
    "the alarms that a call is about": iam_actions.extract_resource_arn(
        "monitoring", "POST", "/", {}, b"Action=DeleteAlarms&AlarmNames.member.1=a", {}, "r", "1") == "*",
    "the names of environment variables": "FUNCTION_NAME" not in str(
        stepfunctions._convert_keys_to_sfn_convention({"Variables": {"FUNCTION_NAME": "f"}})),
    "Lambda's operations in state machines": "PublishVersion" not in source(
        stepfunctions._dispatch_aws_sdk_lambda_rest),
    "the end of a map whose execution is stopped": "RUNNING" not in source(stepfunctions._run_sub_machine),
    "the role of a state machine": "enforce" not in source(stepfunctions),
    "the end of an interrupted execution": "ExecutionFailed" not in source(stepfunctions._restore_state),
    "SageMaker": "sagemaker" not in __import__("ministack.app", fromlist=["app"]).SERVICE_REGISTRY,
}))
"""

PATCHES = [
    "the alarms that a call is about",
    "the names of environment variables",
    "weighted aliases",
    "the wait for a first line",
    "the name of an exception",
    "retries of functions that EventBridge invokes",
    "Lambda metrics by alias and version",
    "embedded metrics",
    "dimensions of alarms",
    "events of alarms",
    "compression of captures",
    "buffers of captures",
    "the version in S3's events",
    "the bound of a retry",
    "a callback whose call fails",
    "Lambda's operations in state machines",
    "the end of a map whose execution is stopped",
    "the role of a state machine",
    "the end of an interrupted execution",
    "SageMaker",
    "the revision of a published version",
    "the names of alias actions",
]


@pytest.fixture(scope="module")
def lacking() -> dict[str, bool]:
    """Which features MiniStack lacks without any patch."""
    completed = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, bool] = json.loads(completed.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("patch", PATCHES)
def test_ministack_still_lacks_a_patched_feature(lacking: dict[str, bool], patch: str) -> None:
    # Given MiniStack as it comes, when it is asked for a patched feature, then it still does not have it
    assert lacking[patch], f"MiniStack has it now: {patch}. Remove the patch and its entry here."


def test_every_patch_has_a_check(lacking: dict[str, bool]) -> None:
    # Given the answers, then they are about the patches listed here and no others
    assert set(lacking) == set(PATCHES)


def test_calls_of_an_alias_are_split_by_weight() -> None:
    # Given an alias with a tenth for version 2
    alias = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}}}
    function: dict[str, Any] = {"aliases": {"live": alias, "plain": {"FunctionVersion": "1"}}}
    # When many calls are shared out
    second = sum(draw_version(function, "live") == "2" for _ in range(10_000))
    # Then about a tenth goes there (1000 with a standard deviation of 30)
    assert 850 < second < 1150
    # And an alias without weights, or a version, is left alone
    assert draw_version(function, "plain") is None
    assert draw_version(function, "7") is None
    assert draw_version(None, "live") is None


def test_retries_grow_to_their_bound() -> None:
    # Given a retrier with a bound, when attempts go on, then the delay grows to it and not beyond
    retrier = {"IntervalSeconds": 2, "BackoffRate": 3.0, "MaxDelaySeconds": 20}
    assert [retry_delay(retrier, attempt) for attempt in range(4)] == [2, 6, 18, 20]
    # And with full jitter it lies anywhere below
    delays = {retry_delay({**retrier, "JitterStrategy": "FULL"}, 2) for _ in range(20)}
    assert len(delays) > 1
    assert all(0 <= delay <= 18 for delay in delays)


def test_embedded_metrics_are_read_by_dimension_set() -> None:
    # Given a document with two dimension sets and a list of values
    directive = {
        "Namespace": "Penstock",
        "Dimensions": [["model"], ["model", "version"]],
        "Metrics": [{"Name": "latency", "Unit": "Milliseconds"}],
    }
    document = {"model": "delays", "version": 3, "latency": [1, 2]}
    # When it is read, then there is a metric for each set
    metrics = embedded_metrics(document, [directive])
    assert [[d["Name"] for d in metric["Dimensions"]] for _, metric, _ in metrics] == [["model"], ["model", "version"]]
    assert all(value == {"Values": [1, 2]} for _, _, value in metrics)
