"""A step of training: mpscnn and PyTorch, Deep MNIST and MobileNetV2.

    chrt -r 1 python benchmarks/training.py [--rounds N] [--networks NAMES] [--threads 1,2]

Each engine has a process of its own, with as many threads as the column says, and they take turns: a step of one,
a step of the other. Batch normalization is in training mode, all layers learn, and the loss must fall before times
count. Prints Markdown: the least time of a step in milliseconds, the ratio, and the processes' peak memory. Needs
torch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from harness import table_head, table_row

_WARM_UP = 6
#: Expansion, channels, blocks and first stride of MobileNetV2's stages.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@dataclass(frozen=True)
class Case:
    """A network and its batch."""

    shape: tuple[int, int, int]
    batch: int
    classes: int


CASES = {
    "deep_mnist": Case((28, 28, 1), 64, 10),
    "mobilenet_v2_96": Case((96, 96, 3), 32, 1000),
    "mobilenet_v2_224": Case((224, 224, 3), 8, 1000),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--networks", default=",".join(CASES))
    arguments.add_argument("--threads", default="1,2")
    given = arguments.parse_args()
    print(table_head("network", "threads", "mpscnn ms", "torch ms", "ratio", "mpscnn MB", "torch MB"))
    for name in given.networks.split(","):
        for threads in map(int, given.threads.split(",")):
            print(measured(name, threads, given.rounds), flush=True)


def measured(name: str, threads: int, count: int) -> str:
    """A row of the table."""
    workers = [Worker(engine, name, threads) for engine in (mpscnn_step, torch_step)]
    times: list[list[float]] = [[], []]
    for worker in workers:
        losses = [worker.step()[1] for _ in range(_WARM_UP)]
        assert losses[-1] < losses[0], f"{name}: the loss does not fall: {losses}"
    for _ in range(count):
        for worker, own in zip(workers, times, strict=True):
            own.append(worker.step()[0])
    least = [min(own) * 1e3 for own in times]
    peaks = [worker.close() for worker in workers]
    memory = [f"{peak:.0f}" for peak in peaks]
    return table_row([name, threads, *(f"{x:.1f}" for x in least), f"{least[0] / least[1]:.2f}", *memory])


Step = Callable[[np.ndarray, np.ndarray], float]


class Worker:
    """A process that makes steps when it is told to."""

    def __init__(self, engine: Callable[[str, int], Step], name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, engine, name, threads))
        self._process.start()

    def step(self) -> tuple[float, float]:
        """Seconds and loss."""
        self._pipe.send("step")
        seconds, loss = self._pipe.recv()
        return float(seconds), float(loss)

    def close(self) -> float:
        """Peak memory in MB."""
        self._pipe.send("close")
        peak = float(self._pipe.recv())
        self._process.join()
        return peak


def _serve(pipe: Connection, engine: Callable[[str, int], Step], name: str, threads: int) -> None:
    case, random = CASES[name], np.random.default_rng(0)
    x = random.normal(0, 0.5, (case.batch, *case.shape)).astype(np.float32)
    y = random.integers(0, case.classes, case.batch)
    step = engine(name, threads)
    while pipe.recv() == "step":
        start = time.perf_counter()
        loss = step(x, y)
        pipe.send((time.perf_counter() - start, loss))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


# ---- mpscnn --------------------------------------------------------------------------------------------------


def mpscnn_step(name: str, threads: int) -> Step:
    """With new weights."""
    import mpscnn

    case = CASES[name]
    net = mpscnn.Network(input=case.shape, name=name)
    if name == "deep_mnist":
        x = net.conv2d(net.input, 32, 5, padding="same", activation="relu", name="conv1")
        x = net.conv2d(net.max_pool2d(x, 2), 64, 5, padding="same", activation="relu", name="conv2")
        x = net.dense(net.max_pool2d(x, 2), 1024, activation="relu", name="fc1")
        x = net.dense(net.dropout(x, 0.5), 10, name="fc2")
        optimizer: mpscnn.Adam | mpscnn.Sgd = mpscnn.Adam(1e-3)
    else:
        x = _mobilenet(net, case.classes)
        optimizer = mpscnn.Sgd(0.05, momentum=0.9)
    net.output(net.softmax(x))
    net.initialize_weights(seed=0)
    return mpscnn.Trainer(net, optimizer=optimizer, threads=threads).step


def _mobilenet(net: Any, classes: int) -> Any:
    def layer(
        x: Any, channels: int, kernel: int, stride: int, *, depthwise: bool = False, relu: bool = True
    ) -> Any:
        padding = kernel // 2
        if depthwise:
            x = net.depthwise_conv2d(x, kernel, strides=stride, padding=padding)
        else:
            x = net.conv2d(x, channels, kernel, strides=stride, padding=padding)
        x = net.batch_norm(x, epsilon=1e-5)
        return net.activation(x, "relu6") if relu else x

    x = layer(net.input, 32, 3, 2)
    for expansion, channels, blocks, first in _STAGES:
        for i in range(blocks):
            inputs, stride = x.shape[-1], first if i == 0 else 1
            y = layer(x, inputs * expansion, 1, 1) if expansion > 1 else x
            y = layer(y, inputs * expansion, 3, stride, depthwise=True)
            y = layer(y, channels, 1, 1, relu=False)
            x = net.add(x, y) if stride == 1 and inputs == channels else y
    x = net.global_average_pool2d(layer(x, 1280, 1, 1))
    return net.dense(net.dropout(net.flatten(x), 0.2), classes)


# ---- PyTorch -------------------------------------------------------------------------------------------------


def torch_step(name: str, threads: int) -> Step:
    """Eager, channels last."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(threads)
    if name == "deep_mnist":
        module = nn.Sequential(
            nn.Conv2d(1, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(3136, 1024),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(1024, 10),
        )
        optimizer: Any = torch.optim.Adam(module.parameters(), 1e-3)
    else:
        module = _torch_mobilenet(CASES[name].classes)
        optimizer = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9)
    module = module.to(memory_format=torch.channels_last).train()

    def step(x: np.ndarray, y: np.ndarray) -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(module(torch.from_numpy(x).permute(0, 3, 1, 2)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def _torch_mobilenet(classes: int) -> Any:
    """The same layers as _mobilenet's."""
    import torch
    from torch import nn

    def layer(
        inputs: int, channels: int, kernel: int, stride: int, groups: int = 1, *, relu: bool = True
    ) -> list[Any]:
        convolution = nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [convolution, nn.BatchNorm2d(channels), *([nn.ReLU6()] if relu else [])]

    class Block(nn.Module):
        def __init__(self, inputs: int, channels: int, stride: int, expansion: int) -> None:
            super().__init__()
            wide = inputs * expansion
            expand = layer(inputs, wide, 1, 1) if expansion > 1 else []
            project = layer(wide, channels, 1, 1, relu=False)
            self.layers = nn.Sequential(*expand, *layer(wide, wide, 3, stride, wide), *project)
            self.adds = stride == 1 and inputs == channels

        def forward(self, x: torch.Tensor) -> Any:
            return x + self.layers(x) if self.adds else self.layers(x)

    layers, inputs = layer(3, 32, 3, 2), 32
    for expansion, channels, blocks, first in _STAGES:
        for i in range(blocks):
            layers.append(Block(inputs, channels, first if i == 0 else 1, expansion))
            inputs = channels
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, classes)]
    return nn.Sequential(*layers, *layer(inputs, 1280, 1, 1), *head)


if __name__ == "__main__":
    main()
