"""Record how long threads of a process keep its event loop waiting, in processor seconds.

Processor seconds do not depend on what else the machine computes.
"""

from __future__ import annotations

import threading
import time
from asyncio.base_events import BaseEventLoop
from pathlib import Path
from typing import Any

#: Shorter stretches are not recorded.
_SHORTEST = 0.01
_PAUSE = 0.001


def record(path: Path | str) -> None:
    """Write a line for each long stretch from now on: the name of its thread, and its processor seconds.

    A stretch of the event loop is one turn: all callbacks that are ready. A new connection waits until it ends.
    A stretch of another thread lasts until this module's own thread has got Python's global lock.
    """
    log = Path(path).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115

    def note(thread: str, seconds: float) -> None:
        if seconds > _SHORTEST:
            log.write(f"{thread}: {seconds:.3f}\n")

    run_once: Any = BaseEventLoop._run_once  # type: ignore[attr-defined]

    def timed(loop: BaseEventLoop) -> None:
        begun = time.thread_time()
        run_once(loop)
        note("event loop", time.thread_time() - begun)

    BaseEventLoop._run_once = timed  # type: ignore[attr-defined]

    def watch() -> None:
        own, before = threading.get_native_id(), dict[int, float]()
        while True:
            time.sleep(_PAUSE)
            now = {
                thread.native_id: _processor_seconds(thread.native_id)
                for thread in threading.enumerate()
                if thread.native_id not in (None, own)
            }
            for thread, seconds in now.items():
                note("a thread", seconds - before.get(thread, seconds))
            before = now

    threading.Thread(target=watch, daemon=True).start()


def _processor_seconds(thread: int) -> float:
    try:
        # The number of Linux's clock of a thread. `pthread_getcpuclockid` fails hard for a thread that has ended.
        return time.clock_gettime((~thread << 3) | 6)
    except OSError:
        return 0.0
