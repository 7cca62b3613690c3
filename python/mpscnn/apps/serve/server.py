"""Run the HTTP server: open its socket, set uvicorn's limits, and shut down on signals."""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn

from mpscnn._private.files import replace_atomically
from mpscnn.apps.serve.application import application
from mpscnn.apps.serve.connection import BoundedProtocol
from mpscnn.apps.serve.hosting import Models
from mpscnn.apps.serve.logs import finish_log, log_event
from mpscnn.apps.serve.service import Service
from mpscnn.apps.serve.settings import Settings
from mpscnn.apps.serve.signals import ENDING, handle
from mpscnn.apps.serve.turns import Turns
from mpscnn.apps.serve.warm_up import warm_up
from mpscnn.errors import ParameterError

_BACKLOG = 2_048
#: Files that the process opens besides connections: libraries, models, the log.
_OTHER_FILES = 128
#: Seconds after SIGTERM in which running requests may finish. Then uvicorn closes their connections.
_LAST_SECONDS = 8
#: Seconds after SIGTERM until the process ends, even if threads still compute. Service managers kill it after ten.
_END_SECONDS = 9.0
#: Seconds in which the last lines of the log are written.
_LOG_SECONDS = 1.5
#: The same if threads still compute after `_END_SECONDS`.
_LATE_LOG_SECONDS = 0.4
#: Seconds until an idle connection is closed. This is longer than the 60 seconds of common proxies, which do not repeat
#: a POST that finds its connection closed.
_IDLE_SECONDS = 75


def open_listening_socket(settings: Settings) -> socket.socket:
    """Open a listening socket at the host and port of the settings.

    Raises:
        ParameterError: the host is not an address of this machine, the port is in use, or the system's limit of open
            files is too low for `connections`.
    """
    _allow_files(settings.connections)
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ParameterError(f"host {settings.host!r}: {error.strerror or error}") from error
    family, _, _, _, address = found[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise _taken(settings, error) from error
    return made


def _taken(settings: Settings, error: OSError) -> ParameterError:
    return ParameterError(f"{settings.host}, port {settings.port}: {error.strerror or error}")


def _allow_files(connections: int) -> None:
    """Increase the process's limit of open files if needed. Raises ParameterError if the system does not allow it."""
    needed = connections + _OTHER_FILES
    now, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != now < needed:
        if resource.RLIM_INFINITY != maximum < needed:
            possible = max(maximum - _OTHER_FILES, 0)
            raise ParameterError(
                f"connections: {connections:,} need {needed:,} open files; this process may have {maximum:,} "
                f"(ulimit -Hn), enough for {possible:,} connections"
            )
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, maximum))
        except (OSError, ValueError) as error:  # macOS names no maximum, but has one
            raise ParameterError(
                f"connections: {connections:,} need {needed:,} open files, and the system refuses so many "
                f"(sysctl kern.maxfilesperproc on macOS); choose fewer connections"
            ) from error


def socket_url(listener: socket.socket) -> str:
    """Return the socket's address as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):  # type: ignore[misc]
    """A uvicorn server that calls `told` as soon as a signal ends it."""

    def __init__(self, config: uvicorn.Config, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = told

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handle SIGTERM and SIGINT."""
        self._told()
        super().handle_exit(sig, frame)


def create_server(
    service: Service, told: Callable[[], None] = lambda: None, kind: Callable[..., Server] = Server
) -> Server:
    """Return a uvicorn server for the service, with the limits of the settings.

    Args:
        service: the service.
        told: called when a signal ends the server.
        kind: makes the server of uvicorn's settings and `told`.
    """
    config = uvicorn.Config(
        application(service),
        http=functools.partial(BoundedProtocol, Turns()),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        limit_concurrency=service.settings.connections + 1,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    return kind(config, told)


def serve(
    models: Models,
    settings: Settings,
    listener: socket.socket,
    address_file: Path | None = None,
    greeting: bool = False,
) -> None:
    """Answer requests until SIGTERM, SIGHUP or SIGINT. Then finish the accepted requests, for some seconds.

    If threads still compute after these seconds, the process ends with the exit code 0, and this does not return.

    Args:
        models: the models to serve.
        settings: the limits.
        listener: a socket from `open_listening_socket`.
        address_file: a file into which the address is written while the server listens.
        greeting: print one line with the address.

    Raises:
        ParameterError: the address file cannot be written, or another process took the port.
    """

    def announced(ending: ExitStack) -> None:
        listen(listener, settings)
        names = [model.name for model in models]
        announce(ending, listener, names, address_file, greeting, slots=settings.slots)

    def unannounced() -> None:
        if address_file is not None:
            address_file.unlink(missing_ok=True)

    run_server(Service(models, settings), announced, [listener], unannounced)


def listen(listener: socket.socket, settings: Settings) -> None:
    """Let clients connect to the socket. Raise ParameterError if another process took the port."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:  # two sockets may bind one port until one of them listens
        raise _taken(settings, error) from error


def announce(
    ending: ExitStack,
    listener: socket.socket,
    names: list[str],
    address_file: Path | None,
    greeting: bool,
    **fields: Any,
) -> None:
    """Write the address of a service that listens to its file, the log and the terminal.

    Args:
        ending: removes the file at the end.
        listener: the service's socket.
        names: the names of the models.
        address_file: a file into which the address is written until `ending` ends.
        greeting: print one line with the address.
        fields: further fields of the line of the log.

    Raises:
        ParameterError: the address file cannot be written.
    """
    address = socket_url(listener)
    if address_file is not None:
        with replace_atomically(address_file, ParameterError) as stream:
            stream.write(address.encode())
        ending.callback(address_file.unlink, missing_ok=True)
    log_event("listening", address=address, models=names, **fields)
    if greeting:
        print(f"Serving {', '.join(names)} at {address} (Ctrl-C ends it)", flush=True)


def run_server(
    service: Service,
    ready: Callable[[ExitStack], None],
    listeners: list[socket.socket],
    abandoned: Callable[[], None] = lambda: None,
    kind: Callable[..., Server] = Server,
    ended: str = "ended",
) -> None:
    """Warm up a service and answer requests until a signal ends it, as `serve` describes.

    Args:
        service: the service.
        ready: called when the service can answer, with a stack of what is done at the end.
        listeners: sockets that listen when `ready` returns.
        abandoned: called before the process ends while threads still compute.
        kind: makes the server, as for `create_server`.
        ended: the event of the last line of the log.

    Raises:
        ParameterError: the process may not use enough memory.
        Exception: any error of `ready`.
    """
    return_large_blocks()
    told, done = threading.Event(), threading.Event()
    server = create_server(service, told.set, kind)

    def end(_number: int, _frame: Any) -> None:
        told.set()
        server.should_exit = True

    def leave_in_time() -> None:
        told.wait()
        if done.wait(_END_SECONDS):
            return
        # No thread of Python or of the engine can be stopped while it computes, so the process ends without them.
        try:
            log_event(ended, abandoned=True)
            finish_log(_LATE_LOG_SECONDS)
            abandoned()
        finally:
            os._exit(0)

    threading.Thread(target=leave_in_time, name="mpscnn-serve-end", daemon=True).start()
    with ExitStack() as ending:
        ending.callback(told.set)
        ending.callback(done.set)
        # These handlers cover the time before uvicorn installs its own. They also cover the time after uvicorn has
        # removed its own, when it raises the signal again. uvicorn has none for SIGHUP.
        for number in (signal.SIGINT, *ENDING):
            handle(ending, number, end)
        ending.callback(finish_log, _LOG_SECONDS)
        ending.callback(done.set)
        ending.callback(log_event, ended)
        ending.callback(service.close)
        warm_up(service)
        ready(ending)
        server.run(sockets=listeners)


_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # M_MMAP_THRESHOLD and M_ARENA_MAX of glibc's malloc.h
_LARGE = 1 << 20


def return_large_blocks() -> None:
    """Let glibc return each block of at least 1 MiB to the system as soon as it is freed.

    After the first large block, glibc raises its own limit to up to 32 MiB. It then keeps the memory of photos for each
    thread that decoded one: 630 MB after eight photos of 7000 x 7000 pixels, 27 MB with this limit. Other C libraries
    have no such setting and stay as they are.

    If the address space is limited (ulimit -v), all threads share one area for small blocks. Otherwise each thread
    would reserve 64 MiB, whatever it needs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            mallopt(_ARENA_MAX, 1)
