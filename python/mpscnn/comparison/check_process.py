"""Check a converted file in a separate process: `python -m mpscnn.comparison.check_process FILE --fold`.

It prints the `CheckResult` as JSON. A run that costs much more than a file of this size should ends the process. The
network shows only the cost of what it computes, but the file's own engine may also compute what no output needs.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mpscnn.comparison.conversion_check import any_size, check_conversion, costs_too_much, differs
from mpscnn.comparison.engine_import import resident_bytes
from mpscnn.comparison.sides import missing_engine
from mpscnn.converters import read_network
from mpscnn.converters.file_bytes import total_size
from mpscnn.converters.formats import model_files
from mpscnn.converters.isolated_check import FOLD, CheckResult
from mpscnn.errors import Error

#: The memory and the time of a check, for a file of any size and for each of its bytes.
_FREE_MEMORY, _MEMORY_PER_BYTE = 400 << 20, 1_000
_FREE_SECONDS, _SECONDS_PER_BYTE = 5.0, 2e-5
_INTERVAL = 0.01
_first = threading.Lock()


def main(file: str, fold: str) -> None:
    """Print the verdict on a file."""
    path = Path(file)
    missing_engine(path)  # imports the engine, whose memory does not count
    size = total_size(model_files(path))
    limits = _FREE_MEMORY + _MEMORY_PER_BYTE * size, _FREE_SECONDS + _SECONDS_PER_BYTE * size
    threading.Thread(target=_end_at, args=limits, daemon=True).start()
    network = read_network([path], fold=fold == FOLD)
    try:
        found, sentence = check_conversion(network, [path], any_size(network), quick=True)
        result = CheckResult(sentence, differs(found), failed=bool(costs_too_much(network, [path])))
    except Error as error:
        result = CheckResult(
            f"not checked: the network that it was converted to does not run: {error}", failed=True
        )
    _print(result)


def _end_at(memory: int, seconds: float) -> None:
    """Print why and end this process when it takes more memory or time from now on."""
    most, clock = resident_bytes() + memory, _clock()
    end = clock() + seconds
    while clock() < end and resident_bytes() <= most:
        time.sleep(_INTERVAL)
    what = f"{seconds:.0f} s" if clock() >= end else f"{memory >> 20:,} MiB of memory"
    _print(
        CheckResult(
            f"not checked: it takes more than {what}, which is much for a file of its size", failed=True
        )
    )
    os._exit(0)


def _clock() -> Callable[[], float]:
    """Return a clock of the main thread's processor time, which other programs do not lengthen, where there is one."""
    if sys.platform != "linux":
        return time.monotonic
    number = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
    return lambda: time.clock_gettime(number)


def _print(result: CheckResult) -> None:
    """Print a result, if none was printed yet."""
    if _first.acquire(blocking=False):
        os.write(sys.stdout.fileno(), f"{json.dumps(asdict(result))}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
