"""The embedded MQTT broker: amqtt in a thread, for demonstrations and tests on this machine.

It asks for no password, and it loses messages when their publisher leaves. Nothing in a real house may depend on it.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import Self

from amqtt import contexts
from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker

from hardware_bridge.client import LinkError
from hardware_bridge.config import BrokerConfig

LISTENER = "default"
START_S = 20.0


class EmbeddedBroker:
    """A broker that serves from entering the context to leaving it."""

    def __init__(self, config: BrokerConfig) -> None:
        self.config = config
        self.address = (config.host, config.port)
        self._bound: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop
        self._leave: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.address = (self.config.host, self._bound.result(START_S))
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        """Accept connections ourselves: a port of 0 is then known once bound, and nothing else is ever listened to."""
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        listener = contexts.ListenerConfig(type=contexts.ListenerType.EXTERNAL, bind=f"{self.config.host}:0")
        plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        broker = Broker(contexts.BrokerConfig(listeners={LISTENER: listener}, plugins=plugins))
        await broker.start()
        try:
            server = await asyncio.start_server(partial(_accept, broker), self.config.host, self.config.port)
        except OSError as error:
            self._bound.set_exception(LinkError(f"broker {self.config.host}:{self.config.port}: {error.strerror}"))
        else:
            self._bound.set_result(server.sockets[0].getsockname()[1])
            await self._leave.wait()
            server.close()
        await broker.shutdown()


async def _accept(broker: Broker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a client to its end, and close its connection even when the broker ends first."""
    try:
        await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), LISTENER)
    finally:
        writer.close()
