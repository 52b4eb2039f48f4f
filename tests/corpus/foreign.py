"""Files whose content is not what their names say."""

import io
import tarfile
import zipfile
from pathlib import Path

from tests.corpus.kinds import kind
from tests.corpus.parquet_files import PARQUET
from tests.corpus.text import GOOD


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), GOOD)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.csv")
        info.size = len(GOOD)
        archive.addfile(info, io.BytesIO(GOOD))
    return buffer.getvalue()


def folder(path: Path) -> None:
    path.mkdir()


KINDS = {
    "a text file": kind("notes.txt", GOOD, "'notes.txt' does not end in .csv, .csv.gz"),
    "no ending": kind("folder.csv/flights", GOOD, "'flights' does not end in", "or .parquet"),
    "a zipped CSV by its name": kind("a.csv.zip", zipped("a.csv"), "'a.csv.zip' does not end in"),
    "bzip2 by its name": kind("a.csv.bz2", b"BZh91AY&SY", "'a.csv.bz2' does not end in"),
    "Zstandard by its name": kind("a.csv.zst", b"\x28\xb5\x2f\xfd\x00", "'a.csv.zst' does not end in"),
    "gzip of Parquet by its name": kind("a.parquet.gz", b"\x1f\x8b", "'a.parquet.gz' does not end in"),
    "a folder": kind("a.csv", folder, "this is a folder, not a file"),
    "a zip as CSV": kind("a.csv", zipped("a.csv"), "ends in .csv", "a zip archive"),
    "an Excel workbook as CSV": kind("a.csv", zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
    "an old Excel workbook as CSV": kind("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office"),
    "a tar as CSV": kind("a.csv", tarred(), "a tar archive"),
    "a PDF as CSV": kind("a.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
    "a PNG as CSV": kind("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG image"),
    "a JPEG as JSON Lines": kind("a.jsonl", b"\xff\xd8\xff\xe0\x00\x10JFIF", "ends in .jsonl", "a JPEG image"),
    "a SQLite database as CSV": kind("a.csv", b"SQLite format 3\x00" + bytes(84), "a SQLite database"),
    "a Python pickle as CSV": kind("a.csv", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00", "a Python pickle"),
    "bzip2 as CSV": kind("a.csv", b"BZh91AY&SY" + bytes(20), "a bzip2 file"),
    "an HTML page as CSV": kind("a.csv", b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page"),
    "an HTML page as JSON Lines": kind("a.jsonl", b"<html>\n<head></head></html>", "ends in .jsonl", "an HTML page"),
    "the error page of an object store as CSV": kind(
        "a.csv", b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML document"
    ),
    "Parquet as CSV": kind("a.csv", PARQUET, "ends in .csv", "Parquet", "name it .parquet"),
    "Parquet as JSON Lines": kind("a.ndjson", PARQUET, "ends in .ndjson", "Parquet", "name it .parquet"),
    "CSV as Parquet": kind("a.parquet", GOOD, "ends in .parquet", "plain text, not Parquet"),
    "noise as Parquet": kind("a.parquet", bytes(range(256)), "ends in .parquet", "not Parquet"),
    "a zip as Parquet": kind("a.parquet", zipped("a.csv"), "ends in .parquet", "a zip archive"),
    "JSON Lines as CSV": kind("a.csv", b'{"id":"a","x":1}\n{"id":"b","x":2}\n', "JSON", "name a file of JSON Lines"),
    "CSV as JSON Lines": kind("a.jsonl", GOOD, "line 1 is no JSON object: write each row"),
}
