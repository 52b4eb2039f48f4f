"""`serve`: the model behind SageMaker's hosting contract, `/ping` and `/invocations` on port 8080.

This process only watches: granian, a server in Rust, runs one worker a core, and each worker has its own event loop and
its own copy of the model (`serve_app`). It is the same image that trained the model, and the same scoring module.
"""

import os

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from penstock.settings import ServeSettings, SettingsError
from training.steps.container import Container, StepError

APP = "training.steps.serve_app:build"
GRACE_SECONDS = 20
"""SageMaker kills a container 30 seconds after SIGTERM; a worker ends its answers and delivers its captures before."""


def run(container: Container) -> None:
    """Serve until SIGTERM.

    Raises:
        StepError: nothing to serve, a variable that is missing, or a worker that did not start; its log says why.
    """
    try:
        settings = ServeSettings.read()
    except SettingsError as error:
        raise StepError(str(error)) from None
    if not container.served.is_file():
        raise StepError(f"{container.served} is not there: the model artifact must hold model.onnx at its root")
    server = Granian(
        APP,
        factory=True,
        interface=Interfaces.RSGI,
        address=settings.host,
        port=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")),
        workers=int(settings.workers) if settings.workers else cores(),
        http=HTTPModes.http1,
        websockets=False,
        workers_kill_timeout=GRACE_SECONDS,
    )
    try:
        server.serve()
    except SystemExit:
        raise StepError("a worker of the server ended; the log says why") from None


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
