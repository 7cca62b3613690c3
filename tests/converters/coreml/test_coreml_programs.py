"""Compare operations of Core ML's programs with numpy. Each kind that is read has a case."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from converters.coreml.test_coreml_layers import (
    _bilinear,
    _corners,
    _from_edge,
    _gelu,
    _half_pixel,
    _last,
    _sigmoid,
    _softmax,
    _windows,
)
from converters.coreml_writer import Program
from numpy.typing import NDArray
from reference.convolution import channels_first

from mpscnn import converters
from mpscnn.converters.coreml.program.indexing import INDEXING
from mpscnn.converters.coreml.program.operations import HANDLERS, REFUSED
from mpscnn.converters.unsupported import UnsupportedLayersError
from mpscnn.errors import WeightsError

_DRAW = np.random.default_rng(12)


class Case(NamedTuple):
    """An operation: its operands, a function with its meaning, and the shapes of the program's inputs x0, x1, ...

    The operand `x` (in attention `query`) is x0, and is not among `operands`. `positive`: all inputs are at least 0.2.
    """

    kind: str
    operands: dict[str, Any]
    expected: Callable[..., Any]
    shapes: Sequence[Sequence[int]] = ((1, 4, 5, 6),)
    positive: bool = False


def _weight(*shape: int) -> NDArray[np.float32]:
    return _DRAW.uniform(0.5, 1.5, shape).astype(np.float32)


_FOUR = [_weight(4) for _ in range(4)]
_FILTERS, _MATRIX, _SIX = _weight(3, 4, 3, 2), _weight(3, 6), _weight(6)
_COLUMN = [one.astype(np.float64).reshape(-1, 1, 1) for one in _FOUR]
_PLUS = ((1, 4, 5, 6), (1, 4, 1, 1))
_TWO = ((1, 4, 5, 6), (1, 4, 5, 6))


def _unary(kind: str, expected: Callable[..., Any], *, positive: bool = False, **operands: Any) -> Case:
    return Case(kind, operands, expected, positive=positive)


def _binary(kind: str, expected: Callable[..., Any], *, positive: bool = False) -> Case:
    return Case(kind, {"y": "%x1"}, expected, _PLUS, positive)


def _centred(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def _transposed(x: Any) -> Any:
    made = np.zeros((1, 3, (x.shape[2] - 1) * 2 + 3, (x.shape[3] - 1) * 2 + 2))
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            product = np.einsum("nc,cohw->nohw", x[:, :, row, column], _FILTERS.reshape(4, 3, 3, 2))
            made[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 2] += product
    return made


def _lrn(x: Any) -> Any:
    squares = np.pad(x * x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return x / (1.5 + 0.3 / 3 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** 0.6


def _shuffled(x: Any, order: Sequence[int]) -> Any:
    return x.reshape(1, 2, 2, 2, 2, 3).transpose(*order).reshape(1, 2, 4, 6)


def _unshuffled(x: Any, order: Sequence[int]) -> Any:
    return x.reshape(1, 3, 2, 2, 3, 2).transpose(*order).reshape(1, 12, 2, 3)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "reduce_l1_norm": lambda x, **more: abs(x).sum(**more),
    "reduce_l2_norm": lambda x, **more: np.sqrt((x * x).sum(**more)),
    "reduce_log_sum": lambda x, **more: np.log(x.sum(**more)),
    "reduce_log_sum_exp": lambda x, **more: np.log(np.exp(x).sum(**more)),
    "reduce_max": lambda x, **more: x.max(**more),
    "reduce_mean": lambda x, **more: x.mean(**more),
    "reduce_min": lambda x, **more: x.min(**more),
    "reduce_prod": lambda x, **more: x.prod(**more),
    "reduce_sum": lambda x, **more: x.sum(**more),
    "reduce_sum_square": lambda x, **more: (x * x).sum(**more),
}
CASES = {
    "abs": _unary("abs", abs),
    "add": _binary("add", lambda x, y: x + y),
    "avg_pool": Case(
        "avg_pool",
        {"kernel_sizes": [3, 3], "strides": [1, 1], "pad_type": "custom", "pad": [1, 1, 1, 1]},
        lambda x: _windows(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 1, lambda part: part.mean((2, 3))),
    ),
    "avg_pool, same": Case(
        "avg_pool",
        {"kernel_sizes": [3, 3], "strides": [1, 1], "pad_type": "same"},
        lambda x: _windows(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 1, lambda part: part.mean((2, 3))),
    ),
    "batch_norm": Case(
        "batch_norm",
        {"mean": _FOUR[0], "variance": _FOUR[1], "gamma": _FOUR[2], "beta": _FOUR[3], "epsilon": 1e-3},
        lambda x: (x - _COLUMN[0]) / np.sqrt(_COLUMN[1] + 1e-3) * _COLUMN[2] + _COLUMN[3],
    ),
    "batch_norm without factors": Case(
        "batch_norm",
        {"mean": _FOUR[0], "variance": _FOUR[1]},
        lambda x: (x - _COLUMN[0]) / np.sqrt(_COLUMN[1] + 1e-5),
    ),
    "cast": None,
    "ceil": _unary("ceil", np.ceil),
    "clamped_relu": _unary(
        "clamped_relu", lambda x: np.minimum(np.where(x < 0, 0.2 * x, x), 0.4), alpha=0.2, beta=0.4
    ),
    "clip": _unary("clip", lambda x: np.clip(x, -0.3, 0.4), alpha=-0.3, beta=0.4),
    "concat": None,
    "conv": Case(
        "conv",
        {"weight": _FILTERS, "bias": _FOUR[0][:3]},
        lambda x: channels_first(x, _FILTERS) + _COLUMN[0][:3],
    ),
    "conv, custom": Case(
        "conv",
        {"weight": _FILTERS, "pad_type": "custom", "pad": [1, 0, 2, 1], "strides": [2, 1]},
        lambda x: channels_first(np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 1))), _FILTERS)[:, :, ::2],
    ),
    "conv, same": Case(
        "conv",
        {"weight": _FILTERS, "pad_type": "same"},
        lambda x: channels_first(np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1))), _FILTERS),
    ),
    "conv, same_lower": Case(
        "conv",
        {"weight": _FILTERS, "pad_type": "same_lower"},
        lambda x: channels_first(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 0))), _FILTERS),
    ),
    "conv_transpose": Case(
        "conv_transpose", {"weight": _FILTERS.reshape(4, 3, 3, 2), "strides": [2, 2]}, _transposed
    ),
    "conv_transpose beyond its windows": Case(
        "conv_transpose",
        {"weight": _FILTERS.reshape(4, 3, 3, 2), "strides": [2, 2], "output_shape": [1, 3, 12, 12]},
        lambda x: np.pad(_transposed(x), ((0, 0), (0, 0), (0, 1), (0, 0))),
    ),
    "conv_transpose to a shape": Case(
        "conv_transpose",
        {
            "weight": _FILTERS.reshape(4, 3, 3, 2),
            "strides": [2, 2],
            "pad_type": "custom",
            "pad": [1, 1, 1, 1],
            "output_shape": [1, 3, 10, 11],
        },
        lambda x: _transposed(x)[:, :, 1:, 1:],
    ),
    "crop": Case("crop", {"crop_height": [1, 2], "crop_width": [0, 3]}, lambda x: x[:, :, 1:-2, :-3]),
    "depth_to_space": Case(
        "depth_to_space",
        {"block_size": 2},
        lambda x: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6),
        ((1, 8, 2, 3),),
    ),
    "einsum": None,
    "elu": _unary("elu", lambda x: np.where(x < 0, 0.5 * np.expm1(x), x), alpha=0.5),
    "equal": None,
    "erf": _unary("erf", np.vectorize(math.erf)),
    "exp": _unary("exp", np.exp),
    "exp2": _unary("exp2", np.exp2),
    "expand_dims": Case("expand_dims", {"axes": [1, -1]}, lambda x: x[:, None, ..., None], ((1, 5, 6),)),
    "fill": None,
    "flatten2d": Case("flatten2d", {"axis": 1}, lambda x: x.reshape(1, 120)),
    "floor": _unary("floor", np.floor),
    "floor_div": _binary("floor_div", lambda x, y: np.floor(x / y), positive=True),
    "gelu": _unary("gelu", _gelu, mode="EXACT"),
    "gelu by sigmoid": _unary("gelu", lambda x: x * _sigmoid(1.702 * x), mode="SIGMOID_APPROXIMATION"),
    "greater": None,
    "greater_equal": None,
    "identity": _unary("identity", lambda x: x),
    "instance_norm": Case(
        "instance_norm",
        {"gamma": _FOUR[0], "beta": _FOUR[1], "epsilon": 1e-3},
        lambda x: _centred(x, (2, 3), 1e-3) * _COLUMN[0] + _COLUMN[1],
    ),
    "instance_norm without factors": Case("instance_norm", {}, lambda x: _centred(x, (2, 3), 1e-5)),
    "inverse": _unary("inverse", lambda x: 1 / (x + 1e-4), positive=True),
    "l2_norm": _unary(
        "l2_norm", lambda x: x / np.sqrt((x * x).sum((1, 2, 3), keepdims=True) + 0.1), epsilon=0.1
    ),
    "l2_pool": Case(
        "l2_pool",
        {"kernel_sizes": [2, 2], "strides": [2, 2], "pad_type": "valid"},
        lambda x: _windows(x, 2, 2, lambda part: np.sqrt((part * part).sum((2, 3)))),
    ),
    "layer_norm": Case(
        "layer_norm",
        {"axes": [-1], "gamma": _SIX, "beta": _SIX, "epsilon": 1e-3},
        lambda x: _centred(x, (-1,), 1e-3) * _SIX + _SIX,
        ((1, 5, 6),),
    ),
    "layer_norm of channels": Case(
        "layer_norm",
        {"axes": [1], "gamma": _FOUR[0], "beta": _FOUR[1]},
        lambda x: _centred(x, (1,), 1e-5) * _COLUMN[0] + _COLUMN[1],
    ),
    "leaky_relu": _unary("leaky_relu", lambda x: np.where(x < 0, 0.3 * x, x), alpha=0.3),
    "less": None,
    "less_equal": None,
    "linear": Case(
        "linear", {"weight": _MATRIX, "bias": _SIX[:3]}, lambda x: x @ _MATRIX.T + _SIX[:3], ((1, 6),)
    ),
    "linear of rows": Case(
        "linear", {"weight": _MATRIX, "bias": _SIX[:3]}, lambda x: x @ _MATRIX.T + _SIX[:3], ((1, 5, 6),)
    ),
    "linear_activation": _unary("linear_activation", lambda x: 2 * x - 1, alpha=2.0, beta=-1.0),
    "local_response_norm": _unary("local_response_norm", _lrn, size=3, alpha=0.3, beta=0.6, k=1.5),
    "log": _unary("log", np.log, positive=True),
    "log of more": _unary("log", lambda x: np.log(x + 1), positive=True, epsilon=1.0),
    "logical_and": None,
    "logical_not": None,
    "logical_or": None,
    "logical_xor": None,
    "matmul": Case(
        "matmul",
        {"y": "%x1", "transpose_y": True},
        lambda x, y: x @ y.swapaxes(2, 3),
        ((1, 4, 5, 6), (1, 4, 3, 6)),
    ),
    "matmul of a constant": Case(
        "matmul", {"y": _weight(1, 4, 6, 3)}, lambda x: x @ CASES["matmul of a constant"].operands["y"]
    ),
    "max_pool": Case(
        "max_pool",
        {"kernel_sizes": [2, 2], "strides": [2, 2], "pad_type": "valid"},
        lambda x: _windows(x, 2, 2, lambda part: part.max((2, 3))),
    ),
    "max_pool, ceil": Case(
        "max_pool",
        {"kernel_sizes": [2, 2], "strides": [2, 2], "pad_type": "valid", "ceil_mode": True},
        lambda x: _windows(
            np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=-9),
            2,
            2,
            lambda part: part.max((2, 3)),
        ),
    ),
    "maximum": _binary("maximum", np.maximum),
    "minimum": _binary("minimum", np.minimum),
    "mul": _binary("mul", lambda x, y: x * y),
    "not_equal": None,
    "pad": Case(
        "pad",
        {"pad": [1, 2, 3, 0], "mode": "constant", "constant_val": 0.25},
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 0)), constant_values=0.25),
    ),
    "pad by reflection": Case(
        "pad",
        {"pad": [1, 2, 3, 0], "mode": "reflect"},
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 0)), mode="reflect"),
    ),
    "pixel_shuffle": Case(
        "pixel_shuffle",
        {"upscale_factor": 2},
        lambda x: _shuffled(x, (0, 1, 4, 2, 5, 3)),
        ((1, 8, 2, 3),),
    ),
    "pixel_unshuffle": Case(
        "pixel_unshuffle",
        {"downscale_factor": np.array(2, np.int32)},
        lambda x: _unshuffled(x, (0, 1, 3, 5, 2, 4)),
        ((1, 3, 4, 6),),
    ),
    "pow": _binary("pow", lambda x, y: x**y, positive=True),
    "prelu": _unary("prelu", lambda x: np.where(x < 0, _COLUMN[0] * x, x), alpha=_FOUR[0]),
    "real_div": _binary("real_div", lambda x, y: x / y, positive=True),
    "reduce_argmax": Case("reduce_argmax", {"axis": 1, "keep_dims": True}, lambda x: x.argmax(1)[:, None]),
    "reduce_argmin": Case("reduce_argmin", {"axis": 1}, lambda x: x.argmin(1)),
    "relu": _unary("relu", lambda x: np.maximum(x, 0)),
    "relu6": _unary("relu6", lambda x: np.clip(x, 0, 6)),
    "reshape": Case("reshape", {"shape": [1, -1, 6]}, lambda x: x.reshape(1, 20, 6)),
    "resize": Case(
        "resize",
        {
            "shape": [7, 11],
            "resized_dims": 2,
            "interpolation_mode": "LINEAR",
            "sampling_mode": "UNALIGN_CORNERS",
        },
        lambda x: _bilinear(x, 7, 11, _half_pixel),
    ),
    "resize_bilinear": Case(
        "resize_bilinear",
        {"target_size_height": 7, "target_size_width": 11, "sampling_mode": "STRICT_ALIGN_CORNERS"},
        lambda x: _bilinear(x, 7, 11, _corners),
    ),
    "resize_bilinear, default": Case(
        "resize_bilinear",
        {"target_size_height": 7, "target_size_width": 11},
        lambda x: _bilinear(x, 7, 11, _from_edge),
    ),
    "resize_nearest_neighbor": Case(
        "resize_nearest_neighbor",
        {"target_size_height": 10, "target_size_width": 9},
        lambda x: x[:, :, np.arange(10) // 2][:, :, :, np.arange(9) * 6 // 9],
    ),
    "reverse": Case("reverse", {"axes": [1, 3]}, lambda x: x[:, ::-1, :, ::-1]),
    "round": _unary("round", np.round),
    "rsqrt": _unary("rsqrt", lambda x: 1 / np.sqrt(x + 0.1), positive=True, epsilon=0.1),
    "scaled_dot_product_attention": Case(
        "scaled_dot_product_attention",
        {"key": "%x1", "value": "%x1"},
        lambda x, y: _softmax(x @ y.swapaxes(2, 3) / math.sqrt(6), 3) @ y,
        ((1, 4, 5, 6), (1, 4, 7, 6)),
    ),
    "scaled_tanh": _unary("scaled_tanh", lambda x: 2 * np.tanh(x / 2), alpha=2.0, beta=0.5),
    "select": None,
    "shape": None,
    "sigmoid": _unary("sigmoid", _sigmoid),
    "sigmoid_hard": _unary("sigmoid_hard", lambda x: np.clip(0.3 * x + 0.4, 0, 1), alpha=0.3, beta=0.4),
    "sign": _unary("sign", np.sign),
    "silu": _unary("silu", lambda x: x * _sigmoid(x)),
    "slice_by_index": Case(
        "slice_by_index",
        {
            "begin": [0, 1, 0, -2],
            "end": [0, 3, 0, 0],
            "stride": [1, 1, 2, 1],
            "begin_mask": [True, False, True, False],
            "end_mask": [True, False, True, True],
        },
        lambda x: x[:, 1:3, ::2, -2:],
    ),
    "slice_by_index, removed": Case(
        "slice_by_index",
        {
            "begin": [0, 2, 0, 0],
            "end": [0, 0, 0, 0],
            "begin_mask": [True, False, True, True],
            "end_mask": [True, False, True, True],
            "squeeze_mask": [False, True, False, False],
        },
        lambda x: x[:, 2],
    ),
    "slice_by_size": Case(
        "slice_by_size", {"begin": [0, 1, 2, 0], "size": [-1, 2, 3, -1]}, lambda x: x[:, 1:3, 2:5]
    ),
    "softmax": Case("softmax", {"axis": 1}, lambda x: _softmax(x, 1)),
    "softplus": _unary("softplus", lambda x: np.log1p(np.exp(x))),
    "softplus_parametric": _unary(
        "softplus_parametric",
        lambda x: _COLUMN[0] * np.log1p(np.exp(_COLUMN[1] * x)),
        alpha=_FOUR[0],
        beta=_FOUR[1],
    ),
    "softsign": _unary("softsign", lambda x: x / (1 + abs(x))),
    "space_to_depth": Case(
        "space_to_depth",
        {"block_size": 2},
        lambda x: _unshuffled(x, (0, 3, 5, 1, 2, 4)),
        ((1, 3, 4, 6),),
    ),
    "split": Case("split", {"num_splits": 2, "axis": 1}, lambda x: np.split(x, 2, 1)),
    "split into sizes": Case(
        "split", {"split_sizes": [1, 3, 2], "axis": -1}, lambda x: np.split(x, [1, 4], 3)
    ),
    "sqrt": _unary("sqrt", np.sqrt, positive=True),
    "square": _unary("square", lambda x: x * x),
    "squeeze": Case("squeeze", {"axes": [-1]}, lambda x: x[..., 0], ((1, 4, 5, 1),)),
    "stack": None,
    "sub": _binary("sub", lambda x, y: x - y),
    "tanh": _unary("tanh", np.tanh),
    "threshold": _unary("threshold", lambda x: np.maximum(x, 0.2), alpha=0.2),
    "thresholded_relu": _unary("thresholded_relu", lambda x: np.where(x >= 0.5, x, 0), alpha=0.5),
    "tile": Case("tile", {"reps": [1, 1, 2, 3]}, lambda x: np.tile(x, (1, 1, 2, 3))),
    "transpose": Case("transpose", {"perm": [0, 1, 3, 2]}, lambda x: x.transpose(0, 1, 3, 2)),
    "upsample_bilinear": Case(
        "upsample_bilinear",
        {"scale_factor_height": 2, "scale_factor_width": 3, "align_corners": False},
        lambda x: _bilinear(x, 10, 18, _half_pixel),
    ),
    "upsample_bilinear, corners": Case(
        "upsample_bilinear",
        {"scale_factor_height": 2.0, "scale_factor_width": 3.0},
        lambda x: _bilinear(x, 10, 18, _corners),
    ),
    "upsample_nearest_neighbor": Case(
        "upsample_nearest_neighbor",
        {"scale_factor_height": 2, "scale_factor_width": 3},
        lambda x: x.repeat(2, 2).repeat(3, 3),
    ),
}
for _kind, _reduce in _REDUCTIONS.items():
    CASES[f"{_kind}, kept"] = Case(
        _kind,
        {"axes": [-1, 2], "keep_dims": True},
        lambda x, reduce=_reduce: reduce(x, axis=(2, 3), keepdims=True),
        positive=True,
    )
    CASES[_kind] = Case(_kind, {"axes": [1]}, lambda x, reduce=_reduce: reduce(x, axis=1), positive=True)
TABLE = {name: case for name, case in CASES.items() if case is not None}
_COMPARISONS = {
    "equal": np.equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "not_equal": np.not_equal,
}
_LOGICAL = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}


def _inputs(shapes: Sequence[Sequence[int]], *, positive: bool = False) -> list[NDArray[np.float32]]:
    draw = np.random.default_rng(5)
    return [draw.uniform(0.2 if positive else -2.0, 2.0, shape).astype(np.float32) for shape in shapes]


def _computed(program: Program, inputs: Sequence[NDArray[np.float32]], folder: Path) -> list[NDArray[Any]]:
    network = converters.read_network([program.saved(folder / "one.mlpackage")])
    given = [_last(x) for x in inputs]
    found = network.compile(device="cpu").session().run(given[0] if len(given) == 1 else given)
    return [found] if isinstance(found, np.ndarray) else list(found.values())


def _compare(found: Sequence[NDArray[Any]], expected: Any) -> None:
    results = expected if isinstance(expected, list) else [expected]
    for one, wanted in zip(found, results, strict=True):
        np.testing.assert_allclose(
            one, _last(np.asarray(wanted, np.float64)).reshape(one.shape), rtol=2e-5, atol=2e-5
        )


def made_of(case: Case) -> tuple[Program, list[NDArray[Any]], Any]:
    """Return a program of one operation, inputs for it, and the expected results."""
    inputs = _inputs(case.shapes, positive=case.positive)
    expected = case.expected(*(x.astype(np.float64) for x in inputs))
    program = Program({f"x{place}": shape for place, shape in enumerate(case.shapes)})
    makes = [f"y{place}" for place in range(len(expected))] if isinstance(expected, list) else ["y"]
    first = "query" if case.kind.startswith("scaled_dot") else "x"
    program.add(case.kind, " ".join(makes), **{first: "%x0"}, **case.operands)
    program.block.outputs[:] = makes
    return program, inputs, expected


@pytest.mark.parametrize("name", TABLE)
def test_operations(name: str, tmp_path: Path) -> None:
    program, inputs, expected = made_of(TABLE[name])
    _compare(_computed(program, inputs, tmp_path), expected)


@pytest.mark.parametrize("pad_type", ["same", "same_lower"])
def test_same_padding_counts(pad_type: str, tmp_path: Path) -> None:
    """Averages count padding of which one side is larger."""
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("avg_pool", x="%x0", kernel_sizes=[2, 2], strides=[1, 1], pad_type=pad_type)
    x = _inputs([(1, 4, 5, 6)])[0]
    border = (0, 1) if pad_type == "same" else (1, 0)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), border, border))
    _compare(_computed(program, [x], tmp_path), _windows(padded, 2, 1, lambda part: part.mean((2, 3))))


def test_same_padding_of_free_size(tmp_path: Path) -> None:
    """Averages with SAME padding need no fixed size."""
    program = Program({"x0": (1, 4, None, None)})
    program.add("avg_pool", x="%x0", kernel_sizes=[3, 3], strides=[2, 2], pad_type="same")
    x = _inputs([(1, 4, 5, 6)])[0]
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (0, 1)))
    _compare(_computed(program, [x], tmp_path), _windows(padded, 3, 2, lambda part: part.mean((2, 3))))


@pytest.mark.parametrize("kind", _COMPARISONS)
def test_comparisons(kind: str, tmp_path: Path) -> None:
    """Comparisons give truth values, which select elements or are cast to numbers."""
    program = Program({"x0": (1, 4, 5, 6), "x1": (1, 4, 5, 6)})
    program.add(kind, "truth", x="%x0", y="%x1")
    program.add("select", "chosen", cond="%truth", a="%x0", b=np.float32(7.0))
    program.add("cast", "number", x="%truth", dtype="fp32")
    program.add("add", x="%chosen", y="%number")
    x, y = _inputs(_TWO)
    y.reshape(-1)[:9] = x.reshape(-1)[:9]
    truth = _COMPARISONS[kind](x, y)
    _compare(_computed(program, [x, y], tmp_path), np.where(truth, x, 7.0) + truth)


@pytest.mark.parametrize("kind", [*_LOGICAL, "logical_not"])
def test_truth_values(kind: str, tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6), "x1": (1, 4, 5, 6)})
    for place in range(2):
        program.add("greater", f"t{place}", x=f"%x{place}", y=np.float32(0.1))
    program.add(kind, "truth", x="%t0", **({} if kind == "logical_not" else {"y": "%t1"}))
    program.add("cast", "number", x="%truth", dtype="fp16")
    program.add("sub", x="%number", y="%x1")
    x, y = _inputs(_TWO)
    truth = ~(x > 0.1) if kind == "logical_not" else _LOGICAL[kind](x > 0.1, y > 0.1)
    _compare(_computed(program, [x, y], tmp_path), truth.astype(np.float64) - y)


def test_lists(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6), "x1": (1, 4, 5, 6)})
    program.add("concat", "joined", values=("%x0", "%x1"), axis=1, interleave=False)
    program.add("concat", "turns", values=("%x0", "%x1"), axis=1, interleave=True)
    program.add("add", "sum", x="%joined", y="%turns")
    program.add("stack", "stacked", values=("%x0", "%x1"), axis=2)
    program.add("reduce_sum", "pairs", x="%stacked", axes=[2], keep_dims=False)
    program.add("einsum", "product", values=("%pairs", "%x1"), equation="nchw,nchx->nchwx")
    program.add("reduce_sum", "last", x="%product", axes=[4], keep_dims=False)
    program.block.outputs[:] = ["sum", "last"]
    x, y = _inputs(_TWO)
    joined, turns = np.concatenate([x, y], 1), np.stack([x, y], 2).reshape(1, 8, 5, 6)
    last = (x + y) * y.sum(3, keepdims=True)
    _compare(_computed(program, [x, y], tmp_path), [joined + turns, last])


def test_shapes_that_a_program_computes(tmp_path: Path) -> None:
    """Frameworks compute the shape of a reshape from its input's batch. The program also fills a constant."""
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("shape", "extents", x="%x0")
    program.add("gather", "batch", x="%extents", indices=np.int32(0), axis=0)
    program.add("concat", "target", values=("%batch", np.int32(20), np.int32(6)), axis=0)
    program.add("reshape", "rows", x="%x0", shape="%target")
    program.add("fill", "ones", shape=[1, 1, 6], value=np.float32(2.0))
    program.add("mul", "double", x="%rows", y="%ones")
    program.add("gather_nd", x="%double", indices=[[0]])
    program.block.outputs[:] = ["double"]
    (x,) = _inputs(((1, 4, 5, 6),))
    _compare(_computed(program, [x], tmp_path), 2 * x.reshape(1, 20, 6))


@pytest.mark.parametrize("first", [True, False])
def test_products_of_a_constant_and_matrices_without_a_batch(first: bool, tmp_path: Path) -> None:
    """The axis of the batch is merged with the matrices, as in the attention of networks for one image."""
    program = Program({"x0": (1, 8, 5, 6)})
    constant = _weight(4, 7, 12) if first else _weight(4, 5, 7)
    program.add("reshape", "rows", x="%x0", shape=[4, 12, 5])
    program.add("matmul", "y", **({"x": constant, "y": "%rows"} if first else {"x": "%rows", "y": constant}))
    (x,) = _inputs([(1, 8, 5, 6)])
    rows = x.astype(np.float64).reshape(4, 12, 5)
    (found,) = _computed(program, [x], tmp_path)
    wanted = constant @ rows if first else rows @ constant
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["tile", "slice_by_index", "split"])
def test_whole_numbers_that_move(kind: str, tmp_path: Path) -> None:
    """Operations that only move elements keep whole numbers, which a later operation casts."""
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("reduce_argmax", "places", x="%x0", axis=1, keep_dims=True)
    operands: dict[str, Any] = {
        "tile": {"reps": [1, 1, 1, 2]},
        "slice_by_index": {"begin": [0, 0, 1, 0], "end": [1, 1, 5, 3]},
        "split": {"num_splits": 2, "axis": 3},
    }
    program.add(kind, "moved rest" if kind == "split" else "moved", x="%places", **operands[kind])
    program.add("cast", x="%moved", dtype="fp32")
    (x,) = _inputs([(1, 4, 5, 6)])
    places = x.argmax(1)[:, None]
    moved = {"tile": np.tile(places, (1, 1, 1, 2)), "slice_by_index": places[:, :, 1:, :3]}
    _compare(_computed(program, [x], tmp_path), moved.get(kind, places[..., :3]))


@pytest.mark.parametrize(
    ("windows", "padding"),
    [
        ({"pad_type": "valid"}, (0, 0, 0, 0)),
        ({"pad_type": "custom", "pad": [1, 0, 0, 2]}, (2, 0, 0, 6)),
        ({"pad_type": "same"}, (2, 2, 0, 3)),
        ({"pad_type": "same_lower"}, (2, 2, 3, 0)),
    ],
)
def test_convolutions_of_blocks(
    windows: dict[str, Any], padding: tuple[int, int, int, int], tmp_path: Path
) -> None:
    """A convolution between space_to_batch and batch_to_space has a dilation, as TensorFlow writes it."""
    program = Program({"x0": (1, 4, 5, 8)})
    program.add("space_to_batch", "blocks", x="%x0", block_shape=[2, 3], paddings=[[2, 1], [0, 1]])
    program.add("conv", "convolved", x="%blocks", weight=_FILTERS, **windows)
    program.add("relu", "positive", x="%convolved")
    program.add("batch_to_space", x="%positive", block_shape=[2, 3], crops=[[1, 0], [0, 2]])
    (x,) = _inputs([(1, 4, 5, 8)])
    top, bottom, left, right = padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (2 + top, 1 + bottom), (0 + left, 1 + right)))
    wanted = np.maximum(channels_first(padded, _FILTERS, dilation_y=2, dilation_x=3), 0)[:, :, 1:, :-2]
    _compare(_computed(program, [x], tmp_path), wanted)


@pytest.mark.parametrize(
    ("kind", "operands", "message"),
    [
        ("conv", {"weight": _FILTERS, "strides": [2, 2]}, "has strides, and its images are divided"),
        ("softmax", {"axis": 3}, "computes with images that are divided into blocks"),
        ("space_to_batch", {"block_shape": [2, 2], "paddings": [[0, 0], [0, 0]]}, "already divided"),
        (
            "batch_to_space",
            {"block_shape": [4, 2], "crops": [[0, 0], [0, 0]]},
            "no space_to_batch of this size",
        ),
    ],
)
def test_what_blocks_are_refused(kind: str, operands: dict[str, Any], message: str, tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 8, 8)})
    program.add("space_to_batch", "blocks", x="%x0", block_shape=[2, 2], paddings=[[0, 0], [0, 0]])
    program.add(kind, x="%blocks", **operands)
    with pytest.raises(UnsupportedLayersError, match=message):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def test_blocks_that_do_not_divide_an_image(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 8)})
    program.add("space_to_batch", x="%x0", block_shape=[2, 2], paddings=[[0, 0], [0, 0]])
    with pytest.raises(WeightsError, match="divides 5 pixels into blocks of 2"):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def _from_table(places: NDArray[Any], tables: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return the elements of a weight: each place stands for a vector of its block's table along the axis."""
    length = tables.shape[-1]
    shape = [extent * (length if at == axis else 1) for at, extent in enumerate(places.shape)]
    made = np.zeros(shape)
    for position in np.ndindex(*places.shape):
        blocks = [
            at * count // extent
            for at, count, extent in zip(position, tables.shape[:4], places.shape, strict=True)
        ]
        for element in range(length):
            at = list(position)
            at[axis] = at[axis] * length + element
            made[tuple(at)] = tables[(*blocks, places[position], element)]
    return made


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (3, 1, 1, 1), (1, 2, 1, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_tables_of_vectors(axis: int, blocks: tuple[int, ...], tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    places = draw.integers(0, 4, (6, 4, 2, 2)).astype(np.uint8)
    tables = draw.uniform(0.5, 1.5, (*blocks, 4, 2)).astype(np.float32)
    weight = _from_table(places, tables, axis % 4)
    program = Program({"x": (1, weight.shape[1], 5, 6)})
    made = {"indices": places, "lut": tables, "vector_axis": np.int32(axis)}
    program.add("constexpr_lut_to_dense", "filters", **made)
    program.add("conv", x="%x", weight="%filters")
    x = draw.uniform(-2.0, 2.0, (1, weight.shape[1], 5, 6)).astype(np.float32)
    network = converters.read_network([program.saved(tmp_path / "one.mlpackage")])
    found = network.compile(device="cpu").session().run(_last(x))
    np.testing.assert_allclose(
        found, _last(channels_first(x.astype(np.float64), weight)), rtol=1e-5, atol=2e-5
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vector_axis": np.int32(4)}, "axis 4 of 4"),
        ({"lut": np.ones((1, 1, 1, 4, 2), np.float32)}, "tables of the shape"),
        ({"lut": np.ones((1, 1, 1, 1, 3, 2), np.float32)}, "place 3 of tables with 3 entries"),
        ({"lut": np.ones((4, 1, 1, 1, 4, 2), np.float32)}, "blocks of"),
        ({"vector_axis": None}, "no axis for its vectors of 2 elements"),
    ],
)
def test_damaged_tables_of_vectors(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    places = np.arange(24, dtype=np.uint8).reshape(6, 4, 1, 1) % 4
    made = {"indices": places, "lut": np.ones((1, 1, 1, 1, 4, 2), np.float32), "vector_axis": np.int32(0)}
    program = Program({"x": (1, 4, 5, 6)})
    given = {name: value for name, value in (made | changed).items() if value is not None}
    program.add("constexpr_lut_to_dense", "filters", **given)
    program.add("conv", x="%x", weight="%filters")
    with pytest.raises(WeightsError, match=message):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def _answer_of_filters(program: Program, x: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    program.add("conv", x="%x", weight="%filters")
    network = converters.read_network([program.saved(path / "one.mlpackage")])
    return network.compile(device="cpu").session().run(_last(x))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_sparse_weights_with_tables(axis: int | None, tmp_path: Path) -> None:
    """The table's numbers, or vectors of numbers, stand where the mask has ones, and zeros elsewhere."""
    draw = np.random.default_rng(4)
    mask = draw.integers(0, 2, (6, 4, 2, 2)).astype(np.uint8)
    places = draw.integers(0, 4, mask.shape).astype(np.uint8)
    tables = draw.uniform(0.5, 1.5, (3, 1, 1, 1, 4, 1 if axis is None else 2)).astype(np.float32)
    weight = _from_table(places, tables, (axis or 0) % 4)
    for position in np.argwhere(np.repeat(mask, tables.shape[-1], axis or 0) == 0):
        weight[tuple(position)] = 0.0
    program = Program({"x": (1, weight.shape[1], 5, 6)})
    given = {"indices_mask": mask, "indices_nonzero_data": places[mask == 1], "lut": tables}
    given |= {} if axis is None else {"vector_axis": np.int32(axis)}
    program.add("constexpr_lut_to_sparse", "mask numbers", **given)
    program.add("constexpr_sparse_to_dense", "filters", nonzero_data="%numbers", mask="%mask")
    x = draw.uniform(-2.0, 2.0, (1, weight.shape[1], 5, 6)).astype(np.float32)
    expected = _last(channels_first(x.astype(np.float64), weight))
    np.testing.assert_allclose(_answer_of_filters(program, x, tmp_path), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("offset", [False, True])
def test_sparse_integers(offset: bool, tmp_path: Path) -> None:
    """The scale and the offset count only where the mask has ones: elsewhere the weight is 0."""
    draw = np.random.default_rng(5)
    mask = draw.integers(0, 2, (6, 4, 2, 2)).astype(np.uint8)
    data = draw.integers(-9, 10, mask.shape).astype(np.int8)
    scale = draw.uniform(0.1, 0.3, (3, 2, 1, 1)).astype(np.float32)
    shift = draw.integers(-4, 5, scale.shape).astype(np.int8)
    weight = np.zeros(mask.shape)
    for a, b, c, d in np.argwhere(mask):
        whole = int(data[a, b, c, d]) - (int(shift[a // 2, b // 2, 0, 0]) if offset else 0)
        weight[a, b, c, d] = whole * float(scale[a // 2, b // 2, 0, 0])
    program = Program({"x": (1, 4, 5, 6)})
    given = {"data_mask": mask, "nonzero_data": data[mask == 1], "scale": scale}
    given |= {"offset": shift} if offset else {}
    program.add("constexpr_sparse_blockwise_shift_scale", "mask numbers", **given)
    program.add("constexpr_sparse_to_dense", "filters", nonzero_data="%numbers", mask="%mask")
    x = draw.uniform(-2.0, 2.0, (1, 4, 5, 6)).astype(np.float32)
    expected = _last(channels_first(x.astype(np.float64), weight))
    np.testing.assert_allclose(_answer_of_filters(program, x, tmp_path), expected, rtol=1e-5, atol=5e-5)


@pytest.mark.parametrize(
    ("makes", "changed", "message"),
    [
        ("mask", {}, "has 1 results, where constexpr_lut_to_sparse has 2"),
        ("mask numbers", {"indices_nonzero_data": np.zeros(5, np.uint8)}, "5 numbers for 24 ones of a mask"),
        ("mask numbers", {"indices_mask": None}, "no indices_mask"),
        ("mask numbers", {"lut": np.ones((4, 2), np.float32)}, "tables of the shape"),
    ],
)
def test_damaged_sparse_weights_with_tables(
    makes: str, changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    made = {
        "indices_mask": np.ones((6, 4, 1, 1), np.uint8),
        "indices_nonzero_data": np.zeros(24, np.uint8),
        "lut": np.ones((1, 1, 1, 1, 4, 1), np.float32),
    }
    program = Program({"x": (1, 4, 5, 6)})
    given = {name: value for name, value in (made | changed).items() if value is not None}
    program.add("constexpr_lut_to_sparse", makes, **given)
    program.add("constexpr_sparse_to_dense", "filters", nonzero_data="%numbers", mask="%mask")
    with pytest.raises(WeightsError, match=message):
        _answer_of_filters(program, np.zeros((1, 4, 5, 6), np.float32), tmp_path)


def test_each_kind_of_operation_has_a_case() -> None:
    others = {"select", "cast", "concat", "einsum", "stack", "shape", "fill", "logical_not"}
    others |= {"batch_to_space", "space_to_batch"}
    others |= {"gru", "lstm", "rnn"}  # tests/converters/coreml/test_coreml_recurrent.py
    others |= set(INDEXING)  # tests/converters/coreml/test_coreml_positions.py
    tested = {case.kind for case in TABLE.values()} | set(_COMPARISONS) | set(_LOGICAL) | others
    assert tested == set(HANDLERS)
    assert not set(HANDLERS) & set(REFUSED)


@pytest.mark.parametrize("kind", [*REFUSED, "brand_new"])
def test_refused_operations_are_named(kind: str, tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6)})
    program.add(kind, x="%x0")
    with pytest.raises(UnsupportedLayersError, match="layer 'y'") as refused:
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])
    assert REFUSED.get(kind, "does not know") in str(refused.value)
    assert [(one.name, one.kind) for one in refused.value.layers] == [("y", kind)]


def test_more_operations_than_are_read(tmp_path: Path) -> None:
    """The reader counts operations before it reads any of them. Constants do not count."""
    program = Program({"x0": (1, 4, 5, 6)})
    for _ in range(100_001):
        program.block.operations.add(type="relu")
    with pytest.raises(WeightsError, match="has 100001 layers; at most 100000 are read"):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])


def test_an_operation_without_a_type(tmp_path: Path) -> None:
    program = Program({"x0": (1, 4, 5, 6)})
    program.add("", x="%x0")
    with pytest.raises(WeightsError, match="an operation without a type"):
        converters.read_network([program.saved(tmp_path / "one.mlpackage")])
