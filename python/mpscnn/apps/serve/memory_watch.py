"""Know whether the process can get memory."""

from __future__ import annotations

import time

#: Seconds after a request failed for lack of memory, in which the service is not ready unless another one succeeds.
_SECONDS = 10.0
#: The bytes that a service needs for a photo of some three million pixels.
_PHOTO_BYTES = 1 << 25


class MemoryWatch:
    """Remembers requests that failed because there was not enough memory."""

    def __init__(self) -> None:
        self._short_until = 0.0

    def note_failure(self) -> None:
        """Remember that a request failed for lack of memory."""
        self._short_until = time.monotonic() + _SECONDS

    def note_success(self) -> None:
        """Remember that a request was computed."""
        self._short_until = 0.0

    @property
    def has_failed(self) -> bool:
        """Return True if a request failed for lack of memory a moment ago, and none succeeded since."""
        return time.monotonic() < self._short_until

    @property
    def is_short(self) -> bool:
        """Return True if a decoder may have failed for lack of memory."""
        if self.has_failed:
            return True
        try:
            bytes(_PHOTO_BYTES)  # is reserved without being written
        except MemoryError:
            return True
        return False
