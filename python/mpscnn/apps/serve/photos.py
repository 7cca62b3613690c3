"""Decode the photos of requests within the service's memory for decoded photos."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

from mpscnn.apps.serve.limits import Share, WaitedError
from mpscnn.errors import ImageError
from mpscnn.vision.photo import Photo, open_content

#: The largest number of pixels of a photo that is decoded next to others. Pillow copies pixels while it holds Python's
#: global lock, which takes up to 2 ns for each. Several larger photos would stop the event loop for too long.
_LARGE = 1 << 24
_PAUSE = 0.001  # seconds after a large photo in which other threads get the lock


class PhotoMemory:
    """Decodes the photos of one request, and counts their pixels in a budget.

    The pixels are known from a file's header. If too many are in memory, decoding waits until other requests have freed
    theirs. All that a photo needs is reserved together: a request that waited again while it holds memory could wait
    for ever.

    Args:
        share: the request's share of the budget.
        turn: held while a large photo is decoded. It belongs to all requests.
        until: the request's deadline, by `time.monotonic`.
        is_drawn: whether the result is drawn on the photo, which needs as much memory again.
    """

    def __init__(self, share: Share, turn: threading.Lock, until: float, is_drawn: bool = False) -> None:
        self._share = share
        self._turn = turn
        self._until = until
        self._drawn = int(is_drawn)

    def open(self, content: bytes | memoryview, max_pixels: int) -> Photo:
        """Decode a photo. Raise the errors of `open_content`, or WaitedError if there is no room until the deadline."""
        with ExitStack() as decoding:

            def reserve(pixels: int) -> None:
                self._share.wait(pixels * (1 + self._drawn), self._until)
                if pixels > _LARGE:
                    self._begin_turn()
                    decoding.callback(self._end_turn)

            try:
                return open_content(content, max_pixels, reserve)
            except ImageError as error:
                if isinstance(error.__cause__, WaitedError):
                    raise error.__cause__ from None
                raise

    def _begin_turn(self) -> None:
        seconds = min(max(self._until - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
        if not self._turn.acquire(timeout=seconds):
            raise WaitedError

    def _end_turn(self) -> None:
        self._turn.release()
        time.sleep(_PAUSE)

    def free(self) -> None:
        """Return the memory of the photos, which must not be used any more."""
        self._share.reduce_to(0)
