"""The confined process: `python -m mpscnn._private.confined.child SETTINGS`. `process.py` starts it.

It reads requests from standard input, and writes results to standard output. It has no other way to anywhere.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from mpscnn._private.confined import linux, macos
from mpscnn._private.confined.frames import (
    FAILURE,
    HEADER,
    READY,
    RESULT,
    read_exactly,
    write_fully,
)
from mpscnn._private.confined.readable_places import readable_places

#: The error with which a process ends that is not confined although it should be.
UNCONFINED = "unconfined"
# The address space that a process may take beyond its data: reservations, stacks and memory of files.
_RESERVED = 1 << 30
# Engines start as many threads as there are processors, and each has a stack.
_PROCESSORS = 4


def main(text: str) -> None:
    """Confine this process, and answer requests until the other side closes the pipe."""
    settings = json.loads(text)
    channel = os.dup(1)
    os.dup2(2, 1)  # what an engine prints is no answer
    try:
        function = _prepared(settings)
    except _Unconfined as error:
        _send(channel, FAILURE, {"kind": UNCONFINED, "message": str(error)})
        return
    except BaseException as error:  # an engine's import may raise anything
        _send(channel, FAILURE, {"kind": type(error).__name__, "message": str(error)})
        return
    write_fully(channel, HEADER.pack(READY, 0))
    while True:
        try:
            _, size = HEADER.unpack(read_exactly(0, HEADER.size))
            request = read_exactly(0, size)
        except EOFError:
            return
        # The other side ends this process earlier, unless it has ended itself.
        signal.setitimer(signal.ITIMER_REAL, settings["wall"] + 1.0)
        try:
            answer = function(request)
        except BaseException as error:  # the function may raise anything
            _send(channel, FAILURE, {"kind": type(error).__name__, "message": str(error)})
        else:
            write_fully(channel, HEADER.pack(RESULT, len(answer)) + answer)
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Unconfined(Exception):
    """The machine cannot confine this process."""


def _send(channel: int, kind: int, content: dict[str, str]) -> None:
    encoded = json.dumps({key: text[:4000] for key, text in content.items()}).encode()
    write_fully(channel, HEADER.pack(kind, len(encoded)) + encoded)


def _prepared(settings: dict[str, Any]) -> Callable[[bytes], bytes]:
    """Make the function, and confine this process before it sees a request."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_PROCESSORS])
    tempfile.tempdir = (
        "/tmp"  # looking for a folder to write to would fail, and with it the imports of engines
    )
    own = [Path(settings["folder"])] if settings["folder"] else []
    places = [*readable_places(), *map(Path, settings["reads"]), *own]
    waived = settings["waived"]
    may_open = True
    if not waived:
        if sys.platform not in ("linux", "darwin"):
            raise _Unconfined(f"processes are not confined on {sys.platform}")
        if sys.platform == "linux":
            if reason := linux.unsupported():
                raise _Unconfined(reason)
            # Threads that run already would stay as they are, so this comes before engines are imported.
            try:
                may_open = linux.allow_reading(places)
            except OSError as error:
                raise _Unconfined(f"Landlock: {error}") from error
    module, _, name = settings["function"].partition(":")
    function: Callable[[bytes], bytes] = getattr(import_module(module), name)(*settings["arguments"])
    _limit(settings)
    if not waived:
        try:
            if sys.platform == "linux":
                linux.seal(may_open=may_open)
            else:
                macos.seal(places, own)
        except OSError as error:
            raise _Unconfined(str(error)) from error
        _prove_confinement()
    return function


def _limit(settings: dict[str, Any]) -> None:
    """Limit the memory and the processor time from now on."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + settings["seconds"]) + 1
    _lower(resource.RLIMIT_CPU, seconds)
    _lower(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        try:
            pages = [int(text) for text in Path("/proc/self/statm").read_text().split()]
            space, data = pages[0] * resource.getpagesize(), pages[5] * resource.getpagesize()
        except OSError:  # a system without /proc
            space = data = used.ru_maxrss << 10
        _lower(resource.RLIMIT_DATA, data + settings["memory"])
        _lower(resource.RLIMIT_AS, space + settings["memory"] + _RESERVED)


def _lower(kind: int, size: int) -> None:
    """Set a limit of this process, unless a lower one holds already."""
    import resource

    hard = resource.getrlimit(kind)[1]
    most = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(kind, (most, most))


def _prove_confinement() -> None:
    """Try what a confined process cannot do. Raises _Unconfined if it can."""
    for what, attempt in (
        ("write files", _try_to_write),
        ("read files of the user", lambda: os.close(os.open(Path.home(), os.O_RDONLY))),
        ("open sockets", lambda: socket.socket().close()),
        ("start processes", _try_to_fork),
        ("send signals", lambda: os.kill(os.getppid(), 0)),
    ):
        try:
            attempt()
        except (OSError, RuntimeError):
            continue
        raise _Unconfined(f"a process on this machine can still {what}")


def _try_to_write() -> None:
    descriptor, path = tempfile.mkstemp(dir="/tmp")
    os.close(descriptor)
    Path(path).unlink()


def _try_to_fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1])
