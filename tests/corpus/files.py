"""The corpus of bad files: every kind of file that must be quarantined with a sentence that names the cause.

The files are generated, since some have hundreds of megabytes, and have the same bytes every time.
"""

from tests.corpus import foreign, json_files, packed, parquet_files, rows, text
from tests.corpus.kinds import Kind

PARTS = (text.KINDS, foreign.KINDS, packed.KINDS, json_files.KINDS, parquet_files.KINDS, rows.KINDS)
KINDS: dict[str, Kind] = {name: kind for part in PARTS for name, kind in part.items()}
BOMBS = sorted(name for name, kind in KINDS.items() if kind.bomb)
