"""Test the limits of connections of `mpscnn serve` without sockets: sizes, order, turns, and the framing of bodies."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from serving import require_packages

require_packages()

import uvicorn  # noqa: E402 - needs the packages
from uvicorn.server import ServerState  # noqa: E402

from mpscnn.apps.serve.connection import HEAD_BYTES, HEAD_FIELDS, BoundedProtocol  # noqa: E402
from mpscnn.apps.serve.turns import Turns  # noqa: E402

LIVE = b"GET /live HTTP/1.1\r\n\r\n"
CHUNKS = b"POST /chunks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


class Transport(asyncio.Transport):
    """A connection to a client that takes all bytes at once, or when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.waiting = 0
        self.reading = True
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (0, None)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True


Connection = tuple[BoundedProtocol, Transport]


class Application:
    """An ASGI application that answers with the path and the body, and records how many requests run."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.paths: list[str] = []
        self.fields: list[list[tuple[bytes, bytes]]] = []
        self.steps: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.paths.append(scope["path"])
        self.steps.append(Step.count)
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                self.running -= 1
                return
            body += message["body"]
            more = message["more_body"]
        self.fields.append(scope["headers"])
        content = scope["path"].encode() + b":" + body
        self.running -= 1
        length = b"%d" % len(content)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": content})


class Step:
    """Counts the steps of the event loop."""

    count = 0


class Server:
    """Makes connections to an application in the running event loop."""

    def __init__(self, protocol: type[BoundedProtocol]) -> None:
        self.application = Application()
        self.config = uvicorn.Config(self.application, lifespan="off", ws="none", log_config=None)
        self.state = ServerState()
        self._protocol = protocol
        self._turns = Turns()
        self._connections: list[Connection] = []

    def connect(self) -> Connection:
        protocol = self._protocol(self._turns, config=self.config, server_state=self.state, app_state={})
        transport = Transport()
        protocol.connection_made(transport)
        self._connections.append((protocol, transport))
        return protocol, transport

    async def close(self) -> None:
        for protocol, transport in self._connections:
            transport.close()
            protocol.connection_lost(None)
        await settle(lambda: not self.state.tasks, steps=1_000)


def served(
    test: Callable[[Server], Coroutine[Any, Any, None]], protocol: type[BoundedProtocol] = BoundedProtocol
) -> None:
    """Run a test with a server in an event loop."""

    async def run() -> None:
        server = Server(protocol)
        await test(server)
        await server.close()

    asyncio.run(run())


async def settle(done: Callable[[], bool] = lambda: False, steps: int = 50) -> None:
    """Let the event loop make some steps."""
    for _ in range(steps):
        if done():
            return
        Step.count += 1
        await asyncio.sleep(0)


def send(protocol: BoundedProtocol, transport: Transport, data: bytes) -> bool:
    """Give bytes to a connection if it reads. Return True if it did."""
    if transport.reading and not transport.closed:
        protocol.data_received(data)
        return True
    return False


def bodies(written: bytes) -> list[bytes]:
    """Return the bodies of responses, each with a content-length."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        written = rest[length:]
    return found


def head_of(size: int) -> bytes:
    """Return a head of as many bytes."""
    begin = b"GET /live HTTP/1.1\r\nX: "
    return begin + b"x" * (size - len(begin) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize("part", [1_000, 65_536, 262_144])
@pytest.mark.parametrize(("size", "accepted"), [(HEAD_BYTES, True), (HEAD_BYTES + 1, False)])
def test_the_largest_head(size: int, accepted: bool, part: int) -> None:
    async def run(server: Server) -> None:
        protocol, transport = server.connect()
        head = head_of(size)
        for begin in range(0, size, part):
            await settle(lambda: transport.reading)
            send(protocol, transport, head[begin : begin + part])
        await settle()
        if accepted:
            assert bodies(transport.written) == [b"/live:"]
            return
        assert transport.written.startswith(TOO_LARGE)
        assert b"a request's head may have 65,536 bytes and 100 fields" in transport.written
        assert b"connection: close" in transport.written

    served(run)


def test_each_long_head_is_parsed_in_a_step_of_its_own() -> None:
    """A path in percent encoding takes milliseconds, and the last bytes of many heads may arrive in one step."""
    count = 20

    async def run(server: Server) -> None:
        head = b"GET /" + b"%41" * 20_000 + b" HTTP/1.1\r\n\r\n"
        connections = [server.connect() for _ in range(count)]
        for protocol, transport in connections:
            send(protocol, transport, head[:-2])
        await settle()
        assert server.application.paths == []
        for protocol, transport in connections:
            assert send(protocol, transport, head[-2:])
        await settle()
        assert server.application.paths == ["/" + "A" * 20_000] * count
        assert len(set(server.application.steps)) == count

    served(run)


@pytest.mark.parametrize(("count", "accepted"), [(HEAD_FIELDS, True), (HEAD_FIELDS + 1, False)])
def test_the_largest_number_of_fields(count: int, accepted: bool) -> None:
    async def run(server: Server) -> None:
        protocol, transport = server.connect()
        send(protocol, transport, b"GET /live HTTP/1.1\r\n" + b"a:b\r\n" * count + b"\r\n")
        await settle()
        assert transport.written.startswith(b"HTTP/1.1 200 " if accepted else TOO_LARGE)

    served(run)


#: The beginnings of requests, and what is repeated without end after them.
ENDLESS = {
    "a field": (b"GET /live HTTP/1.1\r\nX: ", b"x" * 1_000),
    "fields": (b"GET /live HTTP/1.1\r\n", b"a:b\r\n" * 200),
    "an address": (b"GET /", b"x" * 1_000),
    "line ends": (b"", b"\r\n" * 500),
    "fields after chunks": (CHUNKS + b"1\r\nx\r\n0\r\n", b"a:b\r\n" * 200),
    "a field after chunks": (CHUNKS + b"1\r\nx\r\n0\r\nX: ", b"x" * 1_000),
    "the extension of a chunk": (CHUNKS + b"1;", b"x" * 1_000),
    "a chunk's length": (CHUNKS, b"0" * 1_000),
}


@pytest.mark.parametrize(("begin", "repeated"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_refused(begin: bytes, repeated: bytes) -> None:
    """The client sends 20 MB. The connection answers, closes after a second and keeps nothing."""

    async def run(server: Server) -> None:
        application = server.application
        protocol, transport = server.connect()
        repeat = 65 * repeated
        peak = 0
        send(protocol, transport, begin)
        tracemalloc.start()
        try:
            for _ in range(20_000_000 // len(repeat)):
                send(protocol, transport, repeat)
                await settle(steps=8)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert transport.written.startswith((TOO_LARGE, b"HTTP/1.1 400 "))
        assert transport.written.count(b"HTTP/1.1") == 1
        assert peak < 700_000
        assert application.fields == []
        assert application.running == 0

    served(run)


def test_a_refused_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpscnn.apps.serve.connection._LINGER", 0.0)

    async def run(server: Server) -> None:
        protocol, transport = server.connect()
        send(protocol, transport, head_of(HEAD_BYTES + 1))
        assert not transport.closed
        while not transport.closed:
            await asyncio.sleep(0.001)

    served(run)


def test_fields_after_chunks_are_not_fields_of_the_request() -> None:
    async def run(server: Server) -> None:
        application = server.application
        protocol, transport = server.connect()
        trailer = b"Authorization: Bearer x\r\n" * 500
        send(protocol, transport, CHUNKS + b"3;a=b\r\nabc\r\n0\r\n" + trailer + b"\r\n" + LIVE)
        await settle()
        assert bodies(transport.written) == [b"/chunks:abc", b"/live:"]
        assert application.fields == [[(b"transfer-encoding", b"chunked")], []]

    served(run)


def test_requests_of_one_connection_are_answered_one_at_a_time_and_in_order() -> None:
    async def run(server: Server) -> None:
        application = server.application
        protocol, transport = server.connect()
        paths = [f"/{number}" for number in range(1_000)]
        send(protocol, transport, b"".join(f"GET {path} HTTP/1.1\r\n\r\n".encode() for path in paths))
        most = 0
        for _ in range(10_000):
            most = max(most, len(server.state.tasks))
            if len(application.paths) < len(paths) - 1:
                assert not transport.reading
            await settle(steps=1)
        assert application.paths == paths
        assert bodies(transport.written) == [path.encode() + b":" for path in paths]
        assert (application.most, most) == (1, 1)
        assert transport.reading

    served(run)


def test_requests_that_wait_are_not_read_in_larger_numbers() -> None:
    """A client that does not stop to send has as many bytes in memory as one read returns."""

    async def run(server: Server) -> None:
        application = server.application
        protocol, transport = server.connect()
        requests = b"GET /live HTTP/1.1\r\n\r\n" * 2_000
        reads = 0
        for _ in range(30):
            reads += send(protocol, transport, requests)
            await settle(steps=1)
        assert len(application.paths) < 30
        assert reads == 1

    served(run)


def test_a_new_connection_does_not_wait_for_those_that_have_sent_many_requests() -> None:
    async def run(server: Server) -> None:
        application = server.application
        for _ in range(100):
            protocol, transport = server.connect()
            send(protocol, transport, b"GET /many HTTP/1.1\r\n\r\n" * 1_000)
        await settle(steps=200)
        before, begun = len(application.paths), Step.count
        protocol, transport = server.connect()
        send(protocol, transport, LIVE)
        await settle(lambda: bool(transport.written), steps=1_000)
        steps = Step.count - begun
        assert steps <= 3
        assert len(application.paths) - before <= 2 * steps
        await settle(steps=1_000)
        assert application.paths.count("/many") > 300  # the others go on, one request in a step

    served(run)


def test_chunks_are_parsed_in_parts() -> None:
    """Connections with bodies in chunks of one byte have turns: each step of the event loop parses 16 kB of one."""
    chunks = 0

    class Counting(BoundedProtocol):
        def on_body(self, body: bytes) -> None:
            nonlocal chunks
            chunks += 1
            super().on_body(body)

    async def run(server: Server) -> None:
        nonlocal chunks
        connections = [server.connect() for _ in range(20)]
        for connection in connections:
            send(*connection, CHUNKS)
            send(*connection, b"1\r\nx\r\n" * 40_000)
        parsed = []
        for _ in range(50):
            chunks = 0
            await settle(steps=1)
            parsed.append(chunks)
        assert 1_000 < max(parsed) <= 16_384 / 6 + 1

    served(run, Counting)


def test_a_silent_connection_is_closed_and_a_slow_head_does_not_keep_it() -> None:
    async def run(server: Server) -> None:
        server.config.timeout_keep_alive = 0.05
        silent, slow, answered, working = (server.connect() for _ in range(4))
        send(*answered, LIVE)
        send(*working, CHUNKS + b"1\r\nx\r\n")
        for byte in LIVE[:-1]:
            send(*slow, bytes([byte]))
            await asyncio.sleep(0.01)
        assert [transport.closed for _, transport in (silent, slow, answered, working)] == [True] * 3 + [
            False
        ]
        assert bodies(answered[1].written) == [b"/live:"]

    served(run)


class Clock:
    """A clock of an event loop that a test sets forward. It has one timer."""

    def __init__(self) -> None:
        self._now = self._end = 0.0
        self._call: Callable[[], None] = self.cancel

    def time(self) -> float:
        return self._now

    def when(self) -> float:
        return self._end

    def call_later(self, seconds: float, call: Callable[[], None]) -> Clock:
        self._end, self._call = self._now + seconds, call
        return self

    def cancel(self) -> None:
        self._end = float("inf")

    def go(self, seconds: float) -> None:
        self._now += seconds
        if self._now >= self._end:
            self._call()


@pytest.mark.parametrize(
    ("taken", "seconds", "waits"), [(600_000, 9.0, True), (2_000_000, 29.0, True), (60_000, 9.0, False)]
)
def test_an_answer_waits_for_a_client_that_takes_enough(taken: int, seconds: float, waits: bool) -> None:
    """The client takes so many bytes at the end of so many seconds, again and again."""

    async def run(server: Server) -> None:
        protocol, transport = server.connect()
        clock = protocol.loop = Clock()
        ends = 0
        for _ in range(20):
            transport.waiting = taken
            protocol.pause_writing()
            clock.go(seconds)
            if transport.closed:
                break
            ends += 1
            protocol.resume_writing()
            clock.go(1_000)
        assert not transport.closed if waits else (transport.closed and ends == 3)

    served(run)


def test_an_upgrade_ends_the_connection() -> None:
    """The parser skips the body of such a request: what follows is no request."""

    async def run(server: Server) -> None:
        application = server.application
        protocol, transport = server.connect()
        fields = b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 22\r\n\r\n"
        send(protocol, transport, b"POST /socket HTTP/1.1\r\n" + fields + LIVE)
        await settle()
        assert application.paths == ["/socket"]
        assert transport.closed

    served(run)


@pytest.mark.parametrize(
    "hidden", [b"GET /a HTTP/1.1\n\nGET /b HTTP/1.1\r\n\r\n", b"GET /a HTTP/1.1\r\n\nGET /b HTTP/1.1\r\n\r\n"]
)
def test_a_request_is_never_hidden_in_another(hidden: bytes) -> None:
    async def run(server: Server) -> None:
        application = server.application
        protocol, transport = server.connect()
        send(protocol, transport, hidden)
        await settle()
        assert "/b" not in application.paths
        assert transport.closed

    served(run)


def request_and_answer(chosen: random.Random, number: int) -> tuple[bytes, bytes]:
    """Return a request with a random body, and the body of its response."""
    pieces = [
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"0",
        b"0\r\n\r\n",
        b"x",
        b"GET / HTTP/1.1\r\n\r\n",
        b"y" * 300,
    ]
    path = f"/{number}".encode()
    body = b"".join(chosen.choices(pieces, k=chosen.randrange(6)))
    between = b"\r\n" * chosen.choice([0, 0, 1, 3])
    kind = chosen.randrange(3)
    if kind == 0:
        return between + b"GET %s HTTP/1.1\r\n\r\n" % path, path + b":"
    if kind == 1:
        return between + b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (
            path,
            len(body),
            body,
        ), path + b":" + body
    chunks, left = b"", body
    while left:
        size = chosen.randint(1, len(left))
        extension = chosen.choice([b"", b"", b";a=b"])
        chunks += b"%x%s\r\n%s\r\n" % (size, extension, left[:size])
        left = left[size:]
    end = b"0\r\n" + chosen.choice([b"", b"", b"X: y\r\n", b"X: y\r\nZ: 0\r\n"]) + b"\r\n"
    head = b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    return between + head + chunks + end, path + b":" + body


@pytest.mark.parametrize("seed", range(3))
def test_requests_of_all_kinds_in_any_parts(seed: int) -> None:
    async def run(server: Server) -> None:
        chosen = random.Random(seed)
        application = server.application
        protocol, transport = server.connect()
        sent, expected = b"", []
        for number in range(150):
            request, answer = request_and_answer(chosen, number)
            sent += request
            expected.append(answer)
        while sent:
            size = chosen.choice([1, 2, 3, 7, 100, 1_000, 5_000])
            if send(protocol, transport, sent[:size]):
                sent = sent[size:]
            await settle(steps=1)
        await settle(steps=5_000)
        assert bodies(transport.written) == expected
        assert application.most == 1

    served(run)
