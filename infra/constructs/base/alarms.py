"""Alarms that notify the stage's SNS topic."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct


def alarm(
    scope: Construct,
    construct_id: str,
    *,
    metric: cloudwatch.IMetric,
    threshold: float,
    description: str,
    topic: sns.ITopic,
) -> cloudwatch.Alarm:
    """Make an alarm that rings when one period reaches the threshold; missing data does not breach."""
    result = cloudwatch.Alarm(
        scope,
        construct_id,
        metric=metric,
        threshold=threshold,
        evaluation_periods=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        alarm_description=description,
    )
    result.add_alarm_action(actions.SnsAction(topic))
    return result


def metric(namespace: str, name: str, *, period_seconds: int, statistic: str = "Maximum") -> cloudwatch.Metric:
    """Return a metric without dimensions; each model has a namespace of its own."""
    return cloudwatch.Metric(
        namespace=namespace, metric_name=name, statistic=statistic, period=Duration.seconds(period_seconds)
    )
