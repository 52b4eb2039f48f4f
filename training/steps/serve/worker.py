"""A worker of `serve`: its event loop, connections and shutdown."""

import asyncio
import signal
import socket

import uvloop

from penstock.scoring.model import ModelFileError
from training.steps.data.container import StepError
from training.steps.serve import app as serve_app
from training.steps.serve.app import MOST_BYTES, App
from training.steps.serve.http import Connections

GRACE_SECONDS = 10.0
"""Time for open requests; the captures have the same, and SageMaker kills 30 seconds after SIGTERM."""


def work(listener: socket.socket) -> None:
    """Answer until SIGTERM.

    Args:
        listener: bound and listening; workers share it.

    Raises:
        StepError: the model file cannot be loaded.
    """
    try:
        app = serve_app.build()
    except ModelFileError as error:
        raise StepError(str(error)) from None
    uvloop.run(_serve(app, listener))


async def _serve(app: App, listener: socket.socket) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections = Connections(app.answer, MOST_BYTES)
    server = await loop.create_server(connections.new_connection, sock=listener)
    app.start()
    watcher = loop.create_task(connections.watch())
    await stop.wait()
    server.close()
    watcher.cancel()
    await connections.end(GRACE_SECONDS)
    app.stop()
