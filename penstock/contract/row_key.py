"""Keys for rows that come without one: made of what is in the row.

The same row is the same key, whatever file or format it comes in, so that it keeps its side of the split and an upload
that is repeated adds nothing. Rows that are alike within one file are numbered, so that all of them are kept. What a
key of the data's own would give and this cannot: a row that is corrected later is another row.
"""

import hashlib
from collections import Counter

import polars as pl

_BETWEEN, _NOTHING = "\x1f", "\x00"


class RowKeys:
    """Keys of one file's rows, batch after batch. Remembers each row by a digest: some 100 bytes of memory a row."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def of(self, rows: pl.DataFrame) -> pl.Series:
        """The keys of the next rows, in order: 24 hex digits, for the second of the same kind with `-2`.

        Args:
            rows: the contract's columns but the key, typed, so that a value is the same text in every format.
        """
        names = sorted(rows.columns)
        texts = [pl.col(name).cast(pl.String).fill_null(_NOTHING) for name in names]
        lines = rows.select(pl.concat_str(texts, separator=_BETWEEN).alias("line"))["line"]
        return pl.Series([self._key(line) for line in lines], dtype=pl.String)

    def _key(self, line: str) -> str:
        digest = hashlib.blake2b(line.encode(), digest_size=12).digest()
        short = digest[:8]
        self._seen[short] += 1
        nth = self._seen[short]
        return digest.hex() if nth == 1 else f"{digest.hex()}-{nth}"
