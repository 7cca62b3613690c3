"""Tests of arrays that the GPU uses without a copy, and of arrays that are copied once."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray

import mpscnn


def doubling(shape: tuple[int, ...] = (40, 40, 5)) -> mpscnn.Session:
    net = mpscnn.Network(input=shape, name="doubling")
    net.output(net.add(net.input, net.input, name="sum"))
    return net.compile(device="metal").session()


def filled(shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
    array = mpscnn.empty(shape, dtype)
    array[...] = np.arange(array.size).reshape(shape) % 1000 / 8
    return array


class Counted:
    """Counts new Metal buffers: (buffers with new memory, buffers over the memory of arrays)."""

    def __init__(self, emulation: Emulation) -> None:
        self._emulation = emulation
        self._before = self._now()

    def _now(self) -> tuple[int, int]:
        return self._emulation.get("buffers_made"), self._emulation.get("no_copy_buffers_made")

    def made(self) -> tuple[int, int]:
        now = self._now()
        return now[0] - self._before[0], now[1] - self._before[1]


# ---- Without a copy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_pages_are_read_and_written_where_they_lie(emulation: Emulation, dtype: Any) -> None:
    session = doubling()
    x, out = filled((2, 40, 40, 5), dtype), mpscnn.empty((2, 40, 40, 5), dtype)
    counted = Counted(emulation)
    assert session.run(x, out=out) is out
    assert counted.made() == (0, 2)
    np.testing.assert_array_equal(out, 2 * x)
    x += 1
    session.run(x, out=out)
    assert counted.made() == (0, 2), "the same arrays need no new buffers"
    np.testing.assert_array_equal(out, 2 * x)


def test_other_arrays_are_copied_once(emulation: Emulation) -> None:
    session = doubling()
    x = np.ones((1, 40, 40, 5), np.float32)
    out = np.empty_like(x)
    counted = Counted(emulation)
    for _ in range(3):
        session.run(x, out=out)
    assert counted.made() == (2, 0)
    np.testing.assert_array_equal(out, 2 * x)


def test_parts_of_a_batch_are_read_where_they_lie(emulation: Emulation) -> None:
    session = doubling()
    x, out = filled((6, 40, 40, 5)), mpscnn.empty((6, 40, 40, 5))
    counted = Counted(emulation)
    for first in (0, 2, 4):
        session.run(x[first : first + 2], out=out[first : first + 2])
    assert counted.made() == (0, 2)
    np.testing.assert_array_equal(out, 2 * x)


def test_views_with_gaps_between_pixels_need_no_copy(emulation: Emulation) -> None:
    session = doubling()
    x = filled((1, 40, 80, 5))[:, :, ::2]
    out = mpscnn.empty((1, 40, 40, 10))[..., :5]
    counted = Counted(emulation)
    session.run(x, out=out)
    assert counted.made() == (0, 2)
    np.testing.assert_array_equal(out, 2 * x)


def test_views_with_gaps_between_channels_are_copied(emulation: Emulation) -> None:
    session = doubling()
    x = filled((1, 40, 40, 10))[..., ::2]
    out = mpscnn.empty((1, 40, 40, 10))[..., 1::2]
    counted = Counted(emulation)
    session.run(x, out=out)
    assert counted.made() == (2, 0)
    np.testing.assert_array_equal(out, 2 * x)


def test_a_half_view_that_begins_between_words_is_copied(emulation: Emulation) -> None:
    session = doubling()
    x, out = filled((1, 40, 40, 6), np.float16)[..., 1:], mpscnn.empty((1, 40, 40, 5))
    counted = Counted(emulation)
    session.run(x, out=out)
    assert counted.made() == (1, 1)
    np.testing.assert_array_equal(out, 2 * x.astype(np.float32))


def test_large_results_are_arrays_over_shared_memory(emulation: Emulation) -> None:
    session = doubling()
    x = filled((4, 40, 40, 5))  # 128 kB
    counted = Counted(emulation)
    result = session.run(x)
    assert counted.made() == (0, 2)
    small = session.run(x[:1])  # 32 kB: mapping pages would cost more than the copy
    assert counted.made() == (1, 2)
    del session
    gc.collect()
    np.testing.assert_array_equal(result, 2 * x)
    np.testing.assert_array_equal(small, 2 * x[:1])


def test_a_session_keeps_the_pages_of_arrays_that_are_gone() -> None:
    """A session keeps its buffers over arrays, and so their memory, until the next run with other arrays."""
    session = doubling()
    x = filled((1, 40, 40, 5))
    out = mpscnn.empty(x.shape)
    session.run(x, out=out)
    expected = 2 * x
    del x, out
    gc.collect()
    later = [filled((1, 40, 40, 5)) for _ in range(4)]
    for array in later:
        np.testing.assert_array_equal(session.run(array), expected)


def test_results_outlive_everything_else() -> None:
    session = doubling()
    results = [session.run(np.full((4, 40, 40, 5), i, np.float32)) for i in range(5)]
    del session
    gc.collect()
    for i, result in enumerate(results):
        assert (result == 2 * i).all()


def test_where_pages_cannot_be_shared_they_are_copied(emulation: Emulation) -> None:
    session = doubling()
    x, out = filled((1, 40, 40, 5)), mpscnn.empty((1, 40, 40, 5))
    emulation.set("fail_buffers", 1)
    counted = Counted(emulation)
    session.run(x, out=out)
    assert counted.made() == (1, 1)
    np.testing.assert_array_equal(out, 2 * x)


def test_a_gpu_with_memory_of_its_own_shares_pages_too(emulation: Emulation) -> None:
    emulation.set("discrete_memory", 1)
    session = doubling()
    x, out = filled((1, 40, 40, 5)), mpscnn.empty((1, 40, 40, 5))
    session.run(x, out=out)
    np.testing.assert_array_equal(out, 2 * x)


# ---- Sizes ------------------------------------------------------------------------------------------------------


def test_arrays_larger_than_a_buffer_are_refused(emulation: Emulation) -> None:
    session = doubling()
    x = filled((4, 40, 40, 5))  # 131072 bytes of pages
    emulation.set("max_buffer_bytes", 100_000)
    for array in (x, np.array(x)):
        with pytest.raises(
            mpscnn.DeviceError,
            match=r"'Emulated Metal device' cannot have a buffer of \d+ bytes, 100000 at most",
        ):
            session.run(array)
    np.testing.assert_array_equal(session.run(x[:2]), 2 * x[:2])  # smaller arrays still work


def test_weights_larger_than_a_buffer_are_refused(emulation: Emulation) -> None:
    net = mpscnn.Network(input=(4, 4, 512))
    net.output(net.depthwise_conv2d(net.input, 3, name="deep"))
    net.initialize_weights()
    net.compile(device="metal")
    emulation.set("max_buffer_bytes", 10_000)
    with pytest.raises(mpscnn.DeviceError, match="buffer of 18432 bytes, 10000 at most"):
        net.compile(device="metal")


def test_a_purge_that_no_load_preceded_changes_nothing(emulation: Emulation) -> None:
    """Float16 weights are created when MPS loads them and freed when it purges them. A lone purge is harmless."""
    net = mpscnn.Network(input=(6, 6, 3))
    net.output(net.conv2d(net.input, 8, 3, name="conv"))
    net.initialize_weights(seed=1)
    x = np.linspace(-1, 1, 108, dtype=np.float32).reshape(1, 6, 6, 3)
    expected = net.compile(device="metal", precision="float16").session().run(x)
    emulation.set("purge_first", 1)
    np.testing.assert_array_equal(net.compile(device="metal", precision="float16").session().run(x), expected)


# ---- Weights on GPUs with their own memory ----------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("discrete", [0, 1])
def test_weights_of_discrete_gpus_are_copied_once(
    emulation: Emulation, monkeypatch: pytest.MonkeyPatch, precision: Any, discrete: int
) -> None:
    # The record of the check belongs to the GPU with unified memory.
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")
    emulation.set("discrete_memory", discrete)
    net = mpscnn.Network(input=(9, 7, 5))
    net.output(net.conv2d(net.input, 10, 3, groups=5, activation="prelu"))  # a shader computes it
    net.initialize_weights(seed=3)
    x = np.random.default_rng(0).random((2, 9, 7, 5), np.float32)
    right = net.compile(device="cpu", precision=precision).session().run(x)
    before = emulation.get("private_buffers_made")
    program = net.compile(device="metal", precision=precision)
    made = emulation.get("private_buffers_made") - before
    assert made == (2 if discrete else 0), "weights; biases and slopes"
    session = program.session()
    for _ in range(2):
        np.testing.assert_allclose(session.run(x), right, atol=4e-3)
    assert emulation.get("private_buffers_made") == before + made
