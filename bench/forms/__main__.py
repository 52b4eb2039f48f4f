"""`make bench-forms`: how a request's CSV body and Accept header are read: by our two modules, or by a library.

A CSV cell should mean what it means in an upload: the columns "otherwise" count the cells that a subject reads
otherwise than the upload's reader does, and the headers answered otherwise than RFC 9110 has it.
"""

import json
import statistics
import sys
from typing import Any

import polars as pl

from bench import processes
from bench.forms.subjects import ACCEPTED, CELLS, NEGOTIATORS, READERS, TYPES
from bench.peers import environment
from bench.report import ROOT, close, table
from penstock.contract.casting import cast_column
from penstock.contract.model import Column

ROUNDS = 5


def upload_values() -> dict[str, list[str]]:
    """Return what an upload makes of each cell."""
    frame = pl.DataFrame({"a": CELLS})
    columns = {kind: Column("a", kind, "feature") for kind in TYPES}  # type: ignore[arg-type]
    casts = {kind: cast_column(frame.schema, column, nested=False) for kind, column in columns.items()}
    return {kind: [repr(value) for value in frame.select(cast).to_series()] for kind, cast in casts.items()}


def measured(what: str, name: str) -> dict[str, Any]:
    """Return a subject's results; medians of its times."""
    python = sys.executable if name == "penstock" else str(environment("forms"))
    rounds = []
    for _ in range(ROUNDS):
        printed = processes.output([python, "-m", "bench.forms.subjects", what, name], cwd=ROOT)
        rounds.append(json.loads(printed.strip().splitlines()[-1]))
    result: dict[str, Any] = rounds[0] | {"import": statistics.median(one["import"] for one in rounds)}
    if what == "csv":
        lengths = rounds[0]["seconds"]
        return result | {"seconds": {n: statistics.median(one["seconds"][n] for one in rounds) for n in lengths}}
    return result | {"seconds": statistics.median(one["seconds"] for one in rounds)}


def main() -> None:
    upload = upload_values()
    figures: dict[str, float] = {}
    rows = []
    for name in READERS:
        result = measured("csv", name)
        wrong = [
            (kind, cell)
            for kind in TYPES
            for cell, value, expected in zip(CELLS, result["values"][kind], upload[kind], strict=True)
            if value != expected
        ]
        one, many = (result["seconds"][key] * 1e6 for key in ("1", "1000"))
        examples = ", ".join(f"{cell!r} as {kind}" for kind, cell in wrong[:3])
        rows.append([name, f"{len(wrong)} {examples}", f"{one:.0f}", f"{many:,.0f}", f"{result['import']:.0f}"])
        figures |= {f"{name}_otherwise": len(wrong), f"{name}_us": one, f"{name}_thousand_us": many}
    cells = len(CELLS) * len(TYPES)
    table(f"CSV: {cells} cells", ["Reader", "Otherwise", "1 row, µs", "1,000 rows, µs", "Import, ms"], rows)
    rows = []
    for name in NEGOTIATORS:
        result = measured("media", name)
        pairs = zip(ACCEPTED.items(), result["values"], strict=True)
        headers = [header for (header, expected), value in pairs if value != expected]
        microseconds = result["seconds"] * 1e6
        rows.append([name, f"{len(headers)} {headers[:3]}", f"{microseconds:.1f}", f"{result['import']:.0f}"])
        figures |= {f"{name}_headers_otherwise": len(headers), f"{name}_header_us": microseconds}
    table(f"Accept: {len(ACCEPTED)} headers", ["Negotiation", "Otherwise", "µs", "Import, ms"], rows)
    close("forms", figures)


if __name__ == "__main__":
    processes.run(main)
