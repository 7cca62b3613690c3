"""Measure what reading a small file costs, in a child process with limits."""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from systems import limited_memory, peak_bytes

import mpscnn

#: The limits for a file of up to 100 kB. A process with more address space could use all memory of the machine.
SECONDS, MEMORY = 2.0, 500 << 20
_ADDRESS_SPACE, _MAX_SECONDS = 6 << 30, 20
#: A loaded machine needs more processor time for the same work.
_TOLERANCE = 3.0


@dataclass(frozen=True)
class Outcome:
    """The cost of reading a file.

    Attributes:
        kind: "accepted", "refused", or the name of a wrong error; "ended" if the process did not survive.
        message: the message of the error.
        seconds: processor time.
        memory: the bytes by which the process grew.
    """

    kind: str
    message: str
    seconds: float
    memory: int

    @property
    def finding(self) -> str:
        """A description of the defect; empty if there is none."""
        if self.kind not in ("accepted", "refused"):
            return f"{self.kind}: {self.message}"
        if self.seconds > _TOLERANCE * SECONDS:
            return f"took {self.seconds:.1f} s: {self.message}"
        if self.memory > MEMORY:
            return f"took {self.memory >> 20} MiB: {self.message}"
        return ""


def measure(read: Callable[[Path], object], path: Path) -> Outcome:
    """Read a file in a child process and return the cost. The process is a fork, so it has all modules already."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_run, args=(read, path, sender))
    child.start()
    sender.close()
    try:
        return Outcome(**json.loads(receiver.recv_bytes()))
    except EOFError:
        return Outcome("ended", "the process ended by itself or at a limit", 0.0, 0)
    finally:
        child.join()
        receiver.close()


def _run(read: Callable[[Path], object], path: Path, sender: Connection) -> None:
    if limit := limited_memory(_ADDRESS_SPACE):
        limit()
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_SECONDS, _MAX_SECONDS + 1))
    begun, before = time.process_time(), peak_bytes()
    kind, message = "accepted", ""
    try:
        read(path)
    except mpscnn.Error as error:
        kind, message = "refused", str(error)
    except BaseException as error:  # a wrong error of any kind is a finding
        kind, message = type(error).__name__, str(error)
    seconds = time.process_time() - begun
    cost = {"kind": kind, "message": message[:500], "seconds": seconds, "memory": peak_bytes() - before}
    sender.send_bytes(json.dumps(cost).encode())
