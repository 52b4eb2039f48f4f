"""`make bench-check`: time of a process that checks good rows, and one bad row in a thousand; memory on a large CSV."""

import sys
import tempfile
from functools import partial
from pathlib import Path

import yaml

from bench import processes
from bench.check import data
from bench.check.data import ROWS
from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS
from bench.peers import environment
from bench.report import ROOT, close, interleaved, table

ROUNDS = 5
BAD = ROWS // 1000
CSV_BYTES = 1_000_000_000


def run_subject(command: list[str | Path], bad: int | None) -> int:
    """Run a subject and return its peak memory in kB; exit where its count of bad rows is wrong."""
    # In a process of its own: the peak of a process's children is the largest of all that it ever had.
    wrapper = [sys.executable, "-m", "bench.check.peak_memory", *map(str, command)]
    count, peak = processes.output(wrapper, cwd=ROOT).strip().splitlines()[-2:]
    if bad is not None and int(count) != bad:
        sys.exit(f"{' '.join(wrapper)} counted {count} bad rows, there are {bad}")
    return int(peak)


def write_contract(folder: Path) -> None:
    """Write the rules as the contract of a model folder."""
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
    header = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "rows", "version": "1.0.0", "status": "active"}
    schema = [{"name": "rows", "logicalType": "object", "properties": columns}]
    (folder / "contract.yaml").write_text(yaml.safe_dump(header | {"schema": schema}), encoding="utf-8")


def main() -> None:
    ours = [sys.executable, "-m", "bench.check.penstock_check"]
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        write_contract(folder)
        files = {0: folder / "good.parquet", BAD: folder / "bad.parquet"}
        for bad, file in files.items():
            data.table(ROWS, bad=bad).write_parquet(file)

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
                subject: partial(run_subject, command, None if "read" in subject else bad)
                for subject, command in subjects(bad).items()
            }
            for once in run.values():
                once()
            measured[bad] = interleaved(ROUNDS, **run)
        big = folder / "big.csv"
        data.write_csv(big, CSV_BYTES)
        size, peak = big.stat().st_size, run_subject([*ours, big, "parts"], 0)
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
    processes.run(main)
