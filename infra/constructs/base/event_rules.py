"""EventBridge rules that invoke a function, with retries and a dead-letter queue."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from penstock.events import Pattern


def invoke_on_events(
    scope: Construct,
    construct_id: str,
    *,
    pattern: Pattern,
    function: lambda_.IFunction,
    failures: sqs.IQueue,
    description: str,
) -> events.Rule:
    """Invoke a function on events of a pattern (`penstock.events`)."""
    return events.Rule(
        scope,
        construct_id,
        description=description,
        event_pattern=events.EventPattern(
            source=pattern["source"],
            detail_type=pattern["detail-type"],
            detail=pattern["detail"],
            resources=pattern.get("resources"),
        ),
        targets=[_target(function, failures)],
    )


def invoke_on_schedule(
    scope: Construct,
    construct_id: str,
    *,
    minutes: int,
    function: lambda_.IFunction,
    failures: sqs.IQueue,
    description: str,
) -> events.Rule:
    """Invoke a function every so many minutes."""
    return events.Rule(
        scope,
        construct_id,
        description=description,
        schedule=events.Schedule.rate(Duration.minutes(minutes)),
        targets=[_target(function, failures)],
    )


def _target(function: lambda_.IFunction, failures: sqs.IQueue) -> targets.LambdaFunction:
    return targets.LambdaFunction(
        function, dead_letter_queue=failures, retry_attempts=8, max_event_age=Duration.hours(6)
    )
