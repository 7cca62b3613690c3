"""A local server for download tests. It serves one file, and sends wrong answers if a test asks for them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 1200
HALF = len(BODY) // 2
PATIENCE = 120.0
"""Seconds after which a test gives up waiting for another thread or process."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        behave = self.server.script.popleft() if self.server.script else serve
        behave(self)

    def do_CONNECT(self) -> None:
        self.server.tunnels.append(self.path)
        self.send_error(403)

    def headers_only(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves BODY. `script` has the functions that answer the next requests instead."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https" if context else "http"
        self.script: deque[Callable[[Handler], None]] = deque()
        self.ranges: list[str | None] = []
        self.tunnels: list[str] = []
        self.released = threading.Event()

    @property
    def root(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing, because tests include clients that close the connection."""


def serve(handler: Handler) -> None:
    start = int((handler.headers["Range"] or "bytes=0-")[len("bytes=") : -1])
    if start:
        content_range = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        handler.headers_only(206, Content_Length=len(BODY) - start, Content_Range=content_range)
    else:
        handler.headers_only(200, Content_Length=len(BODY))
    handler.wfile.write(BODY[start:])


def serve_from_the_beginning(handler: Handler) -> None:
    handler.headers_only(200, Content_Length=len(BODY))
    handler.wfile.write(BODY)


def close_in_the_middle(handler: Handler) -> None:
    handler.headers_only(200, Content_Length=len(BODY))
    handler.wfile.write(BODY[:HALF])


def close_in_the_middle_without_length(handler: Handler) -> None:
    handler.headers_only(200)
    handler.wfile.write(BODY[:HALF])


def reset_in_the_middle(handler: Handler) -> None:
    close_in_the_middle(handler)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def reset_at_once(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def close_in_a_chunk(handler: Handler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.close_connection = True
    handler.headers_only(200, Transfer_Encoding="chunked")
    handler.wfile.write(b"%x\r\n" % HALF + BODY[:HALF] + b"\r\n%x\r\n" % HALF)


def answer_nonsense(handler: Handler) -> None:
    handler.wfile.write(b"220 not a web server\r\n\r\n")


def stall_in_the_middle(handler: Handler) -> None:
    close_in_the_middle(handler)
    handler.server.released.wait(PATIENCE)


def serve_other_bytes(handler: Handler) -> None:
    handler.headers_only(200, Content_Length=len(BODY))
    handler.wfile.write(BODY[::-1])


def serve_another_size(handler: Handler) -> None:
    handler.headers_only(200, Content_Length=5)
    handler.wfile.write(b"login")


def serve_without_end(handler: Handler) -> None:
    handler.headers_only(200)
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(BODY)


def repeat_without_end(head: bytes, part: bytes, pause: float = 0.0) -> Callable[[Handler], None]:
    """Return a behaviour that sends a head, and a part again and again."""

    def behave(handler: Handler) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(head)
            while not handler.server.released.wait(pause):
                handler.wfile.write(part)

    return behave


def status(code: int) -> Callable[[Handler], None]:
    return lambda handler: handler.send_error(code)


def partial(content_range: str) -> Callable[[Handler], None]:
    def behave(handler: Handler) -> None:
        handler.headers_only(206, Content_Range=content_range)
        handler.wfile.write(BODY[HALF:])

    return behave


def redirect(url: str) -> Callable[[Handler], None]:
    return lambda handler: handler.headers_only(302, Location=url, Content_Length=0)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
