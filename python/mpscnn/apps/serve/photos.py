"""Decode the photos of requests within the service's memory for decoded photos."""

from __future__ import annotations

from mpscnn.apps.serve.limits import Share, WaitedError
from mpscnn.errors import ImageError
from mpscnn.vision.photo import Photo, open_content

__all__ = ["PhotoMemory"]


class PhotoMemory:
    """Decodes the photos of one request, and counts their pixels in a budget.

    The pixels are known from a file's header. If too many are in memory, decoding waits until other requests have freed
    theirs. All that a photo needs is reserved together: a request that waited again while it holds memory could wait
    for ever.

    Args:
        share: the request's share of the budget.
        until: the request's deadline, by `time.monotonic`.
        is_drawn: whether the result is drawn on the photo, which needs as much memory again.
    """

    def __init__(self, share: Share, until: float, is_drawn: bool = False) -> None:
        self._share = share
        self._until = until
        self._drawn = int(is_drawn)

    def open(self, content: bytes | memoryview, max_pixels: int) -> Photo:
        """Decode a photo. Raise the errors of `open_content`, or WaitedError if there is no room until the deadline."""
        try:
            return open_content(content, max_pixels, self._reserve)
        except ImageError as error:
            if isinstance(error.__cause__, WaitedError):
                raise error.__cause__ from None
            raise

    def _reserve(self, pixels: int) -> None:
        self._share.wait(pixels * (1 + self._drawn), self._until)

    def free(self) -> None:
        """Return the memory of the photos, which must not be used any more."""
        self._share.reduce_to(0)
