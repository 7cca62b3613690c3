"""Compare the speed of 1-D convolution of signals in mpscnn, a plain loop, numpy, scipy.signal and torch, interleaved.

    python benchmarks/signals.py [--rounds N]

Prints a Markdown table: microseconds, and the other engines' minima divided by mpscnn's. scipy and torch are left out
if they are not installed. All compute with one thread. The loop is plain Python; it is left out for sizes for which it
would take seconds.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import Call, measure, table_head, table_row
from numpy.typing import NDArray

import mpscnn

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A signal and a kernel to convolve it with."""

    name: str
    signal: tuple[int, ...]
    kernel: tuple[int, ...]
    dtype: type


CASES = (
    Case("100,000 samples, 5 taps", (100_000,), (5,), np.float32),
    Case("100,000 samples, 5 taps", (100_000,), (5,), np.float64),
    Case("100,000 samples, 101 taps", (100_000,), (101,), np.float32),
    Case("1,000 samples, 5 taps", (1_000,), (5,), np.float32),
    Case("512 x 512, 5 x 5 taps", (512, 512), (5, 5), np.float32),
)


_MAX_PRODUCTS_OF_LOOP = 1_000_000


def loop(x: list[float], kernel: list[float]) -> list[float]:
    """Convolve by the definition: y[n] is the sum over m of x[n - m] w[m], with zeros around x."""
    padded = [0.0] * (len(kernel) - 1) + x + [0.0] * (len(kernel) - 1)
    turned = kernel[::-1]
    result = []
    for n in range(len(x) + len(kernel) - 1):
        total = 0.0
        for m in range(len(turned)):
            total += padded[n + m] * turned[m]
        result.append(total)
    return result


def calls_for(case: Case) -> dict[str, Call]:
    """Return the timed calls by library. Each computes the full convolution."""
    random = np.random.default_rng(0)
    x: Array = random.normal(size=case.signal).astype(case.dtype)
    kernel: Array = random.normal(size=case.kernel).astype(case.dtype)
    plane = len(case.kernel) == 2
    calls: dict[str, Call] = {
        "mpscnn": lambda: (mpscnn.convolve2d if plane else mpscnn.convolve1d)(x, kernel)
    }
    if not plane and x.size * kernel.size <= _MAX_PRODUCTS_OF_LOOP:
        samples, taps = x.tolist(), kernel.tolist()
        calls["plain loop"] = lambda: loop(samples, taps)
    if not plane:
        calls["numpy"] = lambda: np.convolve(x, kernel)
    try:
        from scipy import signal

        calls["scipy"] = lambda: (signal.convolve2d if plane else signal.convolve)(x, kernel)
    except ImportError:
        pass
    add_torch(calls, x, kernel)
    return calls


def add_torch(calls: dict[str, Call], x: Array, kernel: Array) -> None:
    """Add torch's call. Its convolutions are correlations, so the kernel is reversed beforehand."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
    source = torch.from_numpy(x)[None, None]
    taps = torch.from_numpy(np.flip(kernel).copy())[None, None]
    padding = [taps_along - 1 for taps_along in kernel.shape]
    function = torch.conv2d if kernel.ndim == 2 else torch.conv1d

    def run() -> Any:
        with torch.inference_mode():
            return function(source, taps, padding=padding)

    calls["torch"] = run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200, help="calls of each library (default: 200)")
    rounds = parser.parse_args().rounds
    config = mpscnn.build_config()
    print(
        f"{platform.machine()}, instruction set {config['instruction_set']}, {rounds} rounds, one thread each.\n"
    )
    print(table_head("signal", "type", "library", "minimum (median) microseconds", "times mpscnn"))
    for case in CASES:
        times = measure(calls_for(case), rounds)
        for name, theirs in times.items():
            factor = theirs.minimum / times["mpscnn"].minimum
            print(table_row((case.name, np.dtype(case.dtype).name, name, theirs, f"{factor:.2f}")))


if __name__ == "__main__":
    main()
