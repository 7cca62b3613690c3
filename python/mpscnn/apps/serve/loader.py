"""Load the models once, and keep a number of worker processes that share them."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection

from mpscnn.apps.serve.connections import Distributor, Giver
from mpscnn.apps.serve.hosting import LoadedModel
from mpscnn.apps.serve.logs import log_to_stderr, log_warning
from mpscnn.apps.serve.processes import RETIRE, Child, Signals, share_objects
from mpscnn.apps.serve.server import listen, return_large_blocks
from mpscnn.apps.serve.warm_up import load_photo_decoders
from mpscnn.apps.serve.workers import Plan, sendable, work
from mpscnn.errors import ParameterError, StateError

#: Seconds between two looks at the parent process.
_TICK = 1.0
#: The same while a connection waits for a worker.
_BUSY_TICK = 0.02
#: Seconds from the start of a worker to that of the next one in its place.
_RESTART = 1.0


def load_and_keep_workers(sending: Connection, plan: Plan, places: list[int]) -> None:
    """Load the models and keep a worker for each place, until SIGTERM, RETIRE or the end of the parent process.

    Args:
        sending: takes the names of the models as soon as all workers are ready, or the error of their start.
        plan: the plan of the service.
        places: the numbers of the workers.
    """
    parent = os.getppid()
    log_to_stderr(plan.log, forks=True)
    return_large_blocks()
    loaded: list[LoadedModel] | None = None
    if plan.method == "fork":
        try:
            loaded = plan.load()
            load_photo_decoders()
        except Exception as error:
            sending.send(sendable(error))
            return
        share_objects()
    with ExitStack() as ending:
        signals = Signals(ending, (signal.SIGTERM, RETIRE, signal.SIGCHLD))
        _Loader(sending, plan, loaded, places).run(signals, parent)


class _Worker(Child):
    """A worker process with its channel for connections."""

    def __init__(self, plan: Plan, loaded: list[LoadedModel] | None, place: int) -> None:
        own, other = socket.socketpair()
        self.giver = Giver(own)
        super().__init__(plan.method, work, plan, loaded, place, other)
        other.close()


class _Loader:
    """The workers of one load of the models."""

    def __init__(
        self, sending: Connection, plan: Plan, loaded: list[LoadedModel] | None, places: list[int]
    ) -> None:
        self._sending = sending
        self._plan = plan
        self._loaded = loaded
        self._distributor = Distributor(plan.listener)
        self._workers: dict[int, _Worker] = {}
        self._next_start = dict.fromkeys(places, 0.0)
        """For each place, the earliest time of its next start."""
        self._is_started = False
        """Whether all workers were ready at one time, or one has failed before."""
        self._retires = False
        self._ends = False

    def run(self, signals: Signals, parent: int) -> None:
        """Keep the workers, until a signal or the end of the parent process, and until they have ended."""
        while True:
            self._start_workers()
            takers = self._takers()
            seconds = _BUSY_TICK if self._distributor.is_waiting else _TICK
            received = signals.wait(self._workers.values(), seconds, self._distributor.sockets(takers))
            self._distributor.distribute(takers)
            if signal.SIGTERM in received or os.getppid() != parent:
                self._end(signal.SIGTERM)
            elif RETIRE in received:
                self._distributor.stop()
                self._retires = True
            if self._retires and not self._ends and not self._distributor.is_waiting:
                self._end(RETIRE)
            for place, worker in [*self._workers.items()]:
                self._hear(worker)
                if worker.exit_code is not None:
                    self._note_end(place, worker)
            if self._ends and not self._workers:
                return

    def _takers(self) -> list[Giver]:
        """Return the channels of the workers that take connections."""
        if self._ends or not self._is_started:
            return []
        return [worker.giver for worker in self._workers.values() if worker.is_ready]

    def _start_workers(self) -> None:
        if self._distributor.is_waiting:  # a fork would keep the connection open
            return
        for place, earliest in self._next_start.items():
            now = time.monotonic()
            if not self._ends and place not in self._workers and now >= earliest:
                self._workers[place] = _Worker(self._plan, self._loaded, place)
                self._next_start[place] = now + _RESTART

    def _hear(self, worker: Child) -> None:
        message = worker.message()
        if isinstance(message, Exception):
            self._fail(message)
        elif message is not None and not self._is_started:
            ready = [one for one in self._workers.values() if one.is_ready]
            if len(ready) == len(self._next_start):
                self._listen(message)

    def _listen(self, names: list[str]) -> None:
        try:
            listen(self._plan.listener, self._plan.settings)
        except ParameterError as error:
            self._fail(error)
        else:
            self._is_started = True
            self._sending.send(names)

    def _note_end(self, place: int, worker: _Worker) -> None:
        del self._workers[place]
        worker.giver.channel.close()
        if not self._ends:
            when = "another one starts" if self._is_started else "before it was ready"
            self._fail(
                StateError(f"the worker process {worker.number} ended {worker.describe_end()}: {when}")
            )

    def _fail(self, error: Exception) -> None:
        """Log a worker's error. While the service starts, end it."""
        if self._is_started:
            log_warning(str(error))
            return
        self._is_started = True
        self._sending.send(error)
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        self._ends = True
        self._plan.listener.close()
        for worker in self._workers.values():
            # A worker that is not ready has no handler for RETIRE, and no connections.
            worker.send_signal(number if worker.is_ready else signal.SIGTERM)
