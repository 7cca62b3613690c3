"""Test arrays in separate memory pages, and requests, on the CPU. tests/metal has the tests for a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn

PAGE = 16384


@pytest.mark.parametrize("dtype", [np.float32, np.float16, "uint8", np.float64])
@pytest.mark.parametrize("shape", [(3, 5), 7, (), (0, 4), (1, 224, 224, 3)])
def test_arrays_of_pages(shape: Any, dtype: Any) -> None:
    array = mpscnn.empty(shape, dtype)
    plain = np.empty(shape, dtype)
    assert (array.shape, array.dtype) == (plain.shape, plain.dtype)
    assert array.flags.c_contiguous
    assert array.flags.writeable
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


def doubling() -> mpscnn.Session:
    net = mpscnn.Network(input=(3, 4, 5))
    net.output(net.add(net.input, net.input))
    return net.compile(device="cpu").session(threads=1)


def test_a_request_of_the_cpu_is_done_at_once() -> None:
    session = doubling()
    x = np.ones((1, 3, 4, 5), np.float32)
    request = session.submit(x)
    assert request.done()
    np.testing.assert_array_equal(request.result(timeout=0), 2 * x)
    out = np.zeros_like(x)
    assert session.submit(x, out=out).result() is out
    np.testing.assert_array_equal(out, 2 * x)
    with pytest.raises(mpscnn.ParameterError, match="overlaps"):
        session.submit(out, out=out)


@pytest.mark.parametrize("inflight", [0, -1, 33, 1.5, True, "3"])
def test_how_many_may_be_under_way_is_checked(inflight: Any) -> None:
    net = mpscnn.Network(input=(3, 4, 5))
    net.output(net.add(net.input, net.input))
    with pytest.raises(mpscnn.ParameterError, match=r"inflight must be a (whole )?number from 1 to 32"):
        net.compile(device="cpu").session(inflight=inflight)
