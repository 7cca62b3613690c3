"""Convert Resize and Upsample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.interpolation import ALIGNMENTS, Interpolation
from mpscnn.converters.reading.onnx.row_calls import Computed, Opset
from mpscnn.converters.values.rows import Floats, Ints, Name, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError

Extents = list[int | None]

#: A scale of the file is float32. If it is the rounding of a fraction with at most this denominator, the fraction is
#: used.
MAX_DENOMINATOR = 1000


Mode = Literal["nearest", "linear", "cubic"]
Policy = Literal["stretch", "not_larger", "not_smaller"]
_HAS_SIZES = 11  # the first opset in which Resize may state sizes


@ignores("extrapolation_value")  # only for regions, which are refused
def _resize(
    c: Context, opset: Opset, x: Computed, first: Name | None = None, second: Name | None = None,
    third: Name | None = None, *, mode: Mode = "nearest", coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor", cubic_coeff_a: float = -0.75, exclude_outside: bool = False,
    antialias: bool = False, axes: Ints | None = None, keep_aspect_ratio_policy: Policy = "stretch",
) -> FileTensor:  # fmt: skip
    """Convert Resize. Its operand is the scales in opset 10, and later regions, scales and sizes."""
    if opset < _HAS_SIZES:
        by = Interpolation(mode, "asymmetric", cubic_coeff_a, exclude_outside, antialias)
        return _resized(c, x, by, "floor", _stated_scales(c, x, first), None, is_old=True)
    _refuse_others(x)
    alignment = coordinate_transformation_mode
    scales, sizes = _wanted(c, x, second, third, axes, keep_aspect_ratio_policy)
    by = Interpolation(mode, alignment, cubic_coeff_a, exclude_outside, antialias)
    return _resized(c, x, by, nearest_mode, scales, sizes)


def _upsample(
    c: Context,
    x: Computed,
    given: Name | None = None,
    *,
    mode: Mode = "nearest",
    scales: Floats | None = None,
) -> FileTensor:
    """Convert Upsample, which Resize replaces since opset 10."""
    _refuse_others(x)
    factors = _stated_scales(c, x, given) if scales is None else _fractions(scales, x)
    return _resized(c, x, Interpolation(mode, "asymmetric"), "floor", factors, None, is_old=True)


def _refuse_others(x: FileTensor) -> None:
    if x.rank not in (3, 4):
        raise UnsupportedError(f"resizes {x.shown}; supported are images")


def _stated_scales(c: Context, x: FileTensor, name: str | None) -> list[Fraction]:
    _refuse_others(x)
    if name is None or not (scales := _fractions(c.constants.real_view(name, "its scales"), x)):
        raise WeightsError("damaged: it has neither scales nor sizes")
    return scales


def _resized(
    c: Context, x: FileTensor, by: Interpolation, rounding: str, scales: list[Fraction] | None,
    sizes: Extents | None, *, is_old: bool = False,
) -> FileTensor:  # fmt: skip
    mode, alignment = by.mode, by.alignment
    is_averaged = by.exclude_outside or by.antialias or alignment == "half_pixel_symmetric"
    if mode == "cubic" or (mode == "linear" and is_averaged):
        return _interpolated(x, by, scales, sizes)
    if mode == "nearest" and is_old:
        _refuse_unclear_positions(scales or [])
    attributes = _sizes(x, scales, sizes)
    if not attributes:
        return x
    attributes |= {"kind": "bilinear"} if mode == "linear" else {"kind": "nearest", "rounding": rounding}
    attributes |= _coordinates(alignment, attributes)
    if mode == "nearest" and rounding == ("floor" if alignment == "asymmetric" else "round_prefer_ceil"):
        attributes["rounding"] = "by_alignment"  # this rounding is also supported for integers
    y = c.network.layer("resize", [x.image()], attributes, name=c.arranger.name(""))
    c.integers.pooled[y.name] = x.tensor.name  # linear and nearest results lie within the range of x
    return x.wrap_image(y)


def _interpolated(
    x: FileTensor, by: Interpolation, scales: list[Fraction] | None, sizes: Extents | None
) -> FileTensor:
    """Resize by matrix products: each axis whose extent changes is multiplied by its matrix of weights."""
    if by.alignment not in ALIGNMENTS:
        raise _unsupported_coordinates(by.mode, by.alignment, ALIGNMENTS)
    extents = x.trial_shapes()[0]
    if scales is None:
        scales = [
            Fraction(1) if size is None else Fraction(size, x.known_extent(axis, "resizes"))
            for axis, size in enumerate(sizes or [])
        ]
    if len(scales) != x.rank:
        raise WeightsError(f"damaged: {len(scales)} sizes for {x.shown}")
    for axis, (scale, extent) in enumerate(zip(scales, extents, strict=True)):
        if scale == 1:
            continue
        x.known_extent(axis, "resizes")
        results = int(extent * scale)
        if by.alignment == "align_corners" and results != extent * scale:
            raise _fractional_corners()
        if results < 1:
            raise WeightsError(f"damaged: resizes axis {axis} of {x.shown} to {results}")
        x.arranger.budget.spend(Cost(0, by.operations(extent, results, scale)))
        x = x.multiply_by_matrix(axis, results, partial(by.matrix, extent, results, scale))
    return x


def _fraction(scale: float) -> Fraction:
    """Return the simple fraction that a file's float32 scale was rounded from.

    For example, 10 rows times 0.7 must be 7 rows, although the float32 number nearest to 0.7 is below it.
    """
    if not np.isfinite(scale):
        raise WeightsError(f"damaged: it resizes by {scale}")
    near = Fraction(scale).limit_denominator(MAX_DENOMINATOR)
    return near if np.float32(float(near)) == np.float32(scale) else Fraction(scale)


def _fractions(given: Sequence[float] | NDArray[np.float32], x: FileTensor) -> list[Fraction]:
    scales = np.asarray(given)
    if scales.size > x.rank:
        raise WeightsError(f"damaged: {scales.size} sizes for {x.shown}")
    return [_fraction(float(one)) for one in scales.reshape(-1)]


def _wanted(
    c: Context, x: FileTensor, of_scales: str | None, of_sizes: str | None, along: Ints | None, policy: Policy
) -> tuple[list[Fraction] | None, Extents | None]:
    """Return the scales or the sizes of a node, for every axis. One of the two is None.

    The size of an axis is None if it does not change.
    """
    scales = None if of_scales is None else _fractions(c.constants.real_view(of_scales, "its scales"), x)
    axes = [x.axis(axis) for axis in (range(x.rank) if along is None else along)]
    sizes = None if of_sizes is None else _stated_sizes(c, of_sizes, x, axes)
    if not scales and not sizes:
        raise WeightsError("damaged: it has neither scales nor sizes")
    if sizes and policy != "stretch":
        return _one_scale(x, axes, sizes, policy), None
    if along is not None:
        if scales:
            scales = [scales[axes.index(axis)] if axis in axes else Fraction(1) for axis in range(x.rank)]
        if sizes:
            sizes = [sizes[axes.index(axis)] if axis in axes else None for axis in range(x.rank)]
    return scales or None, sizes or None


def _one_scale(x: FileTensor, axes: list[int], sizes: Extents, policy: Policy) -> list[Fraction]:
    """Return the scales for keep_aspect_ratio_policy: one scale for all axes, limited by the stated sizes."""
    low = x.trial_shapes()[0]
    if len(axes) != len(sizes):
        raise WeightsError(f"damaged: keep_aspect_ratio_policy {policy!r} for the sizes {sizes}")
    if any(x.shape[axis] is None for axis in axes if not any(atom.is_batch for atom in x.axes[axis])):
        raise UnsupportedError(f"its new size depends on that of the image, which is free: {CHOOSE_SIZE}")
    choose = min if policy == "not_larger" else max
    scale = choose(Fraction(size or low[axis], low[axis]) for size, axis in zip(sizes, axes, strict=True))
    for axis in axes:  # here ONNX rounds to the nearest size, but mpscnn's scales round down
        if int(low[axis] * scale) != int(low[axis] * scale + 0.5):
            raise UnsupportedError(f"keeps the ratio of the sides of {x.shown} by rounding its size up")
    return [scale if axis in axes else Fraction(1) for axis in range(x.rank)]


def _stated_sizes(c: Context, name: str, x: FileTensor, axes: list[int]) -> Extents:
    """Return the size that the file states for each of these axes, or None for one that keeps its size.

    A size that depends on the image must be that of the axis.
    """
    low, high = c.constants.shapes(name, "its sizes")
    if min(low, default=1) < 1 or len(low) > len(axes):
        raise WeightsError(f"damaged: resizes {x.shown} to the sizes {low}")
    sizes: Extents = []
    for axis, first, second in zip(axes, low, high, strict=False):
        is_own = (first, second) == tuple(shape[axis] for shape in x.trial_shapes())
        if first != second and not is_own:
            raise UnsupportedError(f"its new size depends on that of the image, which is free: {CHOOSE_SIZE}")
        if not is_own and any(atom.is_batch and atom.is_free for atom in x.axes[axis]):
            raise UnsupportedError(f"resizes the batch of {x.shown} to {first}: {ONE_IMAGE}")
        sizes.append(None if is_own else first)
    return sizes


def _sizes(x: FileTensor, scales: list[Fraction] | None, sizes: Extents | None) -> dict[str, Any]:
    """Return the size or scale as attributes of mpscnn's resize layer; empty if the size does not change."""
    given = scales if scales is not None else sizes or []
    if len(given) != x.rank:
        raise WeightsError(f"damaged: {len(given)} sizes for {x.shown}")
    same = [1 if scales is not None else None] * x.rank
    if list(given[:2]) != same[:2]:
        raise UnsupportedError(f"resizes {x.shown} along its batch or channels")
    if list(given) == same:
        return {}
    extents: Extents = [1, x.shape[2]] if x.rank == 3 else list(x.shape[2:])
    if sizes is not None:
        height, width = (
            own if size is None else size for size, own in zip([None, *sizes][-2:], extents, strict=True)
        )
        if height is None or width is None:
            raise UnsupportedError(f"resizes one side of {x.shown}, whose other side is free: {CHOOSE_SIZE}")
        return {"height": height, "width": width}
    factors = (scales or [])[2:]
    vertical, horizontal = (Fraction(1), factors[0]) if x.rank == 3 else (factors[0], factors[1])
    whole = [
        None if extent is None else extent * factor
        for extent, factor in zip(extents, (vertical, horizontal), strict=True)
    ]
    if all(size is not None and size == int(size) for size in whole):
        return {"height": int(whole[0] or 0), "width": int(whole[1] or 0)}
    return {"scale_y": float(vertical), "scale_x": float(horizontal)}


def _coordinates(alignment: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return ONNX' coordinate_transformation_mode as attributes of mpscnn's resize layer."""
    if alignment == "align_corners" and "scale_y" in attributes:
        raise _fractional_corners()
    if alignment == "tf_half_pixel_for_nn" and attributes["kind"] == "nearest":
        return {"alignment": "half_pixel", "offset_y": 0.5, "offset_x": 0.5}
    names = {
        "half_pixel": "half_pixel",
        "pytorch_half_pixel": "pytorch_half_pixel",
        "align_corners": "corners",
        "asymmetric": "asymmetric",
    }
    if alignment not in names:
        supported = ALIGNMENTS if attributes["kind"] == "bilinear" else [*names, "tf_half_pixel_for_nn"]
        raise _unsupported_coordinates(attributes["kind"], alignment, supported)
    return {"alignment": names[alignment]}


def _fractional_corners() -> UnsupportedError:
    """Return the error for a case in which ONNX' evaluator and ONNX Runtime give different results."""
    return UnsupportedError("aligns corners by factors that do not give whole sizes")


def _refuse_unclear_positions(scales: Sequence[Fraction]) -> None:
    """Refuse a reduction in which engines take different pixels: up to opset 10, ONNX does not say which are nearest.

    PyTorch's exporter means the pixel before the exact position, but ONNX Runtime takes the pixel after it.
    """
    if any(scale < 1 and scale.numerator != 1 for scale in scales):
        raise UnsupportedError(
            f"makes an image smaller by {', '.join(str(float(scale)) for scale in scales)}, and before opset 11 ONNX "
            "does not say which pixels are the nearest: export the model with opset 11 or later"
        )


def _unsupported_coordinates(kind: str, alignment: str, supported: Iterable[str]) -> UnsupportedError:
    *names, last = sorted(supported)
    return UnsupportedError(
        f"{kind} with the coordinates {alignment!r}; supported are {', '.join(names)} and {last}"
    )


RESIZES: dict[str, Row] = {"Resize": _resize, "Upsample": _upsample}
