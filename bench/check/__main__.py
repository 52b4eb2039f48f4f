"""`make bench-check`: whole processes, on good rows and with one bad row in a thousand; and memory on a big CSV."""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import yaml

from bench.check.data import ROWS, write_csv
from bench.check.data import table as rows
from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS
from bench.peers import environment
from bench.report import ROOT, close, interleaved, table

ROUNDS = 5
BAD = ROWS // 1000
CSV_BYTES = 1_000_000_000


def process(command: list[str | Path], bad: int | None) -> int:
    """Run a subject; the largest memory (kB) that it held. Its count of bad rows must be what it should be."""
    # A process of its own measures it: the peak of a process's children is the largest of all that it ever had.
    watched = [sys.executable, "-m", "bench.check.watched", *map(str, command)]
    done = subprocess.run(watched, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(watched)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    found, peak = done.stdout.strip().splitlines()[-2:]
    if bad is not None and int(found) != bad:
        sys.exit(f"{' '.join(watched)} found {found} bad rows, there are {bad}")
    return int(peak)


def contract(folder: Path) -> None:
    """The rules as the contract of a model folder."""
    columns: list[dict[str, object]] = [{"name": "id", "logicalType": "string", "primaryKey": True, "required": True}]
    columns += [
        {
            "name": name,
            "logicalType": "integer" if index % 2 else "number",
            "required": True,
            "logicalTypeOptions": {"minimum": LOW, "maximum": HIGH},
        }
        for index, name in enumerate(NUMBERS)
    ]
    rule = {"metric": "invalidValues", "arguments": {"validValues": ALLOWED}, "mustBe": 0}
    columns += [{"name": name, "logicalType": "string", "required": True, "quality": [rule]} for name in TEXTS]
    columns[-1]["customProperties"] = [{"property": "role", "value": "target"}]
    about = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "rows", "version": "1.0.0", "status": "active"}
    schema = [{"name": "rows", "logicalType": "object", "properties": columns}]
    (folder / "contract.yaml").write_text(yaml.safe_dump(about | {"schema": schema}), encoding="utf-8")


def main() -> None:
    ours = [sys.executable, "-m", "bench.check.penstock_check"]
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        contract(folder)
        files = {0: folder / "good.parquet", BAD: folder / "bad.parquet"}
        for bad, file in files.items():
            rows(ROWS, bad=bad).write_parquet(file)

        def subjects(bad: int) -> dict[str, list[str | Path]]:
            file = files[bad]
            here: dict[str, list[str | Path]] = {
                "polars: read the columns": [sys.executable, "-m", "bench.check.polars_read", file],
                "polars: the rules by hand": [sys.executable, "-m", "bench.check.polars_expressions", file],
                "penstock": [*ours, file],
                "penstock, with contract.yaml": [*ours, file, folder],
            }
            peers = {
                "dataframely": "dataframely_filter",
                "pandera": "pandera_lazy",
                "great_expectations": "great_expectations_run",
            }
            return here | {
                peer: [environment(peer), "-m", f"bench.check.{script}", file] for peer, script in peers.items()
            }

        measured: dict[int, dict[str, float]] = {}
        for bad in files:
            run = {
                subject: partial(process, command, None if "read" in subject else bad)
                for subject, command in subjects(bad).items()
            }
            for once in run.values():
                once()
            measured[bad] = interleaved(ROUNDS, **run)
        big = folder / "big.csv"
        write_csv(big, CSV_BYTES)
        size, peak = big.stat().st_size, process([*ours, big, "parts"], 0)
    good, spoiled = measured[0], measured[BAD]
    floor = good["polars: read the columns"]
    lines = [
        (subject, f"{value:.2f}", f"{value / floor:.2f}", f"{spoiled[subject]:.2f}") for subject, value in good.items()
    ]
    title = f"{ROWS:,} rows × 21 columns from Parquet, whole processes, median of {ROUNDS}"
    table(title, ["what", "seconds", "× the read", f"seconds with {BAD:,} bad rows"], lines)
    table("CSV, checked and written as parts", ["bytes", "peak memory, MB"], [(f"{size:,}", f"{peak / 1000:,.0f}")])
    own = good["penstock"]
    peers = {f"{peer}_over_penstock": good[peer] / own for peer in ("dataframely", "pandera", "great_expectations")}
    close(
        "check",
        {"penstock_over_read": own / floor, "with_yaml_over_read": good["penstock, with contract.yaml"] / floor}
        | peers
        | {"csv_mb": size / 1e6, "csv_peak_mb": peak / 1000},
    )


if __name__ == "__main__":
    main()
