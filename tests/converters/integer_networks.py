"""Build small networks of 8-bit integers for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import mpscnn

IMAGES = [np.random.default_rng(0).uniform(-1, 1, (8, 12, 12, 3)).astype(np.float32)]


def in_integers(network: mpscnn.Network, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(network.compile(device="cpu", precision="int8").session().run(x))


def branched() -> mpscnn.Network:
    """Return a network with operations of all kinds that support integers."""
    network = mpscnn.Network((12, 12, 3), name="small")
    x = network.conv2d(network.input, 16, 3, padding="same", activation="relu6", name="stem")
    y = network.depthwise_conv2d(x, 3, padding="same", activation="relu", name="depthwise")
    y = network.conv2d(y, 16, 1, name="project")
    x = network.add(x, y, activation="relu", name="sum")
    small = network.max_pool2d(
        network.average_pool2d(x, 2, name="halved"), 3, name="largest", strides=1, padding="same"
    )
    large = network.resize(small, (12, 12), name="doubled")
    x = network.concat([x, large, network.activation(y, "relu6", name="limited")], name="all")
    x = network.multiply(x, network.activation(x, "sigmoid", name="gate"), name="gated")
    x = network.global_average_pool2d(x, name="pooled")
    x = network.dense(network.flatten(x, name="flat"), 10, name="scores")
    network.output(network.softmax(x, name="probabilities"))
    network.initialize_weights(3)
    return mpscnn.quantize(network, IMAGES)[0]


def mixed() -> mpscnn.Network:
    """Return a network with two layers of floats, and with a sum and a convolution of integers."""
    network = mpscnn.Network((12, 12, 3), name="mixed")
    x = network.conv2d(network.input, 8, 3, activation="hard_swish", name="floats")
    y = network.activation(x, "tanh", name="tanh")
    network.output(network.conv2d(network.add(x, y, name="sum"), 4, 1, name="last"))
    network.initialize_weights(3)
    network, _ = mpscnn.quantize(network, IMAGES, keep_float32=["floats", "tanh"])
    return network
