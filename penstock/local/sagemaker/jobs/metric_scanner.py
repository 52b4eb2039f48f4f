"""Reads training metrics from a job's log by the regular expressions of the request."""

import re
from typing import Any

from penstock.local.sagemaker.core.caller import now
from penstock.local.sagemaker.protocol.errors import validation


class MetricScanner:
    """Scans log lines, and keeps the last value of each metric."""

    def __init__(self, definitions: list[dict[str, str]]) -> None:
        self._patterns = [(item["Name"], _compile(item)) for item in definitions]
        self._values: dict[str, dict[str, Any]] = {}

    def scan(self, lines: list[str]) -> None:
        """Scan new lines of the log."""
        for name, pattern in self._patterns:
            for line in lines:
                for match in pattern.finditer(line):
                    self._record(name, match)

    def final(self) -> list[dict[str, Any]]:
        """Return `FinalMetricDataList`."""
        return list(self._values.values())

    def _record(self, name: str, match: re.Match[str]) -> None:
        try:
            value = float(match.group(1) if match.re.groups else match.group())
        except (TypeError, ValueError):
            return  # the match is not a number
        self._values[name] = {"MetricName": name, "Value": value, "Timestamp": now()}


def _compile(definition: dict[str, str]) -> re.Pattern[str]:
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise validation(f"Invalid Regex for metric {definition['Name']}: {error}.") from None
