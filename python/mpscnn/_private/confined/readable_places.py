"""List the files and folders that a confined process may read: Python, its packages, and libraries of the system."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from mpscnn._private.files import exists

_PACKAGES = ("site-packages", "dist-packages")
_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/usr/share/zoneinfo",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system",
    os.devnull, "/dev/urandom", "/dev/random",
    "/System/Library", "/Library/Apple", "/opt/homebrew/lib", "/opt/local/lib",
)  # fmt: skip


def readable_places() -> list[Path]:
    """Return the existing ones of these places, with links followed.

    A folder of `sys.path` counts if it holds installed packages. Others, such as that of a script, hold users' files.
    """
    found = {Path(os.path.realpath(place)) if place != "/proc/self" else Path(place) for place in _places()}
    return sorted(place for place in found if exists(place) and place != Path("/"))


def _places() -> Iterator[str]:
    yield from _SYSTEM
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        for name in ("lib", "lib64"):
            yield str(Path(prefix, name))
    for kind in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_paths()[kind]
    yield from site.getsitepackages()
    yield from (place for place in sys.path if Path(place).name in _PACKAGES)
    yield from (place for place in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if place)
    yield str(Path(__file__).parents[2])  # mpscnn
