"""Test that float16 networks store packed weights in float16 and have the bits of float32 kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import mpscnn

Floats = npt.NDArray[np.float32]


def halves(random: np.random.Generator, *shape: int) -> Floats:
    """Return random numbers that float16 can represent, including subnormal ones."""
    values = random.normal(size=shape).astype(np.float16)
    values.flat[::7] *= np.float16(2.0**-18)
    return values.astype(np.float32)


def results(network: mpscnn.Network, x: Floats) -> tuple[Floats, Floats]:
    """Return the float16 result, and the float32 result rounded to float16."""
    found: Any = [
        network.compile(device="cpu", precision=precision).session(threads=threads).run(x)
        for precision, threads in (("float16", 1), ("float16", 2), ("float32", 1))
    ]
    np.testing.assert_array_equal(found[0], found[1])
    return found[0], found[2].astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 5, 15, 33])
@pytest.mark.parametrize("outputs", [7, 17, 40, 100, 145, 200])
def test_dense_layers(batch: int, outputs: int) -> None:
    random = np.random.default_rng(outputs)
    network = mpscnn.Network((1, 1, 77))
    network.output(network.dense(network.input, outputs, name="dense"))
    network.set_weights(
        {"dense.weight": halves(random, outputs, 1, 1, 77), "dense.bias": halves(random, outputs)},
        layout="OHWI",
    )
    np.testing.assert_array_equal(*results(network, halves(random, batch, 1, 1, 77)))


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "inputs", "outputs"),
    [(1, 1, 1, 24, 40), (3, 2, 1, 5, 49), (3, 2, 3, 36, 60), (1, 1, 2, 64, 34), (5, 1, 1, 3, 33)],
)
def test_convolutions(kernel: int, stride: int, groups: int, inputs: int, outputs: int) -> None:
    random = np.random.default_rng(kernel)
    network = mpscnn.Network((9, 11, inputs))
    network.output(network.conv2d(network.input, outputs, kernel, strides=stride, groups=groups, name="conv"))
    shape = (outputs, kernel, kernel, inputs // groups)
    network.set_weights(
        {"conv.weight": halves(random, *shape), "conv.bias": halves(random, outputs)}, layout="OHWI"
    )
    np.testing.assert_array_equal(*results(network, halves(random, 2, 9, 11, inputs)))


def test_chains() -> None:
    """An inverted residual runs as one step, but layer by layer if every result is an output."""
    random = np.random.default_rng(3)
    network = mpscnn.Network((14, 14, 24))
    x = network.conv2d(network.input, 144, 1, activation="relu6")
    x = network.depthwise_conv2d(x, 3, padding="same", activation="relu6")
    x = network.conv2d(x, 24, 1)
    network.output(network.add(x, network.input))
    network.initialize_weights(seed=1)
    image = halves(random, 1, 14, 14, 24)
    program = network.compile(device="cpu", precision="float16")
    expected = program.session(check_finite=True).run(image)
    np.testing.assert_array_equal(program.session().run(image), expected)


def test_they_take_half_the_memory() -> None:
    network = mpscnn.Network((1, 1, 512))
    network.output(network.dense(network.input, 512))
    network.initialize_weights()
    sizes = {
        precision: network.compile(device="cpu", precision=precision).weight_bytes
        for precision in ("float32", "float16")
    }
    assert sizes["float32"] == 4 * (512 * 512 + 512)
    converts = "baseline" not in str(mpscnn.devices()[0]["description"])  # the processor converts halves
    weight = 2 if converts else 4
    assert sizes["float16"] == weight * 512 * 512 + 4 * 512
