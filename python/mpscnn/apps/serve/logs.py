"""The log on stderr: a line of JSON for each request and event, or text for people; and the counting of requests."""

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
        """Go on: a log that nobody takes, or that has no room, is no reason to answer nobody."""


def log_to_stderr(level: str, as_json: bool) -> None:
    """Write what the service, uvicorn and asyncio have to say.

    Args:
        level: the lowest one that is written: "debug", "info", "warning" or "error".
        as_json: one line of JSON each; else text, in which requests are of the level "debug".
    """
    handler = _Handler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Text())
    for name in (_LOG.name, "uvicorn", "asyncio", "concurrent.futures"):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.propagate = False
        # The service says itself when it begins and ends.
        quiet = level == "info" and not (log is _LOG and as_json)
        log.setLevel("WARNING" if quiet else level.upper())
    logging.getLogger("python_multipart").setLevel("ERROR")  # damaged forms are answered with 400


def event(what: str, **fields: Any) -> None:
    """Log something that happened to the service."""
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.info(what, extra={"fields": fields})


class Observed:
    """ASGI middleware that logs and counts each request at the end of its answer."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request. HEAD is answered as GET; the server leaves the body out."""
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
            # There may be any number of paths, but few patterns.
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
