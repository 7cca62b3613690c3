"""Compare binary convolution kernels with the index rule of Apple's headers and the reference of the operation."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import Call, Window, calls, encode, normal, sized, windows
from ops.single_layer import seeds
from reference.binary_convolution import binary_convolution
from tolerance import assert_close, linear_bound

import mpscnn
from mpscnn import kernels

types = st.sampled_from(["binary_weights", "xnor", "and"])
WEIGHTS = {
    "bias": "output_bias_terms",
    "scale": "output_scale_terms",
    "input_bias": "input_bias_terms",
    "input_scale": "input_scale_terms",
}


def convolved(
    call: Call, x: Any, rows: Window, columns: Window, weights: dict[str, Any], kind: str, beta: bool
) -> Any:
    """Return the result and an error bound. The reference computes each window as a separate image with one output."""
    attributes = {
        "kernel_height": rows.kernel,
        "kernel_width": columns.kernel,
        "kind": kind,
        "beta_scaling": beta,
    }

    inputs = weights["weight"].shape[-1]

    def one(part: int) -> Any:
        return lambda taps, v, u: binary_convolution(taps[None, ..., :inputs], weights, attributes)[part][
            0, 0, 0
        ]

    before = np.zeros(call.destination)
    magnitude = call.apply(x, rows, columns, before, one(1))
    return call.apply(x, rows, columns, before, one(0)), linear_bound(magnitude)


def drawn_weights(seed: int, rows: int, columns: int, inputs: int, outputs: int) -> dict[str, Any]:
    shapes = {"bias": (outputs,), "scale": (outputs,), "input_bias": (inputs,), "input_scale": (inputs,)}
    weights = {role: normal(seed + 1 + i, shape) for i, (role, shape) in enumerate(shapes.items())}
    return weights | {"weight": normal(seed + 9, (outputs, rows, columns, inputs))}


@given(st.data(), st.integers(1, 40), st.integers(1, 5), windows(dilated=True), seeds, types, st.booleans())
def test_binary_convolution(
    data: st.DataObject,
    inputs: int,
    outputs: int,
    taps: tuple[Window, Window],
    seed: int,
    kind: str,
    beta: bool,
) -> None:
    rows, columns = taps
    call = data.draw(calls(inputs=inputs, outputs=outputs))
    x = normal(seed, call.source)
    weights = drawn_weights(seed, rows.kernel, columns.kernel, inputs, outputs)
    descriptor = sized(kernels.ConvolutionDescriptor, rows, columns, inputs, outputs)
    terms = {argument: weights[role] for role, argument in WEIGHTS.items()}
    kernel = kernels.BinaryConvolution(
        descriptor, weights["weight"], type=kind, use_beta_scaling=beta, **terms, **call.common()
    )
    reference, bound = convolved(call, x, rows, columns, weights, kind, beta)
    assert_close(encode(kernel, x, destination=np.zeros(call.destination, np.float32)), reference, bound)


def test_packed_words_are_the_signs_of_numbers() -> None:
    words = np.random.default_rng(0).integers(0, 2**32, (3, 2, 2, 2), np.uint32)
    signs = mpscnn.unpack_binary_weights(words, 40)
    x = normal(1, (1, 5, 5, 40))
    descriptor = kernels.ConvolutionDescriptor(2, 2, 40, 3)
    packed = encode(kernels.BinaryConvolution(descriptor, words, type="xnor"), x)
    np.testing.assert_array_equal(
        packed, encode(kernels.BinaryConvolution(descriptor, signs, type="xnor"), x)
    )


def test_the_neuron_is_applied_last() -> None:
    x, weights = normal(0, (1, 4, 4, 8)), normal(1, (3, 3, 3, 8))
    plain = encode(kernels.BinaryConvolution(kernels.ConvolutionDescriptor(3, 3, 8, 3), weights), x)
    neuron = kernels.NeuronDescriptor("relu")
    descriptor = kernels.ConvolutionDescriptor(3, 3, 8, 3, fused_neuron_descriptor=neuron)
    np.testing.assert_array_equal(
        encode(kernels.BinaryConvolution(descriptor, weights), x), np.maximum(plain, 0)
    )


@pytest.mark.parametrize(
    ("kind", "sizes", "arguments", "error", "message"),
    [
        ("BinaryConvolution", {"groups": 2}, {}, mpscnn.ParameterError, "groups must be 1, got 2"),
        ("BinaryFullyConnected", {"stride_y": 2}, {}, mpscnn.ParameterError, "stride_y must be 1, got 2"),
        ("BinaryConvolution", {}, {"input_scale_terms": [1.0]}, mpscnn.WeightsError, "input_scale_terms"),
    ],
)
def test_refusals(
    kind: str, sizes: dict[str, Any], arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    descriptor = kernels.ConvolutionDescriptor(2, 2, 4, 4, **sizes)
    with pytest.raises(error, match=message):
        getattr(kernels, kind)(descriptor, np.ones((4, 2, 2, 4), np.float32), **arguments)


def test_sources_that_do_not_fit() -> None:
    weights = np.ones((4, 2, 2, 4), np.float32)
    descriptor = kernels.ConvolutionDescriptor(2, 2, 4, 4)
    with pytest.raises(mpscnn.ShapeError, match="must have 4 feature channels"):
        encode(kernels.BinaryConvolution(descriptor, weights), np.ones((1, 3, 3, 3), np.float32))
    with pytest.raises(mpscnn.ShapeError, match="must be 2 x 2"):
        encode(kernels.BinaryFullyConnected(descriptor, weights), np.ones((1, 3, 3, 4), np.float32))
