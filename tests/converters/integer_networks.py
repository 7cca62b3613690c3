"""Build small networks of 8-bit integers for tests, and run them here and in LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
from exact_engines import invoke_litert, litert_interpreter
from numpy.typing import NDArray

import mpscnn

Array = NDArray[Any]

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


def stored(x: Array, described: dict[str, Any]) -> Array:
    """Return numbers as the integers of an input, and floats unchanged."""
    if described["dtype"] == np.float32:
        return x
    (scale, zero_point), limits = described["quantization"], np.iinfo(described["dtype"])
    steps = x / np.float32(scale)
    nearest = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + zero_point
    return np.clip(nearest, limits.min, limits.max).astype(described["dtype"])


def litert(content: bytes, *inputs: Array) -> list[Array]:
    """Return the results of a file in LiteRT as numbers of steps: integer minus zero point."""
    interpreter = litert_interpreter(content)
    described = interpreter.get_input_details()
    invoke_litert(interpreter, *(stored(x, one) for x, one in zip(inputs, described, strict=True)))
    return [
        interpreter.get_tensor(one["index"]).astype(np.int64) - one["quantization"][1]
        for one in interpreter.get_output_details()
    ]


def here(network: mpscnn.Network, *inputs: Array) -> list[Array]:
    """Return the results of a network in integers as numbers of steps."""
    given = {tensor.name: x for tensor, x in zip(network.inputs, inputs, strict=True)}
    found: Any = network.compile(device="cpu", precision="int8").session().run(given)
    structure = network.to_dict()
    scales = {
        entry["name"]: entry["quantization"]["scale"] for entry in [*structure["inputs"], *structure["nodes"]]
        if "quantization" in entry
    }  # fmt: skip
    results = found if isinstance(found, dict) else {network.outputs[0].name: found}
    return [np.rint(values / scales[name]).astype(np.int64) for name, values in results.items()]
