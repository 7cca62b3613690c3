"""Log requests and events on stderr as lines of JSON or as text, and count requests for the metrics."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from mpscnn.apps.serve.metrics import Metrics

__all__ = ["Observed", "event", "log_to_stderr"]

_LOG = logging.getLogger("mpscnn.apps.serve")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = getattr(record, "fields", {"source": record.name})
        if record.exc_info:
            fields = {**fields, "exception": self.formatException(record.exc_info)}
        return json.dumps(
            {
                "time": f"{moment}.{int(record.msecs):03}Z",
                "level": record.levelname.lower(),
                "event": record.getMessage(),
                **fields,
            }
        )


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        about = "".join(f" {name}={value}" for name, value in fields.items())
        return f"{record.levelname.lower()}: {super().format(record)}{about}"


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore errors of writing the log, such as a full disk: the service continues to answer."""


def log_to_stderr(level: str, as_json: bool) -> None:
    """Write the logs of the service, uvicorn and asyncio to stderr.

    Args:
        level: the lowest level that is written: "debug", "info", "warning" or "error".
        as_json: write one line of JSON for each record. Otherwise write text; requests are then written only if `level`
            is "debug".
    """
    handler = _Handler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Text())
    for name in (_LOG.name, "uvicorn", "asyncio", "concurrent.futures"):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.propagate = False
        # On the level "info", only the service's own lines of JSON are complete. Its text, and all that uvicorn and
        # asyncio write, is limited to warnings and errors.
        quiet = level == "info" and not (log is _LOG and as_json)
        log.setLevel("WARNING" if quiet else level.upper())
    logging.getLogger("python_multipart").setLevel(
        "ERROR"
    )  # damaged forms get a response with status 400 instead


def event(what: str, **fields: Any) -> None:
    """Log an event of the service."""
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.info(what, extra={"fields": fields})


class Observed:
    """ASGI middleware that logs and counts each request when its response is complete."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request. HEAD is handled like GET, and the server omits the body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500
        count = 0

        async def counted(message: Any) -> None:
            nonlocal status, count
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                count += len(message.get("body", b""))
            await send(message)

        inner = {**scope, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}
        try:
            await self._app(inner, receive, counted)
        finally:
            seconds = time.perf_counter() - begun
            # Metrics are labelled with the route's pattern: the number of different paths has no limit.
            route = getattr(inner.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            client = scope.get("client")
            about = {"model": inner["mpscnn.model"]} if "mpscnn.model" in inner else {}
            event(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round(1000 * seconds, 3),
                bytes=count,
                client=client[0] if client else None,
                **about,
            )
