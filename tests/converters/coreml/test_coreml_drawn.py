"""Compare operations of Core ML's programs with numpy, for random shapes and attributes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml.test_coreml_programs import Case, compare, made_of, run_program
from converters.operator_cases import bilinear, centred, corners, from_edge, half_pixel
from numpy.lib.stride_tricks import sliding_window_view
from reference.convolution import channels_first

Draw = np.random.Generator


def _shape(draw: Draw) -> tuple[int, ...]:
    return (1, *(int(extent) for extent in draw.integers(1, 8, 3)))


def _axes(draw: Draw, rank: int, first: int = 1) -> tuple[int, ...]:
    """Draw some of the axes from `first` on, in any order."""
    count = int(draw.integers(1, rank - first + 1))
    return tuple(int(axis) for axis in draw.permutation(np.arange(first, rank))[:count])


def _signed(draw: Draw, axis: int, rank: int) -> int:
    return axis - rank if draw.random() < 0.5 else axis


def _elementwise(draw: Draw) -> Case:
    kind, compute = (
        ("add", np.add),
        ("sub", np.subtract),
        ("mul", np.multiply),
        ("maximum", np.maximum),
        ("minimum", np.minimum),
        ("real_div", np.divide),
        ("pow", np.power),
    )[draw.integers(7)]
    whole = _shape(draw)
    shapes = [
        (1, *(1 if draw.random() < 0.3 else extent for extent in whole[1:])),
        (1, *(1 if draw.random() < 0.3 else extent for extent in whole[1:])),
    ]
    return Case(kind, {"y": "%x1"}, compute, shapes, positive=True)


def _reduction(draw: Draw) -> Case:
    kind, reduce = (
        ("reduce_mean", np.mean),
        ("reduce_sum", np.sum),
        ("reduce_max", np.max),
        ("reduce_min", np.min),
        ("reduce_prod", np.prod),
    )[draw.integers(5)]
    axes, kept = _axes(draw, 4), bool(draw.random() < 0.5)
    given = [_signed(draw, axis, 4) for axis in axes]

    def expected(x: Any) -> Any:
        return reduce(x, axis=axes, keepdims=kept)  # type: ignore[operator]

    return Case(kind, {"axes": given, "keep_dims": kept}, expected, (_shape(draw),), positive=True)


def _slice(draw: Draw) -> Case:
    shape = _shape(draw)
    begin, end, stride = [0], [1], [1]
    for extent in shape[1:]:
        first = int(draw.integers(0, extent))
        last = int(draw.integers(first + 1, extent + 1))
        negative = draw.random() < 0.3
        begin.append(first - extent if negative else first)
        end.append(last - extent if negative and last < extent else last)
        stride.append(int(draw.integers(1, 4)))
    masks = [bool(one) for one in draw.random(4) < 0.3]
    masks_of_ends = [bool(one) for one in draw.random(4) < 0.3]
    places = tuple(
        slice(None if first_mask else first, None if last_mask else last, step)
        for first, last, step, first_mask, last_mask in zip(
            begin, end, stride, masks, masks_of_ends, strict=True
        )
    )
    operands = {"begin": begin, "end": end, "stride": stride, "begin_mask": masks, "end_mask": masks_of_ends}
    return Case("slice_by_index", operands, lambda x: x[places], (shape,))


def _gather(draw: Draw) -> Case:
    shape, axis = _shape(draw), int(draw.integers(1, 4))
    indices = draw.integers(0, shape[axis], int(draw.integers(1, 6))).tolist()
    operands = {"indices": indices, "axis": _signed(draw, axis, 4)}
    return Case("gather", operands, lambda x: np.take(x, indices, axis), (shape,))


def _pad(draw: Draw) -> Case:
    shape = (1, *(int(extent) for extent in draw.integers(2, 8, 3)))
    mode = ("constant", "reflect", "replicate")[draw.integers(3)]
    rows, columns = (
        [int(one) for one in draw.integers(0, 4 if mode != "reflect" else side, 2)] for side in shape[2:]
    )
    more: dict[str, Any] = {"constant_val": 0.5} if mode == "constant" else {}
    known = {"constant_values": 0.5} if mode == "constant" else {}
    numpy_mode: Any = "edge" if mode == "replicate" else mode
    widths = ((0, 0), (0, 0), tuple(rows), tuple(columns))
    return Case(
        "pad",
        {"pad": [*rows, *columns], "mode": mode, **more},
        lambda x: np.pad(x, widths, mode=numpy_mode, **known),
        (shape,),
    )


def _pooling(draw: Draw) -> Case:
    shape = (1, *(int(extent) for extent in draw.integers(3, 9, 3)))
    kernel = [int(one) for one in draw.integers(1, 4, 2)]
    strides = [int(one) for one in draw.integers(1, 4, 2)]
    rows, columns = ([int(one) for one in draw.integers(0, side, 2)] for side in kernel)
    widths = ((0, 0), (0, 0), tuple(rows), tuple(columns))
    largest, excludes = bool(draw.random() < 0.5), bool(draw.random() < 0.5)
    operands: dict[str, Any] = {"kernel_sizes": kernel, "strides": strides}
    operands |= {"pad_type": "custom", "pad": [*rows, *columns]}
    if not largest:
        operands["exclude_padding_from_average"] = excludes

    def windows(x: Any) -> Any:
        return sliding_window_view(x, kernel, axis=(2, 3))[:, :, :: strides[0], :: strides[1]]

    def expected(x: Any) -> Any:
        if largest:
            return windows(np.pad(x, widths, constant_values=-np.inf)).max((-2, -1))
        sums = windows(np.pad(x, widths)).sum((-2, -1))
        return sums / (
            windows(np.pad(np.ones_like(x), widths)).sum((-2, -1)) if excludes else kernel[0] * kernel[1]
        )

    return Case("max_pool" if largest else "avg_pool", operands, expected, (shape,))


def _convolution(draw: Draw) -> Case:
    groups = int(draw.integers(1, 4))
    inputs, outputs = (int(one) for one in draw.integers(1, 4, 2))
    kernel, strides, dilations = ([int(one) for one in draw.integers(1, 4, 2)] for _ in range(3))
    shape = (1, inputs * groups, *(int(extent) for extent in draw.integers(7, 11, 2)))
    weight = draw.uniform(-1.0, 1.0, (outputs * groups, inputs, *kernel)).astype(np.float32)
    bias = draw.uniform(-1.0, 1.0, outputs * groups).astype(np.float32)
    rows, columns = ([int(one) for one in draw.integers(0, 3, 2)] for _ in range(2))
    operands = {"weight": weight, "bias": bias, "groups": groups, "strides": strides}
    operands |= {"dilations": dilations, "pad_type": "custom", "pad": [*rows, *columns]}

    window = dict(
        zip(("stride_y", "stride_x", "dilation_y", "dilation_x"), [*strides, *dilations], strict=True)
    )
    window |= dict(zip(("pad_top", "pad_bottom", "pad_left", "pad_right"), [*rows, *columns], strict=True))

    def expected(x: Any) -> Any:
        return channels_first(x, weight, groups=groups, **window) + bias.astype(np.float64).reshape(-1, 1, 1)

    return Case("conv", operands, expected, (shape,))


def _resize(draw: Draw) -> Case:
    shape = (1, *(int(extent) for extent in draw.integers(2, 8, 3)))
    height, width = (int(extent) for extent in draw.integers(2, 15, 2))
    mode, place = (
        ("DEFAULT", from_edge),
        ("STRICT_ALIGN_CORNERS", corners),
        ("UNALIGN_CORNERS", half_pixel),
    )[draw.integers(3)]
    operands = {"target_size_height": height, "target_size_width": width, "sampling_mode": mode}
    return Case("resize_bilinear", operands, lambda x: bilinear(x, height, width, place), (shape,))


def _norm(draw: Draw) -> Case:
    shape = (1, *(int(extent) for extent in draw.integers(2, 8, 3)))
    epsilon = float(np.float32(10.0 ** -draw.integers(2, 6)))
    gamma, beta = (draw.uniform(0.5, 1.5, shape[1]).astype(np.float32) for _ in range(2))
    scale, offset = (one.astype(np.float64).reshape(-1, 1, 1) for one in (gamma, beta))
    kind, axes, more = (("instance_norm", (2, 3), {}), ("layer_norm", (1,), {"axes": [1]}))[draw.integers(2)]
    operands = {"gamma": gamma, "beta": beta, "epsilon": epsilon, **more}
    return Case(kind, operands, lambda x: centred(x, axes, epsilon) * scale + offset, (shape,))


FAMILIES: dict[str, Callable[[Draw], Case]] = {
    "convolution": _convolution,
    "elementwise": _elementwise,
    "gather": _gather,
    "norm": _norm,
    "pad": _pad,
    "pooling": _pooling,
    "reduction": _reduction,
    "resize": _resize,
    "slice": _slice,
}
FEW, MANY = 2, 60


@pytest.mark.parametrize(
    "seed", [*range(FEW), *(pytest.param(seed, marks=pytest.mark.full) for seed in range(FEW, MANY))]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_operations(family: str, seed: int, tmp_path: Path) -> None:
    program, inputs, expected = made_of(FAMILIES[family](np.random.default_rng(seed)))
    compare(run_program(program, inputs, tmp_path), expected)
