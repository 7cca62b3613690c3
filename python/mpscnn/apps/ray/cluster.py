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
from mpscnn._private.installation import install_command
from mpscnn.errors import DeviceError, ParameterError, StateError, UnsupportedError

__all__ = ["connect", "cpu_count", "import_arrow", "import_ray", "is_address", "nodes", "translate_errors"]

#: Seconds after which a cluster counts as unreachable.
_TIME_LIMIT = 5.0
_ADDRESS = re.compile(r"(?:ray://)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})")
_OWN_ERROR = re.compile(rf"^mpscnn\.errors\.({'|'.join(errors.__all__)}): (.+)$", re.MULTILINE)
_CLIENT = "ray://"
_WORDS = ("auto", "local")
#: The start of an HTTP/2 connection (RFC 9113, 3.4) with empty settings. A gRPC server replies with its settings.
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEAD = 9
_SETTINGS = b"\x04"


def import_ray() -> Any:
    """Import Ray and Ray Data. Raises UnsupportedError if one is not installed."""
    # For clusters that this process starts: no usage data is sent to Ray's developers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UnsupportedError(f"many machines need Ray Data: {install_command('ray')} ({error})") from error
    return ray


def import_arrow() -> Any:
    """Import pyarrow, which is installed with Ray Data."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UnsupportedError(f"many machines need pyarrow: {install_command('ray')} ({error})") from error
    return pyarrow


def is_address(text: str) -> bool:
    """Return True if the text is the address of a cluster: "auto", "local", HOST:PORT or ray://HOST:PORT."""
    return text in _WORDS or _ADDRESS.fullmatch(text) is not None


def connect(address: str | None = None, *, quiet: bool = False) -> Any:
    """Connect to a Ray cluster, unless this process is connected already. Return the module `ray`.

    Args:
        address: HOST:PORT of the cluster's head; "auto": the cluster on this machine; "local": start a cluster of this
            machine's cores, which ends with the process; None: the environment variable RAY_ADDRESS, otherwise "local".
        quiet: do not show what workers print.

    Raises:
        UnsupportedError: Ray is not installed, or the address is for Ray's client.
        ParameterError: the address is invalid.
        DeviceError: nothing answers there within 5 seconds.
        StateError: this process is connected to another cluster.
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
            warnings.simplefilter("ignore")  # deprecation warnings of Ray
            ray.init(address=wanted, **options)
    except Exception as error:  # Ray raises many kinds
        hint = "; start one: ray start --head" if wanted == "auto" else ""
        raise DeviceError(f"the cluster {wanted} cannot be joined: {error}{hint}") from error
    return ray


def _require_head(address: str) -> None:
    """Raise DeviceError if no gRPC server answers. Ray itself would wait for minutes and then end the process."""
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
def translate_errors(ray: Any) -> Iterator[None]:
    """Turn Ray's exceptions into errors of mpscnn: the error that a machine raised, otherwise a DeviceError."""
    try:
        yield
    except ray.exceptions.RayError as error:
        text = str(error).strip()
        # Ray Data passes on only the text of an error, so the class is read from the text.
        if told := _OWN_ERROR.findall(text):
            kind, message = told[-1]
            raise getattr(errors, kind)(message) from error
        raise DeviceError(f"the cluster failed: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Return a remote error as one line without Ray's traceback."""
    while isinstance(cause := getattr(error, "cause", None), BaseException):
        error = cause
    return " ".join(str(error).split())


def nodes(ray: Any) -> list[dict[str, Any]]:
    """Return the cluster's machines that have CPUs. Raises DeviceError if there is none."""
    found = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]
    if not found:
        raise DeviceError("the cluster has no machine with CPUs")
    return found


def cpu_count(ray: Any, node: str) -> int:
    """Return the number of CPUs that the machine with this id has in the cluster."""
    given = {one["NodeID"]: one["Resources"].get("CPU", 1) for one in ray.nodes()}
    return max(1, int(given.get(node, 1)))
