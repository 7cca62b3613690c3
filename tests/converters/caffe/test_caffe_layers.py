"""Compare Caffe's layers with the meanings in the table of operators, and test which layers are refused."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe.test_caffe import ran, random, refusal, result
from converters.caffe_writer import image, layer, write
from converters.operator_cases import CaffeLayer, forms

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.caffe.detection import KINDS
from mpscnn.converters.reading.caffe.file import parameter_field
from mpscnn.converters.reading.caffe.layers import REFUSED, ROWS
from mpscnn.converters.reading.caffe.schema import NET_KIND

X = (2, 6, 4, 5)


def one(tmp_path: Path, kind: str, parameters: str = "", x: Any = None, blobs: Any = None) -> Any:
    x = random(*X) if x is None else x
    return result(tmp_path, image(*x.shape) + layer(kind, "y", "data", parameters), x, blobs)


def has_parameters(kind: str) -> bool:
    inner = NET_KIND.fields["layer"].inner
    return inner is not None and parameter_field(kind) in inner.fields


CASES = forms(CaffeLayer)


@pytest.mark.parametrize("name", CASES)
def test_layers(tmp_path: Path, name: str) -> None:
    form, operator = CASES[name]
    (shape,) = operator.shapes
    x = random(2, *shape[1:])
    found = one(tmp_path, form.kind, form.parameters, x, {"y": form.blobs} if form.blobs else None)
    expected = np.asarray(operator.meaning(x.astype(np.float64)))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("before", ["Convolution", "grouped", "InnerProduct"])
@pytest.mark.parametrize("kinds", [("BatchNorm", "Scale"), ("Scale", "Bias"), ("BatchNorm",)], ids=" ".join)
@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "new blobs"])
def test_changes_of_channels_become_part_of_the_layer_before(
    tmp_path: Path, before: str, kinds: tuple[str, ...], in_place: bool
) -> None:
    """The article's MobileNet has 27 such convolutions. With `fold=False` the layers stay for training."""
    x = random(*X)
    groups = 2 if before == "grouped" else 1
    dense = before == "InnerProduct"
    inputs = x[0].size if dense else X[1] // groups
    weights = random(4, inputs) if dense else random(4, inputs, 1, 1)
    own = (
        "inner_product_param { num_output: 4 }"
        if dense
        else (f"convolution_param {{ num_output: 4 kernel_size: 1 group: {groups} bias_term: false }}")
    )
    parameters = {"BatchNorm": "batch_norm_param { eps: 0.1 }", "Scale": "scale_param { bias_term: true }"}
    text = image(*X) + layer(before if dense else "Convolution", "c", "data", own)
    biases = random(4, seed=9)
    blobs: dict[str, Any] = {"c": [weights, biases] if dense else [weights]}
    if dense:
        made = (x.reshape(X[0], -1) @ weights.T + biases)[:, :, None, None]
    else:
        parts = zip(np.split(x, groups, 1), np.split(weights[:, :, 0, 0], groups), strict=True)
        made = np.concatenate([np.einsum("nchw,oc->nohw", part, one) for part, one in parts], 1)
    blob = "c"
    for number, kind in enumerate(kinds):
        made, blobs[f"y{number}"] = change_channels(kind, made, 2 * number)
        top = blob if in_place else f"y{number}"
        text += layer(kind, f"y{number}", blob, parameters.get(kind, ""), top)
        blob = top
    paths = write(tmp_path, text, blobs)
    folded, kept = converters.read_network(paths), converters.read_network(paths, fold=False)
    assert sum(one.endswith(("mean", "variance")) for one in kept.weights) == 2
    assert not any(one.endswith(("mean", "variance")) for one in folded.weights)
    assert sorted(one.rpartition(".")[0] for one in folded.weights) == ["c", "c"]
    expected = made[:, :, 0, 0] if dense else made
    for network in (folded, kept):
        np.testing.assert_allclose(ran(network, x), expected, rtol=1e-4, atol=1e-4)


def test_a_convolution_that_others_read_keeps_its_results(tmp_path: Path) -> None:
    x, weights = random(*X), random(X[1], X[1], 1, 1)
    text = image(*X) + layer(
        "Convolution",
        "c",
        "data",
        f"convolution_param {{ num_output: {X[1]} kernel_size: 1 bias_term: false }}",
    )
    text += layer("Scale", "y", "c", "scale_param { bias_term: true }") + layer("Eltwise", "sum", "c y")
    made = np.einsum("nchw,oc->nohw", x, weights[:, :, 0, 0])
    scaled, numbers = change_channels("Scale", made, 0)
    found = result(tmp_path, text, x, {"c": [weights], "y": numbers})
    np.testing.assert_allclose(found, made + scaled, rtol=1e-4, atol=1e-4)


def test_factors_that_half_floats_cannot_hold_stay_apart(tmp_path: Path) -> None:
    text = image(1, 1, 2, 2) + layer(
        "Convolution", "c", "data", "convolution_param { num_output: 1 kernel_size: 1 bias_term: false }"
    )
    text += layer("BatchNorm", "n", "c", "batch_norm_param { eps: 1e-12 }", "c")
    blobs = {"c": [np.full((1, 1, 1, 1), 1.0)], "n": [np.zeros(1), np.zeros(1), np.ones(1)]}
    network = converters.read_network(write(tmp_path, text, blobs))
    assert "n.variance" in network.weights


def test_factors_of_another_blob(tmp_path: Path) -> None:
    """SENet's squeeze and excitation multiplies channels by factors of another blob."""
    x = random(*X)
    text = image(*x.shape) + layer(
        "Pooling", "mean", "data", "pooling_param { pool: AVE global_pooling: true }"
    )
    text += layer("Axpy", "y", "mean data data")
    expected = x.mean((2, 3), keepdims=True) * x + x
    np.testing.assert_allclose(result(tmp_path, text, x), expected, rtol=1e-4, atol=1e-5)


# ---- Errors ------------------------------------------------------------------------------------------------


def test_every_type_has_a_place() -> None:
    """All layers of BVLC's Caffe and of SSD that compute something in inference are read or refused."""
    catalogue = """
        AbsVal ArgMax BatchNorm BatchReindex Bias BNLL Clip Concat Convolution Crop Deconvolution Dropout ELU Eltwise
        Embed Exp Filter Flatten HDF5Output Im2col InnerProduct LRN LSTM Log MVN Normalize PReLU Parameter Permute
        Pooling Power Python RNN ReLU Reduction Reshape SPP Scale Sigmoid Silence Slice Softmax Split Swish TanH
        Threshold Tile"""
    assert set(catalogue.split()) <= ROWS.keys() | REFUSED.keys()


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
        ("Flatten", "flatten_param { axis: 3 end_axis: 2 }", "flattens the axes 3 to 2"),
        ("Flatten", "flatten_param { axis: 0 }", "flattens the axes 0"),
        ("Reshape", "reshape_param { axis: 7 shape { dim: 1 } }", "axes from 7 on"),
        ("Reshape", "reshape_param { axis: 1 num_axes: 9 shape { dim: 1 } }", "reshapes 9 axes"),
        ("Reshape", "reshape_param { shape { dim: 2 dim: -1 dim: -1 } }", "reshapes (2, 6, 4, 5)"),
        ("Reshape", "reshape_param { shape { dim: 2 dim: -9 } }", "is to be -9"),
        ("Reshape", "reshape_param { shape { dim: 4611686018427387904 dim: 4 } }", "reshapes (2, 6, 4, 5)"),
        ("Reshape", "reshape_param { shape { dim: 240 } }", "changes the batch"),
        ("Axpy", "", "1 inputs instead of 3"),
        ("Interp", "interp_param { height: 8 zoom_factor: 2 }", "a size and by factors"),
        ("LRN", "lrn_param { local_size: 4 }", "is 4, which is not odd"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, kind: str, settings: str, reason: str) -> None:
    paths = write(tmp_path, image(*X) + layer(kind, "y", "data", settings))
    with pytest.raises((mpscnn.UnsupportedError, mpscnn.WeightsError), match=re.escape(reason)):
        converters.read_network(paths)


@pytest.mark.parametrize("kind", sorted(kind for kind in [*ROWS, *KINDS] if has_parameters(kind)))
def test_unknown_parameters_are_refused(tmp_path: Path, kind: str) -> None:
    """Versions of Caffe add parameters that change results, such as `scale_h` of Upsample."""
    field = parameter_field(kind)
    text = layer(kind, "y", "data", f"{field} {{ engine: CAFFE bias_filler {{ value: 1 }} own_{kind}: 3 }}")
    message = refusal(write(tmp_path, image(*X) + text))
    assert f"layer 'y' ({kind}): its parameter 'own_{kind}' is not supported" in message


def test_sums_alone_have_coefficients(tmp_path: Path) -> None:
    text = layer("Eltwise", "y", "data data", "eltwise_param { operation: PROD coeff: 2 coeff: 3 }")
    assert "multiplies and has coefficients" in refusal(write(tmp_path, image(*X) + text))


@pytest.mark.parametrize("offset", [-1, 1])
def test_crops_lie_within_the_image(tmp_path: Path, offset: int) -> None:
    text = layer("ReLU", "like", "data") + layer(
        "Crop", "y", "data like", f"crop_param {{ offset: {offset} }}"
    )
    with pytest.raises(mpscnn.WeightsError):
        converters.read_network(write(tmp_path, image(*X) + text))


def test_tiles_of_tiles(tmp_path: Path) -> None:
    """A few lines of text ask for gigabytes."""
    text, last = image(*X), "data"
    for place in range(12):
        text += layer("Tile", f"tile{place}", last, "tile_param { axis: 2 tiles: 1000 }")
        last = f"tile{place}"
    with pytest.raises(mpscnn.Error):
        converters.read_network(write(tmp_path, text))
