"""Bound what a connection costs before a request reaches the application.

uvicorn's protocol passes all received bytes to a parser without limits: it keeps a head of any length, and prepares
all requests that a client sends at once. The protocol here passes on one section at a time: a head, a plain body, or a
part of a body in chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mpscnn.apps.serve.failures import RefusedError, refusal_answer
from mpscnn.apps.serve.turns import Turns

#: The largest number of bytes of a head, of what lies between two bytes of a body in chunks, and of what follows it.
HEAD_BYTES = 65_536
#: The largest number of fields of a head.
HEAD_FIELDS = 100
#: The bytes of a head that is parsed as soon as it is received. A long path in percent encoding takes milliseconds, and
#: many connections may send one at the same time.
_SHORT_HEAD = 4_096
#: The end of a head, and of the fields after a body in chunks.
_END = b"\r\n\r\n"
_OVERLAP = len(_END) - 1
#: Bytes of chunks that are parsed in one turn. A chunk of one byte has six bytes and costs some microseconds.
_TURN_BYTES = 16_384
#: Seconds in which more bytes of a refused client are received and dropped. If the connection were closed at once,
#: clients that send all before they read would lose the answer.
_LINGER = 1.0
#: Seconds that a client may let an answer wait. Each `_TAKEN` bytes that it takes give it a second more.
_PATIENCE = 30.0
_TAKEN = 65_536
#: Seconds after the last bytes of a request in which a client may close its sending side and still gets the answer. One
#: that closes later has given up: the two look the same.
_HALF_CLOSE = 0.5
#: Seconds after the service was told to end, in which a new connection may still begin its first request.
_LAST_HEAD = 0.3


class _Flow(FlowControl):  # type: ignore[misc]
    """Flow control that reads nothing from a connection while received bytes wait."""

    def __init__(self, connection: BoundedProtocol) -> None:
        super().__init__(connection.transport)
        self._connection: BoundedProtocol | None = connection

    def end(self) -> None:
        """Forget the connection, which is lost."""
        self._connection = None

    def resume_reading(self) -> None:
        """Parse the bytes that wait, or read more."""
        if self._connection is None:
            return
        if self._connection.has_bytes:
            self._connection.ask()
        elif self.read_paused:
            self._connection.mark_reading()
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):  # type: ignore[misc]
    """uvicorn's protocol with bounded heads, chunk extensions and trailers, and one request at a time.

    A connection is closed if a head is not complete `timeout_keep_alive` seconds after the connection was made, or
    after the previous response. It is also closed if the client takes a response too slowly, since a response is in
    memory until then.

    Args:
        turns: the turns of all connections of the server.
        options: the arguments of uvicorn's protocol.
    """

    def __init__(self, turns: Turns, **options: Any) -> None:
        super().__init__(**options)
        self._turns = turns
        self._asks = False
        """Whether the connection waits for its turn."""
        self.url = b""
        self._received = b""
        self._place = 0
        """The index of the first byte of `_received` that is not parsed yet."""
        self._refused = False
        self._may_begin = False
        self._unsent = 0
        """The number of bytes that the system did not take from the last write."""
        self._patience = _PATIENCE
        self._end: asyncio.TimerHandle | None = None
        """The time at which the connection ends unless the client takes all bytes before."""
        self._sender_closed = False
        """Whether the client sends nothing more, and waits for answers."""
        self._service_ends = False
        self.when_lost: Callable[[], None] = lambda: None
        """Called when the connection is lost."""
        self.mark_reading()
        self._expect_head()

    def _expect_head(self) -> None:
        self._in_request = False
        """Whether the first byte of a request is parsed, and the last one is not."""
        self._in_head = True
        self._body_left = 0
        """The number of missing bytes of a plain body; 0 for a body in chunks."""
        self._overhead = 0
        """The number of bytes since the end of the last request, or since the last byte of a body in chunks."""
        self._fields = -1  # the first line is not a field

    @property
    def has_bytes(self) -> bool:
        """Return True if received bytes wait to be parsed."""
        return self._place < len(self._received)

    def mark_reading(self) -> None:
        """Remember that bytes were received now, or are read again. The end of the bytes is noticed after that."""
        self._reading_since = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # `pause_writing` is called for each byte that must wait
        self.flow = _Flow(self)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, error: Exception | None) -> None:
        """Drop what waits."""
        self._drop()
        self._unset_keepalive_if_required()
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(error)
        self.flow.end()
        self.when_lost()

    def pause_writing(self) -> None:
        """Begin to wait for the client, which has not taken all bytes."""
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._end = self.loop.call_later(self._patience, self._give_up)

    def resume_writing(self) -> None:
        """Go on, since the client has taken all bytes."""
        if self._end is not None:
            left = self._end.when() - self.loop.time()
            self._patience = min(left + self._unsent / _TAKEN, _PATIENCE)
            self._end.cancel()
        super().resume_writing()

    def _give_up(self) -> None:
        self.logger.warning("Closed a connection whose client takes the answer too slowly.")
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse a short head or a plain body at once, and everything else when it is this connection's turn."""
        if self._refused:
            return
        self.mark_reading()
        waited = self.has_bytes
        self._received = self._received[max(self._place - _OVERLAP, 0) :] + data
        self._place = min(self._place, _OVERLAP)
        if waited or self._in_chunks or self._in_long_head:
            self.flow.pause_reading()
            self.ask()
        else:
            self.parse()

    def eof_received(self) -> bool:
        """Keep the connection for the answers to a client that has just sent its last request."""
        if self.transport.is_closing():
            return False
        recent = self.loop.time() - self._reading_since <= _HALF_CLOSE
        self._sender_closed = self._sender_closed or (self._is_answering and recent)
        self._end_half_closed()
        return self._sender_closed

    @property
    def _is_answering(self) -> bool:
        """Return True if a complete request is not answered yet."""
        complete = self.cycle is not None and not self.cycle.more_body
        return self.has_bytes or (complete and not self.cycle.response_complete)

    def _end_half_closed(self) -> None:
        """Close the connection of a client that sends nothing more, after the last answer."""
        if not self._sender_closed or self.has_bytes:
            return
        if self._is_answering:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Begin the next request, or close the connection of a client that sends nothing more."""
        super().on_response_complete()
        self._end_half_closed()

    def shutdown(self) -> None:
        """End the connection after its answer. A new one may still begin a request, which the client has sent."""
        self._service_ends = True
        if self.cycle is not None:
            super().shutdown()
        else:
            self.loop.call_later(_LAST_HEAD, self._close_unused)

    def retire(self) -> None:
        """End the connection after its next answer, which says so, or when it is idle for too long."""
        self._service_ends = True
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def _close_unused(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def ask(self) -> None:
        """Call `parse` when it is this connection's turn. A connection that waits already gets only one turn."""
        if not self._asks:
            self._asks = True
            self._turns.ask(self._begin_turn)

    def _begin_turn(self) -> None:
        self._asks = False
        self.parse()

    def parse(self) -> None:
        """Parse received bytes up to the end of a request, or a part of a body in chunks."""
        turn_end = self._place + _TURN_BYTES
        while self._may_parse and not (self._in_chunks and self._place >= turn_end):
            self._parse_section(turn_end)
        if self.transport.is_closing():
            return
        if self.has_bytes:
            self.flow.pause_reading()
            if self._may_parse:
                self.ask()
            return
        self._end_half_closed()
        self._received = self._received[-_OVERLAP:]
        self._place = len(self._received)
        if self.cycle is None or len(self.cycle.body) <= HIGH_WATER_LIMIT:
            self.flow.resume_reading()  # otherwise the application does so when it takes the body

    @property
    def _in_chunks(self) -> bool:
        return not self._in_head and not self._body_left

    @property
    def _in_long_head(self) -> bool:
        return self._in_head and self._overhead + len(self._received) - self._place > _SHORT_HEAD

    @property
    def _may_parse(self) -> bool:
        """Return True unless the last request must be answered before, or the application must take its body."""
        if not self.has_bytes or self.transport.is_closing():
            return False
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self._in_request and len(self.cycle.body) <= HIGH_WATER_LIMIT

    def _parse_section(self, turn_end: int) -> None:
        """Parse up to the next place where a request may end, or to the last byte that was received."""
        end = len(self._received)
        if self._body_left:
            end = min(end, self._place + self._body_left)
        else:
            end = min(end, turn_end) if self._in_chunks else end
            found = self._received.find(_END, max(self._place - _OVERLAP, 0), end)
            end = end if found < 0 else found + len(_END)
            self._overhead += end - self._place
            self._fields += self._received.count(b"\n", self._place, end) if self._in_head else 0
            # The empty line after the fields is counted, too.
            if self._overhead > HEAD_BYTES or self._fields > HEAD_FIELDS + 1:
                self._refuse()
                return
        section = memoryview(self._received)[self._place : end]
        self._place = end
        self._may_begin = not self._in_request
        try:
            self.parser.feed_data(section)
        except httptools.HttpParserUpgrade:
            # The parser has skipped the body of this request, so no bytes after it are parsed.
            self.cycle.keep_alive = False
            self._drop()
        except httptools.HttpParserError:
            message = "Invalid HTTP request received."
            self.logger.warning(message)
            self.send_400_response(message)

    def _refuse(self) -> None:
        """Answer with status 431 if that is still possible, and close the connection."""
        self._refused = True
        self._drop()
        message = f"a request's head may have {HEAD_BYTES:,} bytes and {HEAD_FIELDS} fields"
        self.logger.warning("Refused a request: %s.", message)
        if self._in_request and not self._in_head:
            started = self.cycle.response_started
            self.cycle.disconnected = True  # so the application sends nothing any more
            self.cycle.message_event.set()
            if started:
                self.transport.close()
                return
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        answer = refusal_answer(self.url.decode("latin-1"), RefusedError(status, "HeadTooLarge", message))
        fields = [*answer.raw_headers, (b"connection", b"close")]
        head = [f"HTTP/1.1 {status} {status.phrase}".encode(), *(b": ".join(field) for field in fields)]
        self.transport.write(b"\r\n".join([*head, b"", answer.body]))
        self.flow.resume_reading()
        self.loop.call_later(_LINGER, self.transport.close)

    def _drop(self) -> None:
        self._received, self._place = b"", 0

    # ---- Callbacks of the parser ----

    def on_message_begin(self) -> None:
        """Begin a request, if one may begin in this section."""
        if not self._may_begin:  # the parser has found an end of the last request where no section ends
            raise httptools.HttpParserError("a request begins within a section")
        self._may_begin = False
        self._in_request = True
        self._patience = _PATIENCE
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head. Fields after a body in chunks are dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request."""
        super().on_headers_complete()
        if self._service_ends:
            self.cycle.keep_alive = False
        self._unset_keepalive_if_required()
        self._in_head = False
        self._overhead = 0
        fields = dict(self.headers)
        if b"transfer-encoding" not in fields:
            self._body_left = int(fields.get(b"content-length", b"0"))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_left = max(self._body_left - len(body), 0)
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        super().on_message_complete()
        self._expect_head()
