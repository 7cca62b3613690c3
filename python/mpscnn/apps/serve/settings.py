"""Define the settings and limits of a service."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mpscnn._private.arguments import is_finite_number, is_whole_number, name_list, whole_number
from mpscnn._private.processors import available_processors
from mpscnn.errors import ParameterError

__all__ = ["HOST_NAME", "Settings", "check_threads", "default_inflight", "is_loopback"]

#: The pattern of a host name in a Host header.
_TOKEN = 1_000  # the longest token
HOST_NAME = r"[^\[\]@/?#:,\s]+"


def default_inflight() -> int:
    """Return the default number of parallel requests: one for each core, and two more that are decoded; at most 32."""
    return min(available_processors() + 2, 32)


def check_threads(threads: object) -> None:
    """Raise ParameterError unless `threads` is "auto" or at most the number of cores.

    Clients can change `threads` by a request.
    """
    cores = available_processors()
    if threads != "auto" and not (is_whole_number(threads) and 1 <= threads <= cores):
        raise ParameterError(
            f"threads must be 'auto' or a number from 1 to {cores}, the cores of this machine, got {threads!r:.100}"
        )


@dataclass(frozen=True)
class Settings:
    """Settings and limits of a service. Raises ParameterError for a value outside its range."""

    host: str = "127.0.0.1"
    port: int = 8000
    """The TCP port; 0 means any free port."""
    token: str | None = None
    """If set, requests must have the header `Authorization: Bearer TOKEN`."""
    insecure: bool = False
    """Allow other machines to use the service without a token."""
    allowed_hosts: tuple[str, ...] = ()
    """Additional names or IP addresses by which clients may call the service, without scheme, port and brackets.

    A proxy may serve such a name to other machines, so it needs a token or `insecure`.
    """
    inflight: int = 0
    """The number of network runs in parallel, each for up to `max_batch` requests; 0 means `default_inflight`."""
    max_batch: int = 1
    """The maximum number of waiting requests that are computed together as one batch."""
    queue: int = 64
    """The number of requests that may wait in the queue."""
    deadline: float = 30.0
    """The largest number of seconds from a request's arrival to its answer."""
    max_bytes: int = 20_000_000
    """The maximum number of bytes of a request's body."""
    max_pixels: int = 50_000_000
    """The maximum number of pixels of a photo, and of all photos in one request together.

    All requests together may hold decoded photos of four times this number.
    """
    max_tensor_bytes: int = 200_000_000
    """The maximum number of bytes of a request's converted inputs, outputs and response together.

    All requests together may hold four times this number.
    """
    max_total_bytes: int = 0
    """The maximum number of bytes of all bodies in memory; 0 means 16 times `max_bytes`.

    A body is in memory until its photo is decoded or its tensors are computed.
    """
    connections: int = 1_000
    """While more connections are open, with or without a request, every request is answered with status 503."""

    def __post_init__(self) -> None:
        whole_number("port", self.port, minimum=0, maximum=65_535)
        whole_number("inflight", self.inflight, minimum=0, maximum=32)
        whole_number("max_batch", self.max_batch, maximum=1_024)
        whole_number("queue", self.queue, minimum=0, maximum=1_000_000)
        whole_number("max_bytes", self.max_bytes, maximum=2**40)
        whole_number("max_pixels", self.max_pixels, maximum=2**40)
        whole_number("max_tensor_bytes", self.max_tensor_bytes, maximum=2**50)
        whole_number("max_total_bytes", self.max_total_bytes, minimum=0, maximum=2**50)
        if self.memory_budget < self.max_bytes:
            raise ParameterError(
                f"max_total_bytes must be at least max_bytes, {self.max_bytes:,}, got {self.max_total_bytes:,}"
            )
        whole_number("connections", self.connections, maximum=1_000_000)
        if not is_finite_number(self.deadline) or not 0 < self.deadline <= 86_400:
            raise ParameterError(f"deadline must be seconds above 0 up to 86400, got {self.deadline!r}")
        token = self.token
        if token is not None and not (token.isascii() and token.isprintable() and 1 <= len(token) <= _TOKEN):
            raise ParameterError(f"token must be 1 to {_TOKEN:,} printable ASCII characters")
        for name in name_list("allowed_hosts", self.allowed_hosts):
            if not _can_be_host(name):
                raise ParameterError(
                    "--allow-host must be a host name or an IP address, without scheme, port and brackets, "
                    f"got {name!r}"
                )
        public = [self.host, *self.allowed_hosts] if not is_loopback(self.host) else self.allowed_hosts
        if public and self.token is None and not self.insecure:
            raise ParameterError(
                f"host {public[0]}: other machines reach it; give a --token that requests must bring, or --insecure "
                "to serve everybody"
            )

    @property
    def memory_budget(self) -> int:
        """Return the limit on the bytes of all bodies together."""
        return self.max_total_bytes or 16 * self.max_bytes

    @property
    def held_tensor_bytes(self) -> int:
        """Return the limit on the bytes of all requests' tensors and responses together."""
        return 4 * self.max_tensor_bytes

    @property
    def held_pixels(self) -> int:
        """Return the limit on the pixels of all decoded photos together."""
        return 4 * self.max_pixels

    @property
    def slots(self) -> int:
        """Return the number of requests that may be in progress."""
        return self.runs * self.max_batch

    @property
    def runs(self) -> int:
        """Return the number of network runs that may be in progress. One run may compute a batch of requests."""
        return self.inflight or default_inflight()


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _can_be_host(name: str) -> bool:
    """Return True if a Host header can have this name."""
    if name.isascii() and re.fullmatch(HOST_NAME, name):
        return True
    try:
        return ipaddress.ip_address(name).version == 6
    except ValueError:
        return False
