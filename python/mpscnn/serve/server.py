"""From a socket to an end that finishes what was taken."""

from __future__ import annotations

import signal
import socket
from typing import Any

import uvicorn

from mpscnn.errors import ParameterError
from mpscnn.serve.application import application
from mpscnn.serve.hosting import Models
from mpscnn.serve.logs import event
from mpscnn.serve.service import Service
from mpscnn.serve.settings import Settings

__all__ = ["address_of", "listening", "serve"]

_BACKLOG = 2_048
#: Seconds beyond the deadline of requests for answers that clients are slow to take.
_LAST_ANSWERS = 5


def listening(settings: Settings) -> socket.socket:
    """A socket at the settings' host and port. Raises ParameterError for a host that is not this machine's, OSError."""
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
        raise ParameterError(f"{settings.host}, port {settings.port}: {error.strerror or error}") from error
    return made


def address_of(listener: socket.socket) -> str:
    """For browsers."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(models: Models, settings: Settings, listener: socket.socket) -> None:
    """Answers requests until SIGTERM or SIGINT, then those that it has taken."""
    service = Service(models, settings)
    config = uvicorn.Config(
        application(service),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        limit_concurrency=settings.connections,
        timeout_graceful_shutdown=int(settings.deadline) + _LAST_ANSWERS,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signals that have ended it once more.
    handlers = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        listener.listen(_BACKLOG)
        event(
            "listening",
            address=address_of(listener),
            models=[model.name for model in models],
            slots=settings.slots,
        )
        server.run(sockets=[listener])
    finally:
        service.close()
        event("ended")
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _nothing(_number: int, _frame: Any) -> None:
    pass
