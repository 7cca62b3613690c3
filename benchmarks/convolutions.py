"""Convolutions of every kind at the sizes of MobileNet, SSD and DeepLab: mpscnn beside torch and onnxruntime.

    python benchmarks/convolutions.py [--runs N] [--threads N] [--only TEXT]

Prints a Markdown table: the least microseconds of all runs, and how many times faster mpscnn is than the fastest of the
others (1.00: as fast). Everything runs in one process in turns, so that a busy machine is busy for all; torch is given
both orders of memory. Another row is a line in ROWS.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.nn import functional

import mpscnn
from mpscnn.converters.onnx_export import to_onnx


@dataclass(frozen=True)
class Row:
    """One layer on one image. The padding keeps (of transposed ones: multiplies) the size where that is possible."""

    name: str
    shape: tuple[int, int, int]
    filters: int
    kernel: int
    strides: int = 1
    dilation: int = 1
    groups: int = 1
    transposed: bool = False

    @property
    def padding(self) -> int:
        """On each side."""
        return (self.kernel - self.strides if self.transposed else (self.kernel - 1) * self.dilation) // 2

    def build(self, network: mpscnn.Network) -> mpscnn.Tensor:
        """Adds the layer."""
        options: dict[str, Any] = {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation,
        }
        method = network.conv2d_transpose if self.transposed else network.conv2d
        return method(network.input, self.filters, self.kernel, groups=self.groups, name="layer", **options)

    def torch(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The same in PyTorch."""
        if self.transposed:
            return functional.conv_transpose2d(
                x, weight, None, self.strides, self.padding, 0, self.groups, self.dilation
            )
        return functional.conv2d(x, weight, None, self.strides, self.padding, self.dilation, self.groups)


ROWS = [
    Row("3x3/2, first", (224, 224, 3), 32, 3, strides=2),
    Row("7x7/2, first", (224, 224, 3), 64, 7, strides=2),
    Row("1x1", (112, 112, 32), 64, 1),
    Row("1x1", (56, 56, 24), 144, 1),
    Row("1x1", (14, 14, 96), 576, 1),
    Row("1x1", (7, 7, 320), 1280, 1),
    Row("3x3", (56, 56, 64), 64, 3),
    Row("3x3", (28, 28, 128), 128, 3),
    Row("3x3", (14, 14, 256), 256, 3),
    Row("3x3", (7, 7, 512), 512, 3),
    Row("3x3/2", (56, 56, 64), 128, 3, strides=2),
    Row("3x3/2", (19, 19, 256), 512, 3, strides=2),
    Row("5x5", (28, 28, 32), 64, 5),
    Row("3x3, few inputs", (64, 64, 8), 16, 3),
    Row("3x3, few outputs", (64, 64, 64), 3, 3),
    Row("3x3, detection head", (19, 19, 512), 24, 3),
    Row("1x1, segmentation head", (65, 65, 256), 21, 1),
    Row("depthwise 3x3", (112, 112, 32), 32, 3, groups=32),
    Row("depthwise 3x3", (14, 14, 576), 576, 3, groups=576),
    Row("depthwise 3x3/2", (112, 112, 96), 96, 3, strides=2, groups=96),
    Row("depthwise 5x5", (14, 14, 480), 480, 5, groups=480),
    Row("depthwise 3x3, dilated 2", (33, 33, 576), 576, 3, dilation=2, groups=576),
    Row("depthwise 3x3, dilated 4", (33, 33, 960), 960, 3, dilation=4, groups=960),
    Row("3x3, dilated 2", (33, 33, 256), 256, 3, dilation=2),
    Row("3x3, dilated 12", (33, 33, 320), 256, 3, dilation=12),
    Row("3x3, 4 groups", (28, 28, 128), 128, 3, groups=4),
    Row("3x3, 32 groups", (28, 28, 256), 256, 3, groups=32),
    Row("fully connected", (1, 1, 1024), 1000, 1),
    Row("fully connected", (7, 7, 1280), 1000, 7),
    Row("transposed 3x3/2", (33, 33, 256), 128, 3, strides=2, transposed=True),
    Row("transposed 2x2/2", (14, 14, 512), 256, 2, strides=2, transposed=True),
    Row("transposed 4x4/2", (14, 14, 512), 256, 4, strides=2, transposed=True),
    Row("transposed 4x4/2, few outputs", (64, 64, 64), 3, 4, strides=2, transposed=True),
    Row("transposed 16x16/8", (28, 28, 21), 21, 16, strides=8, transposed=True),
]


def runners(row: Row, threads: int) -> dict[str, Callable[[], Any]]:
    """By engine, a call that computes the row's result once."""
    network = mpscnn.Network(input=row.shape)
    dense = row.name == "fully connected"
    network.output(network.dense(network.input, row.filters, name="layer") if dense else row.build(network))
    network.initialize_weights()
    image = np.random.default_rng(0).normal(size=(1, *row.shape)).astype(np.float32)
    planes = np.ascontiguousarray(image.transpose(0, 3, 1, 2))

    session = network.compile(device="cpu", precision="float32").session(threads=threads)
    result = session.run(image)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = to_onnx(network, layout="nchw").SerializeToString()
    peer = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {peer.get_inputs()[0].name: planes}

    order = (3, 0, 1, 2) if row.transposed else (0, 3, 1, 2)
    weight = torch.from_numpy(np.ascontiguousarray(network.weights["layer.weight"].transpose(order)))
    x = torch.from_numpy(planes)
    if dense:
        rows, matrix = x.flatten(1), weight.flatten(1)
        found = {"torch": lambda: functional.linear(rows, matrix)}
    else:
        last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, weight)]
        found = {"torch": lambda: row.torch(x, weight), "torch, channels last": lambda: row.torch(*last)}
    found["onnxruntime"] = lambda: peer.run(None, feed)[0]
    for name, function in found.items():  # a comparison of different computations would be worthless
        theirs = np.asarray(function())
        expected = theirs if dense else theirs.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3, err_msg=f"{row.name}, {name}")
    return {"mpscnn": lambda: session.run(image, out=result), **found}


def measure(functions: dict[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Least microseconds, the engines in turns."""
    times = dict.fromkeys(functions, float("inf"))
    for _ in range(runs):
        for name, function in functions.items():
            start = time.perf_counter_ns()
            function()
            times[name] = min(times[name], (time.perf_counter_ns() - start) / 1000)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare convolutions with torch and onnxruntime.")
    parser.add_argument("--runs", type=int, default=50, help="timed runs of each engine (default: 50)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every engine (default: 1)")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    versions = (
        f"mpscnn {mpscnn.__version__}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    )
    print(f"{versions}; {arguments.threads} thread(s), float32, least of {arguments.runs} runs in turns.\n")
    print("| layer | input | outputs | mpscnn µs | torch µs | onnxruntime µs | mpscnn is faster |")
    print("|---|---|---|---|---|---|---|")
    for row in ROWS:
        if arguments.only not in row.name:
            continue
        times = measure(runners(row, arguments.threads), arguments.runs)
        best = min(value for name, value in times.items() if name.startswith("torch"))
        print(
            f"| {row.name} | {'x'.join(map(str, row.shape))} | {row.filters} | {times['mpscnn']:.0f} | {best:.0f} "
            f"| {times['onnxruntime']:.0f} | {min(best, times['onnxruntime']) / times['mpscnn']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
