"""A small RTSP server (RFC 2326) with one H.264 stream inside the connection. Its frames are sent in real time."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CLOCK = 90_000
_LARGEST = 1_300  # the largest payload of a packet in bytes


class RtspServer:
    """A server of `rtsp://127.0.0.1:PORT/camera`, for one client after another.

    Args:
        frames: RGB frames of one size.
        rate: frames per second.
        silent: after the last frame, keep the connection open and send nothing.
    """

    def __init__(self, frames: Iterator[NDArray[np.uint8]], rate: int = 25, *, silent: bool = False) -> None:
        self._units = list(_encoded(frames, rate))
        self._rate = rate
        self._silent = silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"
        self._end = threading.Event()
        self.sent = 0
        """The number of frames sent."""
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> RtspServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._end.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._talk(connection)
                except OSError:  # the client has closed the connection
                    continue

    def _talk(self, connection: socket.socket) -> None:
        received = b""
        connection.settimeout(0.2)
        while not self._end.is_set():
            while b"\r\n\r\n" not in received:
                try:
                    part = connection.recv(65_536)
                except TimeoutError:
                    if self._end.is_set():
                        return
                    continue
                if not part:
                    return
                received += part
            head, _, received = received.partition(b"\r\n\r\n")
            request = head.decode()
            method = request.split(" ", 1)[0]
            found = re.search(r"^CSeq: *(\d+)", request, re.MULTILINE | re.IGNORECASE)
            assert found is not None
            status, more = self._answer(method, request)
            body = more.pop("body", "")
            fields = "".join(f"{name}: {value}\r\n" for name, value in more.items())
            answer = f"RTSP/1.0 {status}\r\nCSeq: {found[1]}\r\n{fields}\r\n{body}"
            connection.sendall(answer.encode())
            if method == "PLAY":
                self._play(connection)
                while self._silent and not self._end.wait(0.05):
                    pass
                return

    def _answer(self, method: str, request: str) -> tuple[str, dict[str, str]]:
        if method == "OPTIONS":
            return "200 OK", {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}
        if method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                f"a=rtpmap:96 H264/{_CLOCK}\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n"
            )
            return "200 OK", {
                "Content-Type": "application/sdp",
                "Content-Base": f"{self.address}/",
                "Content-Length": str(len(body)),
                "body": body,
            }
        if method == "SETUP":
            if "interleaved=" not in request:
                return "461 Unsupported Transport", {}
            return "200 OK", {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": "1"}
        return "200 OK", {"Session": "1"}

    def _play(self, connection: socket.socket) -> None:
        begun = time.monotonic()
        number = 0
        for i, units in enumerate(self._units):
            if self._end.wait(max(0.0, begun + i / self._rate - time.monotonic())):
                return
            packets = [packet for unit in units for packet in _packets(unit)]
            for j, payload in enumerate(packets):
                marker = 0x80 if j == len(packets) - 1 else 0
                header = struct.pack(">BBHII", 0x80, 96 | marker, number, i * _CLOCK // self._rate, 1)
                number += 1
                connection.sendall(
                    struct.pack(">cBH", b"$", 0, len(header) + len(payload)) + header + payload
                )
            self.sent = i + 1


def _encoded(frames: Iterator[NDArray[np.uint8]], rate: int) -> Iterator[list[bytes]]:
    """Yield the H.264 units of each frame."""
    import av

    encoder: Any = None
    for i, pixels in enumerate(frames):
        if encoder is None:
            encoder = av.CodecContext.create("libx264", "w")
            encoder.height, encoder.width = pixels.shape[:2]
            encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, rate)
            encoder.options = {"tune": "zerolatency", "g": "5"}
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = i, Fraction(1, rate)
        for packet in encoder.encode(frame):
            yield [unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit]


def _packets(unit: bytes) -> Iterator[bytes]:
    """Yield a unit as RTP payloads (RFC 6184): whole, or in fragments."""
    if len(unit) <= _LARGEST:
        yield unit
        return
    indicator, kind, content = (unit[0] & 0xE0) | 28, unit[0] & 0x1F, unit[1:]
    for start in range(0, len(content), _LARGEST):
        first = 0x80 if start == 0 else 0
        last = 0x40 if start + _LARGEST >= len(content) else 0
        yield bytes([indicator, first | last | kind]) + content[start : start + _LARGEST]
