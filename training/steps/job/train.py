"""The training job: fit → ONNX → score it → evaluate champion and challenger → baseline, golden examples, report data.

All in one job, so that one cold start stands between data and decision. What is evaluated is the exported file itself,
through the scoring module that serves it.
"""

import importlib.util
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from penstock.contract.model import Contract
from penstock.contract.odcs import read_contract
from penstock.monitoring import drift
from penstock.scoring.model import Model
from penstock.scoring.signature import Columns, Signature
from penstock.spec.model import ARCHIVE, ModelSpec, read_model
from training.steps.data.container import Container, StepError
from training.steps.data.model_folder import unpack_model
from training.steps.data.rows import Rows, read_sides
from training.steps.export import onnx_export as export
from training.steps.job.trial import Chosen, objective, with_params
from training.steps.measure import background, report_data
from training.steps.measure import golden_examples as golden
from training.steps.measure import measurements as measuring
from training.steps.task.export_check import Champion
from training.steps.task.tasks import Kind, task_of


def run(container: Container) -> None:
    """Train as the run's request says and write the model folder.

    Writes `model.onnx`, `evaluation.json`, `baseline.json`, `golden.json`, `report.json` and `report-data.json`.

    Raises:
        StepError: data or code that gives no model; the message says what to change.
    """
    request = container.request()
    folder = unpack_model(container, request["model"], container.run_file(ARCHIVE))
    (spec, chosen), contract = with_params(read_model(folder), container), read_contract(folder)
    with _leg(container, "read the dataset"):
        rows = read_sides(container.channel("dataset"), request["parts"], contract, spec.split, request.get("cut"))
    task = task_of(spec, rows["train"], {side: rows[side] for side in ("validation", "holdout")})
    fit = _fit_function(folder)
    with _leg(container, f"fit on {rows['train'].table.height} rows"):
        fitted = fit(rows["train"].table, rows["validation"].table, dict(spec.training.params))

    def refit(train: Rows, validation: Rows, params: dict[str, Any]) -> Model:
        again = fit(train.table, validation.table, params)
        return _exported(again, spec, contract, validation, task)[1]

    with _leg(container, "export and evaluate"):
        usual = background.entry(rows["train"], spec.serving.explain)
        model = _exported(fitted, spec, contract, rows["validation"], task, usual)
        _write(container, request, spec, model, rows, fitted, task, refit, chosen)
    if spec.serving.explain:
        with _leg(container, "explain a row"):
            background.try_out(model[1], rows["validation"])


def _write(
    container: Container,
    request: dict[str, Any],
    spec: ModelSpec,
    model: tuple[bytes, Model],
    rows: dict[str, Rows],
    fitted: Any,
    task: Kind,
    refit: measuring.Refit,
    chosen: Chosen,
) -> None:
    data, scorer = model
    holdout, columns = rows["holdout"], rows["holdout"].columns()
    scores = scorer.score(columns)
    difference = task.difference(fitted, holdout, scores)
    champion = _champion(container, request, columns, task)
    challenger = measuring.Challenger(scorer, scores, len(data), refit)
    result = measuring.measured(spec, task, rows, challenger, champion)
    report = {
        "run": request["run"],
        "dataset": request["dataset"],
        "rows": {name: side.table.height for name, side in rows.items()},
        "largest_export_difference": difference,
        "onnx_bytes": len(data),
        "params": spec.training.params,
        "tuned": chosen,
        "validation": objective(spec, task, scorer, rows["validation"]),
    }
    container.model("model.onnx").write_bytes(data)
    documents = {
        "evaluation": result,
        "baseline": drift.baseline(scorer.signature.fields, columns, scores, scorer.signature.classes),
        "golden": golden.examples(holdout, scorer),
        "report": report,
        "report-data": report_data.collect(task, scorer, rows, scores, champion, _champion_baseline(container)),
    }
    for name, document in documents.items():
        container.model(f"{name}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    for name, value in result["challenger"].items():
        container.say(f"metric {name}={value:.6f}")
    for name, value in report["validation"].items():
        container.say(f"metric {name}={value:.10g}")


def _exported(
    fitted: Any, spec: ModelSpec, contract: Contract, validation: Rows, task: Kind, explains: str = ""
) -> tuple[bytes, Model]:
    """Return the sealed file and the model loaded from it, with the threshold chosen on the validation rows."""
    graph = export.to_onnx(fitted, contract.features, task.name)
    carried = [contract.key] + ([contract.event_time] if contract.event_time else [])
    signature = Signature(
        model=spec.name,
        fields=export.fields(contract.features),
        classes=task.classes,
        threshold=None,
        output=export.OUTPUTS[task.name],
        carried=tuple(column.name for column in carried),
        hidden=tuple(column.name for column in carried if column.personal),
        hashed=tuple(column.name for column in (*contract.features, *carried) if column.hashed),
    )
    threshold = task.threshold(validation, lambda: Model(export.sealed(_copy(graph), signature)))
    data = export.sealed(graph, msgspec.structs.replace(signature, threshold=threshold), explains)
    return data, Model(data)


def _copy(graph: Any) -> Any:
    copy = type(graph)()
    copy.CopyFrom(graph)
    return copy


def _champion(container: Container, request: dict[str, Any], columns: Columns, task: Kind) -> Champion | None:
    if not request["champion"]:
        return None
    champion = Model((container.channel("run") / "champion.onnx").read_bytes(), sha256=request["champion"]["sha256"])
    if missing := [field.name for field in champion.signature.fields if field.name not in columns]:
        container.say(f"the champion wants {missing[0]!r}, which the contract no longer has: not compared")
        return None
    if champion.signature.classes != task.classes:
        container.say("the champion answers another question (the target's values were others): not compared")
        return None
    return int(request["champion"]["version"]), champion.score(columns), champion.signature.threshold


def _champion_baseline(container: Container) -> dict[str, Any] | None:
    path = container.channel("run") / "champion-baseline.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def _fit_function(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("penstock_model", folder / "train.py")
    if spec is None or spec.loader is None:
        raise StepError(f"{folder / 'train.py'} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "fit", None)):
        raise StepError(f"{folder.name}/train.py has no function fit(train, validation, params)")
    return module.fit


@contextmanager
def _leg(container: Container, name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    container.say(f"{name}: {time.monotonic() - started:.1f} s")
