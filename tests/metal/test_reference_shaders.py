"""Compare the engine's shaders with reference shaders (reference_shaders/): plain loops in float, a thread per result.

Both add in the same order, and the emulation does not fuse multiplications and additions, so results agree to the
last bit unless a test says otherwise; in float16 the reference's result is rounded once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from metal.emulation import Emulation
from numpy.typing import NDArray
from ops.single_layer import precisions, run_layer, seeds, values, windows
from reference import window
from reference.signal import axis_positions
from tolerance import FLOAT32_EPS, assert_close

import mpscnn

REFERENCES = Path(__file__).parent / "reference_shaders"
# The fixture checks for remaining objects once after all examples of a test.
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def own_shaders_only(emulation: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all results of MPS wrong, so that a test fails if MPS is used."""
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")
    emulation.set("wrong_results", 1)


def reference(
    name: str, arrays: list[NDArray[np.float32]], sizes: list[int], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the result of reference_shaders/<name>.metal for arrays and a struct of sizes."""
    kernel = mpscnn.kernels.MetalKernel((REFERENCES / f"{name}.metal").read_text("utf-8"), name)
    results = np.zeros(shape, np.float32)
    with mpscnn.CommandQueue("metal").command_buffer() as commands:
        kernel.encode(commands, *arrays, np.array(sizes, np.int32), results, grid=results.size)
    return results


def rounded(results: NDArray[np.float32], precision: str) -> NDArray[np.float32]:
    return results.astype(np.float16).astype(np.float32) if precision == "float16" else results


def check_convolution(
    shape: tuple[int, ...], groups: int, attributes: dict[str, Any], seed: int, precision: str
) -> None:
    """Compare a convolution and its PReLU with the reference shader. MPS cannot fuse PReLU, so shaders compute both."""
    attributes = attributes | {"groups": groups}
    kernel_height, kernel_width = attributes["kernel_height"], attributes["kernel_width"]
    outputs, inputs = attributes["output_channels"], shape[3] // groups
    x = values(seed, shape, precision=precision)
    weight = values(seed + 1, (outputs, kernel_height, kernel_width, inputs), precision=precision)
    bias, slope = values(seed + 2, (outputs,)), values(seed + 3, (outputs,))
    result = run_layer(
        "convolution",
        [x],
        attributes,
        weights={"weight": weight, "bias": bias, "slope": slope},
        activation={"kind": "prelu"},
        precision=precision,
        device="metal",
    )
    rows, columns = window.positions(attributes, *shape[1:3])
    steps = [attributes[name] for name in ("stride_y", "stride_x", "dilation_y", "dilation_x")]
    sizes = [*shape, len(rows), len(columns), outputs, kernel_height, kernel_width, *steps]
    sizes += [-rows[0][0], -columns[0][0], inputs, outputs // groups]
    expected = reference("convolution", [x, weight, bias, slope], sizes, result.shape)
    np.testing.assert_array_equal(result, rounded(expected, precision))


images = st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 19))


@many
@given(images, st.integers(2, 13), st.tuples(*[st.integers(1, 3)] * 4), st.booleans(), seeds, precisions())
def test_depthwise_3x3(
    image: tuple[int, ...], channels: int, steps: tuple[int, ...], full: bool, seed: int, precision: str
) -> None:
    names = ("stride_y", "stride_x", "dilation_y", "dilation_x")
    attributes: dict[str, Any] = dict(zip(names, steps, strict=True))
    attributes |= {"kernel_height": 3, "kernel_width": 3, "padding": "full" if full else "same"}
    check_convolution(
        (*image, channels), channels, attributes | {"output_channels": channels}, seed, precision
    )


@many
@given(images, st.integers(2, 13), st.integers(1, 3), st.data(), seeds, precisions())
def test_depthwise_of_any_size(
    image: tuple[int, ...], channels: int, multiplier: int, data: st.DataObject, seed: int, precision: str
) -> None:
    attributes = data.draw(windows(*image[1:])) | {"output_channels": channels * multiplier}
    check_convolution((*image, channels), channels, attributes, seed, precision)


@many
@given(images, st.integers(1, 3), st.integers(1, 11), st.integers(1, 11), st.data(), seeds, precisions())
def test_pointwise(
    image: tuple[int, ...],
    groups: int,
    inputs: int,
    outputs: int,
    data: st.DataObject,
    seed: int,
    precision: str,
) -> None:
    """The shader for groups of multiples of four channels, and the general shader for others, match the reference."""
    if groups > 1 and data.draw(st.booleans()):
        inputs, outputs = 4 * (inputs // 4 + 1), 4 * (outputs // 4 + 1)
    attributes = data.draw(windows(*image[1:], max_kernel=1)) | {"output_channels": outputs * groups}
    check_convolution((*image, inputs * groups), groups, attributes, seed, precision)


@many
@given(
    st.tuples(st.integers(1, 2), *[st.integers(1, 13)] * 3),
    st.tuples(*[st.integers(1, 13)] * 2),
    seeds,
    precisions(),
)
def test_bilinear_resize(shape: tuple[int, ...], size: tuple[int, int], seed: int, precision: str) -> None:
    """Results differ only by rounding: the reference weighs four pixels, the shader interpolates rows, then columns."""
    x = values(seed, shape, precision=precision)
    attributes = {"kind": "bilinear", "alignment": "corners", "height": size[0], "width": size[1]}
    result = run_layer("resize", [x], attributes, precision=precision, device="metal")
    expected = reference("resize", [x], [*shape, *size], result.shape)
    bound = 8 * FLOAT32_EPS * float(np.abs(x).max())
    assert_close(result, expected.astype(np.float64), bound, half=precision == "float16")


@many
@given(images, st.integers(1, 40), st.sampled_from(["max", "min"]), st.booleans(), seeds, precisions())
def test_argument(
    image: tuple[int, ...], channels: int, kind: str, ties: bool, seed: int, precision: str
) -> None:
    x = values(seed, (*image, channels), precision=precision)
    if ties:
        x = np.round(x)
    result = run_layer("argument", [x], {"kind": kind}, precision=precision, device="metal")
    expected = reference("argument", [x], [x.size // channels, channels, int(kind == "min")], result.shape)
    np.testing.assert_array_equal(result, expected)


@many
@given(
    st.integers(1, 3), st.integers(1, 90), st.integers(1, 20), st.sampled_from(["full", "same", "valid"]),
    st.booleans(), st.booleans(), seeds,
)  # fmt: skip
def test_signals(
    signals: int, samples: int, taps: int, mode: str, clamps: bool, correlates: bool, seed: int
) -> None:
    if mode == "valid":
        samples = max(samples, taps)
    x, kernel = values(seed, (signals, samples)), values(seed + 1, (taps,))
    function = mpscnn.correlate1d if correlates else mpscnn.convolve1d
    result = function(x, kernel, mode, "clamp" if clamps else "zero", device="metal")
    before = -min(sample for _, sample in axis_positions(samples, taps, mode, correlates)[0])
    sizes = [signals, samples, taps, result.shape[1], before, int(clamps), int(correlates)]
    np.testing.assert_array_equal(result, reference("signal", [x, kernel], sizes, result.shape))
