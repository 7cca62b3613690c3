"""Test the error for Metal kernels written by users on a machine without a Metal device."""

from __future__ import annotations

import pytest

import mpscnn
from mpscnn import kernels

SOURCE = "kernel void twice(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= 2; }"


@pytest.mark.cpu("a Metal device is there")
def test_refused_at_once_with_what_to_do_instead() -> None:
    if mpscnn.is_available("metal"):
        pytest.skip("there is a Metal device")
    with pytest.raises(mpscnn.DeviceError) as caught:
        kernels.MetalKernel(SOURCE, "twice")
    message = str(caught.value)
    assert message.startswith("MetalKernel: 'twice' is in Metal's language: ")
    assert mpscnn.devices()[1]["reason"] in message
    assert "layers (mpscnn.Network) or the other classes of mpscnn.kernels" in message
    assert "device='cpu'" not in message


def test_the_cpu_is_refused_by_name() -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="Metal"):
        kernels.MetalKernel(SOURCE, "twice", device="cpu")
