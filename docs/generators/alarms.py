"""The page on metrics, alarms and rules, from the synthesised stack of the demo's model and the rollout's states."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docs.generators.markdown import code, page, table
from infra.stages import LOCAL, STAGES
from penstock.aws import emf
from penstock.spec.model import Rollout

Template = Mapping[str, Any]
ROOT = Path(__file__).parents[2]
SOURCES = ("functions", "penstock", "training")
MODEL = "flight-delay"
MONITOR, PREDICT, CONTAINER = "monitor", "predict", "container"
METRICS = {
    "DriftPSI": (MONITOR, "The largest population stability index of a column that is more than chance; else 0."),
    "WindowRows": (MONITOR, "Rows of the window that was compared."),
    "LabelledRows": (MONITOR, "Captured rows that got their ground truth."),
    "LiveAccuracy": (MONITOR, "Share of the labelled rows that were answered rightly."),
    "LiveBalancedAccuracy": (MONITOR, "Of three classes or more: the mean recall over the classes that occur."),
    "LiveF1": (MONITOR, "F1 of the labelled rows; of three classes or more the mean over the classes that occur."),
    "LiveLogLoss": (MONITOR, "Log loss of the labelled rows."),
    "LiveRMSE": (MONITOR, "Of a regression: root of the mean squared error."),
    "Rows": (f"{PREDICT}, {CONTAINER}", "Rows that were answered."),
    "Milliseconds": (
        f"{PREDICT}, {CONTAINER}",
        "Duration of an answer; the container gives the newest 100 of a second.",
    ),
    "CapturesDropped": (f"{PREDICT}, {CONTAINER}", "Answered rows that were not captured."),
    "Requests": (CONTAINER, "Requests that were answered."),
    "Refused": (CONTAINER, "Requests that were answered by an error of the caller's (4xx)."),
    emf.UNANSWERED: (
        f"{PREDICT} of `target: endpoint`",
        f"1 for a request that the endpoint gave no answer, else 0; by `{emf.LAMBDA_VERSION}`.",
    ),
}
INTRODUCTION = f"""A model's own metrics are in the CloudWatch namespace `{emf.namespace("STAGE", "MODEL")}`. Alarms
notify the stage's topic; missing data never raises one. An alarm looks at one period: {{periods}}."""
ROLLOUT = """A rollout makes these alarms for the new version alone and removes them at its end. One that is
raised takes the new version back. The limits are fields of `rollout` in `model.yaml`; below are the defaults."""


def alarms_page(template: Template) -> str:
    """Write the metrics, the alarms, the rollout's alarms and the rules of a model's stack in stage `local`."""
    periods = ", ".join(f"{stage.alarm_seconds} s in `{name}`" for name, stage in STAGES.items())
    alarms = sorted(_of(template, "AWS::CloudWatch::Alarm"), key=lambda item: str(item["AlarmDescription"]))
    own = {item["MetricName"] for item in alarms if item["Namespace"].startswith("Penstock/")}
    if unknown := own - set(METRICS):
        raise LookupError(f"METRICS in docs/generators/alarms.py lacks {', '.join(sorted(unknown))}")
    if missing := sorted(set(METRICS) - _quoted()):
        raise LookupError(f"no code emits {', '.join(missing)}: take it out of METRICS in docs/generators/alarms.py")
    return page(
        "Metrics, alarms and rules",
        INTRODUCTION.format(periods=periods),
        "## Metrics",
        table(("Metric", "From", "Meaning"), ((code(name), *about) for name, about in METRICS.items())),
        "## Alarms",
        table(("Metric", "Raised from", "Means"), map(_alarm, alarms)),
        "## Alarms of a rollout",
        ROLLOUT,
        table(("Metric", "Raised above", "Means"), _rollout_alarms()),
        "## Rules",
        "Each event invokes one function. What cannot be delivered in 8 retries or 6 hours goes to the failures queue.",
        table(("Event", "Of", "Function"), sorted(_rules(template))),
    )


def _quoted() -> set[str]:
    """Return the metrics whose names are quoted in some file of the code."""
    text = "\n".join(path.read_text(encoding="utf-8") for folder in SOURCES for path in (ROOT / folder).rglob("*.py"))
    return {name for name in METRICS if f'"{name}"' in text}


def _of(template: Template, kind: str) -> Iterator[dict[str, Any]]:
    yield from (item["Properties"] for item in template["Resources"].values() if item["Type"] == kind)


def _alarm(item: Mapping[str, Any]) -> tuple[str, str, str]:
    own = item["Namespace"].startswith("Penstock/")
    name = code(item["MetricName"]) if own else f"{code(item['MetricName'])} of `{item['Namespace']}`"
    limit = f"{item['Threshold']:g} ({item['Statistic'].lower()})"
    return name, limit, item["AlarmDescription"].removeprefix(f"{MODEL}: ")


def _rollout_alarms() -> Iterator[tuple[str, str, str]]:
    import infra.app  # noqa: F401, PLC0415 - chooses the Node.js of this environment before anything starts one
    from infra.constructs.service import rollout_canary  # noqa: PLC0415

    spec = Rollout(strategy="shadow", weights=[10])
    watching = rollout_canary.WatchPlan.of(spec, LOCAL, MODEL)
    for state in rollout_canary.states(watching, "ARN").values():
        if str(state.get("Resource", "")).endswith(":putMetricAlarm"):
            item = state["Arguments"]
            by = ", ".join(code(dimension["Name"]) for dimension in item["Dimensions"])
            statistic = item.get("Statistic", item.get("ExtendedStatistic")).lower()
            yield (
                f"{code(item['MetricName'])} by {by}",
                f"{item['Threshold']:g} ({statistic})",
                item["AlarmDescription"],
            )


def _rules(template: Template) -> Iterator[tuple[str, str, str]]:
    for item in _of(template, "AWS::Events::Rule"):
        function = code(f"functions/{item['Description'].partition(': ')[2].split()[1]}")
        pattern = item.get("EventPattern")
        if pattern is None:
            yield "the clock", code(item["ScheduleExpression"]), function
        else:
            yield pattern["detail-type"][0], _resource(pattern), function


def _resource(pattern: Mapping[str, Any]) -> str:
    """Describe the resource that a pattern names."""
    detail = pattern["detail"]
    if "object" in detail:
        return code(detail["object"]["key"][0]["prefix"].replace(MODEL, "MODEL"))
    if "stateMachineArn" in detail:
        name = detail["stateMachineArn"][0]["Ref"]
        part = next(part for part in ("Pipeline", "Rollout", "Batch") if part in name)
        return f"the state machine of the {part.lower()}"
    return "the model's package group" if "ModelPackageGroupName" in detail else "the drift alarm"


def model_template() -> Template:
    """Synthesise the demo's model in stage `local`; takes some seconds."""
    from infra.app import build, flags  # noqa: I001, PLC0415 - chooses the Node.js that the next line starts
    from aws_cdk import App  # noqa: PLC0415

    app = App(context=flags() | {"stage": LOCAL.name})
    build(app, LOCAL)
    stack = next(stack for stack in app.synth().stacks if stack.stack_name.endswith(MODEL))
    template: Template = stack.template
    return template
