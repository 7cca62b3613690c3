"""Tests of accumulate_dtype="float16", with which convolutions and dense layers add up in float16."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from reference import half_sums

import mpscnn

Floats = npt.NDArray[np.float32]

# The shape of an image, a function that adds the layer, and the reference's attributes (None for a dense layer).
Layer = tuple[tuple[int, int, int], Callable[[mpscnn.Network, Any], Any], "dict[str, Any] | None"]
LAYERS: dict[str, Layer] = {
    "pointwise": (
        (6, 5, 24),
        lambda n, x: n.conv2d(x, 40, 1, name="layer"),
        {"kernel_height": 1, "kernel_width": 1},
    ),
    "window": (
        (9, 11, 5),
        lambda n, x: n.conv2d(x, 33, 3, strides=2, padding="same", name="layer"),
        {"kernel_height": 3, "kernel_width": 3, "stride_y": 2, "stride_x": 2, "padding": "same"},
    ),
    "winograd's": (
        (16, 16, 32),
        lambda n, x: n.conv2d(x, 32, 3, padding="same", name="layer"),
        {"kernel_height": 3, "kernel_width": 3, "padding": "same"},
    ),
    "groups": (
        (7, 8, 12),
        lambda n, x: n.conv2d(x, 15, 3, groups=3, name="layer"),
        {"kernel_height": 3, "kernel_width": 3, "groups": 3, "padding": "valid"},
    ),
    "wide groups": (
        (4, 5, 8),
        lambda n, x: n.conv2d(x, 74, 1, groups=2, name="layer"),
        {"kernel_height": 1, "kernel_width": 1, "groups": 2},
    ),
    "depthwise": (
        (8, 9, 37),
        lambda n, x: n.depthwise_conv2d(x, 3, padding="same", name="layer"),
        {"kernel_height": 3, "kernel_width": 3, "groups": 37, "padding": "same"},
    ),
    "multiplier": (
        (8, 9, 6),
        lambda n, x: n.depthwise_conv2d(x, 3, multiplier=2, name="layer"),
        {"kernel_height": 3, "kernel_width": 3, "groups": 6, "padding": "valid"},
    ),
    "dense": ((4, 5, 17), lambda n, x: n.dense(x, 70, name="layer"), None),
}


def network_of(name: str, scale: float = 1.0) -> tuple[mpscnn.Network, Floats, Floats, Floats]:
    """Return a network of one layer, its weight and bias, and a batch for it."""
    shape, layer, _ = LAYERS[name]
    network = mpscnn.Network(shape)
    network.output(layer(network, network.input))
    random = np.random.default_rng(5)
    specs = {spec["role"]: spec["shape"] for spec in network.weight_specs()}
    weight = np.clip(random.normal(0, scale, specs["weight"]), -65504, 65504).astype(np.float32)
    bias = random.normal(size=specs["bias"]).astype(np.float32)
    network.set_weights({"layer.weight": weight, "layer.bias": bias}, layout="OHWI")
    return network, weight, bias, random.normal(size=(3, *shape)).astype(np.float32)


def results(network: mpscnn.Network, x: Floats, threads: int = 2, **options: Any) -> Any:
    options = {"precision": "float16", "accumulate_dtype": "float16", **options}
    return network.compile(device="cpu", **options).session(threads=threads).run(x)


def expected(name: str, weight: Floats, bias: Floats, x: Floats) -> Any:
    attributes = LAYERS[name][2]
    if attributes is None:
        return half_sums.dense(x, weight, bias)
    return half_sums.convolution(x, weight, bias, attributes)


@pytest.mark.parametrize("name", LAYERS)
def test_sums_are_those_of_the_reference(name: str) -> None:
    network, weight, bias, x = network_of(name)
    wanted = expected(name, weight, bias, x).astype(np.float32)
    for threads in (1, 3):
        np.testing.assert_array_equal(results(network, x, threads), wanted)
    in_floats = results(network, x, accumulate_dtype="float32")
    assert not np.array_equal(in_floats, wanted)
    assert np.abs(in_floats - wanted).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**-12, 300.0, 20000.0])
def test_sums_of_tiny_and_huge_numbers(scale: float) -> None:
    """Sums are right for subnormal numbers of float16, and for sums that overflow to infinity."""
    network, weight, bias, x = network_of("pointwise", scale)
    if scale < 1:
        bias *= np.float32(scale)
        network.set_weights({"layer.bias": bias})
    wanted = expected("pointwise", weight, bias, x).astype(np.float32)
    np.testing.assert_array_equal(results(network, x), wanted)
    assert np.isfinite(wanted).all() == (scale < 20000)


def test_each_product_is_rounded_once() -> None:
    """The sums are such that float32 would round to the middle between two halves, and then to the wrong half."""
    network = mpscnn.Network((1, 1, 1))
    network.output(network.conv2d(network.input, 3, 1, name="layer"))

    def sums(x: float, weight: float, *bias: float) -> list[float]:
        weights = np.full((3, 1, 1, 1), weight, np.float32)
        network.set_weights(
            {"layer.weight": weights, "layer.bias": np.array(bias, np.float32)}, layout="OHWI"
        )
        return list(results(network, np.full((1, 1, 1, 1), x, np.float32)).ravel())

    ulp = 2.0**-10  # the distance between neighbouring halves from 1 to 2
    below = sums(1023 / 1024, 1025 * 2.0**-21, 1, 1 + ulp, 1 + 2 * ulp)  # the product is 2^-11 - 2^-31
    assert below == [1, 1 + ulp, 1 + 2 * ulp]
    above = sums(993 / 1024, 1056 * 2.0**-21, 1, 1 + ulp, 1 + 2 * ulp)  # the product is 2^-11 + 2^-26
    assert above == [1 + ulp, 1 + 2 * ulp, 1 + 3 * ulp]
    assert sums(1023 / 1024, 1025 * 2.0**-6, 65504, 0, -65504)[0] == 65504  # the product is 16 - 2^-16
    assert sums(-1023 / 1024, 1025 * 2.0**-6, 65504, 0, -65504)[2] == -65504
    assert sums(993 / 1024, 1056 * 2.0**-6, 65504, 0, -65504)[0] == np.inf
    assert sums(1, 16, 65504, 0, -65504)[0] == np.inf


def test_what_follows_in_the_layer_is_in_float32() -> None:
    network = mpscnn.Network((5, 6, 8))
    x = network.conv2d(network.input, 8, 3, padding="same", activation="relu6", name="layer")
    network.output(network.add(x, network.input))
    network.initialize_weights(seed=1)
    image = np.random.default_rng(1).normal(size=(2, 5, 6, 8)).astype(np.float16).astype(np.float32)
    weight = network.weights["layer.weight"]
    bias = network.weights["layer.bias"]
    sums = half_sums.convolution(
        image, weight, bias, {"kernel_height": 3, "kernel_width": 3, "padding": "same"}
    )
    wanted = np.clip(sums.astype(np.float32), 0, 6) + image
    np.testing.assert_array_equal(results(network, image), wanted.astype(np.float16).astype(np.float32))


def test_layers_in_float32_keep_their_sums() -> None:
    network, _, _, x = network_of("window")
    network.keep_float32(["layer"])
    np.testing.assert_array_equal(results(network, x), results(network, x, accumulate_dtype="float32"))


def test_a_whole_network_has_the_bits_of_any_number_of_threads() -> None:
    network = mpscnn.models.mobilenet_v2(classes=10, input_size=32, depth_multiplier=0.35)
    network.initialize_weights(seed=2)
    x = np.random.default_rng(3).normal(size=(3, 32, 32, 3)).astype(np.float32)
    one = results(network, x, threads=1)
    np.testing.assert_array_equal(one, results(network, x, threads=3))
    np.testing.assert_array_equal(one[1:2], results(network, x[1:2]))
    assert not np.array_equal(one, results(network, x, accumulate_dtype="float32"))


def test_programs_say_it_and_pickles_keep_it() -> None:
    network, _, _, x = network_of("dense")
    program = network.compile(device="cpu", precision="float16", accumulate_dtype="float16")
    assert program.accumulate_dtype == "float16"
    copy = pickle.loads(pickle.dumps(program))
    assert copy.accumulate_dtype == "float16"
    np.testing.assert_array_equal(copy.session().run(x), program.session().run(x))
    assert network.compile(device="cpu", precision="float16").accumulate_dtype == "float32"
    assert network.compile(device="cpu", accumulate_dtype="float32").accumulate_dtype == "float32"


def test_refusals() -> None:
    network, _, bias, _ = network_of("dense")
    with pytest.raises(
        mpscnn.ParameterError, match="accumulate_dtype must be auto, float32 or float16, got 'double'"
    ):
        network.compile(device="cpu", accumulate_dtype="double")  # type: ignore[arg-type]
    with pytest.raises(
        mpscnn.ParameterError, match="accumulate_dtype 'float16' is for precision float16, got float32"
    ):
        network.compile(device="cpu", precision="float32", accumulate_dtype="float16")
    bias[3] = 1e6
    network.set_weights({"layer.bias": bias})
    with pytest.raises(mpscnn.WeightsError, match=r"bias 1000000.* does not fit into sums in float16"):
        network.compile(device="cpu", precision="float16", accumulate_dtype="float16")
