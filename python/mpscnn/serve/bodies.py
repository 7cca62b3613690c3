"""A request's body: within its limits, and the photo in it."""

from __future__ import annotations

import asyncio
import re
import sys
from http import HTTPStatus
from typing import Any

from fastapi import Request

from mpscnn.errors import ImageError
from mpscnn.serve.failures import ClientGoneError, RefusedError
from mpscnn.serve.held_bytes import Share

__all__ = ["photo_in", "read_body"]

_BOUNDARY = re.compile(
    r'multipart/form-data\s*;.*?\bboundary=(?:"([^"\r\n]{1,70})"|([^\s";,]{1,70}))\s*(?:;|$)', re.IGNORECASE
)
_LONGEST_PART_HEAD = 8_192
_CLOSE = {"Connection": "close"}  # what is left of the body is not read


async def read_body(request: Request, most: int, ends: float, share: Share) -> bytes:
    """All of it.

    Args:
        request: whose body nobody has read.
        most: bytes.
        ends: the loop's time by which it must be here.
        share: which holds it from now on.

    Raises:
        RefusedError: too many bytes (413), not all of it has come when `ends` comes (408), or compressed (415).
        NoRoomError. ClientGoneError.
    """
    if (coding := request.headers.get("content-encoding", "identity").lower()) != "identity":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedCoding",
            f"bodies are not read in {coding[:100]}",
            _CLOSE,
        )
    if (coding := request.headers.get("transfer-encoding", "chunked").lower()) != "chunked":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedCoding",
            f"bodies are not read in {coding[:100]}",
            _CLOSE,
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise _too_large(most)
    arrival = _Arrival(request, ends)
    try:
        return await _received(arrival, most, share)
    finally:
        arrival.end()


class _Arrival:
    """A request's messages until a time; later those that have come by then.

    As asyncio.timeout, which Python 3.10 lacks, does: its wait_for makes a task of every wait.
    """

    def __init__(self, request: Request, ends: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._request = request
        self._waits = False
        self._expired = False
        self._timer = asyncio.get_running_loop().call_at(ends, self._expire)

    def _expire(self) -> None:
        self._expired = True
        if self._waits:
            self._task.cancel()

    def _has_expired(self) -> bool:
        return self._expired

    async def message(self) -> Any:
        """The next one. Raises RefusedError with 408."""
        if not self._has_expired():
            self._waits = True
            try:
                return await self._request.receive()
            except asyncio.CancelledError:
                if not self._has_expired():
                    raise
                if sys.version_info >= (3, 11):
                    self._task.uncancel()
            finally:
                self._waits = False
        # Also what came while the loop had other work, which is no fault of the client's.
        waiting = self._request.receive()
        try:
            waiting.send(None)
        except StopIteration as ended:
            return ended.value
        finally:
            waiting.close()
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, "BodyTooSlow", "the body did not come in time", _CLOSE)

    def end(self) -> None:
        self._timer.cancel()


async def _received(arrival: _Arrival, most: int, share: Share) -> bytes:
    body: bytes | bytearray = b""
    while True:
        message = await arrival.message()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        if len(body) + len(part) > most:
            raise _too_large(most)
        share.add(len(part))
        if not message.get("more_body", False):
            return part if not body else bytes(body + part)
        # Not a list: objects for parts of a byte each take forty times as much.
        if not isinstance(body, bytearray):
            body = bytearray()
        body += part


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TooManyBytes", f"a body may have {most:,} bytes", _CLOSE
    )


def photo_in(body: bytes, content_type: str) -> bytes:
    """The bytes of an image file: the body, or of a form the first field with a file's name.

    Raises:
        ImageError: there is none, or the form is damaged.
    """
    if not content_type.lower().startswith("multipart/"):
        if not body:
            raise ImageError("the body is empty; it must be an image file, such as JPEG or PNG")
        return body
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise ImageError("a form must be multipart/form-data with a boundary of 1 to 70 characters")
    separator = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    # The first boundary may be the first line.
    position = (b"\r\n" + body).find(separator)
    if position < 0:
        raise ImageError("the form does not have its boundary")
    position += len(separator) - 2
    while body[position : position + 2] == b"\r\n":
        end = body.find(separator, position)
        if end < 0:
            raise ImageError("the form is cut off")
        head_end = body.find(b"\r\n\r\n", position, min(end, position + _LONGEST_PART_HEAD) + 4)
        if head_end < 0 or head_end > end:
            raise ImageError("a field of the form has no end of its header")
        if re.search(rb"^content-disposition:.*\bfilename\*?=", body[position:head_end], re.I | re.M):
            return body[head_end + 4 : end]
        position = end + len(separator)
    raise ImageError("the form has no file")
