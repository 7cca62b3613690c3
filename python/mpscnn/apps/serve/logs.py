"""Log requests and events on stderr as lines of JSON or as text, and count requests for the metrics."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import re
import select
import sys
import threading
import time
import warnings
from collections import deque
from dataclasses import dataclass
from typing import Any, TextIO

from mpscnn.apps.serve.metrics import Metrics

_LOG = logging.getLogger("mpscnn.apps.serve")
#: Characters of lines that may wait until the log is read: some 20,000 requests.
_HELD = 4_000_000
_REQUEST_ID = b"x-request-id"
#: Identities that clients may choose. Others could forge lines of a log.
_IDENTITY = re.compile(rb"[A-Za-z0-9._-]{1,128}")
#: Draws the other identities. They are not secret, and asking the system for each takes ten times as long.
_random = random.Random(os.urandom(16))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(16)))


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
    """Lines of text for people. Texts of clients are escaped, so that they cannot forge lines or control a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        about = "".join(f" {name}={value!r}" for name, value in fields.items())
        line = f"{record.levelname.lower()}: {_escaped(record.getMessage())}{about}"
        trace = self.formatException(record.exc_info).splitlines() if record.exc_info else ()
        return "\n".join([line, *("    " + _escaped(part) for part in trace)])


def _escaped(text: str) -> str:
    """Return the text with escapes for line ends and other characters that are not printable."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Handler(logging.Handler):
    """Write lines in a separate thread, so that no request waits for the reader of the log.

    If the reader stalls, `_HELD` characters wait for it, and further lines are dropped. The log reports their number as
    soon as it is read again. Errors of writing, such as a full disk, also drop lines: the service continues to answer.

    Lines are formatted before they wait, because an exception would keep the memory of its request. They are written
    to the file descriptor: a thread that waits inside a Python stream would keep the stream's lock when Python ends.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque()
        self._held = 0
        """The characters of the lines that are not written yet."""
        self._dropped = 0
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
        except (TypeError, ValueError):  # the message does not fit its arguments
            line = f"{record.levelname.lower()}: {record.msg!r}\n"
        with self._changed:
            if self._held + len(line) > _HELD:
                self._dropped += 1
                return
            self._lines.append(line)
            self._held += len(line)
            self._changed.notify_all()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="mpscnn-serve-log", daemon=True)
                self._writer.start()

    def finish(self, seconds: float) -> None:
        """Wait until all lines are written, at most for some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held, seconds)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._lines))
                line, dropped = self._lines.popleft(), self._dropped
            report = self._report(dropped) if dropped else ""
            try:
                content = (report + line).encode("utf-8", "backslashreplace")
                while content:
                    content = content[os.write(self._stream.fileno(), content) :]
                failed = False
            except (OSError, ValueError):  # ValueError: the stream is closed
                failed = True
            with self._changed:
                self._dropped += 1 if failed else -dropped
                self._held -= len(line)
                self._changed.notify_all()

    def _report(self, dropped: int) -> str:
        message = "lines of the log were dropped, because it was not read or could not be written"
        record = logging.LogRecord(_LOG.name, logging.WARNING, "", 0, message, None, None)
        record.fields = {"lines": dropped}
        return self.format(record) + "\n"


class _DirectHandler(logging.Handler):
    """Write lines without a thread, in processes that fork. A line is dropped if its reader stalls."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        content = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError, ValueError):
            if select.select((), (self._stream,), (), 0)[1]:
                os.write(self._stream.fileno(), content)


@dataclass(frozen=True)
class LogFormat:
    """The lines of the log.

    Args:
        level: the lowest level that is written: "debug", "info", "warning" or "error".
        as_json: write one line of JSON for each record. Otherwise write text; requests are then written only if `level`
            is "debug".
    """

    level: str
    as_json: bool


def log_to_stderr(lines: LogFormat, forks: bool = False) -> None:
    """Write the logs of the service, uvicorn and asyncio, and Python's warnings, to stderr.

    Args:
        lines: the lines.
        forks: whether this process forks others, and so may have no thread.
    """
    level, as_json = lines.level, lines.as_json
    handler = (_DirectHandler if forks else _Handler)(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Text())
    for name in (_LOG.name, "uvicorn", "asyncio", "concurrent.futures"):
        log = logging.getLogger(name)
        log.handlers[:] = [handler]
        log.propagate = False
        # On the level "info", only the service's own lines of JSON are complete. Its text, and all that uvicorn and
        # asyncio write, is limited to warnings and errors.
        quiet = level == "info" and not (log is _LOG and as_json)
        log.setLevel("WARNING" if quiet else level.upper())
    # Warnings about a model, such as that of a slow precision, are lines of the log, too.
    warnings.showwarning = lambda message, *_: _LOG.warning("%s", message, extra={"fields": {}})
    # Damaged forms get a response with status 400 instead of a warning.
    logging.getLogger("python_multipart").setLevel("ERROR")


def log_event(what: str, **fields: Any) -> None:
    """Log an event of the service."""
    if _LOG.isEnabledFor(logging.INFO):
        _LOG.info(what, extra={"fields": fields})


def log_warning(what: str, **fields: Any) -> None:
    """Log an event that the operator should know."""
    _LOG.warning(what, extra={"fields": fields})


def log_failure(what: str, error: Exception) -> None:
    """Log an unexpected error with its traceback."""
    _LOG.error(what, exc_info=error, extra={"fields": {}})


def finish_log(seconds: float) -> None:
    """Wait until the lines of the log are written, at most for some seconds."""
    for handler in _LOG.handlers:
        if isinstance(handler, _Handler):
            handler.finish(seconds)


def _request_id(scope: Any) -> str:
    """Return the identity of a request: that of its header X-Request-ID, or a random one."""
    given = next((value for name, value in scope.get("headers", ()) if name.lower() == _REQUEST_ID), b"")
    found = _IDENTITY.fullmatch(given)
    return given.decode() if found else f"{_random.getrandbits(64):016x}"


class Observed:
    """ASGI middleware that logs and counts each request when its response is complete.

    Each response has the header X-Request-ID, and so does the line of the log.
    """

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
        identity = _request_id(scope)

        async def counted(message: Any) -> None:
            nonlocal status, count
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (_REQUEST_ID, identity.encode())]
                message = {**message, "headers": headers}
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
            model = inner.get("mpscnn.model", "")
            self._metrics.requests.labels(route, str(status), model).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            client = scope.get("client")
            about = {"model": model} if model else {}
            log_event(
                "request",
                id=identity,
                method=scope["method"],
                path=scope["path"],
                status=status,
                milliseconds=round(1000 * seconds, 3),
                bytes=count,
                client=client[0] if client else None,
                **about,
            )
