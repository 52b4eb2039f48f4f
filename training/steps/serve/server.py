"""`serve`: the model behind SageMaker's hosting contract, `/ping` and `/invocations` on port 8080.

There is one worker per core, each with its own event loop and its own copy of the model; on one core this process is
the worker, otherwise it supervises. The image and the scoring module are those of the training job.
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
        StepError: there is no model file, a variable is missing, or a worker ended; its log says why.
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
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise StepError(f"cannot listen at {host}:{port}: {error.strerror}") from None


def _work(listener: socket.socket) -> None:
    from training.steps.serve.worker import work  # noqa: PLC0415 - the supervisor needs no onnxruntime

    work(listener)


def _watch(container: Container, listener: socket.socket, count: int) -> None:
    """Run workers on one listener; if one ends, terminate all."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_worker, args=(container, listener)) for _ in range(count)]
    for worker in workers:
        worker.start()
    listener.close()  # a client that connects after the workers ended is refused at once
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _terminate(workers))
    connection.wait([worker.sentinel for worker in workers])
    _terminate(workers)
    for worker in workers:
        worker.join()
    # A worker that gets SIGTERM before its handler is set ends by the signal itself.
    if any(worker.exitcode not in {0, -signal.SIGTERM} for worker in workers):
        raise StepError("a worker of the server ended; the log says why")


def _worker(container: Container, listener: socket.socket) -> None:
    try:
        _work(listener)
    except StepError as error:
        container.say(f"failed: {error}")
        sys.exit(1)


def _terminate(workers: list[ForkProcess]) -> None:
    for worker in workers:
        worker.terminate()
