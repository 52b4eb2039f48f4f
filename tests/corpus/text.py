"""CSV files that are no table: empty, not UTF-8, or with rows that do not fit the header."""

from collections.abc import Callable
from pathlib import Path

from tests.corpus.kinds import kind

MEGABYTE = 1 << 20
TABLE = "id,place,late\n" + "".join(f"r{i},Zürich,{i % 2}\n" for i in range(500))
GOOD = TABLE.encode()


def repeated(before: bytes, piece: bytes, times: int, after: bytes = b"") -> Callable[[Path], None]:
    """Return a function that writes a file too large to hold in memory."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(before)
            for _ in range(times):
                file.write(piece)
            file.write(after)

    return write


KINDS = {
    "empty": kind("a.csv", b"", "the file is empty"),
    "only a byte order mark": kind("a.csv", b"\xef\xbb\xbf", "the file is empty"),
    "only line ends": kind("a.csv", b"\n\r\n\r\n\n", "the file is empty"),
    "only blanks": kind("a.csv", b"   \n  \n", "no header"),
    "a NUL in a cell": kind("a.csv", GOOD.replace(b"r7,", b"r\x007,"), "line 9", "NUL", "byte "),
    "only NULs": kind("a.csv", bytes(4096), "NUL"),
    "zeros at the end, as a crash leaves them": kind("a.csv", GOOD + bytes(512), "line 502", "NUL"),
    "UTF-16 with a mark": kind("a.csv", TABLE.encode("utf-16"), "UTF-16", "write it in UTF-8"),
    "UTF-16 big-endian with a mark": kind("a.csv", b"\xfe\xff" + TABLE.encode("utf-16-be"), "UTF-16"),
    "UTF-16 without a mark": kind("a.csv", TABLE.encode("utf-16-le"), "UTF-16", "write it in UTF-8"),
    "UTF-32 with a mark": kind("a.csv", TABLE.encode("utf-32"), "UTF-32"),
    "UTF-32 without a mark": kind("a.csv", TABLE.encode("utf-32-be"), "UTF-32"),
    "Latin-1": kind("a.csv", TABLE.encode("latin-1"), "line 2", "not UTF-8 at byte 18", "write the file in UTF-8"),
    "mixed encodings": kind("a.csv", GOOD + "r500,Genève,1\n".encode("latin-1"), "line 502", "not UTF-8"),
    "a character cut in half": kind("a.csv", GOOD + b"r500,Z\xc3,1\n", "line 502", "not UTF-8"),
    "a surrogate": kind("a.csv", GOOD + b"r500,Z\xed\xa0\x80,1\n", "line 502", "not UTF-8"),
    "a name twice in the header": kind("a.csv", b"id,x,id\na,1,b\n", "columns 1 and 3 have the same name"),
    "many names twice": kind(
        "a.csv", b"a,b,c,d,e,f,g," * 2 + b"z\n", "columns 1 and 8 have the same name", "6 more names"
    ),
    "several columns without a name": kind("a.csv", b"id,,x,\na,1,2,3\n", "2 columns have no name", "column 2, 4"),
    "only commas": kind("a.csv", b",,,\n,,,\n", "4 columns have no name"),
    "100,000 columns": kind(
        "a.csv", ",".join(f"c{i}" for i in range(100_000)).encode(), "100,000 columns", "at most 2,000", bomb=True
    ),
    "a header that does not end": kind("a.csv", repeated(b"a", b",b" * MEGABYTE, 20), "line 1 is longer", bomb=True),
    "a column name of a megabyte": kind("a.csv", b"x" * MEGABYTE + b",y\n1,2\n", "column name that is longer"),
    "a row with a cell too many": kind("a.csv", GOOD + b"r500,Bern,1,1\n", "line 502 has 4 cells", "has 3"),
    "a comma without quotes": kind("a.csv", GOOD + b"r500,Bern, Wankdorf,1\n", "line 502 has 4 cells", "in quotes"),
    "a row with a cell too few": kind("a.csv", GOOD + b"r500,Bern\n", "line 502 has 2 cells", "has 3"),
    "one row short and one long": kind("a.csv", b"a,b,c\n1,2\n1,2,3,4\n", "line 2 has 2 cells"),
    "the last row cut short": kind("a.csv", GOOD[: GOOD.rindex(b",")], "line 501 has 2 cells"),
    "a total below the table": kind("a.csv", GOOD + b"\n500 rows\n", "line 503 has 1 cell,"),
    "a title above the table": kind("a.csv", b"Flights of May\n" + GOOD, "line 2 has 3 cells, the header has 1"),
    "a short row behind quoted line ends": kind("a.csv", b'a,b\n1,"x\r\n\ny"\n\n2\n', "line 6 has 1 cell,"),
    "a quote never closed": kind("a.csv", GOOD + b'r500,"Bern,1\nr501,Basel,1\n', "line 502", "never closed"),
    "a quote closed by a later row's": kind("a.csv", b'a,b\n1,"x\n2,"y"\n', "line 3 has a quote in the middle"),
    "a quote in the middle of a cell": kind("a.csv", b'a,b\n1,5" pipe\n2,x\n', "line 2", "double the quote"),
    "text behind a closing quote": kind("a.csv", b'a,b\n1,"x" y\n', "line 2 has a quote in the middle of a cell"),
    "a cell of 200 MB": kind("a.csv", repeated(b"a,b\n1,", b"x" * MEGABYTE, 200, b"\n"), "line 2 is longer", bomb=True),
    "a quoted cell of 200 MB": kind(
        "a.csv", repeated(b'a,b\n1,"', b"x\n" * (MEGABYTE // 2), 200, b'"\n'), "line 2 is not closed within", bomb=True
    ),
    "a quote that 50 MB follow": kind(
        "a.csv", repeated(b'a,b\n1,"', b"x,y\n" * (MEGABYTE // 4), 50), "opened in line 2", "not closed", bomb=True
    ),
    "one line of 300 MB": kind("a.csv", repeated(b"", b"x" * MEGABYTE, 300), "line 1 is longer", bomb=True),
    "semicolons": kind("a.csv", GOOD.replace(b",", b";"), "separated by semicolons, not by commas"),
    "tabs": kind("a.csv", GOOD.replace(b",", b"\t"), "separated by tabs, not by commas"),
    "bars": kind("a.csv", GOOD.replace(b",", b"|"), "separated by bars, not by commas"),
}
