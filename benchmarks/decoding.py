"""Compare decoding a JPEG file in full with decoding it at a part of its size (`mpscnn.open_photo`, `min_size`).

    python benchmarks/decoding.py [--runs N] [--width W --height H]

Each call decodes the bytes of the file and makes a network's input of them, on one thread, interleaved. The last column
is the largest difference between both inputs, in steps of 255.
"""

from __future__ import annotations

import argparse
import io
import platform

import numpy as np
from harness import measure, table_head, table_row
from PIL import Image
from PIL import __version__ as pillow_version
from preprocessing import SIDES, scene

import mpscnn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, help="calls of each (default: 10)")
    parser.add_argument("--width", type=int, default=4032)
    parser.add_argument("--height", type=int, default=3024)
    options = parser.parse_args()
    stream = io.BytesIO()
    small = Image.fromarray(scene((options.width // 4, options.height // 4)))
    small.resize((options.width, options.height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    content = stream.getvalue()
    print(
        f"{platform.machine()}, {options.width} x {options.height}, {len(content):,} bytes, Pillow {pillow_version}: "
        f"minimum (median) microseconds of {options.runs}.\n"
    )
    print(table_head("to", "reduction", "in full", "reduced", "reduced is faster", "difference of 255"))
    for side in SIDES:
        print(table_row(row(content, side, options.runs)))


def row(content: bytes, side: int, runs: int) -> tuple[object, ...]:
    """Measure one size of the input, and return its row of the table."""
    reduced = mpscnn.open_photo(content, min_size=2 * side)
    times = measure(
        {
            "full": lambda: mpscnn.preprocess(content, side),
            "reduced": lambda: mpscnn.preprocess(mpscnn.open_photo(content, min_size=2 * side), side),
        },
        runs,
    )
    full, fast = times["full"], times["reduced"]
    inputs = [mpscnn.preprocess(photo, side, "none") for photo in (content, reduced)]
    return (
        f"{side} x {side}",
        reduced.reduction,
        full,
        fast,
        f"{full.minimum / fast.minimum:.1f}",
        f"{np.abs(inputs[0] - inputs[1]).max():.1f}",
    )


if __name__ == "__main__":
    main()
