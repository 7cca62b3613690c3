"""Test weights="int8": 8-bit weights with a range for each output channel, multiplied as floats."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from reference import byte_weights

import mpscnn

Floats = npt.NDArray[np.float32]
Layer = Callable[[mpscnn.Network, Any], Any]

LAYERS: dict[str, tuple[tuple[int, int, int], Layer]] = {
    "pointwise": ((6, 5, 24), lambda n, x: n.conv2d(x, 40, 1, name="layer", activation="relu")),
    "few outputs": ((3, 3, 256), lambda n, x: n.conv2d(x, 3, 1, name="layer")),
    "strided": ((9, 11, 5), lambda n, x: n.conv2d(x, 49, 3, strides=2, name="layer")),
    "winograd": ((16, 16, 32), lambda n, x: n.conv2d(x, 32, 3, padding="same", name="layer")),
    "groups": ((7, 7, 36), lambda n, x: n.conv2d(x, 60, 3, groups=3, name="layer")),
    "narrow groups": ((7, 7, 32), lambda n, x: n.conv2d(x, 32, 3, groups=8, name="layer")),
    "depthwise": ((8, 9, 20), lambda n, x: n.depthwise_conv2d(x, 3, padding="same", name="layer")),
    "multiplier": ((8, 9, 6), lambda n, x: n.depthwise_conv2d(x, 3, multiplier=2, name="layer")),
    "subpixel": ((5, 4, 8), lambda n, x: n.subpixel_conv2d(x, 3, 3, scale=2, name="layer")),
    "dense": ((4, 5, 17), lambda n, x: n.dense(x, 33, name="layer", activation="tanh")),
}


def network_of(name: str) -> tuple[mpscnn.Network, Floats]:
    """Return a network of one layer, and a batch for it."""
    shape, layer = LAYERS[name]
    network = mpscnn.Network(shape)
    network.output(layer(network, network.input))
    network.initialize_weights(seed=3)
    biases = [spec for spec in network.weight_specs() if spec["role"] == "bias"]
    random = np.random.default_rng(5)
    network.set_weights({f"layer.{spec['role']}": random.normal(size=spec["shape"]) for spec in biases})
    return network, random.normal(size=(3, *shape)).astype(np.float32)


def with_weight(network: mpscnn.Network, weight: Floats) -> mpscnn.Network:
    """Return a copy of the network with another weight."""
    changed = copy.deepcopy(network)
    changed.graph.set_weight("layer", "weight", weight)
    return changed


def results(network: mpscnn.Network, x: Floats, **options: Any) -> Any:
    """Return the result on the CPU."""
    return network.compile(device="cpu", **options).session(threads=2).run(x)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", LAYERS)
def test_they_are_the_floats_of_the_reference(name: str, precision: Any) -> None:
    network, x = network_of(name)
    weight = network.weight("layer")
    expected = byte_weights.quantized(weight)
    assert np.abs(expected - weight).max() > 0
    np.testing.assert_array_equal(
        results(network, x, precision=precision, weights="int8"),
        results(with_weight(network, expected), x, precision=precision),
    )


def test_they_take_half_the_memory() -> None:
    """The weights are kept as float16, in half the memory of float32, if the processor can convert float16."""
    network = mpscnn.Network((1, 1, 512))
    network.output(network.dense(network.input, 512))
    network.initialize_weights()
    weight = 4 if "baseline" in str(mpscnn.devices()[0]["description"]) else 2
    assert network.compile(device="cpu", weights="int8").weight_bytes == weight * 512 * 512 + 4 * 512


def test_a_range_reaches_from_the_smallest_to_the_largest_weight() -> None:
    """A channel with one value keeps this value. Otherwise the ends of the range are rounded to float16."""
    network, x = network_of("few outputs")
    weight = network.weight("layer")
    weight[0] = 0.0
    weight[1] = -0.375
    weight[2] = np.linspace(-3, 5, weight[2].size).reshape(weight[2].shape)
    kept = byte_weights.quantized(weight)
    np.testing.assert_array_equal(kept[:2], weight[:2])
    assert (kept[2].min(), kept[2].max()) == (-3, 5)
    assert np.abs(kept[2] - weight[2]).max() <= 8 / 255 / 2 + 2.0**-9
    np.testing.assert_array_equal(
        results(with_weight(network, weight), x, weights="int8"), results(with_weight(network, kept), x)
    )


@pytest.mark.parametrize("per_channel", [False, True])
def test_stored_integers_stay(per_channel: bool) -> None:
    network, x = network_of("pointwise")
    random = np.random.default_rng(7)
    integers = random.integers(0, 256, (40, 1, 1, 24), np.uint8)
    count = 40 if per_channel else 1
    scales = random.uniform(0.001, 0.1, count).astype(np.float32)
    zero_points = random.integers(0, 256, count).astype(np.float32)
    network.set_quantized_weight("layer.weight", integers, scales, zero_points)
    expected = byte_weights.stored(integers, scales, zero_points)
    np.testing.assert_allclose(expected, network.weight("layer"), rtol=2.0**-10, atol=1e-5)
    np.testing.assert_array_equal(
        results(network, x, weights="int8"), results(with_weight(network, expected), x)
    )


def test_a_batch_normalization_becomes_part_of_the_ranges() -> None:
    random = np.random.default_rng(11)
    x = random.normal(size=(2, 5, 5, 12)).astype(np.float32)

    def normalized(weight: Any, gamma: Floats) -> mpscnn.Network:
        network = mpscnn.Network((5, 5, 12))
        features = network.conv2d(network.input, 16, 1, name="layer")
        network.output(network.batch_norm(features, name="normal", epsilon=1e-30))
        network.initialize_weights(seed=2)
        network.set_weights({"normal.gamma": gamma})  # the variance is 1
        network.graph.set_weight("layer", "weight", weight)
        return network

    factors = random.normal(size=16).astype(np.float32)  # some are negative
    integers = random.integers(0, 256, (16, 1, 1, 12), np.uint8)
    scales, zero_points = np.full(16, 0.02, np.float32), np.arange(120, 136).astype(np.float32)
    network = normalized(np.zeros((16, 1, 1, 12), np.float32), factors)
    network.set_quantized_weight("layer.weight", integers, scales, zero_points)
    expected = byte_weights.stored(integers, scales, zero_points, np.float64(factors))
    np.testing.assert_array_equal(
        results(network, x, weights="int8"), results(normalized(expected, np.ones(16, np.float32)), x)
    )
    floats = random.normal(size=(16, 1, 1, 12)).astype(np.float32)
    folded = (floats * factors.astype(np.float64)[:, None, None, None]).astype(np.float32)
    np.testing.assert_array_equal(
        results(normalized(floats, factors), x, weights="int8"),
        results(normalized(byte_weights.quantized(folded), np.ones(16, np.float32)), x),
    )


def test_what_keeps_its_weights() -> None:
    """Transposed convolutions, layers with keep_float32 and layers without products keep their weights."""
    random = np.random.default_rng(13)
    network = mpscnn.Network((6, 6, 8))
    y = network.conv2d_transpose(network.input, 8, 3, strides=2)
    y = network.conv2d(y, 8, 1, name="kept")
    network.output(network.activation(y, "prelu"))
    network.initialize_weights(seed=1)
    network.keep_float32(["kept"])
    x = random.normal(size=(1, 6, 6, 8)).astype(np.float32)
    np.testing.assert_array_equal(results(network, x, weights="int8"), results(network, x))
    network.keep_float32(["kept"], keep=False)
    assert np.any(results(network, x, weights="int8") != results(network, x))


def test_what_the_option_refuses() -> None:
    network, _ = network_of("dense")
    wrong: Any = "uint8"
    with pytest.raises(mpscnn.ParameterError, match="weights must be auto or int8, got 'uint8'"):
        network.compile(device="cpu", weights=wrong)
    wrong = 8
    with pytest.raises(mpscnn.ParameterError, match="weights must be a name, got 8"):
        network.compile(device="cpu", weights=wrong)
    for precision in ("int8", "bfloat16"):
        with pytest.raises(
            mpscnn.ParameterError,
            match=f"weights 'int8' are for precision float32 and float16, got {precision}",
        ):
            network.compile(device="cpu", precision=precision, weights="int8")
    weight = network.weight("layer")
    weight[4, 0, 0, 0] = -65520.0
    with pytest.raises(
        mpscnn.WeightsError, match=r"layer 'layer': weight -65520.* does not fit into weights of int8"
    ):
        with_weight(network, weight).compile(device="cpu", weights="int8")


def test_programs_and_models_keep_the_option(tmp_path: Path) -> None:
    network, x = network_of("dense")
    program = network.compile(device="cpu", weights="int8")
    assert program.weight_type == "int8"
    assert network.compile(device="cpu").weight_type == "float32"
    assert network.compile(device="cpu", precision="float16").weight_type == "float16"
    expected = program.session().run(x)
    again = pickle.loads(pickle.dumps(program))
    assert again.weight_type == "int8"
    np.testing.assert_array_equal(again.session().run(x), expected)
    path = tmp_path / "dense.safetensors"
    network.save(path)
    model = mpscnn.load(path, device="cpu", weights="int8")
    assert model.program.weight_type == "int8"
    assert pickle.loads(pickle.dumps(model)).program.weight_type == "int8"
    assert model.features("layer").program.weight_type == "int8"


def test_networks_of_the_same_integers_with_other_ranges_are_not_shared() -> None:
    """Weights twice as large have the same integers; programs of equal networks share their packed weights."""
    network, x = network_of("pointwise")
    weight = network.weights["layer.weight"]
    program = network.compile(device="cpu", weights="int8")
    twice = with_weight(network, 2 * weight).compile(device="cpu", weights="int8")
    assert not np.array_equal(program.session().run(x), twice.session().run(x))
