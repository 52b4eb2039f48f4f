"""Penstock: the check that `validate` and `penstock check` run, with the contract as values or from a folder."""

import sys
import tempfile
from pathlib import Path

from bench.check.rules import ALLOWED, HIGH, LOW, NUMBERS, TEXTS
from penstock.contract.model import Column, Contract
from penstock.contract.row_check import examine
from penstock.readers.open_table import open_table


def contract_of_values() -> Contract:
    columns = [Column("id", "string", "key", required=True, unique=True)]
    columns += [
        Column(name, "integer" if index % 2 else "number", "feature", required=True, minimum=LOW, maximum=HIGH)
        for index, name in enumerate(NUMBERS)
    ]
    columns += [Column(name, "string", "feature", required=True, allowed=tuple(ALLOWED)) for name in TEXTS]
    return Contract("rows", "1", tuple(columns), tolerance=0.05, digest="")


def main(path: Path, folder: str | None) -> None:
    if folder == "parts":
        write_parts(path)
        return
    if folder is None:
        contract = contract_of_values()
    else:
        from penstock.contract.odcs import read_contract  # noqa: PLC0415 - only the subject that reads YAML imports it

        contract = read_contract(Path(folder))
    with tempfile.TemporaryDirectory() as scratch, open_table(path, path.name, scratch=Path(scratch)) as table:
        print(examine(contract, table).bad)


def write_parts(path: Path) -> None:
    """Check as `validate` does, writing good and bad rows to files while reading."""
    from penstock.datasets.part_writer import PartWriter  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name, open_table(path, path.name, scratch=Path(name)) as table:
        good, bad = PartWriter(Path(name) / "good"), PartWriter(Path(name) / "bad")
        print(examine(contract_of_values(), table, good, bad).bad)
        good.close()
        bad.close()


main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
