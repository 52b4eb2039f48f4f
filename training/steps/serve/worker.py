"""A worker of `serve`: one event loop, its connections, and its end."""

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
"""For requests that are under way; as long again have the captures, and SageMaker kills 30 seconds after SIGTERM."""


def work(listener: socket.socket) -> None:
    """Answer until SIGTERM.

    Args:
        listener: bound and listening; workers share it.

    Raises:
        StepError: the model cannot be served.
    """
    try:
        app = serve_app.build()
    except ModelFileError as error:
        raise StepError(str(error)) from None
    uvloop.run(_answering(app, listener))


async def _answering(app: App, listener: socket.socket) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    connections = Connections(app.answer, MOST_BYTES)
    server = await loop.create_server(connections.made, sock=listener)
    app.start()
    watching = loop.create_task(connections.watch())
    await told.wait()
    server.close()
    watching.cancel()
    await connections.end(GRACE_SECONDS)
    app.stop()
