"""The page on events: each contract of `penstock.events` with its pattern and fields."""

from dataclasses import fields
from typing import Any

import yaml

from docs.generators.markdown import attribute_docs, code, first_paragraph, page, table
from penstock import events

ARGUMENTS = {
    "bucket": "BUCKET",
    "prefix": "raw/MODEL/",
    "state_machine": "STATE_MACHINE_ARN",
    "alarm_arn": "ALARM_ARN",
    "group": "GROUP",
}
"""What stands in the printed patterns for the resources of a stage."""
INTRODUCTION = """Services of AWS put these events on the account's default bus; Penstock puts none of its own. Each
has a class in `penstock/events.py` that gives the rule's pattern and reads the event. Events come
at least once and in any order. Which function each rule invokes is in [Metrics, alarms and
rules](metrics-and-alarms.md)."""


def events_page() -> str:
    """Write each event with its pattern and what is read of it."""
    return page("Events", INTRODUCTION, *(_section(cls) for cls in events.Contract.__subclasses__()))


def _section(cls: Any) -> str:
    docs = attribute_docs(cls)
    names = [name for name in cls.pattern.__annotations__ if name in ARGUMENTS]
    pattern = cls.pattern(**{name: ARGUMENTS[name] for name in names})
    rows = [(code(field.name), docs.get(field.name, "")) for field in fields(cls)]
    return "\n\n".join(
        [
            f"## {cls.detail_type}",
            first_paragraph(cls.__doc__),
            f"Source `{cls.source}`, class `{cls.__name__}`. Its pattern:",
            f"```yaml\n{yaml.safe_dump(pattern, sort_keys=False, default_flow_style=None, width=120)}```",
            table(("Field that is read", "Meaning"), rows),
        ]
    )
