"""Compute Core ML's programs with torch in float64, by the texts of Core ML's operations.

coremltools parses the file and decompresses its weights. No code of mpscnn takes part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("coremltools", reason="coremltools is not installed")

functional = torch.nn.functional
Operands = Mapping[str, Any]
Tensor = Any


def run_program(
    spec: Any, weights: str, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Return the numbers that a program computes, by name. Images are arrays of samples (1, channels, rows, columns).

    The probabilities of a classifier get the name of its tensor, and the name of the best class is left out.

    Args:
        spec: the message of the model.
        weights: the folder with the file of its weights.
        inputs: the inputs by name.
    """
    from coremltools.converters.mil.frontend.milproto.load import load

    program = load(spec, specification_version=spec.specificationVersion, file_weights_dir=weights)
    (function,) = program.functions.values()
    assert function.inputs.keys() == inputs.keys()
    values: dict[str, Any] = {name: torch.from_numpy(np.float64(array)) for name, array in inputs.items()}
    ends = {value.name for value in function.outputs}
    made: dict[str, NDArray[np.float64]] = {}
    for operation in function.operations:
        if operation.op_type == "classify":
            scores = operation.inputs["probabilities"].name
            made[scores] = values[scores].numpy()
            continue
        results = _computed(operation, values)
        for output, result in zip(operation.outputs, results, strict=True):
            values[output.name] = result
            if output.name in ends:
                made[output.name] = result.numpy()
    return made


def _computed(operation: Any, values: Mapping[str, Any]) -> Sequence[Any]:
    kind = operation.op_type
    if kind == "const":
        return [_constant(operation.outputs[0].val)]
    if kind.startswith("constexpr_"):
        return [_constant(operation.materialized_val_inference())]
    given = {
        name: [_operand(one, values) for one in operand]
        if isinstance(operand, (list, tuple))
        else _operand(operand, values)
        for name, operand in operation.inputs.items()
        if operand is not None
    }
    made = OPERATIONS[kind](given)
    return made if isinstance(made, (list, tuple)) else [made]


def _operand(variable: Any, values: Mapping[str, Any]) -> Any:
    return values[variable.name] if variable.name in values else _constant(variable.val)


def _constant(value: Any) -> Any:
    """Return floats as tensors of float64, and all other constants as numbers, lists and text."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind == "f":
            return torch.tensor(np.asarray(value, np.float64))
        return value.tolist()
    return float(value) if isinstance(value, float) else value


# ---- Windows -------------------------------------------------------------------------------------------------------


def borders(
    sides: Sequence[int], reach: Sequence[int], strides: Sequence[int], *, more_after: bool
) -> list[tuple[int, int]]:
    """Return the padding before and after each axis that gives ceil(side / stride) windows."""
    found = []
    for side, taps, stride in zip(sides, reach, strides, strict=True):
        total = max((math.ceil(side / stride) - 1) * stride + taps - side, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if more_after else (more, less))
    return found


def padded(x: Tensor, amounts: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Pad the last axes."""
    flat = [amount for pair in reversed(amounts) for amount in pair]
    return functional.pad(x, flat, value=value)


def _amounts(v: Operands, kernel: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    kind, count = v["pad_type"], len(kernel)
    if kind == "valid":
        return [(0, 0)] * count
    if kind == "custom":
        return list(zip(v["pad"][0::2], v["pad"][1::2], strict=True))
    reach = [
        (taps - 1) * step + 1 for taps, step in zip(kernel, v.get("dilations", [1] * count), strict=True)
    ]
    return borders(v["x"].shape[2:], reach, strides, more_after=kind == "same")


def _convolution(v: Operands) -> Tensor:
    x = padded(v["x"], _amounts(v, v["weight"].shape[2:], v["strides"]))
    convolve = functional.conv2d if x.ndim == 4 else functional.conv1d
    return convolve(x, v["weight"], v.get("bias"), v["strides"], 0, v["dilations"], v["groups"])


def _transposed_convolution(v: Operands) -> Tensor:
    weight = v["weight"]
    x = functional.conv_transpose2d(
        v["x"], weight, v.get("bias"), v["strides"], 0, 0, v["groups"], v["dilations"]
    )
    for axis, (before, after) in enumerate(_amounts(v, weight.shape[2:], v["strides"]), start=2):
        x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x


def windows(x: Tensor, kernel: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Return the windows of an image as the last two axes."""
    return x.unfold(2, kernel[0], strides[0]).unfold(3, kernel[1], strides[1])


def _pool(reduce: Callable[[Tensor], Tensor], border: float) -> Callable[[Operands], Tensor]:
    def compute(v: Operands) -> Tensor:
        kernel, strides = v["kernel_sizes"], v["strides"]
        amounts = _amounts(v, kernel, strides)
        assert not v["ceil_mode"]
        made = reduce(windows(padded(v["x"], amounts, border), kernel, strides))
        if v.get("exclude_padding_from_average"):
            ones = windows(padded(torch.ones_like(v["x"]), amounts), kernel, strides)
            made = made / ones.mean((-2, -1))
        return made

    return compute


def _slice(v: Operands) -> Tensor:
    x, rank = v["x"], v["x"].ndim
    masks = [v.get(name) or [False] * rank for name in ("begin_mask", "end_mask", "squeeze_mask")]
    for axis in range(rank):
        begin = None if masks[0][axis] else v["begin"][axis]
        end = None if masks[1][axis] else v["end"][axis]
        places = range(x.shape[axis])[begin : end : (v.get("stride") or [1] * rank)[axis]]
        x = x.index_select(axis, torch.tensor(list(places)))
    return x.squeeze([axis for axis, flag in enumerate(masks[2]) if flag])


def _split(v: Operands) -> Sequence[Tensor]:
    axis = v["axis"]
    sizes = v.get("split_sizes") or [v["x"].shape[axis] // v["num_splits"]] * v["num_splits"]
    return torch.split(v["x"], list(sizes), axis)


def _resized(v: Operands) -> Tensor:
    size = [v["target_size_height"], v["target_size_width"]]
    assert v["sampling_mode"] in ("STRICT_ALIGN_CORNERS", "UNALIGN_CORNERS")
    corners = v["sampling_mode"] == "STRICT_ALIGN_CORNERS"
    return functional.interpolate(v["x"], size, mode="bilinear", align_corners=corners)


def _layer_norm(v: Operands) -> Tensor:
    x, axes = v["x"], [axis % v["x"].ndim for axis in v["axes"]]
    centred = x - x.mean(axes, keepdim=True)
    made = centred / torch.sqrt((centred * centred).mean(axes, keepdim=True) + v["epsilon"])
    shape = [extent if axis in axes else 1 for axis, extent in enumerate(x.shape)]
    made = made * v["gamma"].reshape(shape) if "gamma" in v else made
    return made + v["beta"].reshape(shape) if "beta" in v else made


def _matmul(v: Operands) -> Tensor:
    x, y = (v[name].mT if v.get(f"transpose_{name}") else v[name] for name in ("x", "y"))
    return x @ y


def joined(parts: Sequence[Tensor], axis: int, *, interleave: bool) -> Tensor:
    """Join tensors along an axis one after the other, or with `interleave` the first position of each, and so on."""
    if not interleave:
        return torch.cat(list(parts), axis)
    axis %= parts[0].ndim
    return torch.stack(list(parts), axis + 1).flatten(axis, axis + 1)


def gelu(x: Tensor, mode: str) -> Tensor:
    """Return one of Core ML's three forms of GELU."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return functional.gelu(x, approximate="none" if mode == "EXACT" else "tanh")


OPERATIONS: dict[str, Callable[[Operands], Any]] = {
    "add": lambda v: v["x"] + v["y"],
    "avg_pool": _pool(lambda x: x.mean((-2, -1)), 0.0),
    "batch_norm": lambda v: functional.batch_norm(
        v["x"], v["mean"], v["variance"], v.get("gamma"), v.get("beta"), eps=float(v["epsilon"])
    ),
    "cast": lambda v: v["x"],
    "clip": lambda v: v["x"].clamp(v["alpha"], v["beta"]),
    "concat": lambda v: joined(v["values"], v["axis"], interleave=bool(v.get("interleave"))),
    "conv": _convolution,
    "conv_transpose": _transposed_convolution,
    "erf": lambda v: torch.erf(v["x"]),
    "expand_dims": lambda v: v["x"].reshape(_expanded(v["x"].shape, v["axes"])),
    "gelu": lambda v: gelu(v["x"], v["mode"]),
    "identity": lambda v: v["x"],
    "layer_norm": _layer_norm,
    "linear": lambda v: functional.linear(v["x"], v["weight"], v.get("bias")),
    "linear_activation": lambda v: v["alpha"] * v["x"] + v["beta"],
    "matmul": _matmul,
    "max_pool": _pool(lambda x: x.amax((-2, -1)), -math.inf),
    "mul": lambda v: v["x"] * v["y"],
    "real_div": lambda v: v["x"] / v["y"],
    "reduce_argmax": lambda v: v["x"].argmax(v["axis"], keepdim=v["keep_dims"]),
    "reduce_max": lambda v: v["x"].amax(v["axes"], keepdim=v["keep_dims"]),
    "reduce_mean": lambda v: v["x"].mean(v["axes"], keepdim=v["keep_dims"]),
    "reduce_sum": lambda v: v["x"].sum(v["axes"], keepdim=v["keep_dims"]),
    "relu": lambda v: v["x"].relu(),
    "relu6": lambda v: v["x"].clamp(0, 6),
    "reshape": lambda v: v["x"].reshape(v["shape"]),
    "resize_bilinear": _resized,
    "sigmoid": lambda v: torch.sigmoid(v["x"]),
    "sigmoid_hard": lambda v: (v["alpha"] * v["x"] + v["beta"]).clamp(0, 1),
    "silu": lambda v: functional.silu(v["x"]),
    "slice_by_index": _slice,
    "softmax": lambda v: torch.softmax(v["x"], v["axis"]),
    "split": _split,
    "sqrt": lambda v: torch.sqrt(v["x"]),
    "squeeze": lambda v: v["x"].squeeze(v["axes"]),
    "sub": lambda v: v["x"] - v["y"],
    "tanh": lambda v: torch.tanh(v["x"]),
    "transpose": lambda v: v["x"].permute(v["perm"]),
    "upsample_nearest_neighbor": lambda v: functional.interpolate(
        v["x"],
        scale_factor=[float(v[f"scale_factor_{side}"]) for side in ("height", "width")],
        mode="nearest",
    ),
}
"""The operations that occur in the tests' files, by Core ML's name."""


def _expanded(shape: Sequence[int], axes: Sequence[int]) -> list[int]:
    rank = len(shape) + len(axes)
    places, rest = {axis % rank for axis in axes}, iter(shape)
    return [1 if axis in places else next(rest) for axis in range(rank)]
