"""The report in a real browser, where there is one: it renders, without console messages and without any request.

Chromium's net log has every request, connection and DNS query with the page that caused it, so that the browser's own
traffic can be told from the page's. No name resolves here: a page that makes a request leaves a record only.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.report.page import render
from tests.unit.report.test_page import Checked, report

NAMES = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
PLAYWRIGHT = Path.home() / ".cache" / "ms-playwright"
INITIATOR = ("network_isolation_key", "network_anonymization_key")
CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")
SECONDS = 60


def browser() -> str | None:
    """Find a Chromium: the one in CHROME, one on the PATH, or one that Playwright installed."""
    installed = [
        str(file) for name in ("chrome", "headless_shell") for file in PLAYWRIGHT.glob(f"*/chrome-linux*/{name}")
    ]
    preferred = filter(None, [os.environ.get("CHROME")])
    return next(filter(None, map(shutil.which, [*preferred, *NAMES, *installed])), None)


@dataclass(frozen=True)
class Page:
    """A page after it was loaded."""

    dom: str
    """The document as HTML."""
    console: list[str]
    """Errors, warnings and other messages of the page's console."""
    requests: list[str]
    """The page's requests to the network: addresses, or the kind of event where it has none."""


Open = Callable[[str], Page]


@pytest.fixture
def open_page(tmp_path: Path) -> Open:
    """Open a page's text as a file."""
    chromium = browser()
    if chromium is None:
        pytest.skip("no Chromium here: name one in CHROME to open the report in it")

    def show(page: str) -> Page:
        file, log = tmp_path / "page.html", tmp_path / "net.json"
        file.write_text(page, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        flags += ["--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom", file.as_uri()]
        process = subprocess.run([chromium, *flags], capture_output=True, text=True, timeout=SECONDS, check=False)
        assert process.returncode == 0, process.stderr
        return Page(process.stdout, CONSOLE.findall(process.stderr), list(page_requests(json.loads(log.read_text()))))

    return show


def page_requests(log: dict[str, object]) -> Iterator[str]:
    """Yield the requests in a net log that pages opened as files made."""
    events = log["events"]
    assert isinstance(events, list)
    assert events, "the browser wrote no net log"
    for event in events:
        about = event.get("params") or {}
        if any(str(about.get(name, "")).startswith("file://") for name in INITIATOR):
            yield str(about.get("url") or about.get("host") or event["type"])


@pytest.mark.parametrize("outcome", ["registered", "rejected"])
def test_the_report_renders_and_makes_no_request(open_page: Open, outcome: str) -> None:
    # Given a report, which has these sections
    page = render(report(outcome=outcome, version=7 if outcome == "registered" else None))
    sections = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert {"Gates", "Metrics: challenger and champion", "Plots", "Provenance"} <= set(sections)
    # When a browser opens it
    result = open_page(page)
    # Then it has no console message, and makes no request
    assert result.console == []
    assert result.requests == []
    # And all plots and words are in the document
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", result.dom) == sections
    assert result.dom.count("<svg") == page.count("<svg") > 0
    assert Checked(page).text.split() == Checked(result.dom).text.split()
    assert outcome in Checked(page).text


@pytest.mark.parametrize(
    ("part", "address"),
    [
        ('<script src="https://elsewhere.example/x.js"></script>', "https://elsewhere.example/x.js"),
        ('<img src="http://elsewhere.example/a.png">', "http://elsewhere.example/a.png"),
        ('<link rel="stylesheet" href="https://elsewhere.example/a.css">', "https://elsewhere.example/a.css"),
        ('<style>@import url("https://elsewhere.example/b.css");</style>', "https://elsewhere.example/b.css"),
    ],
)
def test_requests_of_a_page_are_detected(open_page: Open, part: str, address: str) -> None:
    assert address in open_page(f"<!doctype html><title>t</title>{part}<p>words</p>").requests


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("throw new Error('a spline has no knots')", "Uncaught Error: a spline has no knots"),
        ("console.warn('old news')", "old news"),
        ("console.error('bad news')", "bad news"),
    ],
)
def test_console_messages_of_a_page_are_detected(open_page: Open, script: str, words: str) -> None:
    result = open_page(f"<!doctype html><title>t</title><p>words</p><script>{script}</script>")
    assert any(words in line for line in result.console), result.console
    assert result.requests == []
