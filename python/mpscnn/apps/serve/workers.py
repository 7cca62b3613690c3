"""Serve in worker processes that share the weights of their models.

`mpscnn serve` is a supervisor (`supervisor.py`). It starts a loader (`loader.py`), which loads the models and forks the
workers. The loader also accepts connections and gives them to the workers (`connections.py`).
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvicorn

from mpscnn.apps.serve.connections import Taker
from mpscnn.apps.serve.hosting import HostedModel, LoadedModel, Models, load_model, require_distinct
from mpscnn.apps.serve.logs import LogFormat, log_event, log_failure, log_to_stderr
from mpscnn.apps.serve.metrics import Metrics, share_metrics
from mpscnn.apps.serve.processes import RETIRE
from mpscnn.apps.serve.server import Server, run_server
from mpscnn.apps.serve.service import Service
from mpscnn.apps.serve.settings import Settings
from mpscnn.errors import Error, StateError


@dataclass(frozen=True)
class Plan:
    """The settings and models that all processes of a service have."""

    sources: tuple[str, ...]
    """The arguments of the command: names of models, or files."""
    options: dict[str, Any]
    """The options of `mpscnn.load`."""
    settings: Settings
    listener: socket.socket
    log: LogFormat
    metrics: Path
    """The folder in which the workers keep their metrics."""
    method: str
    """How processes start: "fork", or "spawn", with which each worker loads the models."""

    def load(self) -> list[LoadedModel]:
        """Load all models. Raises the errors of `mpscnn.load`, and ParameterError if two models have one name."""
        return require_distinct([load_model(source, **self.options) for source in self.sources])


def sendable(error: Exception) -> Exception:
    """Return an error that can be sent to the parent process. The log tells about those that are not expected."""
    if isinstance(error, (Error, OSError, MemoryError)):
        return error
    log_failure("a process of the service failed", error)
    return StateError(
        f"a process of the service failed ({type(error).__name__}: {error}); the log says where"
    )


def work(
    sending: Connection,
    plan: Plan,
    loaded: list[LoadedModel] | None,
    place: int,
    channel: socket.socket,
) -> None:
    """Answer requests in a worker process, until its parent ends it.

    Args:
        sending: takes the names of the models as soon as the worker is ready, or the error of its start.
        plan: the plan of the service.
        loaded: the models; None: the worker loads them.
        place: the number of the worker's metrics. No two processes have the same at a time.
        channel: brings the connections.
    """
    parent = os.getppid()
    plan.listener.close()  # so that the port is free when the parent ends
    log_to_stderr(plan.log)
    try:
        share_metrics(plan.metrics, place)
        settings = plan.settings
        hosted = [HostedModel.of(model, settings.runs, settings.max_batch) for model in loaded or plan.load()]
        service = Service(Models(hosted), settings)

        def ready(_ending: ExitStack) -> None:
            sending.send([model.name for model in hosted])
            sending.close()

        kind = functools.partial(_WorkerServer, channel=channel, metrics=service.metrics, parent=parent)
        run_server(service, ready, [], kind=kind, ended="worker ended")
    except Exception as error:
        if sending.closed:
            raise
        sending.send(sendable(error))


class _WorkerServer(Server):
    """The server of a worker, which takes connections from a channel.

    It ends if its parent has ended. After the signal RETIRE it takes no connections, answers one more request of each
    open connection, and ends when all are closed.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        told: Callable[[], None],
        channel: socket.socket,
        metrics: Metrics,
        parent: int,
    ) -> None:
        super().__init__(config, told)
        self._metrics = metrics
        self._parent = parent
        self._taker = Taker(channel, self._connect)
        self._shall_retire = False
        self._is_retired = False
        signal.signal(RETIRE, self._note_retirement)

    def _note_retirement(self, _number: int, _frame: Any) -> None:
        self._shall_retire = True

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handle SIGTERM. The supervisor handles Ctrl-C, which a terminal sends to all processes."""
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server, and begin to take connections."""
        await super().startup(sockets)
        self._taker.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the server after the connections that it got."""
        await self._taker.stop()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether the server shall end, and note the metrics that have no events."""
        self._metrics.note_gauges()
        if self._shall_retire and not self._is_retired:
            await self._taker.stop()
            self._is_retired = True
            left = [*self.server_state.connections]
            log_event("worker retired", connections=len(left))
            for connection in left:
                connection.retire()
        is_unused = self._is_retired and not self.server_state.connections
        if is_unused or os.getppid() != self._parent:
            self._told()
            self.should_exit = True
        ends: bool = await super().on_tick(counter)
        return ends

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        protocol = self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        protocol.when_lost = self._taker.tell_lost
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection)
        except OSError:  # the client has closed it already
            connection.close()
            self._taker.tell_lost()
