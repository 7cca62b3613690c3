"""One line of JSON on stderr for each request and event; and the counting of requests."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from typing import Any

from mpscnn.serve.fast_routes import ROUTE
from mpscnn.serve.metrics import Metrics

__all__ = ["Observed", "event", "log_to_stderr"]

_LEVELS = ("debug", "info", "warning", "error")


class _Threshold:
    """From which level on lines are written."""

    informs = True


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {"source": record.name}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _line(record.levelname.lower(), record.getMessage(), fields)


def _line(level: str, what: str, fields: dict[str, Any]) -> str:
    now = time.time()
    whole = int(now)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return json.dumps(
        {"time": f"{moment}.{int(1000 * (now - whole)):03}Z", "level": level, "event": what, **fields}
    )


def log_to_stderr(level: str) -> None:
    """What the service, uvicorn and asyncio have to say from `level` ("debug", "info", "warning", "error") on."""
    _Threshold.informs = _LEVELS.index(level) <= _LEVELS.index("info")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name in ("uvicorn", "asyncio", "concurrent.futures"):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.propagate = False
        # Of starting and ending this service says itself what uvicorn says.
        log.setLevel("WARNING" if level == "info" else level.upper())


def event(what: str, **fields: Any) -> None:
    """Something that happened to the service."""
    # A log that nobody takes any more, or that has no room, is no reason to answer nobody.
    if _Threshold.informs and sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(_line("info", what, fields) + "\n")
            sys.stderr.flush()


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
            route = scope.get(ROUTE) or getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            client = scope.get("client")
            about = {"model": scope["mpscnn.model"]} if "mpscnn.model" in scope else {}
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
