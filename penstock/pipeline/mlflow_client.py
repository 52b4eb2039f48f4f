"""Gateway to an MLflow tracking server.

Importing it takes seconds, so only `mlflow_tracking` does, and only where a specification names a server.
"""

import logging

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from penstock.pipeline.mlflow_run import MlflowRun
from penstock.spec.model import Experiments

BATCH_LIMIT = 100
"""Parameters or tags in one request to MLflow."""
# SageMaker's plug-in is asked for headers whatever the server is, and complains of each that is not SageMaker's.
logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)


class Server:
    """An experiment on a tracking server."""

    def __init__(self, experiments: Experiments, name: str) -> None:
        """Take the server's address; no request is made yet.

        Args:
            experiments: the specification's section.
            name: the experiment.
        """
        self._uri, self._name = experiments.mlflow, name
        if experiments.managed:
            mlflow.set_tracking_uri(self._uri)  # SageMaker's plug-in signs by this one, whatever client asks
        self._client = MlflowClient(tracking_uri=self._uri)

    def log(self, run: MlflowRun) -> dict[str, str]:
        """Log a run; the same again adds what is missing.

        Returns:
            `{"id", "url", "server"}`: MLflow's name of it, where a person finds it, and the server.
        """
        experiment = self._experiment()
        existing = self._find_run(experiment, run)
        mlflow_run = existing or self._client.create_run(
            experiment, start_time=run.started, tags=dict(run.tags), run_name=run.run
        )
        self._complete(mlflow_run, run)
        name = str(mlflow_run.info.run_id)
        return {"id": name, "url": self._url(experiment, name), "server": self._uri}

    def finish(self, run: str, tags: dict[str, str], files: dict[str, str]) -> None:
        """Add a run's last tags and its files (name → text), and end it."""
        self._client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(run)
        for name, text in files.items():
            self._client.log_text(run, text, name)

    def _experiment(self) -> str:
        existing = self._client.get_experiment_by_name(self._name)
        return str(existing.experiment_id if existing else self._client.create_experiment(self._name))

    def _find_run(self, experiment: str, run: MlflowRun) -> Run | None:
        names = ("penstock.stage", "penstock.model", "penstock.run")
        same = " and ".join(f"tags.`{name}` = '{run.tags[name]}'" for name in names)
        return next(iter(self._client.search_runs([experiment], same, max_results=1)), None)

    def _complete(self, mlflow_run: Run, run: MlflowRun) -> None:
        """Log the parameters and metrics that the run lacks: a metric logged again would be another point of it."""
        name, logged = mlflow_run.info.run_id, mlflow_run.data
        metrics = [
            Metric(metric, value, run.started, 0)
            for metric, value in run.metrics.items()
            if metric not in logged.metrics
        ]
        parameters = [Param(*item) for item in run.parameters.items() if item[0] not in logged.params]
        self._client.log_batch(name, metrics=metrics, tags=[RunTag(*item) for item in run.tags.items()])
        for start in range(0, len(parameters), BATCH_LIMIT):
            self._client.log_batch(name, params=parameters[start : start + BATCH_LIMIT])

    def _url(self, experiment: str, run: str) -> str:
        if self._uri.startswith("file:"):
            return f"{self._uri}/{experiment}/{run}"
        return f"{self._uri}{'' if self._uri.startswith('arn:') else '/'}#/experiments/{experiment}/runs/{run}"
