"""Arrays that the GPU reads and writes where they lie, and those that are copied once."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray

import mpscnn

PAGE = 16384


def doubling(shape: tuple[int, ...] = (40, 40, 5)) -> mpscnn.Session:
    net = mpscnn.Network(input=shape, name="doubling")
    net.output(net.add(net.input, net.input, name="sum"))
    return net.compile(device="metal").session()


def filled(shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
    array = mpscnn.empty(shape, dtype)
    array[...] = np.arange(array.size).reshape(shape) % 1000 / 8
    return array


class Counted:
    """Buffers that a piece of work made: (with memory of their own, over arrays)."""

    def __init__(self, emulation: Emulation) -> None:
        self._emulation = emulation
        self._before = self._now()

    def _now(self) -> tuple[int, int]:
        return self._emulation.get("buffers_made"), self._emulation.get("no_copy_buffers_made")

    def made(self) -> tuple[int, int]:
        now = self._now()
        return now[0] - self._before[0], now[1] - self._before[1]


# ---- mpscnn.empty -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16, "uint8", np.float64])
@pytest.mark.parametrize("shape", [(3, 5), 7, (), (0, 4), (1, 224, 224, 3)])
def test_arrays_of_pages(shape: Any, dtype: Any) -> None:
    array = mpscnn.empty(shape, dtype)
    plain = np.empty(shape, dtype)
    assert (array.shape, array.dtype, array.strides) == (plain.shape, plain.dtype, plain.strides)
    assert array.ctypes.data % PAGE == 0
    assert not array.any()
    array[...] = 1
    assert array.all()


def test_pages_belong_to_one_array() -> None:
    arrays = [mpscnn.empty((1000,)) for _ in range(50)]
    assert len({array.ctypes.data // PAGE for array in arrays}) == 50
    for i, array in enumerate(arrays):
        array[:] = i
    assert all((array == i).all() for i, array in enumerate(arrays))


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="extents must be 0 or more"):
        mpscnn.empty((3, -1))
    with pytest.raises(mpscnn.ParameterError, match="without Python objects"):
        mpscnn.empty(3, object)
    with pytest.raises(mpscnn.ParameterError, match="more than a machine can address"):
        mpscnn.empty((1 << 40, 1 << 40))
    with pytest.raises(MemoryError):
        mpscnn.empty(1 << 58)


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


def test_views_with_gaps_are_copied(emulation: Emulation) -> None:
    session = doubling()
    x = filled((1, 40, 80, 5))[:, :, ::2]
    out = mpscnn.empty((1, 40, 40, 10))[..., :5]
    counted = Counted(emulation)
    session.run(x, out=out)
    assert counted.made() == (2, 0)
    np.testing.assert_array_equal(out, 2 * x)


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
    """Its buffers over them stay until the next run with others."""
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


def test_the_cpu_takes_such_arrays_as_any_others() -> None:
    net = mpscnn.Network(input=(3, 4, 5))
    net.output(net.add(net.input, net.input))
    x = filled((2, 3, 4, 5))
    np.testing.assert_array_equal(net.compile(device="cpu").session().run(x), 2 * x)
