"""Gateway to an MLflow tracking server.

Its import takes seconds, so that `tracking` alone imports it, and only where a specification names a server.
"""

import logging

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from functions.register.mlflow_run import Logged
from penstock.spec.model import Experiments

MOST_AT_ONCE = 100
"""Parameters or tags in one request to MLflow."""
# SageMaker's plug-in is asked for headers whatever the server is, and complains of each that is not SageMaker's.
logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)


class Server:
    """An experiment on a tracking server."""

    def __init__(self, given: Experiments, name: str) -> None:
        """Take the server's address; nothing is asked of it yet.

        Args:
            given: the specification's section.
            name: the experiment.
        """
        self._uri, self._name = given.mlflow, name
        if given.managed:
            mlflow.set_tracking_uri(self._uri)  # SageMaker's plug-in signs by this one, whatever client asks
        self._client = MlflowClient(tracking_uri=self._uri)

    def log(self, logged: Logged) -> dict[str, str]:
        """Log a run; the same again adds what is missing.

        Returns:
            `{"id", "url", "server"}`: MLflow's name of it, where a person finds it, and the server.
        """
        experiment = self._experiment()
        found = self._found(experiment, logged)
        made = found or self._client.create_run(
            experiment, start_time=logged.started, tags=dict(logged.tags), run_name=logged.run
        )
        self._complete(made, logged)
        name = str(made.info.run_id)
        return {"id": name, "url": self._url(experiment, name), "server": self._uri}

    def finish(self, run: str, tags: dict[str, str], files: dict[str, str]) -> None:
        """Add a run's last tags and its files (name → text), and end it."""
        self._client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.set_terminated(run)
        for name, said in files.items():
            self._client.log_text(run, said, name)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._name)
        return str(found.experiment_id if found else self._client.create_experiment(self._name))

    def _found(self, experiment: str, logged: Logged) -> Run | None:
        names = ("penstock.stage", "penstock.model", "penstock.run")
        same = " and ".join(f"tags.`{name}` = '{logged.tags[name]}'" for name in names)
        return next(iter(self._client.search_runs([experiment], same, max_results=1)), None)

    def _complete(self, made: Run, logged: Logged) -> None:
        """Parameters and metrics that the run has not: a metric given again would be another point of it."""
        run, has = made.info.run_id, made.data
        metrics = [
            Metric(name, value, logged.started, 0) for name, value in logged.metrics.items() if name not in has.metrics
        ]
        left = [Param(name, value) for name, value in logged.parameters.items() if name not in has.params]
        self._client.log_batch(run, metrics=metrics, tags=[RunTag(*item) for item in logged.tags.items()])
        for start in range(0, len(left), MOST_AT_ONCE):
            self._client.log_batch(run, params=left[start : start + MOST_AT_ONCE])

    def _url(self, experiment: str, run: str) -> str:
        if self._uri.startswith("file:"):
            return f"{self._uri}/{experiment}/{run}"
        return f"{self._uri}{'' if self._uri.startswith('arn:') else '/'}#/experiments/{experiment}/runs/{run}"
