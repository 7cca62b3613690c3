"""Axes in another order."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.transpose import channel_shuffle, transposed

import mpscnn

extents = st.lists(st.integers(1, 40), min_size=1, max_size=3)


@given(extents, st.data(), seeds, precisions())
def test_images_and_less(shape: list[int], data: st.DataObject, seed: int, precision: str) -> None:
    axes = data.draw(st.permutations(range(1, len(shape) + 1)))
    x = values(seed, (2, *shape), precision=precision)
    result = run_layer("transpose", [x], {"axes": list(axes)}, precision=precision)
    np.testing.assert_array_equal(result, transposed(x, axes))


@given(st.lists(st.integers(1, 9), min_size=4, max_size=5), st.data(), seeds)
def test_more_axes(shape: list[int], data: st.DataObject, seed: int) -> None:
    axes = data.draw(st.permutations(range(1, len(shape) + 1)))
    x = values(seed, (2, *shape))
    np.testing.assert_array_equal(run_layer("transpose", [x], {"axes": list(axes)}), transposed(x, axes))


@pytest.mark.parametrize("axes", list(itertools.permutations((1, 2, 3))))
@pytest.mark.parametrize("shape", [(33, 65, 48), (1, 200, 17), (130, 3, 2)])
def test_threads_share_them(shape: tuple[int, int, int], axes: tuple[int, ...]) -> None:
    x = values(1, (1, *shape))
    result = run_layer("transpose", [x], {"axes": list(axes)}, threads=3)
    np.testing.assert_array_equal(result, transposed(x, list(axes)))


@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(1, 5),
    seeds,
    precisions(),
)
def test_channel_shuffle(
    batch: int, height: int, width: int, size: int, groups: int, seed: int, precision: str
) -> None:
    x = values(seed, (batch, height, width, size * groups), precision=precision)
    result = run_layer("channel_shuffle", [x], {"groups": groups}, precision=precision)
    np.testing.assert_array_equal(result, channel_shuffle(x, groups))


@given(st.permutations((1, 2, 3)), seeds)
def test_between_layers(axes: list[int], seed: int) -> None:
    """Of a slice's view, into a concatenation's part, and reshaped."""
    network = mpscnn.Network(input=(6, 5, 35))
    part = network.slice(network.input, rows=(1, 5), channels=(2, 33))
    moved = network.transpose(part, axes)
    network.output(network.concat([network.activation(moved, "relu"), moved]))
    network.output(network.flatten(moved))
    network.output(network.channel_shuffle(network.concat([part, part]), 2))
    x = values(seed, (2, 6, 5, 35))
    joined, flat, shuffled = network.compile(precision="float32").session(threads=1).run(x).values()
    expected = transposed(x[:, 1:5, :, 2:33], axes)
    np.testing.assert_array_equal(joined, np.concatenate([np.maximum(expected, 0), expected], axis=-1))
    np.testing.assert_array_equal(flat, expected.reshape(2, -1))
    np.testing.assert_array_equal(shuffled, np.repeat(x[:, 1:5, :, 2:33], 2, axis=-1))


@given(st.integers(1, 70), seeds, precisions(), st.booleans())
def test_a_shuffle_of_two_tensors(channels: int, seed: int, precision: str, also_read: bool) -> None:
    """Behind a concatenation of halves, one of them a view, as in ShuffleNetV2."""
    network = mpscnn.Network(input=(3, 4, 2 * channels))
    left, right = network.split(network.input, 2)
    joined = network.concat([left, network.activation(right, "relu")], name="joined")
    network.output(network.channel_shuffle(joined, 2, name="shuffled"))
    if also_read:
        network.output(joined)
    x = values(seed, (2, 3, 4, 2 * channels), precision=precision)
    results = network.compile(precision=precision).session(threads=1).run(x)
    shuffled = results["shuffled"] if isinstance(results, dict) else results
    expected = np.concatenate([x[..., :channels], np.maximum(x[..., channels:], 0)], axis=-1)
    np.testing.assert_array_equal(shuffled, channel_shuffle(expected, 2))
    if isinstance(results, dict):
        np.testing.assert_array_equal(results["joined"], expected)


def test_the_shuffles_of_shufflenet_read_both_halves_where_they_are() -> None:
    network = mpscnn.models.shufflenet_v2_x0_5(input_size=64)
    network.initialize_weights()
    kernels = [step.kernel for step in network.compile(device="cpu").explain(threads=1).steps]
    assert kernels.count("interleave") == 4 + 8 + 4
    assert not {"concatenation", "copy", "transpose"} & set(kernels)


def test_free_extents() -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.transpose(network.input, (3, 1, 2)))
    assert network.outputs[0].shape == (None, 3, None, None)
    x = values(0, (1, 5, 4, 3))
    np.testing.assert_array_equal(
        network.compile(precision="float32").session().run(x), x.transpose(0, 3, 1, 2)
    )


@pytest.mark.parametrize("axes", [(1, 2), (0, 1, 2), (1, 2, 2), (1, 2, 4), (1, 2, 3, 4)])
def test_wrong_axes_are_named(axes: tuple[int, ...]) -> None:
    network = mpscnn.Network(input=(4, 5, 3))
    message = rf"transpose: axes must be each of 1 to 3 once for \(n, 4, 5, 3\), got \[{', '.join(map(str, axes))}\]"
    with pytest.raises(mpscnn.ParameterError, match=message):
        network.transpose(network.input, axes)


@pytest.mark.parametrize("groups", [0, 4, -1])
def test_wrong_groups_are_named(groups: int) -> None:
    network = mpscnn.Network(input=(4, 5, 6))
    with pytest.raises(
        mpscnn.ParameterError, match=f"groups must be a divisor of the 6 channels, got {groups}"
    ):
        network.channel_shuffle(network.input, groups)


def test_free_channels_cannot_be_shuffled() -> None:
    network = mpscnn.Network(input=(4, None, 6))
    with pytest.raises(mpscnn.ShapeError, match="the number of channels must be known"):
        network.channel_shuffle(network.transpose(network.input, (1, 3, 2)), 2)
