"""Write random quantised TensorFlow Lite files of one operator, and run LiteRT's reference kernels on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from converters.tflite_writer import (
    CODES,
    OPTIONS,
    Field,
    Operator,
    Tensor,
    constant,
    quantized,
    write_tflite,
)
from exact_engines import invoke_litert, litert_interpreter
from numpy.typing import NDArray

_VERSIONS_OF_INT8 = {
    "BATCH_MATMUL": 3, "BROADCAST_TO": 2, "DEPTH_TO_SPACE": 1, "EXPAND_DIMS": 1, "GELU": 2, "HARD_SWISH": 1,
    "L2_NORMALIZATION": 2, "LEAKY_RELU": 2, "LOG_SOFTMAX": 2, "MAXIMUM": 2, "MINIMUM": 2, "PACK": 2, "PRELU": 1,
    "REDUCE_MAX": 2, "REDUCE_MIN": 2,
    "RELU_0_TO_1": 1, "RELU_N1_TO_1": 1, "RESHAPE": 1, "SPACE_TO_DEPTH": 2, "SQUEEZE": 1, "SUM": 2, "TILE": 1,
}  # fmt: skip
_VERSIONS_OF_UINT8 = {"BROADCAST_TO": 2}
OPERATORS = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "GATHER",
    "HARD_SWISH", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "QUANTIZE", "RELU", "RELU6", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SOFTMAX", "STRIDED_SLICE", "SUB", "TILE", "TRANSPOSE",
]  # fmt: skip


def judged(path: Path, *inputs: Any) -> dict[int, NDArray[Any]]:
    """Return all tensors that LiteRT's reference kernels compute from the file, by their numbers."""
    judge = litert_interpreter(path, every_tensor=True)
    invoke_litert(judge, *inputs)
    results = {int(index) for entry in judge._get_ops_details() for index in entry["outputs"]}
    return {index: judge.get_tensor(index) for index in results}


class RandomFile:
    """A file of one operator and inputs for it; everything about them follows from the seed.

    `large`: with more columns and channels, convolutions with dilation, and weights with any zero point.
    """

    def __init__(self, kind: str, dtype: str, seed: int, *, large: bool = False) -> None:
        self._random = np.random.default_rng(seed)
        self._large = large
        self._dtype = dtype
        self._limits = np.iinfo(dtype)
        self._tensors: list[Tensor] = []
        self.inputs: list[NDArray[Any]] = []
        self._read: list[int] = []
        options, made = getattr(self, f"_{kind.lower()}")()
        results = made if isinstance(made, list) else [made]
        self._tensors += results
        places = list(range(len(self._tensors) - len(results), len(self._tensors)))
        operator = Operator(
            CODES[kind],
            self._read,
            places,
            OPTIONS.get(kind, 0),
            options,
            version=_VERSIONS_OF_INT8.get(kind, 3) if dtype == "int8" else _VERSIONS_OF_UINT8.get(kind, 1),
        )
        given = [i for i in self._read if self._tensors[i].data is None]
        self.content = write_tflite(self._tensors, [operator], given, places)

    # ---- Operators -------------------------------------------------------------------------------------------

    def _conv_2d(self) -> tuple[list[Field], Tensor]:
        batch, height, width, channels = self._shape()
        kernel = (self._integer(1, min(4, height)), self._integer(1, min(4, width)))
        outputs = self._integer(1, 40)
        source = self._input((batch, height, width, channels))
        scales = self._weights((outputs, *kernel, channels), source, outputs, 0)
        dilations = self._dilations(kernel, (height, width))
        fields, extents = self._window(kernel, (height, width), dilations)
        fields += [(3, "Int8", self._activation()), (4, "Int32", dilations[1]), (5, "Int32", dilations[0])]
        depth = kernel[0] * kernel[1] * channels
        return fields, self._product((batch, *extents, outputs), source, scales, depth)

    def _depthwise_conv_2d(self) -> tuple[list[Field], Tensor]:
        batch, height, width, channels = self._shape()
        multiplier = self._integer(1, 2)
        kernel = (self._integer(1, min(5, height)), self._integer(1, min(5, width)))
        outputs = channels * multiplier
        source = self._input((batch, height, width, channels))
        scales = self._weights((1, *kernel, outputs), source, outputs, 3)
        dilations = self._dilations(kernel, (height, width))
        fields, extents = self._window(kernel, (height, width), dilations)
        fields += [
            (3, "Int32", multiplier),
            (4, "Int8", self._activation()),
            (5, "Int32", dilations[1]),
            (6, "Int32", dilations[0]),
        ]
        return fields, self._product((batch, *extents, outputs), source, scales, kernel[0] * kernel[1])

    def _fully_connected(self) -> tuple[list[Field], Tensor]:
        batch, channels, outputs = self._integer(1, 3), self._integer(1, 70), self._integer(1, 40)
        source = self._input((batch, channels))
        scales = self._weights((outputs, channels), source, 1, 0)
        return [(0, "Int8", self._activation())], self._product((batch, outputs), source, scales, channels)

    def _average_pool_2d(self) -> tuple[list[Field], Tensor]:
        batch, height, width, channels = self._shape()
        kernel = (self._integer(1, min(4, height)), self._integer(1, min(4, width)))
        source = self._input((batch, height, width, channels))
        fields, extents = self._window(kernel, (height, width))
        fields += [(3, "Int32", kernel[1]), (4, "Int32", kernel[0]), (5, "Int8", self._activation())]
        return fields, self._like(source, (batch, *extents, channels))

    _max_pool_2d = _average_pool_2d

    def _add(self) -> tuple[list[Field], Tensor]:
        a, b, shape = self._operands()
        scale = self._scale() * (self._scale_of(a) + self._scale_of(b)) * 8.0
        return [(0, "Int8", self._activation())], self._tensor("result", shape, scale)

    def _mul(self) -> tuple[list[Field], Tensor]:
        a, b, shape = self._operands()
        scale = self._scale() * self._scale_of(a) * self._scale_of(b) * 1e3
        return [(0, "Int8", self._activation())], self._tensor("result", shape, scale)

    _sub = _add

    def _operands(self) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Return two operands and the shape of their result.

        Some axes may be 1 in either operand. One operand may be constant and have fewer axes.
        """
        shape, kind = self._shape(), self._integer(0, 3)
        if kind < 2:
            return self._input(shape), self._input(shape), shape
        batch = shape[0]
        first, second = ([batch, *self._some_ones(shape[1:])] for _ in range(2))
        result = tuple(map(max, first, second))
        if kind == 2:
            return self._input(tuple(first)), self._input(tuple(second)), result
        second = [1, *second[1:]][self._integer(0, 2) :]
        constant_first = bool(self._integer(0, 1))
        operands = [self._operand(tuple(first)), self._operand(tuple(second), constant=True)]
        if constant_first:
            self._read.reverse()
        return operands[0], operands[1], result

    def _some_ones(self, shape: tuple[int, ...]) -> list[int]:
        return [1 if self._integer(0, 2) == 0 else extent for extent in shape]

    def _operand(self, shape: tuple[int, ...], *, constant: bool = False) -> Tensor:
        tensor = self._input(shape)
        if constant:
            tensor.data = self.inputs.pop()
        return tensor

    def _transpose(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        source = self._input(shape)
        order = [0, *(self._random.permutation(3) + 1).tolist()]
        self._setting("order", order)
        return [], self._like(source, tuple(shape[axis] for axis in order))

    def _slice(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        source = self._input(shape)
        first = [0, *(self._integer(0, extent - 1) for extent in shape[1:])]
        size = [
            extent - start - (self._integer(0, extent - start - 1) if axis else 0)
            for axis, (extent, start) in enumerate(zip(shape, first, strict=True))
        ]
        self._setting("first", first)
        self._setting("size", size)
        return [], self._like(source, tuple(size))

    def _strided_slice(self) -> tuple[list[Field], Tensor]:
        """Take a part of a tensor with steps, which may be negative."""
        shape = self._shape()
        source = self._input(shape)
        ranges = [range(shape[0])]
        for extent in shape[1:]:
            whole = range(extent)[self._integer(0, extent - 1) :: self._integer(1, 3)]
            ranges.append(whole[::-1] if self._integer(0, 1) else whole)
        stops = [
            one.stop if one.stop >= 0 else one.stop - extent
            for one, extent in zip(ranges, shape, strict=True)
        ]
        for name, numbers in (
            ("first", [one.start for one in ranges]),
            ("end", stops),
            ("steps", [one.step for one in ranges]),
        ):
            self._setting(name, numbers)
        return [], self._like(source, tuple(map(len, ranges)))

    def _gather(self) -> tuple[list[Field], Tensor]:
        shape, axis = list(self._shape()), self._integer(1, 3)
        source = self._input(tuple(shape))
        numbers = [self._integer(0, shape[axis] - 1) for _ in range(self._integer(1, 9))]
        self._setting("numbers", numbers)
        shape[axis] = len(numbers)
        return [(0, "Int32", axis)], self._like(source, tuple(shape))

    def _gather_nd(self) -> tuple[list[Field], Tensor]:
        shape, count = (1, *self._shape()[1:]), self._integer(1, 4)
        source = self._input(shape)
        places = [
            [self._integer(0, extent - 1) for extent in shape[:count]] for _ in range(self._integer(1, 9))
        ]
        self._setting("places", [places])
        return [], self._like(source, (1, len(places), *shape[count:]))

    def _tile(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        source = self._input(shape)
        times = [1, *(self._integer(1, 3) for _ in range(3))]
        self._setting("times", times)
        return [], self._like(source, tuple(extent * own for extent, own in zip(shape, times, strict=True)))

    def _softmax(self) -> tuple[list[Field], Tensor]:
        shape = (self._integer(1, 4), self._integer(2, 60))
        self._input(shape)
        result = Tensor("result", shape, self._dtype)
        return [(0, "Float32", 1.0)], quantized(result, [1.0 / 256.0], [int(self._limits.min)])

    def _resize_bilinear(self) -> tuple[list[Field], Tensor]:
        batch, height, width, channels = self._shape()
        size = (self._integer(1, 19), self._integer(1, 19))
        source = self._input((batch, height, width, channels))
        self._setting("size", size)
        mode = self._integer(0, 2)
        fields: list[Field] = [(2, "Bool", mode == 1), (3, "Bool", mode == 2)]
        return fields, self._like(source, (batch, *size, channels))

    def _resize_nearest_neighbor(self) -> tuple[list[Field], Tensor]:
        fields, result = self._resize_bilinear()
        return [(slot - 2, kind, value) for slot, kind, value in fields], result

    def _pad(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        source = self._input(shape)
        sides = [(0, 0), *((self._integer(0, 3), self._integer(0, 3)) for _ in range(3))]
        self._setting("sides", sides)
        extents = [extent + before + behind for extent, (before, behind) in zip(shape, sides, strict=True)]
        return [], self._like(source, tuple(extents))

    def _concatenation(self) -> tuple[list[Field], Tensor]:
        batch, height, width, channels = self._shape()
        source = self._input((batch, height, width, channels))
        other = self._integer(1, 9)
        self._add_input(self._like(source, (batch, height, width, other), "other"))
        return [(0, "Int32", 3)], self._like(source, (batch, height, width, channels + other))

    def _quantize(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        source = self._input(shape)
        return [], self._tensor("result", shape, self._scale() * self._scale_of(source) * 20.0)

    _gelu = _hard_swish = _relu = _relu6 = _quantize

    def _logistic(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        self._input(shape)
        return [], quantized(Tensor("result", shape, self._dtype), [1.0 / 256.0], [int(self._limits.min)])

    def _tanh(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        self._input(shape)
        result = Tensor("result", shape, self._dtype)
        return [], quantized(result, [1.0 / 128.0], [int(self._limits.min) + 128])

    def _leaky_relu(self) -> tuple[list[Field], Tensor]:
        _, result = self._quantize()
        return [(0, "Float32", float(np.float32(self._random.uniform(-0.5, 1.5))))], result

    def _mean(self) -> tuple[list[Field], Tensor]:
        shape = self._shape()
        source = self._input(shape)
        self.axes = axes = self._random.permutation([1, 2, 3])[: self._integer(1, 3)].tolist()
        self._setting("axes", axes)
        keeps = bool(self._integer(0, 1))
        if len(axes) == 3:  # a mean of a whole image that keeps no axes is refused
            keeps = True
        extents = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
        kept = [extent for axis, extent in enumerate(shape) if axis not in axes]
        result = self._tensor(
            "result", tuple(extents if keeps else kept), self._scale() * self._scale_of(source) * 9.0
        )
        return [(0, "Bool", keeps)], result

    # ---- Their parts -----------------------------------------------------------------------------------------

    def _integer(self, low: int, high: int) -> int:
        return int(self._random.integers(low, high + 1))

    def _setting(self, name: str, numbers: Any) -> None:
        self._read.append(len(self._tensors))
        self._tensors.append(constant(name, numbers, "int32"))

    def _activation(self) -> int:
        return int(self._random.choice([0, 0, 1, 3]))

    def _scale(self) -> float:
        return float(np.float32(np.exp(self._random.uniform(-4.0, -1.0))))

    @staticmethod
    def _scale_of(tensor: Tensor) -> float:
        assert tensor.quantization is not None
        return float(np.float32(tensor.quantization[0][0]))

    def _shape(self) -> tuple[int, int, int, int]:
        if self._large:
            return self._integer(1, 2), self._integer(1, 12), self._integer(1, 60), self._integer(1, 100)
        return self._integer(1, 2), self._integer(1, 9), self._integer(1, 9), self._integer(1, 20)

    def _tensor(self, name: str, shape: tuple[int, ...], scale: float) -> Tensor:
        zero_point = self._integer(int(self._limits.min), int(self._limits.max))
        return quantized(Tensor(name, shape, self._dtype), [scale], [zero_point])

    def _like(self, tensor: Tensor, shape: tuple[int, ...], name: str = "result") -> Tensor:
        """Return a tensor with the scale and zero point of another one."""
        assert tensor.quantization is not None
        return quantized(Tensor(name, shape, tensor.dtype), *tensor.quantization)

    def _input(self, shape: tuple[int, ...]) -> Tensor:
        return self._add_input(self._tensor(f"input{len(self._tensors)}", shape, self._scale()))

    def _add_input(self, tensor: Tensor) -> Tensor:
        self._read.append(len(self._tensors))
        self._tensors.append(tensor)
        low, high = int(self._limits.min), int(self._limits.max)
        self.inputs.append(self._random.integers(low, high + 1, tensor.shape).astype(self._dtype))
        return tensor

    def _weights(
        self, shape: tuple[int, ...], source: Tensor, outputs: int, axis: int
    ) -> NDArray[np.float64]:
        """Add weights and biases. int8 is symmetric, with one scale or one per output. uint8 has any zero point."""
        low, high = int(self._limits.min), int(self._limits.max)
        values = self._random.integers(low, high + 1, shape).astype(self._dtype)
        count = outputs if self._dtype == "int8" else 1
        scales = [self._scale() / 10.0 for _ in range(count)]
        limits = (0, 255) if self._large else (100, 160)
        zero_points = [self._integer(*limits) if self._dtype == "uint8" else 0] * count
        weight = constant("weight", values, self._dtype)
        bias_scales = [scale * self._scale_of(source) for scale in scales]
        channels = shape[axis]
        bias = constant("bias", self._random.integers(-20000, 20000, channels), "int32")
        for tensor, own, zeros, along in (
            (weight, scales, zero_points, axis),
            (bias, bias_scales, [0] * count, 0),
        ):
            self._read.append(len(self._tensors))
            self._tensors.append(quantized(tensor, own, zeros, along))
        return np.array(scales)

    def _product(
        self, shape: tuple[int, ...], source: Tensor, scales: NDArray[np.float64], depth: int
    ) -> Tensor:
        """Return a result whose scale spreads results over the integers."""
        spread = 5000.0 * np.sqrt(depth) * self._scale_of(source) * float(scales.mean()) / 40.0
        return self._tensor("result", shape, float(np.float32(spread)))

    def _dilations(self, kernel: tuple[int, int], extents: tuple[int, int]) -> tuple[int, int]:
        """Return dilations with which the window fits into the image."""
        if not self._large:
            return 1, 1
        y, x = (
            self._integer(1, 2) if 2 * (taps - 1) < extent else 1
            for taps, extent in zip(kernel, extents, strict=True)
        )
        return y, x

    def _window(
        self, kernel: tuple[int, int], extents: tuple[int, int], dilations: tuple[int, int] = (1, 1)
    ) -> tuple[list[Field], tuple[int, int]]:
        same, strides = self._integer(0, 1), (self._integer(1, 3), self._integer(1, 3))
        size = [
            -(-extent // stride) if same else (extent - (taps - 1) * dilation - 1) // stride + 1
            for extent, taps, stride, dilation in zip(extents, kernel, strides, dilations, strict=True)
        ]
        fields: list[Field] = [(0, "Int8", 1 - same), (1, "Int32", strides[1]), (2, "Int32", strides[0])]
        return fields, (size[0], size[1])
