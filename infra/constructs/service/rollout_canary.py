"""States in which the new version takes a share of the traffic, or answers as a shadow, and is watched.

One loop: ask the registry, wait, look at the scores, look at the alarms, ask again; when a weight's time is over, the
next weight; after the last one, everything. Whatever is found, and whatever fails, goes to `Revert`. A shadow is a
weight of 0: the loop is the same, and the alias is not touched.
"""

from dataclasses import dataclass
from typing import Any

from infra.constructs.base.state_language import State, catch, invoke, retry
from infra.constructs.service.rollout_steps import LIVE, call, choice, error_state, point_alias
from infra.stages import Stage
from penstock.aws import emf
from penstock.spec.model import Rollout
from penstock.spec.rollout import SHADOW

WATCH_SECONDS = 120
_LOOKS = 300
"""Most looks in one rollout: an execution's history is limited to 25,000 events, and a look takes about 30."""
_CLOUDWATCH = ["CloudWatch.CloudWatchException", "CloudWatch.SdkClientException"]


@dataclass(frozen=True, kw_only=True)
class WatchPlan:
    """Durations, intervals and limits of watching the new version."""

    spec: Rollout
    prefix: str
    """Prefix of the alarms' names."""
    namespace: str
    """Namespace of the model's own metrics."""
    bake_seconds: int
    """Duration of the watch at each weight."""
    look_seconds: int
    """Time between two looks."""
    period_seconds: int
    """Period of the alarms' metrics."""

    @classmethod
    def of(cls, spec: Rollout, stage: Stage, model: str) -> "WatchPlan":
        """Return the plan of a specification, with the stage's durations."""
        bake = max(1, round(spec.bake_minutes * stage.bake_minute_seconds))
        return cls(
            spec=spec,
            prefix=f"penstock-{stage.name}-{model}-rollout-",
            namespace=emf.namespace(stage.name, model),
            bake_seconds=bake,
            look_seconds=max(stage.watch_seconds, bake * len(spec.steps()) // _LOOKS),
            period_seconds=stage.watch_period_seconds,
        )

    @property
    def most_seconds(self) -> int:
        """Return the longest duration of the whole watch, with the time of the checks themselves."""
        looks = self.bake_seconds // self.look_seconds + 1
        return len(self.spec.steps()) * (self.bake_seconds + looks * 30)


def states(watching: WatchPlan, function: str) -> dict[str, State]:
    """Return the states from a passed smoke test to the end of the last weight; `function` is watch_rollout's ARN."""
    return _alarms(watching) | _approval_check() | _observation(watching, function)


def _alarms(watching: WatchPlan) -> dict[str, State]:
    spec, first = watching.spec, "Watch shadow" if watching.spec.shadows else "By an endpoint?"
    errors = {"MetricName": "Errors", "Statistic": "Average", "Threshold": spec.max_error_rate}
    slow = {"MetricName": "Duration", "ExtendedStatistic": "p99", "Threshold": spec.max_latency_ms}
    raises, late, silent = _sentences(spec)
    unanswered = {
        "Namespace": watching.namespace,
        "MetricName": emf.UNANSWERED,
        "Dimensions": [{"Name": emf.LAMBDA_VERSION, "Value": "{% $version %}"}],
        "Statistic": "Average",
        "Threshold": spec.max_error_rate,
    }
    return {
        "Watched?": choice("Ask", **{"Watch errors": "$count($weights) > 0"}),
        "Watch errors": _alarm(watching, "errors", raises, errors, "Watch latency"),
        "Watch latency": _alarm(watching, "latency", late, slow, first),
        **({"Watch shadow": _alarm(watching, "shadow", late, slow, "By an endpoint?")} if spec.shadows else {}),
        "By an endpoint?": choice("Ask", **{"Watch answers": "$endpoint.name != ''"}),
        "Watch answers": _alarm(watching, "answers", silent, unanswered, "Ask"),
    }


def _sentences(spec: Rollout) -> tuple[str, str, str]:
    """Return the sentences for the alarms on errors, on latency, and on unanswered endpoint requests."""
    return (
        f"more than {100 * spec.max_error_rate:g}% of its requests raised",
        f"its slowest answers (99th percentile) took more than {spec.max_latency_ms} ms",
        f"its endpoint gave more than {100 * spec.max_error_rate:g}% of its requests no answer",
    )


def _alarm(watching: WatchPlan, name: str, sentence: str, about: dict[str, Any], next_state: str) -> State:
    """Return the request for an alarm on the new version's metrics; missing data does not breach."""
    dimensions = {"FunctionName": "{% $function %}"} | (_UNSEEN if name == "shadow" else _SHARE)
    arguments = {
        "AlarmName": _name(watching, name),
        "AlarmDescription": sentence,
        "Namespace": "AWS/Lambda",
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Period": watching.period_seconds,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **about,
    }
    caught = catch("Revert")
    return call("cloudwatch:putMetricAlarm", arguments, caught=caught, next_state=next_state, errors=_CLOUDWATCH)


_SHARE = {"Resource": f"{{% $function & ':{LIVE}' %}}", "ExecutedVersion": "{% $version %}"}
_UNSEEN = {"Resource": "{% $function & ':' & $version %}"}
"""Metric dimensions of a version's requests through the alias, and of requests that name the version."""


def _name(watching: WatchPlan, name: str) -> str:
    # By version: an alarm that an aborted rollout left keeps its state, and must not be this one's.
    return f"{{% '{watching.prefix}' & $version & '-{name}' %}}"


def _approval_check() -> dict[str, State]:
    """Return the states that stop the rollout when the version was rejected meanwhile."""
    return {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeModelPackage",
            "Arguments": {"ModelPackageName": "{% $package_arn %}"},
            "TimeoutSeconds": 60,
            "Retry": [retry(["SageMaker.SageMakerException", "SageMaker.SdkClientException"], seconds=2, attempts=4)],
            "Catch": catch("Revert"),
            "Output": {"status": "{% $states.result.ModelApprovalStatus %}"},
            "Next": "Still approved?",
        },
        "Still approved?": choice("Withdrawn", **{"Baked?": "$states.input.status = 'Approved'"}),
        "Withdrawn": error_state("Withdrawn", "'the registry has it as ' & $states.input.status & ' by now'", "Revert"),
    }


def _observation(watching: WatchPlan, function: str) -> dict[str, State]:
    raises, late, silent = _sentences(watching.spec)
    what = f"(MetricName = 'Errors' ? '{raises}' : MetricName = '{emf.UNANSWERED}' ? '{silent}' : '{late}')"
    ends = f"{{% $millis() + {1000 * watching.bake_seconds} %}}"
    unseen = {"Shadow": f"$at < $count($weights) and $weights[$at] = {SHADOW}"} if watching.spec.shadows else {}
    return {
        "Baked?": choice("Next", Bake="$millis() < $ends"),
        "Next": {"Type": "Pass", "Assign": {"at": "{% $at + 1 %}"}, "Next": "Next weight?"},
        "Next weight?": choice("Shift", **unseen, Weigh="$at < $count($weights)"),
        **{
            name: {"Type": "Pass", "Assign": {"ends": ends, "since": "{% $now() %}"}, "Next": "Bake"} for name in unseen
        },
        "Weigh": point_alias(
            "{% $previous %}",
            weights="{% {$version: $weights[$at] / 100} %}",
            # Of a canary that follows a shadow only what was answered under weights counts.
            assign={"ends": ends, "since": f"{{% $at = 0 or $weights[$at - 1] = {SHADOW} ? $now() : $since %}}"},
            caught=catch("Revert"),
            next_state="Bake",
        ),
        "Bake": {"Type": "Wait", "Seconds": watching.look_seconds, "Next": "Look at scores"},
        "Look at scores": invoke(
            function,
            {
                "rollout": "{% $rollout %}",
                "lambda_version": "{% $version %}",
                "weight": "{% $weights[$at] %}",
                "since": "{% $since %}",
                "ends": "{% $fromMillis($ends) %}",
            },
            timeout_seconds=WATCH_SECONDS,
            attempts=2,
            assign={"saw": "{% $states.result.Payload.reason %}"},
            caught=catch("Revert"),
            next_state="As before?",
        ),
        "As before?": choice("Look at alarms", Worse="$states.input.verdict = 'bad'"),
        "Worse": error_state("Worse", "$saw", "Revert"),
        "Look at alarms": call(
            "cloudwatch:describeAlarms",
            {"AlarmNames": _names(watching), "StateValue": "ALARM"},
            output={"raised": f"{{% [$states.result.MetricAlarms.({what} & ' (' & StateReason & ')')] %}}"},
            caught=catch("Revert"),
            next_state="Alarmed?",
            errors=_CLOUDWATCH,
        ),
        "Alarmed?": choice("Ask", Alarmed="$count($states.input.raised) > 0"),
        "Alarmed": error_state("Alarmed", "$join($states.input.raised, '; ')", "Revert"),
    }


def _names(watching: WatchPlan) -> str:
    """Return the names of the alarms that exist; CloudWatch refuses to delete a missing one."""
    put = ["errors", "latency", *(["shadow"] if watching.spec.shadows else [])]
    *names, answers = [f"'{watching.prefix}' & $version & '-{name}'" for name in (*put, "answers")]
    return f"{{% $endpoint.name = '' ? [{', '.join(names)}] : [{', '.join([*names, answers])}] %}}"


def delete_alarms(watching: WatchPlan, next_state: str) -> State:
    """Return the state that removes the alarms; a failure is ignored, as they watch a version without traffic."""
    anyway: list[State] = [{"ErrorEquals": ["States.ALL"], "Next": next_state}]
    arguments = {"AlarmNames": _names(watching)}
    return call("cloudwatch:deleteAlarms", arguments, caught=anyway, next_state=next_state, errors=_CLOUDWATCH)
