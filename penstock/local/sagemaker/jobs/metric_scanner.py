"""Training metrics, found in the log by the job's own regular expressions."""

import re
from typing import Any

from penstock.local.sagemaker.core.caller import now
from penstock.local.sagemaker.protocol.errors import validation


class MetricScanner:
    """Keeps the last value of each metric."""

    def __init__(self, definitions: list[dict[str, str]]) -> None:
        self._patterns = [(item["Name"], _compiled(item)) for item in definitions]
        self._found: dict[str, dict[str, Any]] = {}

    def scan(self, lines: list[str]) -> None:
        """Look for values in new lines of the log."""
        for name, pattern in self._patterns:
            for line in lines:
                for found in pattern.finditer(line):
                    self._note(name, found)

    def final(self) -> list[dict[str, Any]]:
        """Return `FinalMetricDataList`."""
        return list(self._found.values())

    def _note(self, name: str, found: re.Match[str]) -> None:
        try:
            value = float(found.group(1) if found.re.groups else found.group())
        except (TypeError, ValueError):
            return  # the expression matched, but not a number
        self._found[name] = {"MetricName": name, "Value": value, "Timestamp": now()}


def _compiled(definition: dict[str, str]) -> re.Pattern[str]:
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise validation(f"Invalid Regex for metric {definition['Name']}: {error}.") from None
