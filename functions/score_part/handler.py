"""Second step of a batch: scores one part by the version that was live when the batch was opened."""

import json
from functools import lru_cache
from typing import Any

from penstock.aws.s3_store import Store
from penstock.batch.names import PLAN, part_key, scored_key
from penstock.batch.part_scoring import SLICE_ROWS, score_part
from penstock.batch.plan import Plan
from penstock.lake import MODEL_FILE, Lake
from penstock.scoring.model import Model
from penstock.settings import ScorePartSettings

settings = ScorePartSettings.read()
lake, store = Lake(settings.bucket, settings.model), Store(settings.bucket)


def handler(event: dict[str, Any], _context: object) -> int:
    """Score the part of `{"work", "part"}`; reply its number only: a state machine holds the replies of all parts."""
    work, part = event["work"], int(event["part"])
    plan = Plan.read(store.json(lake.batch_work(work, PLAN)))
    lines = score_part(_model(plan.sha256, plan.model_version_id), store.read(part_key(lake, work, part)), plan.key)
    store.write(scored_key(lake, work, part), lines)
    about = {"message": "scored", "work": work, "part": part, "rows": lines.count(b"\n")}
    print(json.dumps({"level": "INFO", "service": "score_part", **about}))  # noqa: T201 - a log line
    return part


@lru_cache(maxsize=1)
def _model(sha256: str, version_id: str) -> Model:
    """Load the version's file and verify its digest; cached, since the next part usually needs the same."""
    key = lake.model_file(sha256, MODEL_FILE)
    return Model(store.read_recorded(key, version_id), sha256=sha256, max_rows=SLICE_ROWS, name=key)
