"""Tests of weights="int8" on the Metal engine: MPS gets 8-bit integers with ranges, and results are the CPU's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from reference import byte_weights

import mpscnn
from mpscnn.models import mobilenet_v1

Layer = Callable[[mpscnn.Network, Any], Any]

# Layers that MPSCNNConvolution computes, and layers that mpscnn's shaders compute.
BY_MPS: dict[str, tuple[tuple[int, int, int], Layer]] = {
    "pointwise": ((6, 5, 24), lambda n, x: n.conv2d(x, 40, 1, name="layer", activation="relu")),
    "strided": ((9, 11, 5), lambda n, x: n.conv2d(x, 49, 3, strides=2, name="layer")),
    "groups": ((7, 7, 24), lambda n, x: n.conv2d(x, 48, 3, groups=3, name="layer")),
    "subpixel": ((5, 4, 8), lambda n, x: n.subpixel_conv2d(x, 3, 3, 2, name="layer")),
    "dense": ((4, 5, 17), lambda n, x: n.dense(x, 33, name="layer", activation="tanh")),
}
BY_SHADERS: dict[str, tuple[tuple[int, int, int], Layer]] = {
    "activated": ((6, 5, 24), lambda n, x: n.conv2d(x, 40, 1, name="layer", activation="hard_swish")),
    "odd groups": ((7, 7, 9), lambda n, x: n.conv2d(x, 6, 3, groups=3, name="layer")),
    "depthwise": ((8, 9, 20), lambda n, x: n.depthwise_conv2d(x, 3, padding="same", name="layer")),
}


def network_of(shape: tuple[int, int, int], layer: Layer) -> mpscnn.Network:
    """Return a network of one layer."""
    network = mpscnn.Network(shape)
    network.output(layer(network, network.input))
    network.initialize_weights(seed=3)
    return network


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", [*BY_MPS, *BY_SHADERS])
def test_they_are_the_numbers_of_the_cpu(name: str, precision: Any, emulation: Emulation) -> None:
    shape, layer = {**BY_MPS, **BY_SHADERS}[name]
    network = network_of(shape, layer)
    x = np.random.default_rng(5).normal(size=(2, *shape)).astype(np.float32)
    weight = network.weight("layer")
    floats = network_of(shape, layer)
    floats.graph.set_weight("layer", "weight", byte_weights.quantized(weight))
    # The first compilation checks the device, which also loads weights.
    same: Any = floats.compile(device="metal", precision=precision).session().run(x)
    before = emulation.get("bytes_of_weights")
    program = network.compile(device="metal", precision=precision, weights="int8")
    assert emulation.get("bytes_of_weights") - before == (weight.size if name in BY_MPS else 0)
    found: Any = program.session().run(x)

    options: Any = {"precision": precision, "weights": "int8"}
    expected: Any = network.compile(device="cpu", **options).session().run(x)
    bound = (1e-5 if precision == "float32" else 2e-3) * float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    np.testing.assert_array_equal(found, same)


def test_they_take_a_quarter_of_the_memory(emulation: Emulation) -> None:
    """8-bit weights need a quarter of the memory. MPS computes the pointwise convolutions with nearly all weights."""
    network = mobilenet_v1(depth_multiplier=0.5, input_size=32)
    network.initialize_weights()
    network.compile(device="metal")  # the first compilation checks the device, which also loads weights
    sizes, given = {}, {}
    for weights in ("auto", "int8"):
        before = emulation.get("bytes_of_weights")
        kept: Any = weights
        sizes[weights] = network.compile(device="metal", weights=kept).weight_bytes
        given[weights] = emulation.get("bytes_of_weights") - before
    assert given["int8"] * 4 == given["auto"] > 0.9 * sizes["auto"]
    assert sizes["int8"] < 0.3 * sizes["auto"]


def test_a_purge_that_no_load_preceded_changes_nothing(emulation: Emulation) -> None:
    network = network_of(*BY_MPS["strided"])
    x = np.linspace(-1, 1, 9 * 11 * 5, dtype=np.float32).reshape(1, 9, 11, 5)
    expected = network.compile(device="metal", weights="int8").session().run(x)
    emulation.set("purge_first", 1)
    np.testing.assert_array_equal(network.compile(device="metal", weights="int8").session().run(x), expected)
