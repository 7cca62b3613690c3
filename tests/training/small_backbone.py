"""A small classifier of photos with random weights, for training new last layers."""

from __future__ import annotations

from pathlib import Path

import mpscnn


def small_backbone() -> mpscnn.Network:
    """Return a network of three blocks, the middle one with a residual, and a last layer of five classes."""
    net = mpscnn.Network(input=(16, 16, 3), name="small")
    x = net.conv2d(net.input, 16, 3, strides=2, padding="same", activation="relu6", name="conv1")
    y = net.conv2d(x, 8, 3, padding="same", activation="relu6", name="expand")
    y = net.conv2d(y, 16, 1, name="project")
    x = net.add(x, y, name="sum")
    x = net.conv2d(x, 96, 1, activation="relu6", name="conv_last")
    x = net.global_average_pool2d(x, name="pool")
    x = net.dense(x, 5, name="classes")
    net.output(net.softmax(x, name="probabilities"))
    net.initialize_weights(seed=3)
    net.preprocess = "tensorflow"
    return net


def save_small_backbone(path: Path) -> Path:
    """Save the network as a model file."""
    small_backbone().save(path, dtype="float32", information={"license": "Apache-2.0"})
    return path
