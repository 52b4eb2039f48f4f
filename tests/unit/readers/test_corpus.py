"""Every kind of bad file is refused with a sentence that names the cause, in bounded time and memory."""

import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.contract.file_check import refusal
from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.contract.row_check import examine
from penstock.ledger.ledger import UPLOAD_LIMIT, Run, Upload
from penstock.readers.open_table import TableError, open_table
from tests.corpus.files import BOMBS, KINDS
from tests.support.world import World

PROJECT = Path(__file__).parents[3]
FLIGHT_DELAY = PROJECT / "training" / "models" / "flight-delay"
SECONDS = 20
MEMORY = 700
"""Megabytes that a process may reach, of which Python and Polars are a fifth."""
TRACES = re.compile(r"polars|Exception|Error\b|Traceback|0x|panick|thrift|msgspec|(?-i:None)|\n", re.IGNORECASE)


def refuse(path: Path, name: str, contract: Contract) -> str | None:
    """Check a file as `validate` and `penstock check` do; return why it is refused, None where it is accepted."""
    try:
        with open_table(path, name, scratch=path.parent) as table:
            return refusal(contract, examine(contract, table))
    except TableError as error:
        return str(error)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_bad_file_is_refused_with_its_cause(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Given a file of that kind
    kind = KINDS[name]
    path = kind.put(tmp_path)
    # When it is checked like an upload
    start = time.process_time()
    sentence = refuse(path, kind.name, read_contract(FLIGHT_DELAY))
    seconds = time.process_time() - start
    # Then it is refused, with the cause, in one sentence for a person
    assert sentence is not None
    assert [words for words in kind.words if words not in sentence] == [], sentence
    assert TRACES.search(sentence) is None, sentence
    assert len(sentence) < 600
    # And it took little computing, left nothing behind, and printed nothing
    assert seconds < SECONDS
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")


def test_bombs_do_not_take_memory(tmp_path: Path) -> None:
    # Given a process of its own, so that its peak of memory can be read
    # Some package brings a `tests` of its own, which would hide a folder without __init__.py
    own = "import sys, types; tests = sys.modules['tests'] = types.ModuleType('tests'); tests.__path__ = ['tests']"
    program = f"{own}; import tests.unit.readers.test_corpus as t; t.explode(sys.argv[1])"
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    # When it refuses one bomb after the other
    assert result.returncode == 0, result.stderr
    peaks = dict(line.split("\t") for line in result.stdout.splitlines())
    # Then no peak is above the limit
    assert sorted(peaks) == BOMBS
    assert {name: peak for name, peak in peaks.items() if int(peak) > MEMORY} == {}


def explode(folder: str) -> None:
    """Refuse every bomb, and print the process's peak of memory in megabytes after each."""
    contract = read_contract(FLIGHT_DELAY)
    for name in BOMBS:
        path = KINDS[name].put(Path(folder))
        assert refuse(path, KINDS[name].name, contract), name
        path.unlink()
        sys.stdout.write(f"{name}\t{_peak()}\n")


def _peak() -> int:
    """Return the process's own peak in megabytes: getrusage includes its parent's before the program was loaded."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) // 1024


def test_the_corpus_is_large_enough() -> None:
    assert len(KINDS) >= 100
    assert len(BOMBS) >= 12


def test_the_whole_corpus_ends_in_quarantine(world: World, tmp_path: Path) -> None:
    # Given an upload of every kind, except those of hundreds of megabytes, which the tests above read
    folder = tmp_path / "files"
    folder.mkdir()
    for name, kind in KINDS.items():
        path = kind.put(folder)
        if path.is_file() and path.stat().st_size < 20_000_000:
            event = world.upload(f"{name.replace(' ', '-')}-{Path(kind.name).name}", path.read_bytes())
            item = event["detail"]["object"]
            upload = Upload(item["key"], item["version-id"], item["etag"], item["size"], "2026-01-01T00:00:00+00:00")
            assert world.ledger.record_upload(upload)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # When runs validate them, as many as a run takes at a time
    function = world.load("validate")
    while world.ledger.waiting():
        waiting = tuple(world.ledger.waiting()[:UPLOAD_LIMIT])
        run = f"run{len(world.ledger.runs())}"
        assert world.ledger.open_run(Run(run, "upload", "a test", waiting, "2026-01-01"))
        assert function.handler({"run": run}, None)["outcome"] == "quarantined"
        world.end_run(run, "quarantined")
    # Then each of them is quarantined, and there is no dataset
    states = [item["state"] for item in world.ledger.uploads()]
    assert len(states) >= 90
    assert set(states) == {"quarantined"}
    assert world.ledger.current_dataset() is None
    assert world.keys("datasets/") == []
