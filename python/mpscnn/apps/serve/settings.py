"""Define the settings and limits of a service."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, get_args, get_type_hints

from typer import Option

from mpscnn._private.arguments import is_finite_number, is_whole_number, name_list, whole_number
from mpscnn.errors import ParameterError
from mpscnn.runtime.library import available_processors

#: The pattern of a host name in a Host header.
_TOKEN = 1_000  # the longest token
_MOST = 2**50  # the largest limit
HOST_NAME = r"[^\[\]@/?#:,\s]+"


def default_inflight(workers: int = 1) -> int:
    """Return the default number of parallel requests of a worker process.

    It is one for each core, which the workers divide, and two more that are decoded; at most 32.
    """
    return min(-(-available_processors() // workers) + 2, 32)


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
    """Settings and limits of a service. `mpscnn serve` makes options of them (`add_options`).

    Raises ParameterError for a value outside its range.
    """

    host: Annotated[str, Option(metavar="ADDRESS", help="Listen at this address.")] = "127.0.0.1"
    port: Annotated[
        int, Option(min=0, max=65_535, metavar="N", help="Listen at this port. 0: any free port.")
    ] = 8000
    inflight: Annotated[
        int | None,
        Option(
            min=1,
            max=32,
            metavar="N",
            help="Compute N requests or batches in parallel (default: the number of cores, divided by --workers, plus "
            "two).",
        ),
    ] = None
    max_batch: Annotated[
        int, Option(min=1, max=1_024, metavar="N", help="Compute up to N waiting requests as one batch.")
    ] = 1
    queue: Annotated[int, Option(min=0, max=1_000_000, metavar="N", help="Let at most N requests wait.")] = 64
    workers: Annotated[
        int,
        Option(
            min=1,
            max=256,
            metavar="N",
            help="Answer in N processes, which share the weights. --inflight, --queue, --connections and the limits of "
            "memory are for each of them.",
        ),
    ] = 1
    reload: Annotated[
        bool,
        Option("--reload", help="Load the models again when their files change, and after SIGHUP."),
    ] = False
    deadline: Annotated[
        float,
        Option(
            metavar="SECONDS",
            help="End a request with an error if it is not answered within this time after its arrival.",
        ),
    ] = 30.0
    max_bytes: Annotated[int, Option(min=1, metavar="N", help="Refuse requests with a larger body.")] = (
        20_000_000
    )
    max_pixels: Annotated[
        int,
        Option(
            min=1,
            metavar="N",
            help="Refuse photos with more than N pixels, and requests whose tensors hold photos with more in total.",
        ),
    ] = 50_000_000
    max_tensor_bytes: Annotated[
        int,
        Option(
            min=1,
            metavar="N",
            help="Refuse requests whose inputs, outputs and response have more than N bytes in total. All requests "
            "together may have four times N.",
        ),
    ] = 200_000_000
    max_total_bytes: Annotated[
        int | None,
        Option(
            min=1,
            metavar="N",
            help="Refuse requests while the bodies in memory have more than N bytes in total (default: 16 times "
            "--max-bytes).",
        ),
    ] = None
    """A body is in memory until its photo is decoded or its tensors are computed."""
    connections: Annotated[
        int,
        Option(
            min=1,
            max=1_000_000,
            metavar="N",
            help="Refuse requests while more than N connections are open, with or without a request.",
        ),
    ] = 1_000
    token: Annotated[
        str | None,
        Option(envvar="MPSCNN_SERVE_TOKEN", help="Answer only requests with `Authorization: Bearer TOKEN`."),
    ] = None
    insecure: Annotated[
        bool, Option("--insecure", help="Serve other machines, or names of --allow-host, without a token.")
    ] = False
    allowed_hosts: Annotated[
        list[str] | None,
        Option(
            "--allow-host",
            metavar="NAME",
            help="Allow clients to call the service by this name. Needs a token or --insecure.",
        ),
    ] = None
    """A proxy may serve such a name to other machines. Names have no scheme, port and brackets."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self), include_extras=True).items():
            value, option = getattr(self, name), get_args(kind)[1]
            if option.min is not None and value is not None:
                whole_number(name, value, minimum=int(option.min), maximum=option.max or _MOST)
        if self.memory_budget < self.max_bytes:
            raise ParameterError(
                f"max_total_bytes must be at least max_bytes, {self.max_bytes:,}, got {self.memory_budget:,}"
            )
        whole_number("connections", self.connections, maximum=1_000_000)
        if not is_finite_number(self.deadline) or not 0 < self.deadline <= 86_400:
            raise ParameterError(f"deadline must be seconds above 0 up to 86400, got {self.deadline!r}")
        token = self.token
        if token is not None and not (token.isascii() and token.isprintable() and 1 <= len(token) <= _TOKEN):
            raise ParameterError(f"token must be 1 to {_TOKEN:,} printable ASCII characters")
        for name in name_list("allowed_hosts", self.allowed_hosts or ()):
            if not _can_be_host(name):
                raise ParameterError(
                    "--allow-host must be a host name or an IP address, without scheme, port and brackets, "
                    f"got {name!r}"
                )
        public = self.hosts[is_loopback(self.host) :]
        if public and self.token is None and not self.insecure:
            raise ParameterError(
                f"host {public[0]}: other machines reach it; give a --token that requests must bring, or --insecure "
                "to serve everybody"
            )

    @property
    def hosts(self) -> list[str]:
        """Return the address, and further names by which clients may call the service."""
        return [self.host, *(self.allowed_hosts or ())]

    @property
    def has_workers(self) -> bool:
        """Return True if worker processes answer requests, and not the process of the command."""
        return self.workers > 1 or self.reload

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
        return self.inflight or default_inflight(self.workers)


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
