"""Test convolutions and dense layers with weights of one bit."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from operations.generic import *  # noqa: F403
from operations.record import Array, Operation, RawKernel, Sample, refusals
from operations.windows import with_activation
from ops.single_layer import seeds, values, windows
from reference.binary_convolution import binary_convolution, binary_fully_connected

from mpscnn import ShapeError, WeightsError, kernels, unpack_binary_weights

KINDS = ["binary_weights", "xnor", "and"]
activations = st.sampled_from([None, {"kind": "relun", "b": 1.0}, {"kind": "linear", "a": -1.0, "b": 0.5}])
scalings = st.fixed_dictionaries({"kind": st.sampled_from(KINDS), "beta_scaling": st.booleans()})


def weights_of(seed: int, shape: tuple[int, ...], roles: set[str]) -> dict[str, Array]:
    """Return the signs, and some of the other weights."""
    sizes = {"bias": shape[0], "scale": shape[0], "input_bias": shape[-1], "input_scale": shape[-1]}
    others = {role: values(seed + 1 + i, (size,)) for i, (role, size) in enumerate(sizes.items())}
    return {"weight": values(seed, shape)} | {role: others[role] for role in sorted(roles)}


roles = st.sets(st.sampled_from(["bias", "scale", "input_bias", "input_scale"]))


@st.composite
def convolved(draw: st.DrawFn, channels: int = 70) -> Sample:
    extents = st.integers(1, 2), *[st.integers(1, 9)] * 2, st.integers(1, channels)
    size, seed = draw(st.tuples(*extents)), draw(seeds)
    attributes = draw(windows(*size[1:3])) | draw(scalings) | {"output_channels": draw(st.integers(1, 19))}
    shape = *(attributes[f] for f in ("output_channels", "kernel_height", "kernel_width")), size[-1]
    return Sample(
        [values(seed, size)], attributes, weights_of(seed + 1, shape, draw(roles)), draw(activations)
    )


@st.composite
def dense(draw: st.DrawFn, channels: int = 70) -> Sample:
    image = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.just(()))
    shape, outputs, seed = (*image, draw(st.integers(1, channels))), draw(st.integers(1, 40)), draw(seeds)
    weights = weights_of(seed + 1, (outputs, *shape), draw(roles))
    return Sample([values(seed, (2, *shape))], draw(scalings) | {"outputs": outputs}, weights)


def expecting(function: Any) -> Any:
    def expect(sample: Sample) -> Any:
        sums = function(sample.inputs[0], dict(sample.weights), dict(sample.attributes))
        reference, bound = with_activation(sample, *sums)
        # Sums of signs are whole numbers, which float32 adds exactly.
        return reference, 2 * bound if sample.expected is None else None

    return expect


WINDOW = {"kernel_height": 3, "kernel_width": 3}


def of_ones(sign: float, kind: str) -> Sample:
    """Return sums with more equal bits than byte counters can count, and with channels that do not fill a word."""
    x, weight = np.ones((1, 3, 3, 1001), np.float32), np.full((5, 3, 3, 1001), sign, np.float32)
    attributes = {"output_channels": 5, "kind": kind} | WINDOW
    return Sample([x], attributes, {"weight": weight}, expected=np.full(5, sign * 9009.0))


def of_zeros(sign: float, **others: Array) -> Sample:
    """Return an image of zeros. The sign of zeros and of pixels outside is 1, unless a negative bias is added."""
    attributes = {"output_channels": 1, "padding": "same"} | WINDOW
    weights = {"weight": np.ones((1, 3, 3, 3), np.float32)} | others
    return Sample([np.zeros((1, 2, 2, 3), np.float32)], attributes, weights, expected=np.full(4, sign * 27.0))


def with_nan(kind: str, beta_scaling: bool) -> Sample:
    """Return an image with NaN in one pixel, which reaches exactly the windows that cover it."""
    x = values(0, (1, 6, 6, 40))
    x[0, 2, 2, 35] = np.nan
    attributes = {"output_channels": 9, "kind": kind, "beta_scaling": beta_scaling} | WINDOW
    return Sample([x], attributes, {"weight": values(1, (9, 3, 3, 40))})


ONE: dict[str, Any] = {"output_channels": 1}
CONVOLUTION = Operation(
    "binary_convolution",
    expecting(binary_convolution),
    draws={"images": convolved()},
    onnx_draws={"images": convolved(9)},  # ONNX Runtime rounds each term of a sum
    known={
        f"ones {sign} {kind}": of_ones(sign, kind) for sign, kind in ((1, "xnor"), (-1, "xnor"), (1, "and"))
    }
    | {"zeros": of_zeros(1), "zeros and a bias": of_zeros(-1, input_bias=np.full(3, -0.5, np.float32))}
    | {f"NaN {kind} {beta}": with_nan(kind, beta) for kind in KINDS for beta in (False, True)},
    refused=[
        *refusals(
            {
                "output_channels must be 1 to": {},
                "kernel_height must be": ONE | {"kernel_height": 0},
                "must be one of binary_weights, xnor, and": ONE | {"kind": "or"},
                "unknown parameter 'groups'": ONE | {"groups": 2},
            },
            [(5, 5, 4)],
        ),
        *refusals(
            {"a window of 9 rows does not fit into 5": ONE | {"kernel_height": 9}}, [(5, 5, 4)], ShapeError
        ),
    ],
)


def raw_dense(sample: Sample) -> kernels.BinaryFullyConnected:
    _, height, width, inputs = sample.inputs[0].shape
    outputs, kind, scaled = (sample.attributes[name] for name in ("outputs", "kind", "beta_scaling"))
    names = {"bias": "output_bias_terms", "scale": "output_scale_terms"}
    terms = {names.get(role, f"{role}_terms"): value for role, value in sample.weights.items()}
    weight = terms.pop("weight_terms")
    descriptor = kernels.ConvolutionDescriptor(width, height, inputs, outputs)
    return kernels.BinaryFullyConnected(descriptor, weight, type=kind, use_beta_scaling=scaled, **terms)


DENSE = Operation(
    "binary_fully_connected",
    expecting(binary_fully_connected),
    draws={"vectors and images": dense()},
    onnx_draws={"vectors and images": dense(9)},
    refused=[
        *refusals(
            {"outputs must be 1 to": {}, "one of binary_weights, xnor, and": {"outputs": 1, "kind": "or"}},
            [(5, 5, 4)],
        ),
        *refusals({"size must be fixed": lambda net, x: net.binary_dense(x, 3)}, [(None, 5, 4)], ShapeError),
    ],
    kernels={
        "BinaryFullyConnected": RawKernel(
            dense().filter(lambda sample: sample.inputs[0].ndim == 4), raw_dense
        )
    },
)


@given(st.integers(1, 3), st.integers(1, 70), seeds)
def test_packed_weights(outputs: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 2**32, (outputs, 2, 3, -(-channels // 32)), dtype=np.uint32)
    weight = unpack_binary_weights(words, channels)
    assert weight.shape == (outputs, 2, 3, channels)
    for o, y, x, c in np.ndindex(weight.shape):
        assert weight[o, y, x, c] == (1 if int(words[o, y, x, c // 32]) >> c % 32 & 1 else -1)


def test_wrong_packed_weights_are_refused() -> None:
    with pytest.raises(WeightsError, match="expected uint32 words, got int64"):
        unpack_binary_weights(np.zeros((1, 1), np.int64), 4)
    with pytest.raises(WeightsError, match="33 channels take 2 words, got 1"):
        unpack_binary_weights(np.zeros((1, 1), np.uint32), 33)


OPERATIONS = [CONVOLUTION, DENSE]
