"""Guards for what only some systems have. `tests/test_rules_of_tests.py` forbids tests to use it in another way.

Each function works on Linux and macOS, or skips the test with the reason.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

#: Linux binds the memory of a process to a limit. macOS refuses to set it.
BINDS_MEMORY = sys.platform.startswith("linux")

needs_memory_limit = pytest.mark.skipif(
    not BINDS_MEMORY, reason="this system does not limit the memory of processes"
)

#: Python code that defines `memory(kind)`: bytes of memory of its process, now ("VmRSS") or at most ("VmHWM").
MEMORY_CODE = """
def memory(kind):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(kind))
"""


def limited_memory(size: int) -> Callable[[], None] | None:
    """Return a function for `preexec_fn` that limits the memory of a child process, so that a fault fills no machine.

    The function is None on a system that does not limit memory, where the test runs without this guard.

    Args:
        size: the limit in bytes. A lower limit of this process stays.
    """
    if not BINDS_MEMORY:
        print("not limited: this system does not limit the memory of processes")
        return None

    def limit() -> None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else hard, hard))

    return limit


def _proc(name: str) -> Path:
    """Return a file of /proc. Skip the test on a system without it."""
    path = Path("/proc") / name
    if not path.exists():
        pytest.skip(f"this system has no {path}")
    return path


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")


def resident_bytes(process: int) -> int:
    """Return the bytes that a process has in memory."""
    status = Path(f"/proc/{process}/status")
    if status.exists():
        lines = status.read_text("utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    told = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True
    )
    return 1024 * int(told.stdout)


def mapped_sizes(process: int) -> dict[str, int]:
    """Return the bytes of a process' memory by the names of Linux, such as Rss, Pss and Shared_Dirty."""
    lines = _proc(f"{process}/smaps_rollup").read_text("utf-8").splitlines()[1:]
    fields = (line.partition(":") for line in lines)
    return {name: int(size.split()[0]) << 10 for name, _, size in fields}


def peak_bytes(*, children: bool = False) -> int:
    """Return the most bytes that this process, or one of its ended children, has had in memory."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def connected_ports(port: int) -> set[str]:
    """Return the ports at the other end of the open IPv4 connections to a port of this machine."""
    rows = [line.split() for line in _proc("net/tcp").read_text("utf-8").splitlines()[1:]]
    established = "01"
    return {row[2] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == established}


def mapped_files() -> set[str]:
    """Return the paths of the files that this process has mapped, such as libraries."""
    return {word for word in _proc("self/maps").read_text("utf-8").split() if word.startswith("/")}


def processor_flags() -> set[str]:
    """Return what the processor has, in the names of Linux."""
    return set(_proc("cpuinfo").read_text("utf-8").split())


def require_preloading() -> None:
    """Skip the test if a library that is loaded before all others does not replace their functions."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the loader of this system does not replace functions by those of another library")


def preloaded(library: Path) -> Mapping[str, str]:
    """Return the environment of a program that loads a library before all others."""
    require_preloading()
    return {**os.environ, "LD_PRELOAD": str(library)}


def full_device() -> Path:
    """Return a device on which nothing can be written, since it is full."""
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip(f"this system has no {path}")
    return path


def require_address(host: str) -> None:
    """Skip the test if this machine does not have an address. macOS has only 127.0.0.1 of 127.0.0.0/8."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as asked:
            asked.bind((host, 0))
    except OSError as error:
        pytest.skip(f"this machine does not have the address {host}: {error}")
