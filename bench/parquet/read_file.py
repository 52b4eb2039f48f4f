"""Read one Parquet file with one subject; print the outcome, the peak of memory in MB, and the processor seconds.

The subjects differ in what they do before Polars reads the rows: nothing, the footer's claims by a library and our own
limits on them, or all that `penstock.readers` checks.
"""

import importlib
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY = 8 << 30
"""Bytes of address space: a reader that takes more ends with an error and not with the machine."""


def rows_of(path: Path) -> int:
    import polars as pl  # noqa: PLC0415

    lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    return sum(frame.height for frame in lazy.collect_batches(chunk_size=250_000, maintain_order=True))


def by_penstock(path: Path) -> int:
    from penstock.readers.parquet_table import ParquetTable  # noqa: PLC0415

    return sum(frame.height for frame in ParquetTable(path).batches())


def by_pyarrow(path: Path) -> int:
    parquet: Any = importlib.import_module("pyarrow.parquet")
    metadata = parquet.ParquetFile(path).metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    claims = [
        (group.num_rows, [arrow_chunk(group.column(number)) for number in range(group.num_columns)]) for group in groups
    ]
    check_claims(path, metadata.num_rows, metadata.schema.to_arrow_schema().names, claims)
    return rows_of(path)


def arrow_chunk(column: Any) -> tuple[int, int, int, int]:
    start = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
    return start, column.total_compressed_size, column.total_uncompressed_size, column.num_values


def by_fastparquet(path: Path) -> int:
    fastparquet: Any = importlib.import_module("fastparquet")
    file = fastparquet.ParquetFile(str(path))
    claims = [
        (group.num_rows, [fast_chunk(column.meta_data) for column in group.columns]) for group in file.fmd.row_groups
    ]
    check_claims(path, file.fmd.num_rows, file.columns, claims)
    return rows_of(path)


def fast_chunk(data: Any) -> tuple[int, int, int, int]:
    start = min(data.data_page_offset, data.dictionary_page_offset or data.data_page_offset)
    return start, data.total_compressed_size, data.total_uncompressed_size, data.num_values


def check_claims(
    path: Path, rows: int, names: list[str], groups: list[tuple[int, list[tuple[int, int, int, int]]]]
) -> None:
    """Apply the limits of `penstock.readers` to what a library read."""
    from penstock.readers.parquet_footer import Chunk, Footer, check_footer  # noqa: PLC0415
    from penstock.readers.table import check_names  # noqa: PLC0415

    check_names(names)
    chunks = tuple((count, tuple(Chunk(*chunk) for chunk in row_chunks)) for count, row_chunks in groups)
    check_footer(Footer(rows, tuple(names), chunks), path.stat().st_size)


SUBJECTS: dict[str, Callable[[Path], int]] = {
    "polars": rows_of,
    "pyarrow": by_pyarrow,
    "fastparquet": by_fastparquet,
    "penstock": by_penstock,
}


def peak() -> int:
    """Return the process's own peak of memory in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) // 1024


def main(subject: str, path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    start = time.process_time()
    try:
        outcome = f"read {SUBJECTS[subject](path)} rows"
    except BaseException as error:
        kind = type(error).__name__
        outcome = "refused" if kind == "TableError" else f"raised {kind}"
    print(f"{outcome}\t{peak()}\t{time.process_time() - start:.2f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
