"""Connections within limits: how many, how long a request may take to come, and an answer to be taken."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mpscnn.serve.logs import event
from mpscnn.serve.service import Service

__all__ = ["ONE_TOO_MANY", "RESERVE", "Connection"]

#: Of a request's scope: whether its connection is one more than may be open.
ONE_TOO_MANY = "mpscnn.one_too_many"
#: Connections beyond the limit whose requests are read, to be answered with 503. Others are closed at once.
RESERVE = 64

_HEAD_SECONDS = 10.0
_HEAD_BYTES = 65_536
_HEAD_FIELDS = 100
#: After which a connection makes room for another one; before, its request may be on its way.
_IDLE_SECONDS = 1.0
#: Requests of one connection that wait for the answer to the one before.
_PIPELINED = 16
#: Seconds beyond a deadline, in which the application itself answers.
_LAST = 5.0
#: Seconds in which what a refused client still sends is thrown away, so that it sees the answer.
_LINGER = 2.0
_NO_HTTP = "BadRequest"


class _RefusedHeadError(Exception):
    pass


class Connection(HttpToolsProtocol):  # type: ignore[misc]
    """One of a service's, as uvicorn has them.

    Args:
        service: whose settings are the limits.
        arguments: uvicorn's.
    """

    cycle: Any
    """The latest request and its answer, or None."""

    def __init__(self, service: Service, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._service = service
        self._in_head = False
        self._in_body = False
        self._one_too_many = False
        self._refusal = (HTTPStatus.BAD_REQUEST, _NO_HTTP, "this is not HTTP")
        self._pending = 0
        """Bytes since the parser gave something on: a head's, or what chunks have beside their content."""
        self._idle_since = 0.0
        self._arrival: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._lingering = False
        self._deaf = False
        """Whether what comes is thrown away: it is behind the last request that is answered."""

    # ---- How many ----

    def connection_made(self, transport: Any) -> None:
        """Closes the one that has been idle longest, where there is one too many."""
        super().connection_made(transport)
        self._idle_since = time.monotonic()
        self._await_head()
        most = self._service.settings.connections
        if len(self.connections) <= most:
            return
        latest = self._idle_since - _IDLE_SECONDS
        idle = [one for one in self.connections if one.is_idle and one._idle_since < latest]
        if idle:
            min(idle, key=lambda one: one._idle_since)._leave()
            return
        self._one_too_many = True
        if len(self.connections) > most + RESERVE:
            self._service.metrics.refused.labels("connections").inc()
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "TooManyConnections", "too many connections are open"
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, and keeps nothing that leads back to it."""
        super().connection_lost(exc)
        self._stop_waiting()
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None
        self.cycle = None
        self.pipeline.clear()

    @property
    def is_idle(self) -> bool:
        """Whether there is no request."""
        return not (self._in_head or self._in_body) and (self.cycle is None or self.cycle.response_complete)

    # ---- Requests ----

    def data_received(self, data: bytes) -> None:
        """Bytes of requests, or behind a refused one."""
        if self._deaf:
            return
        self._pending += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to nothing that there is: answered as HTTP
        except httptools.HttpParserError:
            if self._refusal[1] == _NO_HTTP and self._is_answering():
                self._deaf = True
                self.cycle.keep_alive = False
                self._in_head = False
                self._stop_waiting()
            else:
                self._refuse(*self._refusal)
            return
        if self._pending > _HEAD_BYTES:
            self._refuse(*self._too_large())
        elif not (self._in_head or self._in_body):
            self._stop_waiting()
        elif self._arrival is None and not self._lingering:
            if self._in_head:
                self._await_head()
            else:
                self._await_body()

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        if self.is_leaving or len(self.pipeline) >= _PIPELINED:
            self._refuse_head(
                (HTTPStatus.BAD_REQUEST, "TooManyRequests", "too many requests before the first answer")
            )
        super().on_message_begin()
        self._in_head = True
        if self._one_too_many:
            self.scope[ONE_TOO_MANY] = True

    def on_url(self, url: bytes) -> None:
        """A part of it."""
        super().on_url(url)
        if len(self.url) > _HEAD_BYTES:
            self._refuse_head(self._too_large())

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or behind a body in chunks, where it is not needed."""
        if self._in_head:
            super().on_header(name, value)
            if len(self.headers) > _HEAD_FIELDS:
                self._refuse_head(self._too_large())

    def on_headers_complete(self) -> None:
        """The application begins."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _HEAD_BYTES:
            self._refuse_head(self._too_large())
        super().on_headers_complete()
        # Who closes a connection while more of the request comes would take its answer away from the client.
        self.cycle.transport = _Lingering(self)
        self._in_head, self._in_body = False, True
        self._pending = 0
        self._stop_waiting()

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        super().on_body(body)
        self._pending = 0

    def on_message_complete(self) -> None:
        """The end of a request."""
        super().on_message_complete()
        self._in_body = False
        self._pending = 0
        if self._lingering:
            self._leave()

    def on_response_complete(self) -> None:
        """The end of an answer."""
        super().on_response_complete()
        self._idle_since = time.monotonic()

    def _is_answering(self) -> bool:
        """Whether a request has come completely, and its answer has not gone."""
        return self.cycle is not None and not self._in_body and not self.cycle.response_complete

    def _refuse_head(self, refusal: tuple[HTTPStatus, str, str]) -> None:
        self._refusal = refusal
        raise _RefusedHeadError  # httptools makes it an error of the parser's

    def _too_large(self) -> tuple[HTTPStatus, str, str]:
        return (
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "HeadTooLarge",
            f"a request's head may have {_HEAD_BYTES:,} bytes and {_HEAD_FIELDS} fields",
        )

    # ---- Time ----

    def _await_head(self) -> None:
        seconds = min(_HEAD_SECONDS, self._service.settings.deadline)
        self._arrival = self.loop.call_later(seconds, self._head_is_late)

    def _await_body(self) -> None:
        """Of a request whose body nobody reads: an application that does gives up before."""
        self._arrival = self.loop.call_later(self._service.settings.deadline + _LAST, self._body_is_late)

    def _stop_waiting(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _head_is_late(self) -> None:
        self._arrival = None
        if not self._in_head:  # a connection on which nothing was said
            self._leave()
            return
        self._service.metrics.refused.labels("head").inc()
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "HeadTooSlow", "the request's head did not come in time")

    def _body_is_late(self) -> None:
        self._arrival = None
        if self.pipeline:  # it waits for the answer to another one
            self._await_body()
        else:
            self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        self._leave()

    def pause_writing(self) -> None:
        """The client takes its answer slowly."""
        super().pause_writing()
        if self._departure is None:
            self._depart(self._service.settings.deadline, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        super().resume_writing()
        if self._departure is not None and not self.is_leaving:
            self._departure.cancel()
            self._departure = None

    # ---- The end ----

    def linger(self) -> None:
        """Closes the connection behind the answer; what still comes of the request is thrown away first."""
        if not self._in_body or self._lingering:
            self._leave()
            return
        self._lingering = True
        self.pipeline.clear()
        self._stop_waiting()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._depart(_LINGER, self._leave)

    @property
    def is_leaving(self) -> bool:
        """Whether nothing more is answered."""
        return self._lingering or self.transport.is_closing()

    def _leave(self) -> None:
        """Closes the connection, once what was answered is taken."""
        if self.transport.is_closing():
            return
        self.transport.close()
        self._depart(self._service.settings.deadline, self.transport.abort)

    def _depart(self, seconds: float, how: Callable[[], None]) -> None:
        if self._departure is not None:
            self._departure.cancel()
        self._departure = self.loop.call_later(seconds, how)

    def _refuse(self, status: HTTPStatus, kind: str, message: str) -> None:
        """Answers without the application, if it is not in the midst of an answer, and closes the connection."""
        self._stop_waiting()
        if self.is_leaving:
            self._leave()
            return
        event("refused", status=status.value, kind=kind, client=self.client[0] if self.client else None)
        if self._is_unanswered():
            if self.cycle is not None:
                self.cycle.disconnected = True  # the application answers nobody
            body = json.dumps({"error": kind, "message": message}).encode()
            retry = (
                f"retry-after: {self._service.retry_after()}\r\n"
                if status == HTTPStatus.SERVICE_UNAVAILABLE
                else ""
            )
            head = (
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self._leave()

    def _is_unanswered(self) -> bool:
        """Whether the request that is refused is the only one without an answer."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self._in_body and not self.cycle.response_started and not self.pipeline


class _Lingering:
    """A connection's transport as its answers see it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.write = connection.transport.write

    def is_closing(self) -> bool:
        return self._connection.is_leaving

    def close(self) -> None:
        self._connection.linger()
