"""Reductions against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.reduction import AXES, argument, over_axes, reduction, weighted_reduction
from tolerance import assert_close, linear_bound, log_sum_exp_bound, spread_bound, ulp_bound

import mpscnn

shapes = st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 12), st.integers(1, 70))
SPREADS = ["l2_norm", "sum_of_squares", "variance", "deviation"]
KINDS = ["max", "min", "sum", "mean", "product", *SPREADS, "log_sum_exp"]
kinds = st.sampled_from(KINDS)


def reduction_bound(x: Any, kind: str, axis: str) -> Any:
    if kind in ("max", "min"):
        return 0.0
    if kind == "product":  # a rounding for each factor
        return ulp_bound(reduction(x, kind, axis), x.shape[AXES[axis]] + 1)
    if kind in SPREADS:
        return spread_bound(reduction(x, kind, axis))
    if kind == "log_sum_exp":
        return log_sum_exp_bound(reduction(x, kind, axis))
    return linear_bound(reduction(np.abs(x), kind, axis))


@given(shapes, kinds, st.sampled_from(list(AXES)), seeds, precisions())
def test_reductions(shape: tuple[int, ...], kind: str, axis: str, seed: int, precision: str) -> None:
    x = values(seed, shape, precision=precision)
    weight = {"sum": -0.75, "variance": 0.75, "deviation": 1.25}.get(kind, 1.0) if seed % 2 else 1.0
    attributes = {"kind": kind, "axis": axis, "weight": weight}
    bound = 1.25 * reduction_bound(x, kind, axis)
    result = run_layer("reduction", [x], attributes, precision=precision)
    half = precision == "float16" and kind not in ("max", "min")
    assert_close(result, reduction(x, kind, axis, weight), bound, half=half)


@given(st.integers(1, 3), st.integers(1, 1100), kinds, seeds)
def test_reductions_of_vectors(batch: int, features: int, kind: str, seed: int) -> None:
    x = values(seed, (batch, features))
    result = run_layer("reduction", [x], {"kind": kind, "axis": "channels"})
    assert_close(result, reduction(x, kind, "channels"), reduction_bound(x, kind, "channels"))


@pytest.mark.parametrize("axis", list(AXES))
@pytest.mark.parametrize("kind", KINDS)
def test_nan_passes_through_and_infinities_stay(kind: str, axis: str) -> None:
    x = values(0, (1, 9, 9, 9))
    x[0, 4, 4, 4] = np.nan
    x[0, 0, 4, 4] = x[0, 4, 0, 4] = x[0, 4, 4, 0] = -np.inf if kind == "max" else np.inf
    result = run_layer("reduction", [x], {"kind": kind, "axis": axis})
    reference = reduction(x, kind, axis)
    spreads = kind in ("variance", "deviation")  # which an infinity makes NaN, too
    assert np.isnan(reference).sum() == (3 if spreads else 1)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(reference))
    np.testing.assert_array_equal(np.isinf(result), np.isinf(reference))


@pytest.mark.parametrize("magnitude", [1e-30, 1e-20, 1.0, 1e19, 1e30])
@pytest.mark.parametrize("axis", list(AXES))
@pytest.mark.parametrize("kind", ["l2_norm", "deviation"])
def test_norms_whose_squares_are_beyond_float32(kind: str, axis: str, magnitude: float) -> None:
    x = values(0, (2, 9, 11, 21)) * np.float32(magnitude)
    x[1] = 0
    result = run_layer("reduction", [x], {"kind": kind, "axis": axis})
    assert_close(result, reduction(x, kind, axis), spread_bound(reduction(x, kind, axis)))


@pytest.mark.parametrize("axis", list(AXES))
def test_log_sum_exp_of_infinities_and_of_large_numbers(axis: str) -> None:
    x = 50.0 + values(0, (1, 5, 6, 20))
    x[0, 0, 0, 0] = np.inf
    x[0, 1] = -np.inf
    x[0, :, 1] = -np.inf
    x[..., 1] = -np.inf
    result, expected = (
        run_layer("reduction", [x], {"kind": "log_sum_exp", "axis": axis}),
        reduction(x, "log_sum_exp", axis),
    )
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(result[~finite], expected[~finite])
    np.testing.assert_allclose(result[finite], expected[finite], rtol=1e-6)


def test_a_correction_makes_a_variance_unbiased() -> None:
    network = mpscnn.Network(input=(5, 6, 7))
    network.output(network.reduce_variance(network.input, ("height", "channels"), correction=1))
    network.output(network.reduce_deviation(network.input, -1, correction=2))
    x = values(0, (2, 5, 6, 7))
    variance, deviation = network.compile(precision="float32").session().run(x).values()
    wide = x.astype(np.float64)
    np.testing.assert_allclose(variance, wide.var((1, 3), ddof=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(deviation, wide.std(3, ddof=2, keepdims=True), rtol=1e-5)
    with pytest.raises(mpscnn.ParameterError, match="correction must be less than the 7 elements, got 7"):
        network.reduce_variance(network.input, -1, correction=7)
    free = mpscnn.Network(input=(None, 6, 7))
    with pytest.raises(mpscnn.ParameterError, match="a correction needs fixed extents"):
        free.reduce_variance(free.input, 1, correction=1)


def test_a_float16_sum_overflows_to_infinity_as_on_every_engine() -> None:
    x = np.full((1, 1, 1, 4), 30000.0, np.float32)
    sums = {"kind": "sum", "axis": "channels"}
    assert run_layer("reduction", [x], sums, precision="float16").item() == np.inf
    assert run_layer("reduction", [x], sums).item() == 120000.0


@given(shapes, st.sampled_from(["max", "min"]), seeds, precisions(), st.booleans())
def test_arguments(shape: tuple[int, ...], kind: str, seed: int, precision: str, ties: bool) -> None:
    x = values(seed, shape, precision=precision)
    if ties:
        x = np.round(x)
    result = run_layer("argument", [x], {"kind": kind}, precision=precision)
    np.testing.assert_array_equal(result, argument(x, kind))


@pytest.mark.parametrize("kind", ["max", "min"])
def test_the_first_nan_is_the_argument(kind: str) -> None:
    x = values(0, (3, 300))
    x[0, [17, 230]] = np.nan
    x[1, 299] = np.nan
    x[2] = np.inf if kind == "min" else -np.inf
    np.testing.assert_array_equal(run_layer("argument", [x], {"kind": kind}), [[17], [299], [0]])


def test_float16_takes_as_many_channels_as_its_whole_numbers() -> None:
    x = np.zeros((1, 2049), np.float32)
    x[0, 2048] = 1
    assert run_layer("argument", [x], {"kind": "max"}, precision="float16").item() == 2048
    wider = np.zeros((1, 2050), np.float32)
    wider[0, 2049] = 1
    assert run_layer("argument", [wider], {"kind": "max"}).item() == 2049
    with pytest.raises(
        mpscnn.UnsupportedError, match=r"feature channels must be at most 2049 in float16.*got 2050"
    ):
        run_layer("argument", [wider], {"kind": "max"}, precision="float16")


@given(shapes, st.data(), st.sampled_from(["sum", "mean"]), seeds, precisions())
def test_weighted(shape: tuple[int, ...], data: st.DataObject, kind: str, seed: int, precision: str) -> None:
    x = values(seed, shape, precision=precision)
    height, width = (data.draw(st.sampled_from([1, extent])) for extent in shape[1:3])
    weights = values(seed + 1, (shape[0], height, width, shape[3]), precision=precision)
    weights[np.random.default_rng(seed).random(weights.shape) < data.draw(st.sampled_from([0, 0.5]))] = 0
    if data.draw(st.booleans()):
        weights[:, :1, :1] = 0  # whose mean is 0; where that is all, nothing else is compared
    result = run_layer("weighted_reduction", [x, weights], {"kind": kind}, precision=precision)
    bound = linear_bound(weighted_reduction(np.abs(x), np.abs(weights), kind))
    assert_close(result, weighted_reduction(x, weights, kind), bound, half=precision == "float16")


def test_weighted_nan_passes_through_a_weight_of_zero() -> None:
    x, weights = np.array([[1.0, np.nan]], np.float32), np.array([[1.0, 0.0]], np.float32)
    assert np.isnan(run_layer("weighted_reduction", [x, weights], {"kind": "mean"})).all()


@given(
    st.sampled_from(KINDS),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.data(),
    seeds,
    st.booleans(),
)
def test_several_axes(kind: str, shape: list[int], data: st.DataObject, seed: int, keepdims: bool) -> None:
    rank = len(shape) + 1
    axes = tuple(sorted(data.draw(st.sets(st.integers(1, rank - 1), min_size=1))))
    network = mpscnn.Network(input=tuple(shape))
    reduce = getattr(network, "reduce_l2" if kind == "l2_norm" else f"reduce_{kind}")
    given_axes = [axis - rank if seed % 2 else axis for axis in axes]
    network.output(reduce(network.input, given_axes, keepdims=keepdims, name="reduced"))
    x = values(seed, (2, *shape))
    wide = x.astype(np.float64)
    expected = over_axes(wide, kind, axes)
    if not keepdims:
        expected = expected.squeeze(axes)
    if expected.ndim == 1:
        expected = expected[:, None]
    result = network.compile(precision="float32").session(threads=1).run(x)
    assert isinstance(result, np.ndarray)
    assert network.outputs[0].name == "reduced"
    assert network.outputs[0].shape[1:] == result.shape[1:] == expected.shape[1:]
    scale = np.abs(wide).sum() if kind == "sum" else 1.0
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6 * scale)


def test_free_extents_of_several_axes() -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.reduce_sum(network.input, ("height", "width"), keepdims=False))
    network.output(network.reduce_sum(network.input, "channels", weight=2.0))
    x = values(0, (2, 4, 5, 3))
    pixels, channels = network.compile(precision="float32").session().run(x).values()
    np.testing.assert_allclose(pixels, x.sum((1, 2)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(channels, 2 * x.sum(3, keepdims=True), rtol=1e-5, atol=1e-5)


def test_two_free_extents_are_left() -> None:
    """On their own axes they stay; of two that would come to other axes neither is known."""
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.reduce_max(network.input, "channels", keepdims=False))
    rows_last = network.transpose(network.input, (3, 1, 2))
    network.output(network.reduce_max(rows_last, "width", keepdims=True))
    network.output(network.reduce_max(rows_last, "channels", keepdims=True))
    x = values(0, (2, 4, 5, 3))
    over_channels, over_rows, over_columns = network.compile(precision="float32").session().run(x).values()
    np.testing.assert_array_equal(over_channels, x.max(3))
    np.testing.assert_array_equal(over_rows, x.transpose(0, 3, 1, 2).max(2, keepdims=True))
    np.testing.assert_array_equal(over_columns, x.transpose(0, 3, 1, 2).max(3, keepdims=True))
    with pytest.raises(mpscnn.ParameterError, match="keepdims=False needs at most one free extent"):
        network.reduce_max(rows_last, "height", keepdims=False)


@pytest.mark.parametrize("axes", [(), (1, 1), ("width", 2)])
def test_axes_are_named_once(axes: tuple[str | int, ...]) -> None:
    network = mpscnn.Network(input=(5, 6, 7))
    with pytest.raises(mpscnn.ParameterError, match="axis must be one axis or several different ones"):
        network.reduce_max(network.input, axes)


@pytest.mark.parametrize(
    ("axis", "shape"), [("height", (1, 1, 6, 7)), (2, (1, 5, 1, 7)), (-1, (1, 5, 6, 1)), (1, (1, 1, 6, 7))]
)
def test_axes_have_names_and_numbers(axis: str | int, shape: tuple[int, ...]) -> None:
    network = mpscnn.Network(input=(5, 6, 7))
    for reduce in (network.reduce_max, network.reduce_min, network.reduce_sum, network.reduce_mean):
        assert reduce(network.input, axis).shape[1:] == shape[1:]


@pytest.mark.parametrize("axis", [0, 4, -4, "depth"])
def test_wrong_axes_are_named(axis: str | int) -> None:
    network = mpscnn.Network(input=(5, 6, 7))
    with pytest.raises(mpscnn.ParameterError, match=f"axis must be .*, got {axis!r}"):
        network.reduce_sum(network.input, axis)


def test_vectors_have_channels_only() -> None:
    network = mpscnn.Network(input=(6,))
    assert network.reduce_max(network.input, 1).shape == (None, 1)
    with pytest.raises(mpscnn.ShapeError, match="must have 4 axes"):
        network.reduce_max(network.input, "height")
    with pytest.raises(mpscnn.ShapeError, match="must have 3 axes or more"):
        network.reduce_max(network.input, "width")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"kind": "median"}, "must be one of max, min, sum, mean, product, l2_norm"),
        ({"kind": "mean", "weight": 2.0}, "weight must be 1 unless kind is sum, variance or deviation"),
        ({"kind": "variance", "weight": -1.0}, "weight must be at least 0"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(5, 5, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.layer("reduction", [network.input], attributes)


@pytest.mark.parametrize("weights", [(5, 6, 6), (4, 6, 7), (7,)])
def test_weights_of_another_shape_are_refused(weights: tuple[int, ...]) -> None:
    network = mpscnn.Network(input={"x": (5, 6, 7), "weights": weights})
    with pytest.raises(mpscnn.ShapeError, match="the weights must have the image's shape"):
        network.weighted_mean(*network.inputs)
