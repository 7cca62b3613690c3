"""Build random ONNX graphs on images of free size: reductions, gathers, broadcasts, norms and moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from converters.onnx_files import model, node, weights

Shape = tuple[int | str, ...]
CHANNELS = 6


class RandomGraph:
    """A graph whose values have the extents "n", height and width, or numbers. The last value is its output.

    Args:
        generator: chooses the nodes.
        length: the number of steps, each of which adds one node or a few.
        size: height and width: two names, one name for both, or two numbers. Equal extents may meet on different axes.
    """

    def __init__(
        self, generator: np.random.Generator, length: int, size: tuple[int | str, int | str] = ("h", "w")
    ) -> None:
        self._random = generator
        self._size = size
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._values: list[tuple[str, Shape]] = [("x", ("n", CHANNELS, *size))]
        while len(self._values) <= length:
            name, shape = self._values[
                -1 if generator.random() < 0.7 else generator.integers(len(self._values))
            ]
            self._choice(self._STEPS)(self, name, shape)
        self._nodes.append(node("Identity", [self._values[-1][0]], "y"))

    def model(self) -> Any:
        """Return the graph as a model."""
        return model(self._nodes, {"x": ["n", CHANNELS, *self._size]}, self._constants)

    # ---- Functions that several steps use --------------------------------------------------------------------------

    def _choice(self, choices: Sequence[Any]) -> Any:
        return choices[self._random.integers(len(choices))]

    def _add(self, kind: str, inputs: Sequence[str], shape: Shape, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(node(kind, inputs, name, **attributes))
        self._values.append((name, shape))
        return name

    def _constant(self, values: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = values
        return name

    def _channel_axes(self, shape: Shape) -> list[int]:
        """Return the axes after the batch whose extents are known."""
        return [axis for axis, extent in enumerate(shape) if isinstance(extent, int)]

    # ---- Steps -----------------------------------------------------------------------------------------------------

    def _reduce(self, x: str, shape: Shape) -> tuple[str, Shape]:
        """Reduce one or two of the axes after the batch."""
        axes = sorted(
            self._random.permutation(np.arange(1, len(shape)))[: self._random.integers(1, 3)].tolist()
        )
        keep = len(axes) == len(shape) - 1 or self._random.random() < 0.7
        reduced: list[int | str] = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
        if not keep:
            reduced = [extent for axis, extent in enumerate(shape) if axis not in axes]
        kind = self._choice(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1"])
        return self._add(kind, [x], tuple(reduced), axes=axes, keepdims=int(keep)), tuple(reduced)

    def _normalise(self, x: str, shape: Shape) -> None:
        """Normalize over one axis, as in ConvNeXt, or multiply by a gate of the maximum, as in CBAM."""
        axes = [int(self._random.integers(1, len(shape)))]
        reduced = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
        mean = self._add("ReduceMean", [x], reduced, axes=axes)
        if self._random.random() < 0.5:
            gate = self._add("Sigmoid", [mean], reduced)
            self._add("Mul", [x, gate], shape)
            return
        centred = self._add("Sub", [x, mean], shape)
        squared = self._add("Mul", [centred, centred], shape)
        variance = self._add("ReduceMean", [squared], reduced, axes=axes)
        moved = self._add("Add", [variance, self._constant(np.float32(0.5))], reduced)
        root = self._add("Sqrt", [moved], reduced)
        self._add("Div", [centred, root], shape)

    def _broadcast(self, x: str, shape: Shape) -> None:
        """Combine x with another value whose shape fits, or with a constant along one axis."""
        fitting = [
            (name, other)
            for name, other in self._values
            if len(other) <= len(shape)
            and all(b in (1, a) for a, b in zip(shape[::-1], other[::-1], strict=False))
        ]
        kind = self._choice(["Add", "Sub", "Mul", "Max", "Min"])
        axes = self._channel_axes(shape)
        if axes and self._random.random() < 0.4:
            axis = self._choice(axes)
            extents = [shape[axis], *[1] * (len(shape) - 1 - axis)]
            self._add(kind, [x, self._constant(weights(*extents))], shape)
        else:
            name, _ = self._choice(fitting)
            self._add(kind, [x, name] if self._random.random() < 0.5 else [name, x], shape)

    def _gather(self, x: str, shape: Shape) -> None:
        axes = self._channel_axes(shape)
        if not axes:
            return
        axis = self._choice(axes)
        extent = shape[axis]
        assert isinstance(extent, int)
        if len(shape) > 2 and self._random.random() < 0.4:
            index = self._constant(np.int64(self._random.integers(extent)))
            self._add("Gather", [x, index], (*shape[:axis], *shape[axis + 1 :]), axis=axis)
            return
        indices = self._random.integers(0, extent, self._random.integers(1, 5))
        gathered = (*shape[:axis], len(indices), *shape[axis + 1 :])
        self._add("Gather", [x, self._constant(indices)], gathered, axis=axis)

    def _softmax(self, x: str, shape: Shape) -> None:
        self._add("Softmax", [x], shape, axis=int(self._random.integers(1, len(shape))))

    def _activation(self, x: str, shape: Shape) -> None:
        self._add(self._choice(["Relu", "Sigmoid", "Tanh"]), [x], shape)

    def _transpose(self, x: str, shape: Shape) -> None:
        perm = [0, *(1 + self._random.permutation(len(shape) - 1)).tolist()]
        self._add("Transpose", [x], tuple(shape[axis] for axis in perm), perm=perm)

    def _multiply_matrices(self, x: str, shape: Shape) -> None:
        """Multiply x by another value, or by itself with its last axes swapped, as attention does."""
        if len(shape) < 3 or not all(isinstance(extent, int) for extent in shape[1:-2]):
            return
        fitting = [
            (name, other)
            for name, other in self._values
            if other[:-2] == shape[:-2] and len(other) == len(shape) and other[-2] == shape[-1]
        ]
        if not fitting:
            perm = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
            swapped = (*shape[:-2], shape[-1], shape[-2])
            fitting = [(self._add("Transpose", [x], swapped, perm=perm), swapped)]
        name, other = self._choice(fitting)
        products = self._add("MatMul", [x, name], (*shape[:-1], other[-1]))
        self._add("Tanh", [products], (*shape[:-1], other[-1]))  # keeps numbers small

    def _concatenate(self, x: str, shape: Shape) -> None:
        axes = self._channel_axes(shape)
        if not axes:
            return
        axis = self._choice(axes)
        fitting = [
            (name, other)
            for name, other in self._values
            if len(other) == len(shape)
            and isinstance(other[axis], int)
            and all(other[one] == shape[one] for one in range(len(shape)) if one != axis)
        ]
        name, other = self._choice(fitting)
        total = int(shape[axis]) + int(other[axis])
        self._add("Concat", [x, name], (*shape[:axis], total, *shape[axis + 1 :]), axis=axis)

    def _squeeze(self, x: str, shape: Shape) -> None:
        ones = [axis for axis, extent in enumerate(shape) if extent == 1]
        if not ones or len(shape) < 3:
            return
        axis = self._choice(ones)
        axes = self._constant(np.array([axis]))
        self._add("Squeeze", [x, axes], (*shape[:axis], *shape[axis + 1 :]))

    def _unsqueeze(self, x: str, shape: Shape) -> None:
        if len(shape) > 3:
            return
        axis = int(self._random.integers(1, len(shape) + 1))
        self._add("Unsqueeze", [x, self._constant(np.array([axis]))], (*shape[:axis], 1, *shape[axis:]))

    def _convolve(self, x: str, shape: Shape) -> None:
        if len(shape) != 4 or not isinstance(shape[1], int) or shape[2:] != self._size:
            return
        size = self._choice([1, 3])
        kernel = self._constant(weights(CHANNELS, shape[1], size, size))
        self._add("Conv", [x, kernel], ("n", CHANNELS, *self._size), pads=[size // 2] * 4)

    def _layer_norm(self, x: str, shape: Shape) -> None:
        if not isinstance(shape[-1], int) or len(shape) < 2:
            return
        scale = self._constant(weights(shape[-1]))
        self._add("LayerNormalization", [x, scale], shape, axis=-1, epsilon=0.5)

    def _divide_last(self, x: str, shape: Shape) -> None:
        """Split the last axis into two, as for the heads of an attention."""
        last = shape[-1]
        if not isinstance(last, int) or last % 2 or last == 2 or len(shape) > 4:
            return
        extents = (2, last // 2) if self._random.random() < 0.5 else (last // 2, 2)
        wanted = self._constant(np.array([0] * (len(shape) - 1) + list(extents)))
        self._add("Reshape", [x, wanted], (*shape[:-1], *extents))

    def _merge_last(self, x: str, shape: Shape) -> None:
        *before, first, second = shape
        if not (isinstance(first, int) and isinstance(second, int)):
            return
        wanted = self._constant(np.array([0] * len(before) + [first * second]))
        self._add("Reshape", [x, wanted], (*before, first * second))

    def _slice(self, x: str, shape: Shape) -> None:
        axes = [axis for axis in self._channel_axes(shape) if shape[axis] != 1]
        if not axes:
            return
        axis = self._choice(axes)
        extent = shape[axis]
        assert isinstance(extent, int)
        first = int(self._random.integers(extent))
        last = int(self._random.integers(first + 1, extent + 1))
        given = [self._constant(np.array([one])) for one in (first, last, axis)]
        self._add("Slice", [x, *given], (*shape[:axis], last - first, *shape[axis + 1 :]))

    def _tile(self, x: str, shape: Shape) -> None:
        axes = self._channel_axes(shape)
        if not axes:
            return
        axis = self._choice(axes)
        extent = shape[axis]
        assert isinstance(extent, int)
        if extent > CHANNELS:
            return
        times = [2 if one == axis else 1 for one in range(len(shape))]
        self._add(
            "Tile", [x, self._constant(np.array(times))], (*shape[:axis], 2 * extent, *shape[axis + 1 :])
        )

    def _unit_length(self, x: str, shape: Shape) -> None:
        """Divide numbers of at least 0.5 by their norm. In onnxruntime squares below float32's range would be 0."""
        if axes := self._channel_axes(shape):
            magnitudes = self._add("Abs", [x], shape)
            above = self._add("Add", [magnitudes, self._constant(np.float32(0.5))], shape)
            order = int(self._random.integers(1, 3))
            self._add("LpNormalization", [above], shape, axis=self._choice(axes), p=order)

    _STEPS: tuple[Callable[..., Any], ...] = (
        _reduce, _reduce, _normalise, _normalise, _broadcast, _broadcast, _gather, _softmax, _activation,
        _transpose, _concatenate, _squeeze, _unsqueeze, _convolve, _layer_norm, _divide_last, _merge_last,
        _slice, _tile, _unit_length, _multiply_matrices, _multiply_matrices,
    )  # fmt: skip
