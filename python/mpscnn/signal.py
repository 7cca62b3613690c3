"""Convolve and correlate plain signals: on the CPU in float32 or float64, on Metal in float32."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpscnn import _core
from mpscnn._private.arrays import as_array
from mpscnn._private.literals import EdgeName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.runtime.device_name import named_device

# The numbers are those of the C struct mpscnn_convolve_options.
Mode = Literal["full", "same", "valid"]
_MODES = {"full": 0, "same": 1, "valid": 2}
_BOUNDARIES = {"zero": 0, "clamp": 1}


@accept_foreign_arguments
def convolve1d(
    x: ArrayLike, kernel: ArrayLike, mode: Mode = "full", boundary: EdgeName = "zero", *, device: str = "cpu"
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Convolve signals along the last axis: y[i] = sum of kernel[t] * x[i - t].

    Args:
        x: signals (..., n), float32 or float64; whole numbers become float64.
        kernel: (taps,). A list gets the type of x; a NumPy array of another type makes both float64.
        mode: "full": n + taps - 1 results; "same": n, the middle of full; "valid": n - taps + 1, without positions
            where the kernel extends beyond the signal. As in scipy.signal.convolve.
        boundary: the values outside the signal: "zero", or "clamp" for its first and last sample.
        device: as for `CompileOptions`. A Metal device computes in float32 only.

    Raises:
        ShapeError: empty arrays, wrong rank or element type, or a kernel longer than the signal in mode "valid".
        ParameterError: an unknown mode, boundary or device.
        DeviceError: there is no such device.
        UnsupportedError: float64 on a Metal device.

    >>> convolve1d([1, 2, 3, 4, 5, 6, 7], [1, 1, 2, 1, 1])
    array([ 1.,  3.,  7., 12., 18., 24., 30., 28., 25., 13.,  7.])
    """
    return _convolve(x, kernel, 1, mode, boundary, correlate=False, device=device)


@accept_foreign_arguments
def correlate1d(
    x: ArrayLike, kernel: ArrayLike, mode: Mode = "full", boundary: EdgeName = "zero", *, device: str = "cpu"
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Correlate signals along the last axis: `convolve1d` with the reversed kernel, as in scipy.signal.correlate.

    >>> correlate1d([1, 2, 3, 4], [1, 10], mode="valid")
    array([21., 32., 43.])
    """
    return _convolve(x, kernel, 1, mode, boundary, correlate=True, device=device)


@accept_foreign_arguments
def convolve2d(
    x: ArrayLike, kernel: ArrayLike, mode: Mode = "full", boundary: EdgeName = "zero", *, device: str = "cpu"
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Convolve images over the last two axes: y[i, j] = sum of kernel[s, t] * x[i - s, j - t].

    x is (..., height, width), the kernel (kernel height, kernel width). Other arguments are those of `convolve1d`.

    >>> convolve2d([[1, 0], [0, 2]], [[1, 2], [3, 4]])
    array([[1., 2., 0.],
           [3., 6., 4.],
           [0., 6., 8.]])
    """
    return _convolve(x, kernel, 2, mode, boundary, correlate=False, device=device)


@accept_foreign_arguments
def correlate2d(
    x: ArrayLike, kernel: ArrayLike, mode: Mode = "full", boundary: EdgeName = "zero", *, device: str = "cpu"
) -> NDArray[np.float32] | NDArray[np.float64]:
    """Correlate images over the last two axes: `convolve2d` with the kernel reversed on both axes.

    This is scipy.signal.correlate. For kernels of even size, scipy.signal.correlate2d begins "same" one row or column
    later.

    >>> correlate2d([[1, 2], [3, 4]], [[1, 0], [0, 10]], mode="valid")
    array([[41.]])
    """
    return _convolve(x, kernel, 2, mode, boundary, correlate=True, device=device)


def _convolve(
    x: ArrayLike, kernel: ArrayLike, axes: int, mode: str, boundary: str, *, correlate: bool, device: str
) -> NDArray[Any]:
    signals, taps = _as_real("x", x), _as_real("kernel", kernel)
    if taps.dtype != signals.dtype:
        # A list has no element type of its own, so it gets that of the signals.
        common = np.float64 if isinstance(kernel, np.ndarray) else signals.dtype
        signals, taps = np.ascontiguousarray(signals, common), np.ascontiguousarray(taps, common)
    if signals.ndim < axes:
        raise ShapeError(f"x: expected at least {axes} axes, got shape {signals.shape}")
    numbers = _choice("mode", mode, _MODES), _choice("boundary", boundary, _BOUNDARIES)
    batch = signals.shape[:-axes]
    one_batch = signals if len(batch) <= 1 else signals.reshape(-1, *signals.shape[-axes:])
    with named_device(device) as name:
        result: NDArray[Any] = _core.convolve(one_batch, taps, axes, *numbers, correlate, name)
    return result if len(batch) <= 1 else result.reshape(*batch, *result.shape[1:])


def _as_real(what: str, value: ArrayLike) -> NDArray[Any]:
    """Convert a value to contiguous float32 or float64."""
    array = as_array(what, value)
    if array.dtype.char in "fd" and array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative:
        return array
    if array.dtype.kind in "iub":
        return np.ascontiguousarray(array, np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise ShapeError(f"{what}: expected float32 or float64 elements, got {array.dtype}")
    native = np.float32 if array.dtype.itemsize == 4 else np.float64
    return np.require(array, native, ["C", "A"])


def _choice(what: str, value: str, known: dict[str, int]) -> int:
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"{what} must be one of {', '.join(known)}, got {value!r}")
    return known[value]
