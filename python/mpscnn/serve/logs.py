"""One line of JSON on stderr for each request and event; and the counting of requests."""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
from datetime import datetime, timezone
from typing import Any

from mpscnn.serve.metrics import Metrics

__all__ = ["Observed", "event", "log_to_stderr"]

_LOG = logging.getLogger("mpscnn.serve")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(level: str) -> None:
    """What this package and uvicorn have to say from `level` ("debug", "info", "warning", "error") on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name in ("mpscnn.serve", "uvicorn", "asyncio"):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.propagate = False
        log.setLevel(level.upper())
    # Its lines of starting and ending say what ours say.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger("uvicorn").level))


def event(what: str, **fields: Any) -> None:
    """Something that happened to the service."""
    _LOG.info(what, extra={"fields": fields})


class Observed:
    """ASGI middleware that logs and counts each request at the end of its answer."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
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

        try:
            await self._app(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - begun
            # The pattern, not the path, of which there may be any number.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            if _LOG.isEnabledFor(logging.INFO):
                client = scope.get("client")
                fields = {
                    "id": secrets.token_hex(6),
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "milliseconds": round(1000 * seconds, 3),
                    "bytes": count,
                    "client": client[0] if client else None,
                }
                if "mpscnn.model" in scope:
                    fields["model"] = scope["mpscnn.model"]
                _LOG.info("request", extra={"fields": fields})
