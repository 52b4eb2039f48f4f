"""One part of a batch: its rows in, their scores out, by the version that was live when the batch began."""

import json
from functools import lru_cache
from typing import Any

from functions.score_part.scoring import SLICE, scored
from penstock.aws.s3_store import Store
from penstock.batches import PLAN, Plan, part_key, scored_key
from penstock.lake import MODEL_FILE, Lake
from penstock.scoring.model import Model
from penstock.settings import ScorePartSettings

settings = ScorePartSettings.read()
lake, store = Lake(settings.bucket, settings.model), Store(settings.bucket)


def handler(event: dict[str, Any], _context: object) -> int:
    """`{"work", "part"}` in; the part's number out: a state machine holds the results of all parts at once."""
    work, part = event["work"], int(event["part"])
    plan = Plan.read(store.json(lake.batch_work(work, PLAN)))
    lines = scored(_model(plan.sha256, plan.model_version_id), store.read(part_key(lake, work, part)), plan.key)
    store.write(scored_key(lake, work, part), lines)
    about = {"message": "scored", "work": work, "part": part, "rows": lines.count(b"\n")}
    print(json.dumps({"level": "INFO", "service": "score_part", **about}))  # noqa: T201 - a log line
    return part


@lru_cache(maxsize=1)
def _model(sha256: str, version_id: str) -> Model:
    """The version's file, held to its digest; the next part mostly wants the same."""
    key = lake.model_file(sha256, MODEL_FILE)
    return Model(store.noted(key, version_id), sha256=sha256, max_rows=SLICE, name=key)
