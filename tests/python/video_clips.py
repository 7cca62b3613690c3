"""Make video clips for tests, and a live source whose frames come when a test sends them."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mpscnn
from mpscnn.apps.video.source import VideoFrame, VideoSource
from mpscnn.vision.photo import open_photo

SIZE = (64, 48)
"""(width, height)."""
CAT = mpscnn.samples.photo("cat")


def photo_that_moves(count: int, size: tuple[int, int] = SIZE) -> Iterator[NDArray[np.uint8]]:
    """Yield RGB frames: a window that moves over a photo."""
    width, height = size
    photo = np.asarray(Image.open(CAT).convert("RGB").resize((2 * width, 2 * height)))
    for i in range(count):
        yield np.ascontiguousarray(photo[i % height : i % height + height, i % width : i % width + width])


def shades(count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield RGB frames whose gray value is four times their number."""
    for i in range(count):
        yield np.full((SIZE[1], SIZE[0], 3), 4 * i, np.uint8)


def write_clip(
    path: Path,
    frames: Iterator[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write RGB frames as a video. `times`: the frames' times in units of 1 / `rate` seconds; None: 0, 1, ..."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, rate)
        for i, pixels in enumerate(frames):
            if i == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i if times is None else times[i], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turned(clip: Path, a: int, b: int, c: int, d: int) -> Path:
    """Return a copy of an MP4 file with another display matrix, whose elements are -1, 0 or 1."""
    content = bytearray(clip.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path = clip.with_name(f"turned_{clip.name}")
    path.write_bytes(content)
    return path


class FakeCamera(VideoSource):
    """A live source. `give` lets frames come, and `end` disconnects it."""

    name = "camera:0"
    live = True

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure
        self._wanted = threading.Semaphore(0)
        self._given = threading.Semaphore(0)
        self._ended = threading.Event()
        self.closed = threading.Event()

    def give(self, count: int) -> None:
        """Let `count` frames come. Return when the reader has taken all but the last of them."""
        for _ in range(count):
            self._wanted.release()
        for _ in range(count):
            self._given.acquire()

    def end(self) -> None:
        self._ended.set()
        self._wanted.release()

    def frames(self) -> Iterator[VideoFrame]:
        number = 0
        while True:
            self._wanted.acquire()
            if self._ended.is_set():
                break
            self._given.release()
            photo = np.full((8, 8, 3), number, np.uint8)
            yield VideoFrame(number, number / 25, open_photo(photo), time.perf_counter())
            number += 1
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.closed.set()
