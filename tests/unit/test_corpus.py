"""Every kind of bad file is refused with a sentence that names the cause, in bounded time and memory."""

import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from penstock.check import TableError as ColumnError
from penstock.check import check
from penstock.contract import Contract, read_contract
from penstock.reading import TableError, open_table
from tests.corpus.files import BOMBS, KINDS

PROJECT = Path(__file__).parents[2]
FLIGHT_DELAY = PROJECT / "training" / "models" / "flight-delay"
SECONDS = 20
MEMORY = 700
"""Megabytes that a process may come to, of which Python and Polars are a fifth."""
TRACES = re.compile(r"polars|Exception|Error\b|Traceback|0x|panick|thrift|msgspec|None\b|\n", re.IGNORECASE)


def refusal(path: Path, name: str, contract: Contract) -> str | None:
    """Why a file is refused as a whole; None where it is taken. What the corpus goes through, in one place."""
    try:
        with open_table(path, name, scratch=path.parent) as table:
            batches = list(table.batches())
            rows = pl.concat(batches) if batches else pl.DataFrame(schema=dict.fromkeys(table.names, pl.String))
        checked = check(contract, rows)
    except (TableError, ColumnError) as error:
        return str(error)
    if checked.share <= contract.tolerance:
        return None
    reasons = ", ".join(f"{count} × {reason}" for reason, count in checked.reasons.items())
    return f"{checked.bad.height} of {checked.rows} rows are bad ({reasons})"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_bad_file_is_refused_with_its_cause(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Given a file of that kind
    kind = KINDS[name]
    path = kind.put(tmp_path)
    # When it goes the way of an upload
    started = time.monotonic()
    said = refusal(path, kind.name, read_contract(FLIGHT_DELAY))
    took = time.monotonic() - started
    # Then it is refused, with the cause, in one sentence for a person
    assert said is not None
    assert [words for words in kind.words if words not in said] == [], said
    assert TRACES.search(said) is None, said
    assert len(said) < 600
    # And it took no time to speak of, left nothing behind, and printed nothing
    assert took < SECONDS
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")


def test_no_bomb_takes_memory(tmp_path: Path) -> None:
    # Given a process of its own, in which memory can be seen
    # Some package brings a `tests` of its own, which would be found before a folder without __init__.py
    own = "import sys, types; tests = sys.modules['tests'] = types.ModuleType('tests'); tests.__path__ = ['tests']"
    program = f"{own}; import tests.unit.test_corpus as t; t.explode(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    # When it refuses one bomb after the other
    assert done.returncode == 0, done.stderr
    peaks = dict(line.split("\t") for line in done.stdout.splitlines())
    # Then none of them made it grow
    assert sorted(peaks) == BOMBS
    assert {name: peak for name, peak in peaks.items() if int(peak) > MEMORY} == {}


def explode(folder: str) -> None:
    """Refuse every bomb, and print the process's peak of memory in megabytes after each."""
    contract = read_contract(FLIGHT_DELAY)
    for name in BOMBS:
        path = KINDS[name].put(Path(folder))
        assert refusal(path, KINDS[name].name, contract), name
        path.unlink()
        sys.stdout.write(f"{name}\t{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}\n")


def test_the_corpus_is_large_enough() -> None:
    assert len(KINDS) >= 100
    assert len(BOMBS) >= 12
