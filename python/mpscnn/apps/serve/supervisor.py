"""Start, watch and end the processes of a service with workers."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mpscnn.apps.serve import processes
from mpscnn.apps.serve.loader import load_and_keep_workers
from mpscnn.apps.serve.logs import LogFormat, log_event, log_to_stderr, log_warning
from mpscnn.apps.serve.metrics import forget_gauges
from mpscnn.apps.serve.model_files import ModelFiles
from mpscnn.apps.serve.processes import RETIRE, Child, Signals, share_objects
from mpscnn.apps.serve.server import announce
from mpscnn.apps.serve.settings import Settings
from mpscnn.apps.serve.workers import Plan
from mpscnn.errors import StateError

#: Seconds from the signal that ends the service until processes that are left are killed. Workers end before.
_END_SECONDS = 9.7
#: Seconds from the start of a loader to that of the next one.
_RESTART = 1.0
#: Seconds between two looks at what has no signal.
_TICK = 1.0


def serve_by_workers(
    sources: list[str],
    options: dict[str, Any],
    settings: Settings,
    listener: socket.socket,
    log: LogFormat,
    address_file: Path | None = None,
    greeting: bool = False,
) -> None:
    """Answer requests in worker processes until SIGTERM, SIGHUP or SIGINT. Then let them finish accepted requests.

    With the setting `reload`, SIGHUP loads the models again, and so does a change of their files.

    Args:
        sources: names of models, or files.
        options: the options of `mpscnn.load`.
        settings: the limits of each worker, and the number of workers.
        listener: a socket from `server.open_listening_socket`.
        log: the lines of the log.
        address_file: a file into which the address is written while the service listens.
        greeting: print one line with the address.

    Raises:
        ParameterError: as `server.serve`.
        StateError: a process ended while the service started.
        Error: another error of `mpscnn.load`.
    """
    log_to_stderr(log, forks=True)
    share_objects()
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="mpscnn-serve-")))
        plan = Plan(tuple(sources), options, settings, listener, log, folder, processes.METHOD)

        def ready(names: list[str]) -> None:
            announce(
                ending,
                listener,
                names,
                address_file,
                greeting,
                slots=settings.slots * settings.workers,
                workers=settings.workers,
            )

        supervisor = _Supervisor(plan)
        with ExitStack() as handlers:
            signals = Signals(handlers, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD))
            try:
                supervisor.run(signals, ready)
            finally:
                supervisor.end(signals)
        log_event("ended")


class _Generation:
    """A loader with its workers."""

    def __init__(self, plan: Plan, places: list[int]) -> None:
        self.places = places
        self.is_loading = True
        self.serves = False
        """Whether its workers take connections."""
        self.loader = Child(plan.method, load_and_keep_workers, plan, places)


class _Supervisor:
    """The processes of a service."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._files = ModelFiles(plan.sources)
        self._generations: list[_Generation] = []
        self._had_terminal = _has_terminal()
        self._is_started = False
        """Whether the workers have been ready at one time."""
        self._shall_load = True
        self._earliest = 0.0
        """The earliest time of the next start."""

    def run(self, signals: Signals, ready: Callable[[list[str]], None]) -> None:
        """Start the processes, and start them again if they end or the models change, until a signal ends the service.

        Args:
            signals: the signals of this process.
            ready: called with the names of the models when all workers are ready for the first time.

        Raises:
            Error: the error of the first start.
        """
        while True:
            self._start_if_wanted()
            received = signals.wait([one.loader for one in self._generations], _TICK)
            if received & {signal.SIGINT, signal.SIGTERM}:
                return
            if signal.SIGHUP in received:
                if not self._plan.settings.reload or (self._had_terminal and not _has_terminal()):
                    return
                self._shall_load = True
            if self._plan.settings.reload and self._files.have_changed():
                self._shall_load = True
            for generation in [*self._generations]:
                self._hear(generation, ready)

    def _start_if_wanted(self) -> None:
        """Load the models if they are wanted, and no other load is under way."""
        now = time.monotonic()
        is_loading = any(one.is_loading for one in self._generations)
        if not self._shall_load or is_loading or now < self._earliest:
            return
        self._shall_load = False
        self._earliest = now + _RESTART
        self._files.note_load()
        taken = {place for generation in self._generations for place in generation.places}
        free = (place for place in itertools.count() if place not in taken)
        places = [*itertools.islice(free, self._plan.settings.workers)]
        self._generations.append(_Generation(self._plan, places))

    def _hear(self, generation: _Generation, ready: Callable[[list[str]], None]) -> None:
        """Handle the message of a loader, and its end."""
        message = generation.loader.message()
        if message is not None:
            generation.is_loading = False
        if isinstance(message, Exception):
            self._note_failure(message)
        elif message is not None:
            if self._is_started:
                log_event("loaded", models=message)
            else:
                self._is_started = True
                ready(message)
            self._retire_others(generation)
        if self._has_ended(generation):
            about = f"the process {generation.loader.number} ended {generation.loader.describe_end()}"
            if generation.serves:
                log_warning(f"{about}: another one loads the models")
                self._shall_load = True
            elif generation.is_loading:
                self._note_failure(StateError(f"{about} while it loaded the models"))

    def _retire_others(self, generation: _Generation) -> None:
        """Let a new generation take all further connections."""
        generation.serves = True
        for other in self._generations:
            if other is not generation:
                # Only one older generation may still have connections.
                other.loader.send_signal(RETIRE if other.serves else signal.SIGTERM)
                other.serves = False

    def _note_failure(self, error: Exception) -> None:
        if not self._is_started:
            raise error
        log_warning("the models were not loaded; the service keeps those that it has", error=str(error))
        # Without a generation that serves, there must be another one.
        self._shall_load = not any(one.serves for one in self._generations)

    def end(self, signals: Signals) -> None:
        """End all processes: at first by SIGTERM, and after some seconds by SIGKILL."""
        self._plan.listener.close()
        last = time.monotonic() + _END_SECONDS
        for generation in self._generations:
            generation.loader.send_signal(signal.SIGTERM)
        while self._generations:
            left = last - time.monotonic()
            if left <= 0:
                for generation in self._generations:
                    generation.loader.send_signal(signal.SIGKILL)
            signals.wait((), max(left, 0.1))
            for generation in [*self._generations]:
                self._has_ended(generation)

    def _has_ended(self, generation: _Generation) -> bool:
        """Return True if a loader has ended. Forget it then."""
        if generation.loader.exit_code is None:
            return False
        self._generations.remove(generation)
        for place in generation.places:
            forget_gauges(self._plan.metrics, place)
        return True


def _has_terminal() -> bool:
    """Return True if this process belongs to a terminal. SIGHUP also tells a process that its terminal was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
