"""Test the arithmetic of `mpscnn.quantize`: ranges, scales of weights, sums, equalisation and corrected biases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from quantized_networks import IMAGES, drawn_weights, noise, results, seen_on, uneven, wide

import mpscnn
from mpscnn.graph.integer_layers import Scale
from mpscnn.quantization.equalization import equalize_weights
from mpscnn.quantization.integers import choose_scales, integer_weights, quantize_network
from mpscnn.quantization.ranges import Histogram, best_scale

# ---- Ranges -----------------------------------------------------------------------------------------------------


def histogram(values: NDArray[np.floating]) -> Histogram:
    made = Histogram()
    for part in np.array_split(values.astype(np.float32), 3):
        made.add(part)
    return made


def squared_error(scale: Scale, values: NDArray[np.floating]) -> float:
    return float(np.square(scale.rounded(values) - values).mean())


def test_ranges_have_the_min_error() -> None:
    random = np.random.default_rng(0)
    for values in (
        random.normal(size=50_000),
        np.maximum(random.normal(size=50_000), 0.0),
        random.laplace(size=50_000),
        random.uniform(-3.0, 1.0, 50_000),
        np.append(random.uniform(0.0, 1.0, 50_000), [40.0]),
    ):
        found = best_scale([histogram(values)])
        low, high = min(values.min(), 0.0), values.max()
        error = squared_error(found, values)
        for low_share in np.linspace(0.1, 1.0, 10):
            for high_share in np.linspace(0.1, 1.0, 10):
                scale = (high * high_share - low * low_share) / 255
                other = Scale(scale, int(np.clip(round(-128 - low * low_share / scale), -128, 127)))
                assert error <= squared_error(other, values) * 1.03


def test_ranges_of_few_numbers() -> None:
    assert best_scale([histogram(np.zeros(10))]) == Scale(1.0, 0)
    for constant in (3.7, -1e-20, 1e30):
        values = np.full(10, constant)
        found = best_scale([histogram(values)])
        np.testing.assert_allclose(found.rounded(values), values, rtol=1e-3, atol=1e-17)
        assert found.rounded(np.zeros(1)) == 0.0


def test_histograms_count_everything() -> None:
    made = Histogram()
    parts = [np.array([0.0, 0.5, -1.0]), np.array([4.0, 0.0, 3.0]), np.array([-100.0]), np.array([1e-3])]
    for part in parts:
        made.add(part.astype(np.float32))
    numbers, counts = made.numbers()
    assert (made.lowest, made.highest, made.seen, counts.sum()) == (-100.0, 4.0, 8, 6)
    np.testing.assert_allclose(np.repeat(numbers, counts), [-100, -1, 1e-3, 0.5, 3, 4], atol=0.02)


# ---- Weights ----------------------------------------------------------------------------------------------------

INPUT, RESULT = Scale(0.02, -3), Scale(0.05, 10)


def test_weights_have_a_scale_for_each_output() -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(4, 3, 3, 2)) * np.array([1.0, 1e-3, 30.0, 0.1]).reshape(-1, 1, 1, 1)
    bias = random.normal(size=4)
    made = integer_weights(weight, bias, INPUT, RESULT)
    largest = np.abs(weight).reshape(4, -1).max(axis=1)
    np.testing.assert_allclose(made.scales, largest / 127, rtol=1e-6)
    np.testing.assert_array_less(np.abs(made.numbers() - weight).reshape(4, -1).max(axis=1), largest / 253)
    np.testing.assert_allclose(made.bias * made.bias_scales.astype(float), bias, atol=0.02 * 30 / 127)


def test_outputs_without_weights_keep_their_bias() -> None:
    weight = np.zeros((3, 1, 1, 2))
    weight[2] = 1e-12
    bias = np.array([0.7, 0.0, -5.0])
    made = integer_weights(weight, bias, INPUT, RESULT)
    assert np.all(made.values[:2] == 128)
    np.testing.assert_allclose(made.bias * made.bias_scales.astype(float), bias, rtol=1e-2)
    network = mpscnn.Network((1, 1, 2))
    network.output(network.conv2d(network.input, 3, 1, name="conv"))
    network.set_weights({"conv.weight": weight.astype(np.float32), "conv.bias": bias.astype(np.float32)})
    quantized, _ = mpscnn.quantize(network, noise(4, 1, 1, 2))
    found = results(quantized, noise(1, 1, 1, 2, seed=5), "int8")
    np.testing.assert_allclose(found.ravel(), bias, atol=0.03)


def test_sums_stay_within_32_bits() -> None:
    made = integer_weights(np.ones((1, 1, 1, 80_000)), np.array([1e5]), INPUT, RESULT)
    steps = made.values.astype(np.int64) - 128
    assert 255 * np.abs(steps).sum() + abs(int(made.bias[0])) < 2**31
    np.testing.assert_allclose(made.numbers().sum(), 80_000, rtol=0.01)


def test_equalisation_changes_no_bit_and_helps() -> None:
    network, images = uneven("relu"), noise(16)
    other = equalize_weights(network, seen_on(network, images))
    assert other is not None
    np.testing.assert_array_equal(results(other, images, "float32"), results(network, images, "float32"))
    ranges = seen_on(other, images)["expand"].largest
    assert ranges.max() / ranges.min() < 8.0
    errors = {}
    for choice in (False, True, None):
        _, report = mpscnn.quantize(network, images, equalize=choice)
        errors[choice] = report.error
        assert report.equalized is (choice is not False)
    assert errors[None] == errors[True] < 0.5 * errors[False]


def test_results_that_are_added_are_equalised_together() -> None:
    """Their channels have ranges that differ up to a thousandfold. Some layer reads the results to which it adds."""
    network = wide(limited=False)
    other = equalize_weights(network, seen_on(network, IMAGES))
    assert other is not None
    np.testing.assert_array_equal(results(other, IMAGES, "float32"), results(network, IMAGES, "float32"))
    ranges = seen_on(other, IMAGES)["sum"].largest
    assert ranges.max() / ranges.min() < 16.0
    assert mpscnn.quantize(network, IMAGES, equalize=False).report.agreement < 0.5  # type: ignore[operator]
    report = mpscnn.quantize(network, IMAGES).report
    assert report.equalized
    assert report.agreement is not None
    assert report.agreement > 0.95

    residual = mpscnn.Network((6, 6, 8), name="residual")
    x = residual.conv2d(residual.input, 8, 1, name="first")
    x = residual.add(
        x, residual.conv2d(x, 8, 3, padding="same", name="second"), activation="relu", name="sum"
    )
    x = residual.flatten(
        residual.global_average_pool2d(residual.max_pool2d(x, 2, name="halved"), name="pooled")
    )
    residual.output(residual.dense(x, 3, name="scores"))
    drawn_weights(residual)
    factors = np.geomspace(0.1, 10.0, 8).astype(np.float32)
    weights = residual.weights
    residual.set_weights(
        {"first.weight": weights["first.weight"] * factors.reshape(-1, 1, 1, 1)}, layout="OHWI"
    )
    images = noise(8, 6, 6, 8)
    even = equalize_weights(residual, seen_on(residual, images))
    assert even is not None
    np.testing.assert_array_equal(results(even, images, "float32"), results(residual, images, "float32"))


def stream(end: Any) -> mpscnn.Network:
    """Return a network with a residual sum, which ends with other layers."""
    network = mpscnn.Network((6, 6, 8), name="stream")
    x = network.conv2d(network.input, 8, 1, name="first")
    x = network.add(x, network.conv2d(x, 8, 1, name="second"), name="sum")
    network.output(end(network, x))
    return drawn_weights(network)


@pytest.mark.parametrize(
    "end",
    [
        lambda network, x: x,  # the sum is an output
        lambda network, x: network.conv2d(network.add(x, network.input, name="more"), 4, 1, name="last"),
        lambda network, x: network.conv2d(network.multiply(x, x, name="square"), 4, 1, name="last"),
        lambda network, x: network.conv2d(
            network.activation(x, "hard_swish", name="curved"), 4, 1, name="last"
        ),
        lambda network, x: network.conv2d(x, 4, 1, groups=2, name="last"),
        lambda network, x: network.conv2d(network.channel_shuffle(x, 2, name="shuffled"), 4, 1, name="last"),
    ],
)
def test_sums_that_other_layers_read_are_not_equalised(end: Any) -> None:
    network, images = stream(end), noise(4, 6, 6, 8)
    assert equalize_weights(network, seen_on(network, images)) is None


def test_limits_that_would_move_along_forbid_equalisation() -> None:
    network, images = uneven("relu6"), noise(4)
    assert equalize_weights(network, seen_on(network, images)) is None
    _, report = mpscnn.quantize(network, images, equalize=True)
    assert not report.equalized


def test_bias_correction_keeps_means() -> None:
    network = mpscnn.Network((6, 6, 64))
    network.output(network.conv2d(network.input, 8, 1, name="conv"))
    drawn_weights(network)
    images = [np.abs(image) for image in noise(16, 6, 6, 64)]
    right = results(network, images, "float32")
    seen = seen_on(network, images)
    off = []
    for correct in (False, True):
        found = results(
            quantize_network(network, seen, correct_bias=correct, scales=choose_scales(network, seen)),
            images,
            "int8",
        )
        off.append(np.abs((found - right).mean(axis=(0, 1, 2))).max())
    assert off[1] < 0.5 * off[0]
