"""Dropout against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, run_training, seeds, values
from reference.dropout import dropout, mask, philox
from tolerance import assert_close, ulp_bound

import mpscnn


@pytest.mark.parametrize("step", [0, 1, 77, 2**24 - 1])
def test_each_step_of_training_has_its_own_mask(step: int) -> None:
    x = values(0, (3, 5, 7, 9))
    attributes = {"keep_probability": 0.6, "seed": 5, "mask_stride_x": 0}
    result = run_training("step_dropout", [x, np.full((1, 1), step, np.float32)], attributes)
    alone = attributes | {"training": True, "seed": 5 + step}
    np.testing.assert_array_equal(result, run_layer("dropout", [x], alone))


def test_a_step_is_one_number() -> None:
    with pytest.raises(mpscnn.ShapeError, match=r"the step, must have the shape \(1, 1\), got \(1, 2\)"):
        run_training("step_dropout", [values(0, (3, 4)), np.zeros((1, 2), np.float32)], {})


def test_the_reference_has_the_published_random_numbers() -> None:
    # Known results that the authors of the Philox paper published.
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 2**128 - 1, 2**64 - 1
    assert philox(*ones) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@given(
    st.sampled_from([(1, 7), (3, 130), (2, 3, 5), (2, 3, 4, 5), (1, 9, 33, 3), (2, 2, 2, 3, 5)]),
    st.floats(2**-7, 1.0, width=32),
    st.integers(0, 2**63 - 1),
    st.tuples(*[st.integers(0, 1)] * 3),
    seeds,
    precisions(),
    st.sampled_from([1, 3]),
)
def test_masks(
    shape: tuple[int, ...],
    keep: float,
    key: int,
    strides: tuple[int, int, int],
    seed: int,
    precision: str,
    threads: int,
) -> None:
    if len(shape) > 4:
        strides = (1, *strides[1:])
    names = ("mask_stride_y", "mask_stride_x", "mask_stride_channels")
    attributes: dict[str, Any] = dict(zip(names, strides, strict=True))
    attributes |= {"keep_probability": keep, "seed": key, "training": True}
    x = values(seed, shape, precision=precision)
    reference = dropout(x, attributes)
    result = run_layer("dropout", [x], attributes, precision=precision, threads=threads)
    assert_close(result, reference, ulp_bound(reference), half=precision == "float16")
    np.testing.assert_array_equal(result != 0, (reference != 0) if precision == "float32" else result != 0)


def test_the_share_that_is_kept_is_the_probability() -> None:
    kept = run_layer(
        "dropout", [np.ones((1, 100, 100, 10), np.float32)], {"keep_probability": 0.7, "training": True}
    )
    assert abs((kept != 0).mean() - 0.7) < 0.01
    np.testing.assert_array_equal(np.unique(kept), np.array([0, 1 / np.float64(np.float32(0.7))], np.float32))


def test_the_result_for_ones_is_the_mask() -> None:
    network = mpscnn.Network(input=(4, 6, 8))
    network.output(network.dropout(network.input, 0.25, seed=3, mask_strides=(1, 0, 1), training=True))
    result = network.compile(precision="float32").session().run(np.ones((2, 4, 6, 8), np.float32))
    attributes = {"keep_probability": 0.75, "seed": 3, "mask_stride_x": 0}
    expected = np.broadcast_to(mask((2, 4, 6, 8), attributes), result.shape)
    np.testing.assert_array_equal(result != 0, expected)


def test_nothing_is_dropped_at_inference() -> None:
    x = values(0, (2, 3, 3, 5))
    network = mpscnn.Network(input=(3, 3, 5))
    dropped = network.dropout(network.input, 0.9)
    network.output(network.softmax(network.dropout(dropped)))
    network.output(dropped)
    softmax, same = network.compile(precision="float32").session().run(x).values()
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(softmax, run_layer("softmax", [x], {}))


def test_layers_around_it_are_joined_as_if_it_were_not_there() -> None:
    weight, x = values(0, (4, 1, 1, 3)), values(1, (1, 5, 5, 3))
    results = []
    for with_dropout in (False, True):
        network = mpscnn.Network(input=(5, 5, 3))
        y = network.conv2d(network.input, 4, 1, name="conv")
        y = network.dropout(y) if with_dropout else y
        network.output(network.activation(y, "relu"))
        network.load_weights({"conv.weight": weight})
        results.append(network.compile(precision="float32").session().run(x))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"keep_probability": 0.0}, "keep_probability must be above 0 and at most 1"),
        ({"keep_probability": 1.5}, "keep_probability must be above 0 and at most 1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"mask_stride_y": 2}, "mask_stride_y must be 0 or 1, got 2"),
        ({"mask_stride_x": -1}, "mask_stride_x must be 0 or 1"),
        ({"mask_stride_channels": 3}, "mask_stride_channels must be 0 or 1"),
    ],
)
def test_parameters_out_of_range_are_refused(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.layer("dropout", [network.input], attributes)


def test_rows_of_tensors_of_more_axes_cannot_share_a_mask() -> None:
    network = mpscnn.Network(input=(2, 2, 3, 5))
    with pytest.raises(
        mpscnn.ParameterError, match="mask_stride_y must be 1 for tensors of more than 4 axes"
    ):
        network.dropout(network.input, mask_strides=(0, 1, 1))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_rates_out_of_range_are_refused(rate: float) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match="rate must be at least 0 and below 1"):
        network.dropout(network.input, rate)
