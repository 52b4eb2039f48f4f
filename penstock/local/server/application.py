"""MiniStack's ASGI application, extended by the laptop cloud's own start, stop and health request."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import version
from typing import Any

from ministack import app as ministack

from penstock.local.host.cloud import HEALTH_PATH
from penstock.local.host.home import CloudHome
from penstock.local.patches import install as patches
from penstock.local.sagemaker.core.settings import JobSettings
from penstock.local.sagemaker.integration import plugin
from penstock.local.sagemaker.integration.service import SageMaker
from penstock.local.server.operator import ensure_operator
from penstock.local.server.state_saver import StateSaver

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """The ASGI application that hypercorn serves."""

    def __init__(self, home: CloudHome, sagemaker: SageMaker, saver: StateSaver, token: str) -> None:
        self._home = home
        self._sagemaker = sagemaker
        self._saver = saver
        self._token = token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer the health request, act on start and stop, and pass every other request to MiniStack."""
        if scope["type"] == "lifespan":
            await ministack.app(scope, self._act_on_stop(receive), self._act_on_start(send))
        elif scope["type"] == "http" and scope["path"] == HEALTH_PATH:
            await self._answer_health(send)
        else:
            await ministack.app(scope, receive, send)

    def _act_on_start(self, send: Send) -> Send:
        async def act(message: Message) -> None:
            if message["type"] != "lifespan.startup.complete":
                await send(message)
                return
            executions = await asyncio.to_thread(self._after_load)
            await send(message)
            # Targets of these events call the cloud, so it must listen first.
            self._sagemaker.deliver_events()
            asyncio.get_running_loop().run_in_executor(None, patches.publish_ended_executions, executions)

        return act

    def _act_on_stop(self, receive: Receive) -> Receive:
        async def act() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self._before_save)
            return message

        return act

    def _after_load(self) -> list[dict[str, object]]:
        ensure_operator(self._home.operator)
        self._sagemaker.start()
        self._saver.start()
        patches.start()
        return patches.end_interrupted_executions()

    def _before_save(self) -> None:
        self._sagemaker.stop()
        patches.stop()
        self._saver.stop()

    async def _answer_health(self, send: Send) -> None:
        health = {
            "token": self._token,
            "pid": os.getpid(),
            "ministack": version("ministack"),
            "jobs": self._sagemaker.running_jobs(),
            "services": dict.fromkeys(sorted(ministack.SERVICE_HANDLERS), "available"),
        }
        body = json.dumps(health).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def build(home: CloudHome, port: int, token: str) -> Application:
    """Install SageMaker and the patches into MiniStack, and return the application."""
    saver = StateSaver()
    sagemaker = plugin.install(JobSettings(home, port, save_state=saver.save))
    patches.install()
    return Application(home, sagemaker, saver, token)
