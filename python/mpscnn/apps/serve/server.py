"""The server: its socket, its limits, and its end."""

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
#: Open files that are not connections: libraries, models, the log.
_OTHER_FILES = 128
#: Seconds in which requests are finished after SIGTERM.
_LAST_SECONDS = 8


def listening(settings: Settings) -> socket.socket:
    """Return a socket at the host and port of the settings.

    Raises:
        ParameterError: the host is not this machine's, the port is taken, or there may be more connections
            than open files.
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
    """Raise the limit of open files of this process, where that is allowed."""
    needed = connections + _OTHER_FILES
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != now < needed:
        if resource.RLIM_INFINITY != most < needed:
            possible = max(most - _OTHER_FILES, 0)
            raise ParameterError(
                f"connections: {connections:,} need {needed:,} open files; this process may have {most:,} "
                f"(ulimit -Hn), enough for {possible:,} connections"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))


def address_of(listener: socket.socket) -> str:
    """Return the address for browsers."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(service: Service) -> uvicorn.Server:
    """Return uvicorn's server of the application, with the limits of the settings."""
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
    """Answer requests until SIGTERM or SIGINT, then those that it has taken, for some seconds.

    Args:
        models: what is served.
        settings: the limits.
        listener: a socket that `listening` has made.
        address_file: where its address is written while it listens.
        greeting: print one line for people.

    Raises:
        ParameterError: the address file cannot be written, or another process listens at the port meanwhile.
    """
    service = Service(models, settings)
    server = server_of(service)

    def end(_number: int, _frame: Any) -> None:
        server.should_exit = True

    with ExitStack() as ending:
        # A signal may come before uvicorn has its own handlers, and uvicorn raises it once more at its end.
        for number in (signal.SIGINT, signal.SIGTERM):
            ending.callback(signal.signal, number, signal.signal(number, end))
        ending.callback(event, "ended")
        ending.callback(service.close)
        try:
            listener.listen(_BACKLOG)
        except OSError as error:  # two sockets may be bound to a port before one of them listens
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
