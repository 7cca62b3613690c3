"""Compare Caffe's layers that normalise, compare, sum up, repeat and resize with their formulas."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe.test_caffe import random, refusal, result
from converters.caffe_writer import image, layer, write

import mpscnn
from mpscnn import converters
from mpscnn.converters.caffe.layers import HANDLERS, REFUSED

X = (2, 6, 4, 5)


def one(tmp_path: Path, kind: str, parameters: str = "", x: Any = None, blobs: Any = None) -> Any:
    x = random(*X) if x is None else x
    return result(tmp_path, image(*x.shape) + layer(kind, "y", "data", parameters), x, blobs)


# ---- Normalizations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("variance", [False, True])
def test_mean_and_variance(tmp_path: Path, across: bool, variance: bool) -> None:
    x = random(*X)
    axes = (1, 2, 3) if across else (2, 3)
    expected = x - x.mean(axes, keepdims=True)
    if variance:
        expected /= x.std(axes, keepdims=True) + 0.25
    settings = f"across_channels: {across} normalize_variance: {variance} eps: 0.25".lower()
    np.testing.assert_allclose(
        one(tmp_path, "MVN", f"mvn_param {{ {settings} }}"), expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("across", [False, True])
def test_unit_length(tmp_path: Path, across: bool, shared: bool) -> None:
    x, factors = random(*X), random(1 if shared else X[1], seed=1)
    norm = np.sqrt((x**2).sum((1, 2, 3) if across else 1, keepdims=True) + 0.5)
    settings = f"norm_param {{ across_spatial: {across} channel_shared: {shared} eps: 0.5 }}".lower()
    found = one(tmp_path, "Normalize", settings, x, {"y": [factors]})
    np.testing.assert_allclose(found, x / norm * factors.reshape(-1, 1, 1), rtol=1e-4, atol=1e-5)


def test_slopes_that_channels_share(tmp_path: Path) -> None:
    x = random(*X)
    found = one(tmp_path, "PReLU", "prelu_param { channel_shared: true }", x, {"y": [np.array([0.3])]})
    np.testing.assert_allclose(found, np.where(x > 0, x, 0.3 * x), rtol=1e-5)


@pytest.mark.parametrize(("axis", "shape"), [(1, (6, 4)), (1, (6, 4, 5)), (2, (4,)), (3, (5,))])
def test_factors_of_elements(tmp_path: Path, axis: int, shape: tuple[int, ...]) -> None:
    x, factors, offsets = random(*X), random(*shape, seed=1), random(*shape, seed=2)
    text = f"scale_param {{ axis: {axis} num_axes: {len(shape)} bias_term: true }}"
    aligned = shape + (1,) * (4 - axis - len(shape))
    found = one(tmp_path, "Scale", text, x, {"y": [factors, offsets]})
    np.testing.assert_allclose(found, x * factors.reshape(aligned) + offsets.reshape(aligned), rtol=1e-5)


def test_factors_that_do_not_fit_are_damage(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.WeightsError, match=r"factors \(5, 4\) along its axis 1"):
        one(tmp_path, "Scale", blobs={"y": [random(5, 4)]})


def change_channels(kind: str, x: Any, seed: int) -> tuple[Any, list[Any]]:
    """Return the result of a BatchNorm, Scale or Bias with random weights, and the weights."""
    first, second = (1.5 + random(x.shape[1], seed=seed + place) / 2 for place in (0, 1))
    a, b = first[:, None, None], second[:, None, None]
    if kind == "BatchNorm":
        return (x - a) / np.sqrt(b + 0.1), [first, second, np.ones(1)]
    return (x * a + b, [first, second]) if kind == "Scale" else (x + a, [first])


@pytest.mark.parametrize(
    "kinds", [*itertools.product(["BatchNorm", "Scale", "Bias"], repeat=3)], ids=" ".join
)
@pytest.mark.parametrize("read", [False, True], ids=["", "all are read"])
def test_changes_of_channels_in_a_row(tmp_path: Path, kinds: tuple[str, ...], read: bool) -> None:
    """Each layer changes the result of the one before it. If another layer reads them, too, the numbers stay."""
    parameters = {
        "BatchNorm": "batch_norm_param { eps: 0.1 }",
        "Scale": "scale_param { bias_term: true }",
        "Bias": "",
    }
    x = random(*X)
    text, blobs, results = image(*X), {}, [x]
    for number, kind in enumerate(kinds):
        made, blobs[f"y{number}"] = change_channels(kind, results[-1], 2 * number)
        text += layer(kind, f"y{number}", f"y{number - 1}" if number else "data", parameters[kind])
        results.append(made)
    expected = results[-1]
    if read:
        text += layer("Eltwise", "sum", "y0 y1 y2")
        expected = sum(results[1:])
    np.testing.assert_allclose(result(tmp_path, text, x, blobs), expected, rtol=1e-4, atol=1e-4)


def test_factors_of_another_blob(tmp_path: Path) -> None:
    """SENet's squeeze and excitation multiplies channels by factors of another blob."""
    x = random(*X)
    text = image(*x.shape) + layer(
        "Pooling", "mean", "data", "pooling_param { pool: AVE global_pooling: true }"
    )
    text += layer("Axpy", "y", "mean data data")
    expected = x.mean((2, 3), keepdims=True) * x + x
    np.testing.assert_allclose(result(tmp_path, text, x), expected, rtol=1e-4, atol=1e-5)


# ---- Comparing and summing up ------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [1, 2, 3, -3])
@pytest.mark.parametrize("values", [False, True])
def test_largest_of_an_axis(tmp_path: Path, axis: int, values: bool) -> None:
    x = random(*X)
    expected = x.max(axis, keepdims=True) if values else x.argmax(axis, keepdims=True)
    settings = f"argmax_param {{ axis: {axis} out_max_val: {str(values).lower()} }}"
    np.testing.assert_array_equal(one(tmp_path, "ArgMax", settings, x), expected)


def test_largest_of_an_image(tmp_path: Path) -> None:
    x = random(*X)
    expected = x.reshape(len(x), -1).argmax(1).reshape(-1, 1, 1)
    np.testing.assert_array_equal(one(tmp_path, "ArgMax", "", x), expected)


def test_classes_of_pixels_are_counted_from_zero(tmp_path: Path) -> None:
    """Later layers use the positions like any numbers."""
    x = random(*X)
    text = image(*x.shape) + layer("ArgMax", "place", "data", "argmax_param { axis: 1 }")
    text += layer("Power", "y", "place", "power_param { scale: 2 shift: 1 }")
    np.testing.assert_array_equal(result(tmp_path, text, x), 2 * x.argmax(1, keepdims=True) + 1)


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        ("SUM", np.sum),
        ("MEAN", np.mean),
        ("ASUM", lambda x, axes: np.abs(x).sum(axes)),
        ("SUMSQ", lambda x, axes: (x**2).sum(axes)),
    ],
)
@pytest.mark.parametrize("axis", [2, 3])
def test_reductions(tmp_path: Path, operation: str, function: Any, axis: int) -> None:
    x = random(*X)
    found = one(
        tmp_path, "Reduction", f"reduction_param {{ operation: {operation} axis: {axis} coeff: 0.5 }}", x
    )
    np.testing.assert_allclose(found, 0.5 * function(x, tuple(range(axis, 4))), rtol=1e-4, atol=1e-5)


# ---- Axes and sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_tiles(tmp_path: Path, axis: int) -> None:
    x = random(*X)
    expected = np.concatenate([x] * 3, axis)
    np.testing.assert_array_equal(
        one(tmp_path, "Tile", f"tile_param {{ axis: {axis} tiles: 3 }}", x), expected
    )


def corners(x: Any, height: int, width: int) -> Any:
    """Return bilinear samples at equal distances. The first and the last one are those of the image."""
    for axis, count in ((2, height), (3, width)):
        places = np.linspace(0, x.shape[axis] - 1, count)
        first = np.minimum(places.astype(int), max(x.shape[axis] - 2, 0))
        share = (places - first).reshape([-1 if one == axis else 1 for one in range(4)])
        second = np.minimum(first + 1, x.shape[axis] - 1)
        x = np.take(x, first, axis) * (1 - share) + np.take(x, second, axis) * share
    return x


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ("height: 7 width: 9", (7, 9)),
        ("height: 2 width: 3", (2, 3)),
        ("zoom_factor: 2", (7, 9)),
        ("shrink_factor: 2", (2, 3)),
        ("shrink_factor: 2 zoom_factor: 3", (4, 7)),
    ],
)
def test_interpolation(tmp_path: Path, settings: str, size: tuple[int, int]) -> None:
    x = random(*X)
    found = one(tmp_path, "Interp", f"interp_param {{ {settings} }}", x)
    np.testing.assert_allclose(found, corners(x, *size), rtol=1e-4, atol=1e-5)


def test_enlargement(tmp_path: Path) -> None:
    x = random(*X)
    found = one(tmp_path, "Upsample", "upsample_param { scale: 3 }", x)
    np.testing.assert_array_equal(found, x.repeat(3, 2).repeat(3, 3))


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("axis: 2", (2, 6, 20)),
        ("axis: 1 end_axis: 2", (2, 24, 5)),
        ("axis: -2 end_axis: -1", (2, 6, 20)),
        ("", (2, 120)),
    ],
)
def test_flattening(tmp_path: Path, settings: str, shape: tuple[int, ...]) -> None:
    x = random(*X)
    np.testing.assert_array_equal(
        one(tmp_path, "Flatten", f"flatten_param {{ {settings} }}", x), x.reshape(shape)
    )


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ("shape { dim: 0 dim: 3 dim: -1 dim: 5 }", (2, 3, 8, 5)),
        ("axis: 1 num_axes: 1 shape { dim: 2 dim: 3 }", (2, 2, 3, 4, 5)),
        ("axis: 2 shape { dim: -1 }", (2, 6, 20)),
        ("axis: -2 num_axes: 1 shape { dim: 5 }", X),
    ],
)
def test_reshapes(tmp_path: Path, settings: str, shape: tuple[int, ...]) -> None:
    x = random(*X)
    found = one(tmp_path, "Reshape", f"reshape_param {{ {settings} }}", x)
    expected = x.reshape(shape)
    np.testing.assert_array_equal(found, expected)


# ---- Errors ------------------------------------------------------------------------------------------------


def test_every_type_has_a_place() -> None:
    """All layers of BVLC's Caffe and of SSD that compute something in inference are read or refused."""
    catalogue = """
        AbsVal ArgMax BatchNorm BatchReindex Bias BNLL Clip Concat Convolution Crop Deconvolution Dropout ELU Eltwise
        Embed Exp Filter Flatten HDF5Output Im2col InnerProduct LRN LSTM Log MVN Normalize PReLU Parameter Permute
        Pooling Power Python RNN ReLU Reduction Reshape SPP Scale Sigmoid Silence Slice Softmax Split Swish TanH
        Threshold Tile"""
    assert set(catalogue.split()) <= HANDLERS.keys() | REFUSED.keys()


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_refused_by_name(tmp_path: Path, kind: str) -> None:
    message = refusal(write(tmp_path, image(*X) + layer(kind, "y", "data")))
    assert f"layer 'y' ({kind}): {REFUSED[kind]}" in message


@pytest.mark.parametrize(
    ("kind", "settings", "reason"),
    [
        ("Tile", "tile_param { axis: 1 tiles: 0 }", "repeats axis 1"),
        ("Tile", "tile_param { axis: 0 tiles: 2 }", "repeats axis 0"),
        ("Tile", "tile_param { axis: 9 tiles: 2 }", "its axis is 9"),
        ("Tile", "tile_param { axis: 2 tiles: 2147483647 }", "'y'"),
        ("Interp", "interp_param { height: 2147483647 width: 2147483647 }", "'y'"),
        ("Interp", "interp_param { height: -3 width: 2 }", "resizes to"),
        ("Interp", "interp_param { zoom_factor: 2147483647 }", "resizes to"),
        ("Interp", "interp_param { shrink_factor: 0 }", "factors are 0"),
        ("Interp", "interp_param { zoom_factor: 2 pad_end: -1 }", "borders cut off"),
        ("Upsample", "upsample_param { scale: 0 }", "0 times"),
        ("Upsample", "upsample_param { scale: 2147483647 }", "resizes to"),
        ("ArgMax", "argmax_param { axis: 1 top_k: 3 }", "the 3 largest"),
        ("ArgMax", "argmax_param { axis: 0 }", "images of the batch"),
        ("ArgMax", "argmax_param { axis: 17 }", "its axis is 17"),
        ("ArgMax", "argmax_param { out_max_val: true }", "in one blob"),
        ("Reduction", "reduction_param { operation: SUM }", "include the batch"),
        ("Reduction", "reduction_param { operation: MEDIAN axis: 2 }", "its operation is MEDIAN"),
        ("Reduction", "reduction_param { axis: 2 coeff: nan }", "its coeff is nan"),
        ("MVN", "mvn_param { eps: nan }", "its eps is nan"),
        ("Normalize", "norm_param { eps: inf }", "its eps is inf"),
        ("Threshold", "threshold_param { threshold: nan }", "its threshold is nan"),
        ("Swish", "swish_param { beta: inf }", "its beta is inf"),
        ("Flatten", "flatten_param { axis: 3 end_axis: 2 }", "flattens the axes 3 to 2"),
        ("Flatten", "flatten_param { axis: 0 }", "flattens the axes 0"),
        ("Reshape", "reshape_param { axis: 7 shape { dim: 1 } }", "axes from 7 on"),
        ("Reshape", "reshape_param { axis: 1 num_axes: 9 shape { dim: 1 } }", "reshapes 9 axes"),
        ("Reshape", "reshape_param { shape { dim: 2 dim: -1 dim: -1 } }", "reshapes (2, 6, 4, 5)"),
        ("Reshape", "reshape_param { shape { dim: 2 dim: -9 } }", "is to be -9"),
        ("Reshape", "reshape_param { shape { dim: 4611686018427387904 dim: 4 } }", "reshapes (2, 6, 4, 5)"),
        ("Reshape", "reshape_param { shape { dim: 240 } }", "changes the batch"),
        ("Axpy", "", "1 inputs instead of three"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, kind: str, settings: str, reason: str) -> None:
    paths = write(tmp_path, image(*X) + layer(kind, "y", "data", settings))
    with pytest.raises((mpscnn.UnsupportedError, mpscnn.WeightsError), match=re.escape(reason)):
        converters.read_network(paths)


def test_tiles_of_tiles(tmp_path: Path) -> None:
    """A few lines of text ask for gigabytes."""
    text, last = image(*X), "data"
    for place in range(12):
        text += layer("Tile", f"tile{place}", last, "tile_param { axis: 2 tiles: 1000 }")
        last = f"tile{place}"
    with pytest.raises(mpscnn.Error):
        converters.read_network(write(tmp_path, text))
