"""Patch of MiniStack's CloudWatch alarms: evaluate them as CloudWatch does, and publish their state changes.

MiniStack mixes all dimensions of a metric, averages over the whole evaluation time, supports neither "M of N" nor
missing data, evaluates an alarm only when a metric is published, and sends no event to EventBridge.
"""

# ruff: noqa: SLF001 - MiniStack has no public interface for what a plug-in needs

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch, eventbridge

from penstock.local.host.cloud import ACCOUNT, REGION

Json = dict[str, Any]
_TICK = 1.0
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def install() -> None:
    """Install the patches of this module."""
    cloudwatch._evaluate_alarm = evaluate
    cloudwatch._dispatch_alarm_actions = _with_event(cloudwatch._dispatch_alarm_actions)


def start() -> None:
    """Evaluate every alarm at intervals, since data that stops arriving changes an alarm too."""
    threading.Thread(target=_evaluate_forever, name="alarms", daemon=True).start()


def evaluate(alarm: Json) -> None:
    """Set an alarm's state from its datapoints as CloudWatch does: M of N periods, missing data as configured."""
    if not alarm.get("Namespace") or not alarm.get("MetricName"):
        return
    state, reason = derive_state(alarm, datapoints(alarm, time.time()))
    old = alarm["StateValue"]
    if state is None or state == old:
        return
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def datapoints(alarm: Json, moment: float) -> list[float | None]:
    """Return the value of each evaluated period, newest first; None where there is no data.

    The current period counts as soon as it has data, so that an alarm need not wait for a minute to end.
    """
    period, count = int(alarm.get("Period", 60)), int(alarm.get("EvaluationPeriods", 1))
    own_dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    points = [
        point
        for (namespace, name, dimensions), bucket in list(cloudwatch._metrics.items())
        if namespace == alarm["Namespace"] and name == alarm["MetricName"] and dimensions == own_dimensions
        for point in list(bucket)
    ]
    now = int(moment // period)
    first = now if any(point["Timestamp"] // period == now for point in points) else now - 1
    return [_value(alarm, [p for p in points if p["Timestamp"] // period == first - back]) for back in range(count)]


def _value(alarm: Json, points: list[Json]) -> float | None:
    if not points:
        return None
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
    return None if value is None else float(value)


def derive_state(alarm: Json, values: list[float | None]) -> tuple[str | None, str]:
    """Return the state that follows from the datapoints, with its reason; None as state to keep the present one."""
    missing = alarm.get("TreatMissingData") or "missing"
    threshold, comparison = alarm.get("Threshold", 0.0), alarm.get("ComparisonOperator", "")
    present = [value for value in values if value is not None]
    if not present and missing in ("missing", "ignore"):
        return (None if missing == "ignore" else "INSUFFICIENT_DATA"), "Insufficient Data: no datapoints were received."
    compare = _COMPARE.get(comparison, _never)
    breaching = [value for value in present if compare(value, threshold)]
    count = len(breaching) + (len(values) - len(present) if missing == "breaching" else 0)
    needed = alarm.get("DatapointsToAlarm") or len(values)
    numbers = ", ".join(f"{value:g}" for value in present) or "none"
    reason = (
        f"Threshold Crossed: {count} out of the last {len(values)} datapoints [{numbers}] were breaching "
        f"({comparison} {threshold:g}); {needed} are needed for ALARM."
    )
    return ("ALARM" if count >= needed else "OK"), reason


def _never(_value: float, _threshold: float) -> bool:
    return False


def _with_event(original: Callable[..., None]) -> Callable[..., None]:
    def dispatch(alarm: Json, old: str, new: str, reason: str) -> None:
        original(alarm, old, new, reason)
        entry = {
            "Source": "aws.cloudwatch",
            "DetailType": "CloudWatch Alarm State Change",
            "Detail": json.dumps(_detail(alarm, old, new, reason)),
            "Resources": [f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{alarm['AlarmName']}"],
        }
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    return dispatch


def _detail(alarm: Json, old: str, new: str, reason: str) -> Json:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    metric = {
        "namespace": alarm.get("Namespace"),
        "name": alarm.get("MetricName"),
        "dimensions": {item["Name"]: item["Value"] for item in alarm.get("Dimensions") or []},
    }
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    measured = {"metric": metric, "period": alarm.get("Period"), "stat": statistic}
    return {
        "alarmName": alarm["AlarmName"],
        "state": {"value": new, "reason": reason, "timestamp": moment},
        "previousState": {"value": old, "timestamp": moment},
        "configuration": {
            "description": alarm.get("AlarmDescription", ""),
            "metrics": [{"id": "m1", "metricStat": measured, "returnData": True}] if alarm.get("MetricName") else [],
        },
    }


def _evaluate_forever() -> None:
    while True:
        time.sleep(_TICK)
        with request_scope(ACCOUNT, REGION):
            cloudwatch._evaluate_all_alarms()
