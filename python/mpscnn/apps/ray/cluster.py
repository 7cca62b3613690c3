"""Import Ray, and connect to a cluster."""

from __future__ import annotations

import os
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpscnn import errors
from mpscnn.errors import DeviceError, ParameterError, StateError, UnsupportedError

__all__ = ["connect", "explained", "import_arrow", "import_ray", "is_address", "nodes", "processors_of"]

#: Seconds in which a cluster has to answer.
_TIME_LIMIT = 5.0
_ADDRESS = re.compile(r"(?:ray://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})")
_OWN_ERROR = re.compile(rf"^mpscnn\.errors\.({'|'.join(errors.__all__)}): (.+)$", re.MULTILINE)
_CLIENT = "ray://"
_WORDS = ("auto", "local")
#: The first bytes of a connection of HTTP/2 (RFC 9113, 3.4) with empty settings; the answer begins with settings, too.
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEAD = 9
_SETTINGS = b"\x04"


def import_ray() -> Any:
    """Ray with Ray Data. Raises UnsupportedError where either is not installed."""
    # Settings of a cluster that this process starts. Nothing is reported to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UnsupportedError(f'many machines need Ray Data: pip install "mpscnn[ray]" ({error})') from error
    return ray


def import_arrow() -> Any:
    """pyarrow, which comes with Ray Data."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UnsupportedError(f'many machines need pyarrow: pip install "mpscnn[ray]" ({error})') from error
    return pyarrow


def is_address(text: str) -> bool:
    """Return True if it names a cluster: "auto", "local" or HOST:PORT; ray://HOST:PORT does, too."""
    return text in _WORDS or _ADDRESS.fullmatch(text) is not None


def connect(address: str | None = None, *, quiet: bool = False) -> Any:
    """Join a cluster, if this process has joined none yet. Returns Ray.

    Args:
        address: HOST:PORT of a cluster's head; "auto": the one on this machine; "local": one is
            started, of this machine's cores, that ends with the process; None: as RAY_ADDRESS says, else "local".
        quiet: what workers print is not shown.

    Raises:
        UnsupportedError: Ray is not installed, or the address is for Ray's client. ParameterError: no address.
        DeviceError: nothing answers there within 5 seconds. StateError: this process has joined another cluster.
    """
    ray = import_ray()
    wanted = address or os.environ.get("RAY_ADDRESS") or "local"
    if not is_address(wanted):
        raise ParameterError(f"{wanted!r} is not a cluster: expected HOST:PORT, auto or local")
    if wanted.startswith(_CLIENT):
        raise UnsupportedError(
            f"{wanted}: Ray's client is not used: run this on a machine of the cluster, with auto"
        )
    if ray.is_initialized():
        joined = ray.get_runtime_context().gcs_address
        if address and address not in (*_WORDS, joined):
            raise StateError(
                f"this process has joined the cluster {joined}, and cannot join {address} as well"
            )
        return ray
    if wanted not in _WORDS:
        _require_head(wanted)
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False} if quiet else {}
    if wanted == "local":
        options["include_dashboard"] = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what will change in Ray
            ray.init(address=wanted, **options)
    except Exception as error:  # of many kinds
        hint = "; start one: ray start --head" if wanted == "auto" else ""
        raise DeviceError(f"the cluster {wanted} cannot be joined: {error}{hint}") from error
    return ray


def _require_head(address: str) -> None:
    """Raise DeviceError unless a gRPC server answers. Ray itself would wait for minutes and then end the process."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_TIME_LIMIT) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "1":
                return
            connection.sendall(_HTTP2_HELLO)
            answer = connection.recv(_FRAME_HEAD)
            reason: object = None if answer[3:4] == _SETTINGS else "what listens there is not Ray"
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
    if reason is not None:
        raise DeviceError(
            f"the cluster {address} does not answer: {reason}; is its head running (ray start --head)?"
        )


@contextmanager
def explained(ray: Any) -> Iterator[None]:
    """Raise of what Ray raises the error of mpscnn's that is its cause on a machine, or else a DeviceError."""
    try:
        yield
    except ray.exceptions.RayError as error:
        text = str(error).strip()
        # Ray Data passes on no more of an error than its text.
        if told := _OWN_ERROR.findall(text):
            kind, message = told[-1]
            raise getattr(errors, kind)(message) from error
        raise DeviceError(f"the cluster failed: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return an error of a machine in one line, without Ray's part of the traceback."""
    while isinstance(cause := getattr(error, "cause", None), BaseException):
        error = cause
    return " ".join(str(error).split())


def nodes(ray: Any) -> list[dict[str, Any]]:
    """The machines that have cores for work. Raises DeviceError where there is none."""
    found = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
    if not found:
        raise DeviceError("the cluster has no machine with CPUs")
    return found


def processors_of(ray: Any, node: str) -> int:
    """Return the CPUs that a machine gives to the cluster, by its id."""
    given = {one["NodeID"]: one["Resources"].get("CPU", 1) for one in ray.nodes()}
    return max(1, int(given.get(node, 1)))
