"""Make networks and images for tests of quantisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import mpscnn
from mpscnn.quantization.calibration import Seen, calibrate
from mpscnn.quantization.inputs import to_arrays

SHAPE = (12, 12, 3)


def noise(count: int, *shape: int, seed: int = 0) -> list[NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    return [random.uniform(-1, 1, (1, *(shape or SHAPE))).astype(np.float32) for _ in range(count)]


def drawn_weights(network: mpscnn.Network, seed: int = 1) -> mpscnn.Network:
    """Set random weights, such that no weight is neutral (a scale of 1, or an offset of 0)."""
    network.initialize_weights(seed)
    random = np.random.default_rng(seed)
    neutral = {
        name: values for name, values in network.weights.items() if not name.endswith((".weight", ".slope"))
    }
    network.set_weights(
        {
            name: (values + random.uniform(0.0, 0.5, values.shape)).astype(np.float32)
            for name, values in neutral.items()
        },
        layout="OHWI",
    )
    return network


def classifier() -> mpscnn.Network:
    """Return a network with all integer operations except resizes and concatenations, folded layers, and dropout."""
    network = mpscnn.Network(SHAPE, name="classifier")
    x = network.conv2d(network.input, 16, 3, padding="same", name="stem")
    x = network.activation(network.batch_norm(x, name="stem_bn"), "relu6", name="stem_relu")
    y = network.depthwise_conv2d(x, 3, padding="same", name="depthwise")
    y = network.batch_norm(y, activation="relu", name="depthwise_bn")
    y = network.conv2d(y, 16, 1, name="project")
    x = network.activation(network.add(x, y, name="sum"), "relu", name="sum_relu")
    x = network.batch_norm(x, name="alone")
    x = network.average_pool2d(x, 2, name="halved")
    x = network.flatten(network.global_average_pool2d(x, name="pooled"), name="flat")
    x = network.dropout(x, name="dropout")
    x = network.dense(x, 10, name="scores")
    network.output(network.softmax(x, name="probabilities"))
    return drawn_weights(network)


def results(
    network: mpscnn.Network, images: list[NDArray[np.float32]], precision: str
) -> NDArray[np.float32]:
    session = network.compile(device="cpu", precision=precision).session(threads=1)  # type: ignore[arg-type]
    return np.concatenate([np.asarray(session.run(image)) for image in images])


def seen_on(network: mpscnn.Network, images: list[NDArray[np.float32]]) -> dict[str, Seen]:
    return calibrate(network, to_arrays(network, images, "images"))


def relative_error(found: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


# ---- Wide ranges -------------------------------------------------------------------------------------------


def coloured(count: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Return images of one colour each, with noise."""
    return [0.2 * image + np.clip(4 * image[:, :1, :1], -1, 1) for image in noise(count, seed=seed)]


IMAGES = coloured(60)


def wide(reach: int = 5, *, limited: bool = True) -> mpscnn.Network:
    """Return a classifier with a sum whose channels have ranges of 2^-reach to 2^reach.

    With `limited` the sum has limits, so that it cannot be equalised.
    """
    network = mpscnn.Network(SHAPE, name="wide")
    x = network.conv2d(network.input, 16, 3, padding="same", name="stem")
    y = network.conv2d(x, 16, 1, activation="relu", name="expand")
    y = network.conv2d(y, 16, 1, name="project")
    limits = {"kind": "clamp", "a": -1e6, "b": 1e6} if limited else None
    x = network.add(x, y, activation=limits, name="sum")
    x = network.conv2d(x, 16, 1, activation="relu", name="read")
    x = network.conv2d(x, 24, 3, activation="relu", name="last")
    x = network.global_average_pool2d(x, name="pooled")
    network.output(network.dense(network.flatten(x, name="flat"), 6, name="scores"))
    drawn_weights(network)
    factors = 2.0 ** np.random.default_rng(2).integers(-reach, reach + 1, 16)
    weights = {name: np.array(values, np.float32) for name, values in network.weights.items()}
    for name in ("stem", "project"):
        weights[f"{name}.weight"] *= factors[:, None, None, None].astype(np.float32)
        weights[f"{name}.bias"] *= factors.astype(np.float32)
    for name in ("expand", "read"):
        weights[f"{name}.weight"] /= factors.astype(np.float32)
    network.set_weights(weights, layout="OHWI")
    # Scores without their means, so that all classes occur.
    scores = results(network, IMAGES, "float32")
    network.set_weights({"scores.bias": weights["scores.bias"] - scores.mean(0)}, layout="OHWI")
    return network


# ---- Equalisation and bias correction -----------------------------------------------------------------------


def uneven(activation: str) -> mpscnn.Network:
    """Return a network with a depthwise layer whose input channels have ranges that differ up to a thousandfold."""
    network = mpscnn.Network(SHAPE)
    x = network.conv2d(network.input, 16, 1, activation=activation, name="expand")
    x = network.depthwise_conv2d(x, 3, padding="same", activation=activation, name="depthwise")
    network.output(network.conv2d(x, 4, 1, name="project"))
    drawn_weights(network)
    factors = np.geomspace(0.03, 30.0, 16).astype(np.float32)
    weights = network.weights
    for name in ("expand.weight", "expand.bias"):
        values = weights[name]
        network.set_weights({name: values * factors.reshape(-1, *[1] * (values.ndim - 1))})
    network.set_weights(
        {"depthwise.weight": weights["depthwise.weight"] / factors.reshape(-1, 1, 1, 1)}, layout="OHWI"
    )
    return network
