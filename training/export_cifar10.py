"""Write the model file of the bundled model from the folder that cifar10.py filled.

    python training/export_cifar10.py --input DIR [--output FILE]

Needs mpscnn and numpy, not PyTorch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn import Network, Tensor

BUNDLED = "python/mpscnn/models/data/cifar10_mobilenet_v2.safetensors"
INFORMATION = {
    "license": "Apache-2.0",
    "source": "training/ of the mpscnn project; trained on CIFAR-10 (Krizhevsky 2009)",
    "description": "MobileNetV2 for small photos of the ten classes of CIFAR-10",
}


def conv3x3(net: Network, x: Tensor, filters: int, stride: int, name: str) -> Tensor:
    """Add a 3x3 convolution with ReLU6. As in PyTorch, one row of zeros pads the image on every side."""
    return net.conv2d(x, filters, 3, strides=stride, padding=1, activation="relu6", name=name)


def inverted_residual(net: Network, x: Tensor, stage: Mapping[str, int], stride: int, block: str) -> Tensor:
    """Add the layers <block>_expand, _depthwise and _project, and _add if input and output have the same shape."""
    inputs = x.shape[-1]
    assert inputs is not None
    y = x
    if stage["expansion"] > 1:
        hidden = inputs * stage["expansion"]
        y = net.conv2d(y, hidden, 1, activation="relu6", name=f"{block}_expand")
    y = net.depthwise_conv2d(y, 3, strides=stride, padding=1, activation="relu6", name=f"{block}_depthwise")
    y = net.conv2d(y, stage["channels"], 1, name=f"{block}_project")
    return net.add(x, y, name=f"{block}_add") if x.shape == y.shape else y


def build(architecture: Mapping[str, Any]) -> Network:
    """Build the network that an architecture.json describes."""
    net = Network(input=architecture["input"], name=architecture["name"])
    stem = architecture["stem"]
    x = conv3x3(net, net.input, stem["channels"], stem["stride"], "conv1")
    block = 0
    for stage in architecture["stages"]:
        for repeat in range(stage["repeats"]):
            block += 1
            x = inverted_residual(net, x, stage, stage["stride"] if repeat == 0 else 1, f"block{block}")
    x = net.conv2d(x, architecture["last_channels"], 1, activation="relu6", name="conv_last")
    x = net.global_average_pool2d(x, name="pool")
    x = net.dense(x, len(architecture["classes"]), name="classifier")
    net.output(net.softmax(x, name="softmax"))
    return net


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input", type=Path, required=True, help="folder with architecture.json and weights.npz"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[1] / BUNDLED)
    options = parser.parse_args()
    architecture = json.loads((options.input / "architecture.json").read_text())
    net = build(architecture)
    with np.load(options.input / "weights.npz") as file:
        weights = dict(file)
    # The dense layer reads an image of 1 x 1 pixels, so its weight needs axes for height and width.
    weights["classifier.weight"] = weights["classifier.weight"][:, None, None, :]
    net.load_weights(weights)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    net.save(
        options.output,
        labels=architecture["classes"],
        preprocess=architecture["preprocess"],
        information=INFORMATION,
    )
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
