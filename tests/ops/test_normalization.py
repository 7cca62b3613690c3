"""Batch normalization, alone and folded, against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, example, given
from ops.single_layer import LARGEST, large_numbers, precisions, run_layer, seeds, values
from reference.convolution import convolution
from reference.normalization import (
    batch_normalization,
    batch_statistics,
    cross_channel_normalization,
    group_normalization,
    group_statistics,
    layer_normalization,
    length,
    local_contrast_normalization,
    spatial_normalization,
    windows,
)
from tolerance import (
    FLOAT32_EPS,
    STATISTICS_ULPS,
    assert_close,
    linear_bound,
    local_contrast_bound,
    needs_promise_about_nan,
    norm_bound,
    normalized_bound,
    power_bound,
    start_bound,
    statistics_bound,
    ulp_bound,
)

import mpscnn


def statistics(seed: int, channels: int) -> dict[str, np.ndarray]:
    return {
        "mean": values(seed, (channels,)),
        "variance": np.abs(values(seed + 1, (channels,))) + np.float32(0.1),
        "gamma": values(seed + 2, (channels,)),
        "beta": values(seed + 3, (channels,)),
    }


@given(st.integers(1, 3), st.integers(1, 70), seeds, precisions())
def test_standing_alone(batch: int, channels: int, seed: int, precision: str) -> None:
    x = values(seed, (batch, 3, 4, channels), precision=precision)
    given_statistics = statistics(seed + 1, channels)
    reference = batch_normalization(x, 1e-3, **given_statistics)
    factor = np.abs(given_statistics["gamma"]) / np.sqrt(given_statistics["variance"] + 1e-3)
    magnitude = factor * (np.abs(x) + np.abs(given_statistics["mean"])) + np.abs(given_statistics["beta"])
    result = run_layer("batch_normalization", [x], {}, weights=given_statistics, precision=precision)
    assert_close(result, reference, linear_bound(magnitude), half=precision == "float16")


@given(st.integers(1, 9), st.integers(1, 20), seeds, st.booleans())
@example(4, 1, 378011, False)  # an example with small terms and a large beta
def test_folded_into_a_convolution(inputs: int, outputs: int, seed: int, has_bias: bool) -> None:
    x, weight = values(seed, (2, 5, 6, inputs)), values(seed + 1, (outputs, 3, 3, inputs))
    bias = values(seed + 2, (outputs,)) if has_bias else None
    given_statistics = statistics(seed + 3, outputs)
    network = mpscnn.Network(input=(5, 6, inputs))
    y = network.conv2d(network.input, outputs, 3, padding=1, name="conv")
    network.output(network.batch_norm(y, epsilon=1e-3, activation="relu6", name="norm"))
    weights = {"conv.weight": weight, **{f"norm.{role}": value for role, value in given_statistics.items()}}
    network.load_weights(weights if bias is None else weights | {"conv.bias": bias})
    attributes = {"kernel_height": 3, "kernel_width": 3, "padding": "explicit"}
    attributes |= {"pad_top": 1, "pad_bottom": 1, "pad_left": 1, "pad_right": 1}
    plain, magnitude = convolution(x, weight, bias, attributes)
    reference = np.clip(batch_normalization(plain, 1e-3, **given_statistics), 0, 6)
    factor = np.abs(given_statistics["gamma"]) / np.sqrt(given_statistics["variance"] + 1e-3)
    shift = factor * np.abs(given_statistics["mean"]) + np.abs(given_statistics["beta"])
    bound = linear_bound(factor * magnitude + shift) + start_bound(shift, 9 * inputs)
    assert_close(network.compile(precision="float32").session().run(x), reference, bound)


def test_not_folded_where_the_convolution_is_read_twice() -> None:
    x, weight = values(0, (1, 4, 4, 3)), values(1, (3, 1, 1, 3))
    network = mpscnn.Network(input=(4, 4, 3))
    y = network.conv2d(network.input, 3, 1, name="conv")
    network.output(network.add(y, network.batch_norm(y, name="norm")))
    given_statistics = statistics(2, 3)
    network.load_weights({"conv.weight": weight, **{f"norm.{r}": v for r, v in given_statistics.items()}})
    plain, _ = convolution(x, weight, None, {})
    reference = plain + batch_normalization(plain, 1e-3, **given_statistics)
    np.testing.assert_allclose(
        network.compile(precision="float32").session().run(x), reference, rtol=1e-5, atol=1e-5
    )


def test_a_negative_variance_is_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 2))
    network.batch_norm(network.input, name="norm")
    with pytest.raises(mpscnn.WeightsError, match="variance"):
        network.load_weights({"norm.mean": np.zeros(2), "norm.variance": np.array([1.0, -1.0])})


# ---- Statistics of the data ----------------------------------------------------------------------------------


shapes = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 40)),
    st.tuples(st.integers(1, 3), st.integers(1, 40)),
    st.just((1, 40, 50, 20)),  # large enough to be divided into several parts
)


@given(shapes, st.data(), seeds, precisions())
def test_group_normalization(shape: tuple[int, ...], data: st.DataObject, seed: int, precision: str) -> None:
    channels = shape[-1]
    groups = data.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    offset = data.draw(st.sampled_from([0.0, 1000.0]))
    x = values(seed, shape, precision=precision) + np.float32(offset)
    if precision == "float16":
        x = x.astype(np.float16).astype(np.float32)
    gamma, beta = values(seed + 1, (channels,)), values(seed + 2, (channels,))
    weights = data.draw(st.sampled_from([{}, {"gamma": gamma}, {"gamma": gamma, "beta": beta}]))
    gamma, beta = weights.get("gamma", np.ones(channels)), weights.get("beta", np.zeros(channels))
    result = run_layer(
        "group_normalization", [x], {"groups": groups, "epsilon": 1e-3}, weights=weights, precision=precision
    )
    mean, variance = group_statistics(x, groups)
    bound = normalized_bound(x, mean, variance, 1e-3, gamma, beta)
    assert_close(
        result, group_normalization(x, groups, 1e-3, gamma, beta), bound, half=precision == "float16"
    )


@given(shapes, st.sampled_from([0.0, 1000.0]), seeds, precisions())
def test_batch_statistics(shape: tuple[int, ...], offset: float, seed: int, precision: str) -> None:
    x = (values(seed, shape) + np.float32(offset)).astype(np.float16).astype(np.float32)
    reference = batch_statistics(x)
    # Statistics are not rounded to float16, so the precision does not change them.
    result = run_layer("batch_statistics", [x], {}, precision=precision)
    assert_close(result, reference, statistics_bound(reference))


@given(st.integers(1, 4), st.integers(1, 40), seeds, precisions(), st.booleans())
def test_batch_normalization_by_statistics_of_the_data(
    batch: int, channels: int, seed: int, precision: str, has_weights: bool
) -> None:
    x = values(seed, (batch, 5, 6, channels), precision=precision)
    gamma, beta = values(seed + 1, (channels,)), values(seed + 2, (channels,))
    network = mpscnn.Network(input=(None, None, channels))
    y = network.batch_norm(
        network.input, statistics=network.batch_statistics(network.input), epsilon=1e-3, name="norm"
    )
    network.output(y)
    if has_weights:
        network.load_weights({"norm.gamma": gamma, "norm.beta": beta})
    else:
        gamma, beta = np.ones_like(gamma), np.zeros_like(beta)
    result = network.compile(precision=precision).session(threads=2).run(x)
    mean, variance = batch_statistics(x)[0, :, 0]
    reference = batch_normalization(x, 1e-3, mean, variance, gamma, beta)
    bound = normalized_bound(x, mean, variance, 1e-3, gamma, beta) + linear_bound(np.abs(mean * gamma) * 40)
    assert_close(result, reference, bound, half=precision == "float16")


@given(st.integers(1, 4), st.integers(1, 20), seeds)
def test_statistics_of_each_image_as_an_input(batch: int, channels: int, seed: int) -> None:
    x, given_statistics = values(seed, (batch, 3, 4, channels)), np.abs(values(seed, (batch, 2, 1, channels)))
    mean, variance = given_statistics[:, :1], given_statistics[:, 1:]
    result = run_layer("batch_normalization", [x, given_statistics], {"epsilon": 0.25})
    reference = batch_normalization(x, 0.25, mean, variance, 1.0, 0.0)
    bound = STATISTICS_ULPS * FLOAT32_EPS * (np.abs(x) + np.abs(mean)) / np.sqrt(variance + 0.25)
    assert_close(result, reference, bound)


def test_a_convolution_before_statistics_of_the_data_is_not_folded() -> None:
    x, weight = values(0, (2, 5, 5, 3)), values(1, (4, 1, 1, 3))
    network = mpscnn.Network(input=(5, 5, 3))
    y = network.conv2d(network.input, 4, 1, name="conv")
    network.output(network.batch_norm(y, statistics=network.batch_statistics(y), activation="relu"))
    network.load_weights({"conv.weight": weight})
    plain, _ = convolution(x, weight, None, {})
    mean, variance = batch_statistics(plain)[0, :, 0]
    reference = np.maximum(batch_normalization(plain, 1e-3, mean, variance, 1.0, 0.0), 0)
    result = network.compile(precision="float32").session().run(x)
    np.testing.assert_allclose(result, reference, rtol=1e-5, atol=1e-5)


def test_constant_images_are_normalized_to_beta() -> None:
    x = np.full((1, 70, 90, 3), 1e6 / 3, np.float32)
    weights = {"gamma": np.full(3, 5, np.float32), "beta": np.array([1, 2, 3], np.float32)}
    result = run_layer("group_normalization", [x], {"groups": 3}, weights=weights)
    np.testing.assert_allclose(result, np.broadcast_to(weights["beta"], x.shape), rtol=1e-6)


@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 6), max_size=2),
    st.integers(1, 200),
    st.data(),
    seeds,
    precisions(),
)
def test_layer_normalization(
    batch: int, leading: list[int], channels: int, data: st.DataObject, seed: int, precision: str
) -> None:
    offset = data.draw(st.sampled_from([0.0, 3.0, 1000.0]))
    x = values(seed, (batch, *leading, channels), precision=precision) + np.float32(offset)
    if precision == "float16":
        x = x.astype(np.float16).astype(np.float32)
    gamma, beta = values(seed + 1, (channels,)), values(seed + 2, (channels,))
    given_weights = data.draw(st.booleans())
    weights = {"gamma": gamma, "beta": beta} if given_weights else None
    result = run_layer(
        "layer_normalization", [x], {"epsilon": 1e-3}, weights=weights, precision=precision, threads=2
    )
    if not given_weights:
        gamma, beta = np.ones(channels), np.zeros(channels)
    wide = x.astype(np.float64)
    mean, variance = wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True)
    bound = normalized_bound(x, mean, variance, 1e-3, gamma, beta)
    assert_close(result, layer_normalization(x, 1e-3, gamma, beta), bound, half=precision == "float16")


NORMS = ["deviation", "root_mean_square", "l2_norm", "l1_norm"]
RULES = ["inside", "outside", "minimum"]


@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 5), max_size=2),
    st.integers(1, 600),
    st.sampled_from(NORMS),
    st.sampled_from(RULES),
    st.sampled_from([0.0, 1e-3, 0.5]),
    seeds,
    precisions(),
    st.booleans(),
)
def test_norms(
    batch: int,
    leading: list[int],
    channels: int,
    norm: str,
    rule: str,
    epsilon: float,
    seed: int,
    precision: str,
    given_weights: bool,
) -> None:
    assume(epsilon or (norm, rule) != ("deviation", "inside"))
    x = values(seed, (batch, *leading, channels), precision=precision)
    gamma, beta = values(seed + 1, (channels,)), values(seed + 2, (channels,))
    weights = {"gamma": gamma, "beta": beta} if given_weights else None
    attributes = {"epsilon": epsilon, "norm": norm, "epsilon_rule": rule}
    result = run_layer(
        "layer_normalization", [x], attributes, weights=weights, precision=precision, threads=2
    )
    if not given_weights:
        gamma, beta = np.ones(channels), np.zeros(channels)
    reference = layer_normalization(x, np.float32(epsilon), gamma, beta, norm, rule)
    wide = x.astype(np.float64)
    mean = np.abs(wide).max(-1, keepdims=True) if norm == "deviation" else 0.0
    size = length(wide - wide.mean(-1, keepdims=True) * (norm == "deviation"), epsilon, norm, rule)
    scaled = np.divide(np.abs(gamma) * (np.abs(x) + mean), size, where=size > 0, out=0 * wide)
    assert_close(result, reference, norm_bound(scaled, beta), half=precision == "float16")


@pytest.mark.parametrize("magnitude", [1e-30, 1e-20, 1.0, 1e19, 1e30])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("rule", RULES)
def test_norms_whose_squares_are_beyond_float32(norm: str, rule: str, magnitude: float) -> None:
    x = values(0, (2, 3, 4, 37)) * np.float32(magnitude)
    x[1, 1] = 0
    epsilon = 1e-5 if magnitude == 1.0 or rule == "inside" else 0.0
    attributes = {"epsilon": epsilon, "norm": norm, "epsilon_rule": rule}
    gamma, beta = values(1, (37,)), values(2, (37,))
    result = run_layer("layer_normalization", [x], attributes, weights={"gamma": gamma, "beta": beta})
    reference = layer_normalization(x, np.float32(epsilon), gamma, beta, norm, rule)
    unit = layer_normalization(x, np.float32(epsilon), 1.0, 0.0, norm, rule)
    assert_close(result, reference, 4 * norm_bound(np.abs(gamma * unit).max(), beta))


@pytest.mark.parametrize("magnitude", [1e-20, 1.0, 1e19, 1e30])
@pytest.mark.parametrize("groups", [1, 3, 12])
def test_groups_whose_squares_are_beyond_float32(groups: int, magnitude: float) -> None:
    """One image has ordinary numbers, and the other one has numbers of this magnitude, except in one group."""
    x = values(0, (2, 30, 40, 12))
    x[1] *= np.float32(magnitude)
    if groups > 1:
        x[1, ..., : 12 // groups] = values(1, (30, 40, 12 // groups))
    gamma, beta = values(1, (12,)), values(2, (12,))
    attributes = {"groups": groups, "epsilon": 1e-5 if magnitude >= 1 else 2e-38}
    result = run_layer(
        "group_normalization", [x], attributes, weights={"gamma": gamma, "beta": beta}, threads=3
    )
    epsilon = float(np.float32(attributes["epsilon"]))
    mean, variance = group_statistics(x, groups)
    reference = group_normalization(x, groups, epsilon, gamma, beta)
    assert_close(result, reference, normalized_bound(x, mean, variance, epsilon, gamma, beta))


@pytest.mark.parametrize("magnitude", LARGEST)
@pytest.mark.parametrize("groups", [1, 3, 12])
def test_groups_whose_distances_from_the_mean_are_beyond_float32(groups: int, magnitude: float) -> None:
    x = large_numbers((30, 41, 12), magnitude)
    gamma, beta = values(1, (12,)), values(2, (12,))
    weights = {"gamma": gamma, "beta": beta}
    result = run_layer("group_normalization", [x], {"groups": groups}, weights=weights, threads=2)
    mean, variance = group_statistics(x, groups)
    bound = normalized_bound(x, mean, variance, 1e-5, gamma, beta)
    assert_close(result, group_normalization(x, groups, 1e-5, gamma, beta), bound)


@pytest.mark.parametrize("magnitude", LARGEST)
@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_the_largest_numbers(norm: str, magnitude: float) -> None:
    x = large_numbers((3, 4, 37), magnitude)
    gamma, beta = values(1, (37,)), values(2, (37,))
    weights = {"gamma": gamma, "beta": beta}
    result = run_layer("layer_normalization", [x], {"norm": norm}, weights=weights)
    unit = layer_normalization(x, 1e-5, 1.0, 0.0, norm)
    bound = 4 * norm_bound(np.abs(gamma * unit).max(), beta)
    assert_close(result, layer_normalization(x, 1e-5, gamma, beta, norm), bound)


def test_zeros_stay_zeros_without_an_epsilon() -> None:
    network = mpscnn.Network(input=(5,))
    for order in (1, 2):
        network.output(network.unit_norm(network.input, order=order, epsilon=0.0))
    network.output(network.rms_norm(network.input, epsilon=0.0))
    for y in network.compile(precision="float32").session().run(np.zeros((1, 5), np.float32)).values():
        np.testing.assert_array_equal(y, np.zeros((1, 5)))
    with pytest.raises(mpscnn.ParameterError, match="order must be 1 or 2, got 3"):
        network.unit_norm(network.input, order=3)


def test_a_vector_of_halves_whose_norm_is_beyond_float16() -> None:
    x = np.full((1, 512), 15.0, np.float32)
    attributes = {"norm": "l2_norm", "epsilon": 0.0}
    result = run_layer("layer_normalization", [x], attributes, precision="float16")
    np.testing.assert_array_equal(result, np.full((1, 512), np.float16(1 / np.sqrt(512)), np.float32))


def test_layer_normalization_takes_an_activation_and_keeps_nan_in_its_pixel() -> None:
    x = values(0, (1, 2, 3, 20))
    x[0, 1, 1, 7] = np.nan
    result = run_layer("layer_normalization", [x], {}, activation={"kind": "relu", "a": 0.5})
    reference = layer_normalization(x, 1e-5, 1.0, 0.0)
    assert np.isnan(result[0, 1, 1]).all()
    assert np.isnan(result).sum() == 20
    expected = np.where(reference < 0, 0.5 * reference, reference)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_nan_spoils_its_own_group_only() -> None:
    x = values(0, (2, 4, 4, 8))
    x[1, 2, 3, 5] = np.nan
    result = run_layer("group_normalization", [x], {"groups": 4})
    assert np.isnan(result[1, ..., 4:6]).all()
    assert np.isnan(result).sum() == 4 * 4 * 2
    np.testing.assert_array_equal(
        np.isnan(run_layer("batch_statistics", [x], {}))[0, :, 0], [[c == 5 for c in range(8)]] * 2
    )


@pytest.mark.parametrize("operation", ["group_normalization", "batch_statistics"])
def test_statistics_have_the_same_bits_for_any_number_of_threads(operation: str) -> None:
    x = values(0, (3, 65, 33, 24))
    attributes = {"groups": 6} if operation == "group_normalization" else {}
    one, two, five = (run_layer(operation, [x], attributes, threads=threads) for threads in (1, 2, 5))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, five)
    if operation == "group_normalization":
        np.testing.assert_array_equal(one[2:], run_layer(operation, [x[2:]], attributes))


# ---- Neighbourhoods ------------------------------------------------------------------------------------------


@given(
    st.integers(1, 90),
    st.integers(1, 12),
    st.sampled_from([0.0, 1e-4, 1.0, 30.0]),
    st.sampled_from([-1.0, 0.0, 0.5, 0.75, 1.0, 5.0]),
    st.sampled_from([1e-3, 1.0, 2.0]),
    st.sampled_from([1.0, 100.0]),
    seeds,
    precisions(),
)
def test_cross_channel(
    channels: int,
    kernel_size: int,
    alpha: float,
    beta: float,
    delta: float,
    scale: float,
    seed: int,
    precision: str,
) -> None:
    if precision == "float16":  # so that results are within the range of float16
        scale, delta = 1.0, max(delta, 0.5)
    x = values(seed, (2, 2, 3, channels), precision=precision, scale=scale)
    attributes = {"kernel_size": kernel_size, "alpha": alpha, "beta": beta, "delta": delta}
    reference = cross_channel_normalization(x, **attributes)
    result = run_layer("cross_channel_normalization", [x], attributes, precision=precision)
    bound = power_bound(reference, beta)
    assert_close(result, reference, bound, half=precision == "float16")


def test_a_cross_channel_window_wider_than_the_image_takes_all_channels() -> None:
    x = values(0, (1, 2, 2, 7))
    attributes = {"kernel_size": 1 << 24, "alpha": 2.0**24, "beta": 0.5, "delta": 1.0}
    reference = x / np.sqrt(1 + np.square(x, dtype=np.float64).sum(axis=-1, keepdims=True))
    assert_close(
        run_layer("cross_channel_normalization", [x], attributes), reference, ulp_bound(reference, 8.0)
    )


@needs_promise_about_nan
def test_cross_channel_of_large_values_and_nan() -> None:
    x = np.array([[1e18, 1.0, np.nan, 1.0, 1.0, -3.0, 1e30]], np.float32)
    result = run_layer("cross_channel_normalization", [x], {"kernel_size": 3, "beta": 0.5})
    np.testing.assert_array_equal(np.isnan(result[0]), [False, True, True, True, False, False, False])
    np.testing.assert_allclose(result[0, 0], np.sqrt(3), rtol=1e-6)


@st.composite
def centred_windows(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kernel_height": draw(st.integers(1, 6)),
        "kernel_width": draw(st.integers(1, 6)),
        "offset_y": draw(st.integers(-7, 7)),
        "offset_x": draw(st.integers(-7, 7)),
        "height": draw(st.integers(0, 9)),
        "width": draw(st.integers(0, 9)),
        "edge": draw(st.sampled_from(["zero", "clamp"])),
        "alpha": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "beta": draw(st.sampled_from([0.5, 0.75, 2.0, 5.0])),
    }


images = st.tuples(st.integers(1, 2), st.integers(1, 8), st.integers(1, 8), st.integers(1, 70))


@given(images, centred_windows(), seeds, precisions())
def test_spatial(shape: tuple[int, ...], attributes: dict[str, Any], seed: int, precision: str) -> None:
    x = values(seed, shape, precision=precision)
    reference = spatial_normalization(x, attributes)
    bound = power_bound(reference, attributes["beta"])
    result = run_layer("spatial_normalization", [x], attributes, precision=precision)
    assert_close(result, reference, bound, half=precision == "float16")


@given(images, centred_windows(), st.sampled_from([0.0, 100.0]), seeds, precisions())
def test_local_contrast(
    shape: tuple[int, ...], attributes: dict[str, Any], offset: float, seed: int, precision: str
) -> None:
    x = (values(seed, shape) + np.float32(offset)).astype(np.float16).astype(np.float32)
    attributes |= {"delta": 0.5, "p0": 0.75, "pm": 0.5, "ps": 2.0}
    reference = local_contrast_normalization(x, attributes)
    taps, centre = windows(x, attributes)
    mean, variance = np.abs(taps.mean(axis=0)), taps.var(axis=0)
    bound = local_contrast_bound(2 * (np.abs(centre) + mean), mean, variance, attributes, reference)
    result = run_layer("local_contrast_normalization", [x], attributes, precision=precision)
    assert_close(result, reference, bound, half=precision == "float16")


@pytest.mark.parametrize("operation", ["spatial_normalization", "local_contrast_normalization"])
def test_nan_spoils_the_windows_that_cover_it(operation: str) -> None:
    x = values(0, (1, 9, 9, 3))
    x[0, 4, 4, 1] = np.nan
    result = run_layer(operation, [x], {"kernel_height": 4, "kernel_width": 3})
    expected = np.zeros(x.shape, bool)
    expected[0, 3:7, 3:6, 1] = True
    np.testing.assert_array_equal(np.isnan(result), expected)


def test_enormous_windows_run() -> None:
    x = values(0, (1, 4, 5, 3))
    attributes = {"kernel_height": 1 << 24, "kernel_width": 1 << 24, "edge": "clamp", "beta": 1.0}
    result = run_layer("spatial_normalization", [x], attributes)
    corners = np.stack([x[:, y, z] for y in (0, -1) for z in (0, -1)]).astype(np.float64)
    reference = x / (1 + np.square(corners).mean(axis=0))[:, None, None]
    np.testing.assert_allclose(result, reference, rtol=1e-5)


@pytest.mark.parametrize(
    ("operation", "attributes", "message"),
    [
        ("batch_normalization", {"epsilon": 0.0}, "epsilon must be above 0"),
        ("group_normalization", {"epsilon": -1.0}, "epsilon must be above 0"),
        ("layer_normalization", {"epsilon": 0.0}, "epsilon must be above 0"),
        ("layer_normalization", {"norm": "l2_norm", "epsilon": -1.0}, "epsilon must be at least 0"),
        ("layer_normalization", {"norm": "l3"}, "norm: must be one of deviation"),
        ("layer_normalization", {"epsilon_rule": "never"}, "epsilon_rule: must be one of inside"),
        ("group_normalization", {"groups": 0}, "groups must be a divisor of the 6 channels, got 0"),
        ("group_normalization", {"groups": 4}, "groups must be a divisor of the 6 channels, got 4"),
        ("cross_channel_normalization", {"kernel_size": 0}, "kernel_size must be 1 to"),
        ("cross_channel_normalization", {"alpha": -1.0}, "alpha must be at least 0"),
        ("cross_channel_normalization", {"delta": -1.0}, "delta must be at least 0"),
        ("spatial_normalization", {"kernel_height": 0}, "kernel_height must be 1 to"),
        ("spatial_normalization", {"kernel_width": 0}, "kernel_width must be 1 to"),
        ("spatial_normalization", {"offset_y": 1 << 25}, "offset_y must be"),
        ("spatial_normalization", {"offset_x": -(1 << 25)}, "offset_x must be"),
        ("spatial_normalization", {"height": -1}, "height must be 0 to"),
        ("spatial_normalization", {"width": -1}, "width must be 0 to"),
        ("spatial_normalization", {"edge": "exclude"}, "edge must be zero or clamp, got exclude"),
        ("local_contrast_normalization", {"alpha": -0.5}, "alpha must be at least 0"),
        ("local_contrast_normalization", {"delta": -0.5}, "delta must be at least 0"),
    ],
)
def test_wrong_parameters_are_named(operation: str, attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 5, 6))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.layer(operation, [network.input], attributes)


@pytest.mark.parametrize("name", ["beta", "p0", "pm", "ps"])
def test_numbers_beyond_float32_are_refused(name: str) -> None:
    network = mpscnn.Network(input=(4, 5, 6))
    with pytest.raises(mpscnn.ParameterError, match=f"{name}"):
        network.layer("local_contrast_normalization", [network.input], {name: 1e300})


def test_a_window_normalization_takes_images_only() -> None:
    network = mpscnn.Network(input=(6,))
    with pytest.raises(mpscnn.ShapeError, match="must have 4 axes"):
        network.spatial_norm(network.input, 3)
    with pytest.raises(mpscnn.ParameterError, match="edge must be 'zero' or 'clamp'"):
        network.local_contrast_norm(network.input, 3, edge="mirror")


def test_statistics_of_another_shape_are_refused() -> None:
    network = mpscnn.Network(input={"x": (4, 4, 3), "y": (4, 4, 2)})
    x, y = network.inputs
    with pytest.raises(mpscnn.ShapeError, match=r"must hold means and variances, \(1, 2, 1, 3\)"):
        network.batch_norm(x, statistics=network.batch_statistics(y))
