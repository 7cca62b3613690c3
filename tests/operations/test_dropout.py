"""Test dropout, its random numbers, and dropout whose mask changes with the steps of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, refusals
from ops.single_layer import run_layer, seeds, values
from reference.dropout import dropout, mask, philox
from tolerance import ulp_bound

from mpscnn import Network, ShapeError, Tensor, kernels

images = [(1, 7), (3, 130), (2, 3, 5), (2, 3, 4, 5), (1, 9, 33, 3)]


@st.composite
def masks(draw: st.DrawFn, shapes: Sequence[tuple[int, ...]], **others: Any) -> Sample:
    shape = draw(st.sampled_from(shapes))
    attributes = {f"mask_stride_{axis}": draw(st.integers(0, 1)) for axis in ("y", "x", "channels")}
    if len(shape) > 4:
        attributes["mask_stride_y"] = 1
    keep, key = draw(st.floats(2**-7, 1.0, width=32)), draw(st.integers(0, 2**63 - 2**24))
    attributes |= {"keep_probability": keep, "seed": key, **others}
    return Sample([values(draw(seeds), shape)], attributes)


def expect_dropout(sample: Sample) -> Any:
    """Return the dropout of a sample. The number of a step, if there is one, is added to the seed."""
    x, *step = sample.inputs
    attributes = {**sample.attributes}
    if step:
        attributes |= {"training": True, "seed": attributes["seed"] + int(step[0][0, 0])}
    reference = dropout(x, attributes)
    return reference, ulp_bound(reference)


def at_step(sample: Sample, step: int) -> Sample:
    return Sample([*sample.inputs, np.full((1, 1), step, np.float32)], sample.attributes)


def dropped_twice(network: Network, x: Tensor) -> list[Tensor]:
    dropped = network.dropout(x, 0.9)
    return [dropped, network.reduce_max(network.dropout(dropped), "channels")]


@st.composite
def raw_masks(draw: st.DrawFn) -> Sample:
    sample = draw(masks([(1, 3, 4, 5), (2, 6, 1, 9)], training=True))
    return Sample(sample.inputs, {**sample.attributes, "keep_probability": 0.5})


def raw_dropout(sample: Sample) -> kernels.Dropout:
    strides = tuple(sample.attributes[f"mask_stride_{axis}"] for axis in ("x", "y", "channels"))
    return kernels.Dropout(0.5, seed=sample.attributes["seed"], mask_stride_in_pixels=strides)


MASK = {"keep_probability": 0.75, "seed": 3, "mask_stride_x": 0}
DROPOUT = Operation(
    "dropout",
    expect_dropout,
    draws={"training": masks([*images, (2, 2, 2, 3, 5)], training=True), "inference": masks(images)},
    onnx_draws={"inference": masks(images)},
    gradient_draws={},  # each step of training has another mask than the reference
    kernels={"Dropout": RawKernel(raw_masks(), raw_dropout)},
    refused=[
        *refusals(
            {
                "keep_probability must be above 0 and at most 1": [
                    {"keep_probability": 0.0},
                    {"keep_probability": 1.5},
                ],
                "seed must be at least 0, got -1": {"seed": -1},
                "mask_stride_y must be 0 or 1, got 2": {"mask_stride_y": 2},
                "mask_stride_x must be 0 or 1": {"mask_stride_x": -1},
                "mask_stride_channels must be 0 or 1": {"mask_stride_channels": 3},
                "rate must be at least 0 and below 1": [
                    lambda net, x, rate=rate: net.dropout(x, rate) for rate in (-0.1, 1.0, float("nan"), "a")
                ],
                "mask_strides must be 3 numbers": lambda net, x: net.dropout(x, mask_strides=(1, 1)),
            }
        ),
        *refusals(
            {
                "mask_stride_y must be 1 for tensors of more than 4 axes": lambda net, x: net.dropout(
                    x, mask_strides=(0, 1, 1)
                )
            },
            [(2, 2, 3, 5)],
        ),
    ],
    layers={
        "the result for ones is the mask": Layers(
            [(4, 6, 8)],
            lambda net, x: net.dropout(x, 0.25, seed=3, mask_strides=(1, 0, 1), training=True),
            lambda x: x * mask(x.shape, MASK) / np.float32(0.75),
            inputs=[np.ones((2, 4, 6, 8), np.float32)],
        ),
        "nothing is dropped at inference": Layers(
            [(3, 3, 5)], dropped_twice, lambda x: [x, x.max(3, keepdims=True)]
        ),
    },
)

STEP = Operation(
    "step_dropout",
    expect_dropout,
    draws={"steps": st.builds(at_step, masks(images), st.sampled_from([0, 1, 77, 2**24 - 1]))},
    refused=refusals(
        {r"the step, must have the shape \(1, 1\), got \(1, 2\)": {}}, [(3, 4), (1, 2)], ShapeError
    ),
    training=True,
)


def test_the_reference_has_the_published_random_numbers() -> None:
    # Known results that the authors of the Philox paper published.
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 2**128 - 1, 2**64 - 1
    assert philox(*ones) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_the_share_that_is_kept_is_the_probability() -> None:
    attributes = {"keep_probability": 0.7, "training": True}
    kept = run_layer("dropout", [np.ones((1, 100, 100, 10), np.float32)], attributes)
    assert abs((kept != 0).mean() - 0.7) < 0.01


def test_layers_around_it_are_joined_as_if_it_were_not_there() -> None:
    weight, x = values(0, (4, 1, 1, 3)), values(1, (1, 5, 5, 3))
    results = []
    for with_dropout in (False, True):
        network = Network(input=(5, 5, 3))
        y = network.conv2d(network.input, 4, 1, name="conv")
        y = network.dropout(y) if with_dropout else y
        network.output(network.activation(y, "relu"))
        network.load_weights({"conv.weight": weight}, layout="OHWI")
        results.append(network.compile(precision="float32").session().run(x))
    np.testing.assert_array_equal(*results)


OPERATIONS = [DROPOUT, STEP]
