"""`serve`: the model behind SageMaker's hosting contract, `/ping` and `/invocations` on port 8080.

One worker a core, each with its own event loop and its own copy of the model; where there is one core this process is
the worker, otherwise it only watches. It is the same image that trained the model, and the same scoring module.
"""

import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing import connection
from multiprocessing.context import ForkProcess

from penstock.settings import ServeSettings, SettingsError
from training.steps.data.container import Container, StepError

BACKLOG = 1024


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
    if settings.capture and not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        raise StepError(f"captures are to go to {settings.capture}, and AWS_REGION is not set: say in which region")
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    with _listener(settings.host, port) as listener:
        if (workers := int(settings.workers) if settings.workers else cores()) > 1:
            _watch(container, listener, workers)
        else:
            _work(listener)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise StepError(f"cannot listen at {host}:{port}: {error.strerror}") from None


def _work(listener: socket.socket) -> None:
    from training.steps.serve.worker import work  # noqa: PLC0415 - a process that only watches holds no onnxruntime

    work(listener)


def _watch(container: Container, listener: socket.socket, count: int) -> None:
    """Workers of one listener; the first that ends ends them all."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_worker, args=(container, listener)) for _ in range(count)]
    for worker in workers:
        worker.start()
    listener.close()  # who comes when the workers listen no more is told at once, not left waiting
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _tell(workers))
    connection.wait([worker.sentinel for worker in workers])
    _tell(workers)
    for worker in workers:
        worker.join()
    # One that was told before it listened ends by the signal itself.
    if any(worker.exitcode not in {0, -signal.SIGTERM} for worker in workers):
        raise StepError("a worker of the server ended; the log says why")


def _worker(container: Container, listener: socket.socket) -> None:
    try:
        _work(listener)
    except StepError as error:
        container.say(f"failed: {error}")
        sys.exit(1)


def _tell(workers: list[ForkProcess]) -> None:
    for worker in workers:
        worker.terminate()
