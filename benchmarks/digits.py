"""Compare the speed of Deep MNIST on MNIST's images in mpscnn, onnxruntime and torch, one by one and in batches.

    python benchmarks/digits.py [--idx FILE] [--weights DIR] [--threads N] [--rounds N]

Prints a Markdown table: seconds for all images and images per second, the best round of each engine. In every round
each part of the images runs on all engines, in another order each time, so that a busy machine slows all of them down.
torch runs in both memory orders, and the faster one is shown. Without files the images and the weights are random,
which does not change the time.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnxruntime
import torch
from harness import table_head, table_row
from numpy.typing import NDArray
from peers import check_values
from torch.nn import functional

import mpscnn
from mpscnn.converters.writing.onnx.export import to_onnx

Array = NDArray[Any]
#: A function from images (n, 28, 28, 1) to the probabilities of their classes.
Engine = Callable[[Array], Array]

CLASSES = 10


def engines(network: mpscnn.Network, threads: int) -> dict[str, Engine]:
    """Return the engines by name. Each has its own copy of the weights."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return {
        "mpscnn": mpscnn_engine(network, threads),
        "onnxruntime": onnxruntime_engine(network, threads),
        "torch": torch_engine(network, torch.contiguous_format),
        "torch, channels last": torch_engine(network, torch.channels_last),
    }


def mpscnn_engine(network: mpscnn.Network, threads: int) -> Engine:
    session = network.compile(device="cpu", precision="float32").session(threads=threads)
    memory = np.empty((0, CLASSES), np.float32)

    def run(images: Array) -> Array:
        nonlocal memory
        if len(memory) != len(images):
            memory = np.empty((len(images), CLASSES), np.float32)
        session.run(images, out=memory)
        return memory

    return run


def onnxruntime_engine(network: mpscnn.Network, threads: int) -> Engine:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # With one channel, NCHW and NHWC have the same memory order.
    session = onnxruntime.InferenceSession(
        to_onnx(network).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def torch_engine(network: mpscnn.Network, memory: torch.memory_format) -> Engine:
    weights = {name: torch.from_numpy(values.astype(np.float32)) for name, values in network.weights.items()}
    conv1, conv2 = (
        weights[f"{layer}.weight"].permute(0, 3, 1, 2).contiguous(memory_format=memory)
        for layer in ("conv1", "conv2")
    )
    # The weights are [out][height][width][in]. They are reordered to the memory order of the flattened image.
    planes = memory == torch.contiguous_format
    fc1 = weights["fc1.weight"].permute(0, 3, 1, 2) if planes else weights["fc1.weight"]
    fc1, fc2 = fc1.flatten(1).contiguous(), weights["fc2.weight"].flatten(1)

    def run(images: Array) -> Array:
        x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory)
        x = functional.max_pool2d(functional.conv2d(x, conv1, weights["conv1.bias"], padding=2).relu_(), 2)
        x = functional.max_pool2d(functional.conv2d(x, conv2, weights["conv2.bias"], padding=2).relu_(), 2)
        x = (x if planes else x.permute(0, 2, 3, 1)).flatten(1)
        x = functional.linear(x, fc1, weights["fc1.bias"]).relu_()
        result: Array = functional.linear(x, fc2, weights["fc2.bias"]).softmax(1).numpy()
        return result

    return run


def one_by_one(engine: Engine, images: Array) -> None:
    for i in range(len(images)):
        engine(images[i : i + 1])


def seconds(
    compared: dict[str, Engine], images: Array, part: int, rounds: int, single: bool
) -> dict[str, float]:
    """Return the seconds that each engine's best round takes for all images."""
    order, random = list(compared.items()), Random(0)
    best = dict.fromkeys(compared, float("inf"))
    for engine in compared.values():
        engine(images[: 1 if single else part])  # the first run allocates memory
    for _ in range(rounds):
        taken = dict.fromkeys(compared, 0.0)
        for begin in range(0, len(images), part):
            random.shuffle(order)
            for name, engine in order:
                started = time.perf_counter()
                if single:
                    one_by_one(engine, images[begin : begin + part])
                else:
                    engine(images[begin : begin + part])
                taken[name] += time.perf_counter() - started
        best = {name: min(best[name], taken[name]) for name in best}
    return best


def cells(what: str, way: str, images: int, taken: dict[str, float]) -> tuple[str, ...]:
    peers = {"onnxruntime": taken["onnxruntime"], "torch": min(v for k, v in taken.items() if "torch" in k)}
    ours = taken["mpscnn"]
    shown = (ours, *peers.values())
    return (
        what,
        way,
        *(f"{value:.3f} ({images / value:,.0f})" for value in shown),
        *(f"{value / ours:.2f}" for value in peers.values()),
    )


def networks(weights: Path | None) -> dict[str, mpscnn.Network]:
    deep = mpscnn.models.deep_mnist(weights)
    if weights is None:
        deep.initialize_weights()
    return {"Deep MNIST": deep, "digits": mpscnn.load("digits").network}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idx", type=Path, help="images of MNIST; default: random")
    parser.add_argument("--weights", type=Path, help="folder of Deep MNIST's eight files; default: random")
    parser.add_argument("--count", type=int, default=5000, help="images (default: 5000)")
    parser.add_argument("--batch", type=int, default=100, help="images of a batch (default: 100)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every engine (default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="over all images (default: 3)")
    options = parser.parse_args()
    if options.idx is None:
        pixels = np.random.default_rng(0).integers(0, 256, (options.count, 28, 28), np.uint8)
    else:
        pixels = mpscnn.read_idx(options.idx)[: options.count]
    images = (pixels[..., None] / 255).astype(np.float32)
    config = mpscnn.build_config()
    print(
        f"{platform.machine()}, instruction set {config['instruction_set']}; mpscnn {mpscnn.__version__}, "
        f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}; float32, {options.threads} thread(s), "
        f"{len(images):,} images: seconds (images/s), best of {options.rounds} rounds.\n"
    )
    head = ("network", "images", "mpscnn", "onnxruntime", "torch", "than onnxruntime", "than torch")
    print(table_head(*head[:5], *(f"faster {name}" for name in head[5:])), flush=True)
    for what, network in networks(options.weights).items():
        compared = engines(network, options.threads)
        expected = compared["mpscnn"](images[: options.batch]).copy()
        for name, engine in compared.items():
            check_values(expected, engine(images[: options.batch]), f"{what}, {name}")
        for single in (True, False):
            way = "one by one" if single else f"batches of {options.batch}"
            taken = seconds(compared, images, options.batch, options.rounds, single)
            print(table_row(cells(what, way, len(images), taken)), flush=True)


if __name__ == "__main__":
    main()
