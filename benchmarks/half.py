"""Compare the speed of conversions between float32 and float16 with memcpy, in one interleaved run.

    python benchmarks/half.py [--megabytes N] [--runs N]

Prints a Markdown table: gigabytes per second, read and written together, of each conversion and of memcpy, with one
thread and with two, and the conversion as a share of the copy. The pages of the arrays are touched before the runs.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import measure, table_head, table_row
from numpy.typing import NDArray

import mpscnn
from mpscnn import _core

Array = NDArray[Any]
#: A function that fills the second array from the first.
Work = Callable[[Array, Array], None]


def library() -> ctypes.CDLL:
    """Return the library's C interface. Its functions run without Python's GIL and allocate no memory."""
    name = "libmpscnn.1.dylib" if platform.system() == "Darwin" else "libmpscnn.so.1"
    installed = Path(_core.__file__).resolve().parent / "lib" / name
    found = ctypes.CDLL(str(installed) if installed.exists() else name)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    found.mpscnn_halves_from_floats.argtypes = [pointer, pointer, size, pointer]
    found.mpscnn_floats_from_halves.argtypes = [pointer, pointer, size]
    return found


def conversions() -> dict[str, tuple[type, type, Work]]:
    """Return the conversions by name: the element types of source and result, and the function."""
    core = library()

    def narrow(source: Array, result: Array) -> None:
        core.mpscnn_halves_from_floats(source.ctypes.data, result.ctypes.data, source.size, None)

    def widen(source: Array, result: Array) -> None:
        core.mpscnn_floats_from_halves(source.ctypes.data, result.ctypes.data, source.size)

    return {
        "float32 to float16": (np.float32, np.float16, narrow),
        "float16 to float32": (np.float16, np.float32, widen),
    }


def copy(source: Array, result: Array) -> None:
    ctypes.memmove(result.ctypes.data, source.ctypes.data, source.nbytes)


def on_threads(pool: ThreadPoolExecutor, threads: int, work: Work, source: Array, result: Array) -> None:
    """Run the work on several threads, each on its part of the arrays."""
    parts = zip(np.array_split(source, threads), np.array_split(result, threads), strict=True)
    if threads == 1:
        work(source, result)
    else:
        wait([pool.submit(work, *part) for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=64, help="of float32 (default: 64)")
    parser.add_argument("--runs", type=int, default=30, help="of each conversion and copy (default: 30)")
    arguments = parser.parse_args()
    count = arguments.megabytes << 18
    print(
        f"{platform.machine()}, instruction set {mpscnn.build_config()['instruction_set']}, "
        f"{arguments.megabytes} MB of float32, {arguments.runs} runs.\n"
    )
    print(table_head("conversion", "threads", "GB/s", "memcpy GB/s", "of a copy's speed"))
    # The copy reads and writes the same total number of bytes as a conversion.
    copied, copy_result = np.ones(count * 3, np.uint8), np.ones(count * 3, np.uint8)
    with ThreadPoolExecutor(2) as pool:
        for name, (given, made, work) in conversions().items():
            source, result = np.ones(count, given), np.ones(count, made)
            for threads in (1, 2):
                times = measure(
                    {
                        name: partial(on_threads, pool, threads, work, source, result),
                        "memcpy": partial(on_threads, pool, threads, copy, copied, copy_result),
                    },
                    arguments.runs,
                )
                speed = {key: 6 * count / value.median / 1000 for key, value in times.items()}
                share = speed[name] / speed["memcpy"]
                cells = (name, threads, f"{speed[name]:.1f}", f"{speed['memcpy']:.1f}", f"{share:.0%}")
                print(table_row(cells))


if __name__ == "__main__":
    main()
