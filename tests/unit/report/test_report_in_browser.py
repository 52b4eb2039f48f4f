"""The report in a real browser, where there is one: it shows, it complains of nothing, and it reaches out to nobody.

Chromium's net log has every request, connection and name that a page asked for, by the page that asked: its own calls
home are not the page's. No name resolves here, so that a page which does reach out leaves a record and nothing else.
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
ASKED_BY = ("network_isolation_key", "network_anonymization_key")
CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")
SECONDS = 60


def browser() -> str | None:
    """A Chromium: the one that CHROME names, one of the PATH, or one that Playwright fetched."""
    fetched = [
        str(file) for name in ("chrome", "headless_shell") for file in PLAYWRIGHT.glob(f"*/chrome-linux*/{name}")
    ]
    named = filter(None, [os.environ.get("CHROME")])
    return next(filter(None, map(shutil.which, [*named, *NAMES, *fetched])), None)


@dataclass(frozen=True)
class Seen:
    """What became of a page."""

    dom: str
    """The document after it was loaded, as HTML."""
    console: list[str]
    """Errors, warnings and whatever else the page's console had."""
    asked: list[str]
    """What the page asked of the network: addresses, or the kind of event where it has none."""


Open = Callable[[str], Seen]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens a page's text as a file."""
    found = browser()
    if found is None:
        pytest.skip("no Chromium here: name one in CHROME to open the report in it")

    def show(page: str) -> Seen:
        file, log = tmp_path / "page.html", tmp_path / "net.json"
        file.write_text(page, encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"]
        flags += [f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        flags += ["--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom", file.as_uri()]
        done = subprocess.run([found, *flags], capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        return Seen(done.stdout, CONSOLE.findall(done.stderr), list(of_the_page(json.loads(log.read_text()))))

    return show


def of_the_page(log: dict[str, object]) -> Iterator[str]:
    """What a net log has of pages that are files."""
    events = log["events"]
    assert isinstance(events, list)
    assert events, "the browser wrote no net log"
    for event in events:
        about = event.get("params") or {}
        if any(str(about.get(name, "")).startswith("file://") for name in ASKED_BY):
            yield str(about.get("url") or about.get("host") or event["type"])


@pytest.mark.parametrize("outcome", ["registered", "rejected"])
def test_the_report_shows_and_reaches_out_to_nobody(opened: Open, outcome: str) -> None:
    # Given a report, which has these sections
    page = render(report(outcome=outcome, version=7 if outcome == "registered" else None))
    sections = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert {"Gates", "Metrics: challenger and champion", "Plots", "Provenance"} <= set(sections)
    # When a browser opens it
    seen = opened(page)
    # Then it has nothing to complain of, and asks nobody for anything
    assert seen.console == []
    assert seen.asked == []
    # And all of it is there, the plots and words as they were written
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", seen.dom) == sections
    assert seen.dom.count("<svg") == page.count("<svg") > 0
    assert Checked(page).text.split() == Checked(seen.dom).text.split()
    assert outcome in Checked(page).text


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        ('<script src="https://elsewhere.example/x.js"></script>', "https://elsewhere.example/x.js"),
        ('<img src="http://elsewhere.example/a.png">', "http://elsewhere.example/a.png"),
        ('<link rel="stylesheet" href="https://elsewhere.example/a.css">', "https://elsewhere.example/a.css"),
        ('<style>@import url("https://elsewhere.example/b.css");</style>', "https://elsewhere.example/b.css"),
    ],
)
def test_a_page_that_reaches_out_is_seen(opened: Open, part: str, asked: str) -> None:
    assert asked in opened(f"<!doctype html><title>t</title>{part}<p>words</p>").asked


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("throw new Error('a spline has no knots')", "Uncaught Error: a spline has no knots"),
        ("console.warn('old news')", "old news"),
        ("console.error('bad news')", "bad news"),
    ],
)
def test_a_page_that_complains_is_seen(opened: Open, script: str, words: str) -> None:
    seen = opened(f"<!doctype html><title>t</title><p>words</p><script>{script}</script>")
    assert any(words in line for line in seen.console), seen.console
    assert seen.asked == []
