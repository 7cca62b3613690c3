"""Run the HTTP server: open its socket, set uvicorn's limits, and shut down on signals."""

from __future__ import annotations

import resource
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvicorn

from mpscnn._private.files import replacing
from mpscnn.apps.serve.application import application
from mpscnn.apps.serve.hosting import Models
from mpscnn.apps.serve.logs import event
from mpscnn.apps.serve.service import Service
from mpscnn.apps.serve.settings import Settings
from mpscnn.errors import ParameterError

__all__ = ["address_of", "listening", "serve", "server_of"]

_BACKLOG = 2_048
#: Files that the process opens besides connections: libraries, models, the log.
_OTHER_FILES = 128
#: Seconds after SIGTERM in which running requests may finish.
_LAST_SECONDS = 8


def listening(settings: Settings) -> socket.socket:
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
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, maximum))


def address_of(listener: socket.socket) -> str:
    """Return the socket's address as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(service: Service) -> uvicorn.Server:
    """Return a uvicorn server for the service, with the limits of the settings."""
    config = uvicorn.Config(
        application(service),
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        limit_concurrency=service.settings.connections + 1,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    return uvicorn.Server(config)


def serve(
    models: Models,
    settings: Settings,
    listener: socket.socket,
    address_file: Path | None = None,
    greeting: bool = False,
) -> None:
    """Answer requests until SIGTERM or SIGINT. Then finish the accepted requests, for some seconds.

    Args:
        models: the models to serve.
        settings: the limits.
        listener: a socket from `listening`.
        address_file: a file into which the address is written while the server listens.
        greeting: print one line with the address.

    Raises:
        ParameterError: the address file cannot be written, or another process took the port.
    """
    service = Service(models, settings)
    server = server_of(service)

    def end(_number: int, _frame: Any) -> None:
        server.should_exit = True

    with ExitStack() as ending:
        # These handlers cover the time before uvicorn installs its own and after it, when uvicorn raises the signal
        # again.
        for number in (signal.SIGINT, signal.SIGTERM):
            ending.callback(signal.signal, number, signal.signal(number, end))
        ending.callback(event, "ended")
        ending.callback(service.close)
        try:
            listener.listen(_BACKLOG)
        except OSError as error:  # two sockets may bind one port until one of them listens
            raise _taken(settings, error) from error
        address = address_of(listener)
        if address_file is not None:
            with replacing(address_file, ParameterError) as stream:
                stream.write(address.encode())
            ending.callback(address_file.unlink, missing_ok=True)
        names = [model.name for model in models]
        event("listening", address=address, models=names, slots=settings.slots)
        if greeting:
            print(f"Serving {', '.join(names)} at {address} (Ctrl-C ends it)", flush=True)
        server.run(sockets=[listener])
