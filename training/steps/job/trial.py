"""A training job as a trial of a tuning job: its params are hyperparameters, its objective is written to the log.

The objective is measured on the validation rows: the gates decide on the holdout, so it must not influence the choice
of a trial.
"""

from penstock.evaluation.metrics import EvaluationError, Metrics
from penstock.evaluation.multiclass_metrics import measure_rows
from penstock.scoring.model import Model
from penstock.spec.model import ModelSpec
from penstock.spec.tuning import TrialError, Value
from training.steps.data.container import Container, StepError
from training.steps.data.rows import Rows
from training.steps.task.tasks import Kind

Chosen = dict[str, Value]


def with_params(spec: ModelSpec, container: Container) -> tuple[ModelSpec, Chosen]:
    """Return the spec with the trial's values among its params, and these values; empty without tuning.

    Raises:
        StepError: the hyperparameters are not in the spec's ranges.
    """
    if spec.tuning is None:
        return spec, {}
    try:
        chosen = spec.tuning.parse(container.hyperparameters)
    except TrialError as error:
        raise StepError(str(error)) from None
    training = spec.training.model_copy(update={"params": {**spec.training.params, **chosen}})
    return spec.model_copy(update={"training": training}), chosen


def objective(spec: ModelSpec, task: Kind, model: Model, validation: Rows) -> Metrics:
    """Measure the tuning job's objective: its metric of the file's scores on the validation rows, by name.

    Empty without tuning.

    Raises:
        StepError: the metric cannot be measured on the validation rows.
    """
    if spec.tuning is None:
        return {}
    truth, scores = task.truth(validation), model.score(validation.columns())
    try:
        metrics = measure_rows(truth, scores, model.signature.threshold)
    except EvaluationError as error:
        raise StepError(str(error)) from None
    if spec.tuning.metric not in metrics:
        raise StepError(
            f"{spec.tuning.metric} cannot be measured on the {len(truth)} validation rows, which are all alike: "
            "more data, or another split, is needed"
        )
    return {spec.tuning.objective: metrics[spec.tuning.metric]}
