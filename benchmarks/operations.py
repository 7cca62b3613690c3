"""Single operations at the sizes of MobileNet, SSD and DeepLab: mpscnn beside torch and onnxruntime, float32.

    python benchmarks/operations.py [--runs N] [--threads N] [--only TEXT]

Prints a Markdown table: medians in microseconds, and how many times faster mpscnn is than the faster of the others
(1.00: as fast). Everything runs in one process in turns; torch gets the memory order in which it is faster (NCHW or
channels last), onnxruntime its own (NCHW). A group of rows is a module-level list; add it to ROWS.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.nn import functional

import mpscnn
from mpscnn.converters.onnx_export import to_onnx

Build = Callable[[mpscnn.Network, Any], Any]
Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One operation on one image (1, height, width, channels)."""

    name: str
    shape: tuple[int, int, int]
    build: Build
    """Adds the layer to a network: (network, input) -> result."""
    torch: Callable[[torch.Tensor], torch.Tensor]
    """The same on a tensor of shape (1, channels, height, width)."""


POOLING = [
    Row(
        "max 2x2/2",
        (150, 150, 64),
        lambda net, x: net.max_pool2d(x, 2),
        lambda x: functional.max_pool2d(x, 2),
    ),
    Row(
        "max 3x3/2",
        (112, 112, 64),
        lambda net, x: net.max_pool2d(x, 3, strides=2, padding=1),
        lambda x: functional.max_pool2d(x, 3, 2, 1),
    ),
    Row(
        "max 3x3/1",
        (19, 19, 512),
        lambda net, x: net.max_pool2d(x, 3, strides=1, padding=1),
        lambda x: functional.max_pool2d(x, 3, 1, 1),
    ),
    Row(
        "average 2x2/2",
        (150, 150, 64),
        lambda net, x: net.average_pool2d(x, 2),
        lambda x: functional.avg_pool2d(x, 2),
    ),
    Row(
        "average 3x3/1",
        (19, 19, 512),
        lambda net, x: net.average_pool2d(x, 3, strides=1, padding=1),
        lambda x: functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ),
    Row(
        "global average",
        (7, 7, 1280),
        lambda net, x: net.global_average_pool2d(x),
        lambda x: functional.adaptive_avg_pool2d(x, 1),
    ),
]


def _bilinear(shape: tuple[int, int, int], size: tuple[int, int], alignment: str) -> Row:
    return Row(
        f"bilinear to {size[0]}x{size[1]}, {alignment}",
        shape,
        lambda net, x: net.resize(x, size, alignment=alignment),
        lambda x: functional.interpolate(x, size, mode="bilinear", align_corners=alignment == "corners"),
    )


RESIZE = [
    _bilinear((33, 33, 256), (129, 129), "half_pixel"),
    _bilinear((65, 65, 21), (513, 513), "corners"),
    Row(
        "nearest x2",
        (38, 38, 256),
        lambda net, x: net.resize(x, scale=2, method="nearest"),
        lambda x: functional.interpolate(x, scale_factor=2, mode="nearest"),
    ),
]

ROWS = {"pooling": POOLING, "resize": RESIZE}


def runners(row: Row, threads: int) -> dict[str, Run]:
    """What is measured: by engine, a call that computes the row's result once."""
    network = mpscnn.Network(input=row.shape)
    network.output(row.build(network, network.input))
    network.initialize_weights()
    image = np.random.default_rng(0).normal(size=(1, *row.shape)).astype(np.float32)
    planes = np.ascontiguousarray(image.transpose(0, 3, 1, 2))

    session = network.compile(device="cpu", precision="float32").session(threads=threads)
    result = session.run(image)
    assert isinstance(result, np.ndarray)
    layouts = {
        "torch": torch.from_numpy(planes),
        "torch, channels last": torch.from_numpy(planes).contiguous(memory_format=torch.channels_last),
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = to_onnx(network, layout="nchw").SerializeToString()
    peer = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {peer.get_inputs()[0].name: planes}
    found: dict[str, Run] = {"mpscnn": lambda: session.run(image, out=result)}
    found |= {name: partial(row.torch, x) for name, x in layouts.items()}
    found["onnxruntime"] = lambda: peer.run(None, feed)
    for name in layouts:
        judge(row, result, found[name]())
    judge(row, result, found["onnxruntime"]()[0])  # type: ignore[index]
    return found


def judge(row: Row, ours: np.ndarray[Any, Any], theirs: Any) -> None:
    """A comparison of different computations would be worthless."""
    expected = np.asarray(theirs).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4, err_msg=row.name)


def measure(functions: dict[str, Run], runs: int) -> dict[str, float]:
    """Medians in microseconds, the engines in turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 3):
        for name, function in functions.items():
            function()  # brings its own code and data into the caches
            start = time.perf_counter_ns()
            function()
            if turn >= 3:
                times[name].append((time.perf_counter_ns() - start) / 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare single operations with torch and onnxruntime.")
    parser.add_argument("--runs", type=int, default=50, help="timed runs of each engine (default: 50)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every engine (default: 1)")
    parser.add_argument("--only", default="", help="rows whose group or name contains this text")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    versions = (
        f"mpscnn {mpscnn.__version__}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    )
    print(f"{versions}; {arguments.threads} thread(s), float32, {arguments.runs} runs of each in turns.\n")
    print("| operation | input | mpscnn µs | torch µs | onnxruntime µs | mpscnn is faster |")
    print("|---|---|---|---|---|---|")
    for group, rows in ROWS.items():
        for row in rows:
            if arguments.only not in f"{group} {row.name}":
                continue
            times = measure(runners(row, arguments.threads), arguments.runs)
            best = min(value for name, value in times.items() if name.startswith("torch"))
            factor = min(best, times["onnxruntime"]) / times["mpscnn"]
            shape = "x".join(map(str, row.shape))
            print(
                f"| {group}: {row.name} | {shape} | {times['mpscnn']:.0f} | {best:.0f} "
                f"| {times['onnxruntime']:.0f} | {factor:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
