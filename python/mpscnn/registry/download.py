"""Download a published file over https: resume after interruptions, and stop if it is larger than announced."""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from mpscnn._private.own_files import open_own, own_size
from mpscnn._private.printable import printable
from mpscnn.errors import DownloadError
from mpscnn.registry.cache import difference, instructions
from mpscnn.registry.progress import progress_bar
from mpscnn.registry.published_file import PublishedFile

_CHUNK = 1 << 16
_MAX_SHOWN = 200  # characters of a server's text in a message
_MAX_DIGITS = 20  # the digits of a number of bytes
_HEAD_SECONDS = 60.0  # the time in which the head of an answer must arrive
_HEAD_BYTES = 1 << 20  # the bytes of an answer beside its content; as many as the content are allowed besides
_LEAST_SECONDS = 0.001  # a timeout of 0 would mean something else
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_Progress = Callable[[str, int | None], contextlib.AbstractContextManager[Callable[[int], None]]]


class _Transient(Exception):
    """A failure that another attempt may avoid."""


class _Permanent(Exception):
    """A failure that would happen again in every attempt."""


class _WrongBytes(Exception):
    """A base class of failures after which the .part file must be deleted: it is not the beginning of the file."""


class _WrongRange(_WrongBytes, _Transient):
    """The server cannot continue where the .part file ends. The next attempt starts from the beginning."""


class _WrongSize(_WrongBytes, _Permanent):
    """The server's file has another size than the published one."""


def is_https(url: str) -> bool:
    """Return True if the URL has a host and the scheme https. Other URLs are never contacted."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname)
    except ValueError:  # for example with an incomplete IPv6 address
        return False


@dataclass
class _Limits:
    """The limits of one download."""

    max_bytes: int
    max_seconds: float
    end: float
    """The time of `time.monotonic()` at which it is given up."""

    def check(self, done: int) -> None:
        """Raise _Permanent if a limit is exceeded."""
        if done > self.max_bytes:
            raise _Permanent(f"the file has more than {self.max_bytes} bytes")
        if time.monotonic() > self.end:
            raise _Permanent(f"the file has not arrived within {self.max_seconds:g} seconds")


@dataclass(frozen=True)
class Client:
    """Settings of downloads. Tests replace some of them."""

    allowed: Callable[[str], bool] = is_https
    """A function that returns whether a URL may be contacted. It is also asked for redirects."""
    timeout: float = 30.0
    """Seconds without data after which a connection is given up."""
    attempts: int = 4
    first_pause: float = 0.5
    """Seconds before the second attempt. Each further pause is twice as long."""
    sleep: Callable[[float], None] = time.sleep
    progress: _Progress = progress_bar

    def download(self, file: PublishedFile, destination: Path) -> None:
        """Download the file to `destination`. The caller must hold its lock.

        If the transfer fails or is interrupted, the received bytes stay in `destination` + ".part", and the next call
        continues there. Raises DownloadError.
        """
        part = destination.with_name(destination.name + ".part")
        try:
            with self.progress(file.name, file.size) as report:
                self._fetch(file, part, report)
            if wrong := difference(part, file):
                part.unlink()
                raise _Permanent(f"the file received has {wrong}; it has been deleted")
            part.replace(destination)
        except (_Permanent, _Transient) as error:
            raise DownloadError(f"cannot download {file.url}: {error}.\n{instructions(file)}") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise DownloadError(f"cannot write {part}: {reason}.\n{instructions(file)}") from error

    def download_url(self, url: str, destination: Path, max_bytes: int, max_seconds: float) -> None:
        """Download a file of unknown size to `destination`. The caller must hold its lock.

        Raises DownloadError, also if the file is larger than `max_bytes` or does not arrive within `max_seconds`.
        """
        part = destination.with_name(destination.name + ".part")
        limits = _Limits(max_bytes, max_seconds, time.monotonic() + max_seconds)
        try:
            with self.progress(destination.name, None) as report:
                self._repeat(lambda: self._receive(url, part, limits, report))
            part.replace(destination)
        except (_Permanent, _Transient) as error:
            part.unlink(missing_ok=True)
            raise DownloadError(f"cannot download {url}: {error}") from error
        except OSError as error:
            raise DownloadError(f"cannot write {part}: {error.strerror or error}") from error

    def _receive(self, url: str, part: Path, limits: _Limits, report: Callable[[int], None]) -> None:
        with _network_errors():
            response = self._open(url, 0, limits)
        with response:
            announced = response.headers.get("Content-Length", "")[:_MAX_DIGITS]
            if announced.isdecimal() and int(announced) > limits.max_bytes:
                raise _Permanent(f"the file has {_shown(announced)} bytes, {limits.max_bytes} are allowed")
            done = 0
            with _open_part(part, 0) as stream:
                for chunk in _chunks(response, limits.max_bytes):
                    done += len(chunk)
                    limits.check(done)
                    stream.write(chunk)
                    report(done)
        if announced.isdecimal() and done < int(announced):
            raise _Transient(f"the connection ended after {done} of {announced} bytes")

    def _fetch(self, file: PublishedFile, part: Path, report: Callable[[int], None]) -> None:
        self._repeat(lambda: self._attempt(file, part, report))

    def _repeat(self, attempt_once: Callable[[], None]) -> None:
        """Call a function until it succeeds, at most `attempts` times. Failures other than _Transient are raised."""
        for attempt in range(1, self.attempts + 1):
            try:
                attempt_once()
                return
            except _Transient as error:
                if attempt == self.attempts:
                    raise _Transient(f"{error}, after {attempt} attempts") from error
                self.sleep(self.first_pause * 2 ** (attempt - 1))

    def _attempt(self, file: PublishedFile, part: Path, report: Callable[[int], None]) -> None:
        start = own_size(part)
        if start == file.size:
            return
        if start > _size(file):
            part.unlink()
            start = 0
        try:
            with _network_errors():
                limits = _Limits(_size(file), _HEAD_SECONDS, time.monotonic() + _HEAD_SECONDS)
                response = self._open(file.url, start, limits)
            with response:
                limits.end = math.inf  # the body may take any time, as long as bytes arrive
                if response.status != http.client.PARTIAL_CONTENT:
                    start = 0
                size = _announced_size(response, file, start)
                with _open_part(part, start) as stream:
                    _copy(response, stream, start, size, report)
        except _WrongBytes:
            part.unlink(missing_ok=True)
            raise

    def _open(self, url: str, start: int, limits: _Limits) -> Any:
        headers = {"User-Agent": "mpscnn"}
        if start:
            headers["Range"] = f"bytes={start}-"
        if not self.allowed(url):
            raise _Permanent("only https is allowed")
        bounded = [kind(limits, self.timeout) for kind in (_BoundedHttp, _BoundedHttps)]
        opener = urllib.request.build_opener(_CheckedRedirects(self.allowed), *bounded)
        return opener.open(urllib.request.Request(url, headers=headers), timeout=self.timeout)


class _BoundedStream(io.RawIOBase):
    """The bytes of an answer as they arrive, within limits.

    Python's modules bound single lines, but not the number of interim answers, of lines after the last chunk, and of
    bytes beside the content of chunks, and a timeout only bounds the time until the next byte.
    """

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, limits: _Limits, timeout: float) -> None:
        self._connection = connection
        self._raw = raw
        self._limits = limits
        self._timeout = timeout
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._limits.end - time.monotonic()
        self._connection.settimeout(max(min(self._timeout, left), _LEAST_SECONDS))
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            self._limits.check(0)
            raise
        self._received += count or 0
        self._limits.check(self._received // 2 - _HEAD_BYTES)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedAnswers(urllib.request.AbstractHTTPHandler):
    """Opens connections whose answers are read through a `_BoundedStream`."""

    def __init__(self, limits: _Limits, timeout: float) -> None:
        super().__init__()
        self._limits = limits
        self._timeout = timeout

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> Any:
        def answer(connection: socket.socket, *arguments: Any, **named: Any) -> http.client.HTTPResponse:
            made = http.client.HTTPResponse(connection, *arguments, **named)
            raw = made.fp.detach()
            made.fp = io.BufferedReader(_BoundedStream(connection, raw, self._limits, self._timeout))
            return made

        def connect(host: str, **named: Any) -> Any:
            made = http_class(host, **named)
            made.response_class = answer
            return made

        return super().do_open(connect, req, **options)


class _BoundedHttp(_BoundedAnswers, urllib.request.HTTPHandler):
    pass


class _BoundedHttps(_BoundedAnswers, urllib.request.HTTPSHandler):
    pass


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self._allowed = allowed

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> Any:
        fp.close()
        # The base class reads the whole body of a redirect, which may be of any size.
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not self._allowed(newurl):
            raise _Permanent(f"the server redirects to {_shown(newurl)}, but only https is allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _shown(sent: object) -> str:
    return printable(str(sent)[:_MAX_SHOWN])


@contextlib.contextmanager
def _network_errors() -> Iterator[None]:
    """Turn errors of urllib into _Transient or _Permanent failures."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        message = f"HTTP {error.code} {_shown(error.reason)}"
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _WrongRange(message) from error
        raise (_Transient if error.code in _TRANSIENT_STATUS else _Permanent)(message) from error
    except urllib.error.URLError as error:
        # An unknown host or an untrusted certificate will not change within seconds, and offline users should not wait.
        lasting = isinstance(error.reason, (socket.gaierror, ssl.SSLCertVerificationError))
        raise (_Permanent if lasting else _Transient)(_shown(error.reason)) from error
    except (http.client.InvalidURL, ValueError, OverflowError) as error:
        # The URL of a redirect or proxy is malformed: its host, its port, or its characters.
        raise _Permanent(f"malformed URL or redirect: {_shown(error)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Transient(_shown(error) or type(error).__name__) from error


def _announced_size(response: Any, file: PublishedFile, start: int) -> int:
    """Return the size of the whole file from the response's headers.

    Raises an error if the body cannot complete the file from `start` on, before reading it.
    """
    if response.status == http.client.PARTIAL_CONTENT:
        announced = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d{1,20})-\d+/(\d+|\*)", announced.strip())
        if match is None or int(match[1]) != start:
            raise _WrongRange(f"asked for bytes from {start} on, the server sent {_shown(announced)!r}")
        size = match[2]
    else:
        size = response.headers.get("Content-Length", "*")
    if size not in ("*", str(file.size)):
        raise _WrongSize(f"the server's file has {_shown(size)} bytes instead of {file.size}")
    return _size(file)


def _size(file: PublishedFile) -> int:
    return file.size


def _open_part(part: Path, start: int) -> IO[bytes]:
    """Open a .part file to append to its first `start` bytes."""
    stream = os.fdopen(open_own(part, os.O_WRONLY | os.O_APPEND, is_written=True), "ab")
    stream.truncate(start)
    return stream


def _copy(response: Any, stream: IO[bytes], start: int, size: int, report: Callable[[int], None]) -> None:
    done = start
    for chunk in _chunks(response, size - start):
        done += len(chunk)
        if done > size:
            raise _WrongSize(f"the server sends more than the expected {size} bytes")
        stream.write(chunk)
        report(done)
    if done < size:
        raise _Transient(f"the connection ended after {done} of {size} bytes")


def _chunks(response: Any, size: int) -> Iterator[bytes]:
    """Yield the parts of a body as they arrive, until it ends or has one byte more than `size`."""
    left = size + 1
    while left:
        with _network_errors():
            # read1 returns the bytes that have arrived, so none are lost if the connection stalls.
            chunk = response.read1(min(_CHUNK, left))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk
