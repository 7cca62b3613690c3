"""Compare the times of other precisions with float32: whole networks in one interleaved run.

    python benchmarks/precision_times.py [--only NAMES] [--precisions NAMES] [--threads N] [--rounds N]

For int8, `mpscnn.quantize` quantises the networks on random images. Prints minimum (median) milliseconds and the ratio
of the minima to float32's.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from compare import CASES
from harness import Times, input_shape, measure, quantized, table_head, table_row

import mpscnn

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "ssdlite", "deeplab", "deep_mnist", "deep_mnist_64")


def times(name: str, precisions: list[Any], threads: int, rounds: int) -> dict[str, Times]:
    case = CASES[name]
    network = case.make()
    network.initialize_weights()
    shape = input_shape(network, case.batch)
    pixels = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    calls = {}
    for precision in precisions:
        given = quantized(network) if precision == "int8" else network
        session = given.compile(device="cpu", precision=precision).session(threads=threads)
        calls[precision] = partial(session.run, pixels)
    return measure(calls, rounds * case.turn)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(NETWORKS), help=f"networks; default: {','.join(NETWORKS)}")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--rounds", type=int, default=8, help="of some turns each; default: 8")
    parser.add_argument("--precisions", help="float32 and others; default: all of the processor but int8")
    options = parser.parse_args()
    device = mpscnn.devices()[0]
    precisions = [name for name in device["precisions"] if name != "int8"]
    if options.precisions:
        precisions = options.precisions.split(",")
    print(f"{device['description']}, {options.threads} threads\n")
    others = [name for name in precisions if name != "float32"]
    print(table_head("network", *precisions, *(f"{name} / float32" for name in others)))
    for name in options.only.split(","):
        taken = times(name, precisions, options.threads, options.rounds)
        cells = [f"{t.minimum / 1000:.2f} ({t.median / 1000:.2f})" for t in (taken[p] for p in precisions)]
        ratios = [f"{taken[p].minimum / taken['float32'].minimum:.2f}" for p in others]
        print(table_row([CASES[name].title, *cells, *ratios]), flush=True)


if __name__ == "__main__":
    main()
