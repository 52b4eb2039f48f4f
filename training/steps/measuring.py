"""What gates ask of an evaluation beside its metrics, measured in the training job, where the rows are."""

from penstock import evaluation
from penstock.intervals import Interval, Rival, Scored, intervals
from penstock.signature import Scores
from penstock.spec import ModelSpec
from training.steps.rows import Rows
from training.steps.tasks import Binary, Champion, Regression


def differences(
    spec: ModelSpec,
    task: Binary | Regression,
    rows: dict[str, Rows],
    scores: Scores,
    threshold: float | None,
    champion: Champion | None,
) -> list[Interval]:
    """The intervals that the gates ask for, on the holdout rows."""
    naive = evaluation.naive_scores(task.truth(rows["train"]), len(scores))
    rivals: dict[Rival, Scored] = {"baseline": Scored(naive, threshold)}
    if champion:
        rivals["champion"] = Scored(champion[1], champion[2])
    return intervals(spec.gates, task.truth(rows["holdout"]), Scored(scores, threshold), rivals)
