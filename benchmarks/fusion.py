"""Compare fused convolutions with separate ones: measured times, and times predicted by the cost model.

Every block of MobileNet V1 and V2 (224 x 224) and of DeepLabv3 (513 x 513) is a separate network. It runs with every
setting that MPSCNN_FUSION can force. "chosen" is the setting that the cost model selects. Its loss is how much longer
it takes than the fastest setting.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from harness import input_shape, measure, table_head, table_row

import mpscnn


@dataclass(frozen=True)
class Block:
    """An inverted residual block; with an expansion of 0 or 1, a depthwise separable convolution."""

    size: int
    inputs: int
    expansion: int
    outputs: int
    stride: int
    dilation: int = 1

    def __str__(self) -> str:
        expanded = f" > {self.inputs * self.expansion}" if self.expansion > 1 else ""
        window = f" /{self.stride}" if self.stride > 1 else f" x{self.dilation}" if self.dilation > 1 else ""
        return f"{self.size}: {self.inputs}{expanded} > dw{window} > {self.outputs}"

    def network(self) -> mpscnn.Network:
        network = mpscnn.Network(input=(self.size, self.size, self.inputs))
        y = network.input
        if self.expansion > 1:
            y = network.conv2d(y, self.inputs * self.expansion, 1, activation="relu6", name="expand")
        y = network.depthwise_conv2d(
            y,
            3,
            strides=self.stride,
            dilation=self.dilation,
            padding="same",
            activation="relu6",
            name="depthwise",
        )
        y = network.conv2d(
            y, self.outputs, 1, activation=None if self.expansion > 1 else "relu6", name="project"
        )
        if self.expansion > 1 and self.stride == 1 and self.inputs == self.outputs:
            y = network.add(network.input, y)
        network.output(y)
        network.initialize_weights()
        return network


def blocks() -> Iterator[Block]:
    size, channels = 112, 32
    for outputs, stride in [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (1024, 2),
        (1024, 1),
    ]:
        yield Block(size, channels, 1, outputs, stride)
        size, channels = -(-size // stride), outputs
    size, channels = 112, 16
    for outputs, repeats, stride in [
        (24, 2, 2),
        (32, 2, 2),
        (64, 2, 2),
        (96, 2, 1),
        (160, 2, 2),
        (320, 1, 1),
    ]:
        for index in range(repeats):
            yield Block(size, channels, 6, outputs, stride if index == 0 else 1)
            size, channels = -(-size // stride) if index == 0 else size, outputs
    yield Block(257, 16, 6, 24, 2)
    yield Block(129, 24, 6, 24, 1)
    yield Block(33, 96, 6, 96, 1, 2)
    yield Block(33, 160, 6, 160, 1, 4)


def sessions(block: Block, threads: int) -> dict[str, tuple[mpscnn.Session, str]]:
    """Return a session for each setting of MPSCNN_FUSION, with the predicted time ("-" if there is none)."""
    network, made = block.network(), {}
    candidates = [
        "auto",
        *(f"rows={rows},channels={channels}" for rows in (2, 4, 8, 0) for channels in (0, 64, 128)),
    ]
    if block.expansion > 1:
        candidates += [
            f"rows={rows},channels={channels},stages=2" for rows in (0, 4) for channels in (64, 128)
        ]
    for candidate in [*candidates, "none"]:
        os.environ["MPSCNN_FUSION"] = candidate
        program = network.compile(device="cpu", precision="float32")
        session = program.session(threads=threads)
        # The first run makes the plan, which reads MPSCNN_FUSION.
        session.run(np.zeros(input_shape(network), np.float32))
        steps = program.explain(threads=threads).steps
        times = [step.predicted_us for step in steps]
        made[candidate] = session, "-" if None in times else f"{sum(time or 0.0 for time in times):.1f}"
    del os.environ["MPSCNN_FUSION"]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--all", action="store_true", help="a row for every candidate")
    options = parser.parse_args()
    head = (
        ("block", "candidate", "measured us", "predicted us")
        if options.all
        else ("block", "alone us (predicted)", "fastest us", "candidate", "chosen us (predicted)", "loss")
    )
    print(table_head(*head))
    for block in blocks():
        made = sessions(block, options.threads)
        x = np.random.default_rng(0).normal(size=(1, block.size, block.size, block.inputs)).astype(np.float32)
        times = measure(
            {candidate: partial(session.run, x) for candidate, (session, _) in made.items()},
            options.runs,
        )
        if options.all:
            for candidate, (_, predicted) in made.items():
                print(table_row((block, candidate, f"{times[candidate].minimum:.1f}", predicted)), flush=True)
            continue
        fastest = min((one for one in made if one != "auto"), key=lambda one: times[one].minimum)
        loss = times["auto"].minimum / times[fastest].minimum - 1
        print(
            table_row(
                (
                    block,
                    f"{times['none'].minimum:.1f} ({made['none'][1]})",
                    f"{times[fastest].minimum:.1f}",
                    fastest,
                    f"{times['auto'].minimum:.1f} ({made['auto'][1]})",
                    f"{100 * loss:+.1f}%",
                )
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
