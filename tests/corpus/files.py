"""The corpus of bad files: every kind of file that must end in quarantine with a sentence that names the cause.

Made and not kept: each is some lines here, and some would be hundreds of megabytes. The same bytes every time.
"""

from tests.corpus import foreign, json_files, packed, parquet_files, rows, text
from tests.corpus.kinds import Kind

PARTS = (text.KINDS, foreign.KINDS, packed.KINDS, json_files.KINDS, parquet_files.KINDS, rows.KINDS)
KINDS: dict[str, Kind] = {name: kind for part in PARTS for name, kind in part.items()}
BOMBS = sorted(name for name, kind in KINDS.items() if kind.bomb)
