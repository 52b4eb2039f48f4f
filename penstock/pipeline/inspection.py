"""Inspection of one file: check it against the contract and write its parts, for `validate` and a Processing job.

The file is on disk and read in batches; its good and bad rows are written to disk as they come. So memory is bounded
whatever the file's size, except for 8 bytes of hash for each row.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from penstock.aws.s3_store import NoObjectError, Store, sha256
from penstock.contract.file_check import refusal
from penstock.contract.model import Contract
from penstock.contract.personal import labelled_rows_contract, part_contract
from penstock.contract.row_check import examine
from penstock.datasets.part_writer import PartWriter
from penstock.datasets.version import Part
from penstock.lake import LABELLED, Lake
from penstock.ledger.ledger import Record, Upload
from penstock.readers.open_table import TableError, open_table

FILES = "files.json"
"""In a run's input: the files that a job inspects."""


@dataclass(frozen=True)
class FileFinding:
    """The result of inspecting one file of an upload."""

    upload: Upload
    rows: int = 0
    bad: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    refusal: str | None = None
    """Why the whole file was refused."""
    parts: tuple[Part, ...] = ()
    unknown: tuple[str, ...] = ()

    def document(self) -> Record:
        """The finding as the report and the ledger show it."""
        about = {
            "key": self.upload.key,
            "version_id": self.upload.version_id,
            "parts": [part.sha256 for part in self.parts],
        }
        names = ("rows", "bad", "refusal")
        values = {name: getattr(self, name) for name in names}
        return about | values | {"reasons": dict(self.reasons), "unknown": list(self.unknown)}

    def record(self) -> Record:
        """The whole finding as JSON, which `read` reads."""
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Read what `record` wrote."""
        parts = tuple(Part.read(part) for part in record["parts"])
        rest = {"upload": Upload(**record["upload"]), "parts": parts, "unknown": tuple(record["unknown"])}
        return cls(**{**record, **rest})


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Inspects files of one model in the lake."""

    contract: Contract
    lake: Lake
    store: Store

    def inspect(self, run: str, upload: Upload) -> FileFinding:
        """Check one object, and write its parts and its bad rows to the lake.

        A repetition changes nothing: parts are named by their content.
        """
        with TemporaryDirectory(prefix="penstock-") as scratch:
            path = Path(scratch) / "upload"
            try:
                self.store.download(upload.key, upload.version_id, path)
            except NoObjectError as error:
                return FileFinding(upload, refusal=str(error))
            return self._check(run, upload, path, Path(scratch))

    def finding_key(self, run: str, upload: Upload) -> str:
        """Return the key of a job's finding about a file under this contract."""
        return self.lake.finding(run, sha256(f"{upload.name} {self.contract.rulings}".encode())[:12])

    def _contract_of(self, key: str) -> Contract:
        if key.startswith(self.lake.parts()):
            return part_contract(self.contract)
        return labelled_rows_contract(self.contract) if key.startswith(f"{LABELLED}/") else self.contract

    def _check(self, run: str, upload: Upload, path: Path, scratch: Path) -> FileFinding:
        time = self.contract.event_time.name if self.contract.event_time else None
        good, bad = PartWriter(scratch / "good", time), PartWriter(scratch / "bad")
        contract = self._contract_of(upload.key)
        try:
            with open_table(path, upload.key, scratch=scratch) as table:
                tally = examine(contract, table, good, bad)
        except TableError as error:
            return FileFinding(upload, refusal=str(error))
        uploaded = datetime.fromisoformat(upload.at) if upload.at else None
        reason = refusal(contract, tally, uploaded)
        self._quarantine(run, upload, bad)
        parts = () if reason else self._parts(upload, good)
        return FileFinding(upload, tally.rows, tally.bad, dict(tally.reasons), reason, parts, tally.unknown)

    def _quarantine(self, run: str, upload: Upload, bad: PartWriter) -> None:
        name = sha256(upload.name.encode())[:12]
        for index, file in enumerate(bad.close()):
            number = f"-{index + 1}" if index else ""
            self.store.write_file(self.lake.quarantine(run, f"{name}{number}.parquet"), file.path)

    def _parts(self, upload: Upload, good: PartWriter) -> tuple[Part, ...]:
        files = good.close()
        for file in files:
            self.store.write_file(self.lake.part(file.sha256), file.path)
        uploads, rulings = (self.lake.source(upload.key, upload.version_id),), self.contract.rulings
        return tuple(
            Part(file.sha256, file.rows, file.size, uploads, times=file.times, rulings=rulings) for file in files
        )
