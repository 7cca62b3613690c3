"""Write random quantised TensorFlow Lite files of one operator. Each tensor has a different scale and zero point."""

from __future__ import annotations

import numpy as np
from converters.quantized_files import RandomFile
from converters.tflite_writer import Field, Tensor, constant, quantized

Made = tuple[list[Field], Tensor | list[Tensor]]
_RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)  # with these, many results lie in the middle of two integers


class DifferingFile(RandomFile):
    """A `RandomFile` whose results have other scales than their operands, even for operators that keep the scale."""

    def _like(self, tensor: Tensor, shape: tuple[int, ...], name: str = "result") -> Tensor:
        return self._tensor(name, shape, self._scale_of(tensor) * self._ratio())

    def _tensor(self, name: str, shape: tuple[int, ...], scale: float) -> Tensor:
        """Return a tensor. In half of the cases, its scale is `scale` times a random ratio.

        Then the numbers may use only a small part of the integers' range, or exceed it.
        """
        return super()._tensor(name, shape, scale * (self._ratio() if self._integer(0, 1) else 1.0))

    def _ratio(self) -> float:
        kind = self._integer(0, 3)
        if kind == 0:
            return float(self._random.choice(_RATIOS))
        return float(self._random.uniform(0.05, 3.0) if kind < 3 else np.exp(self._random.uniform(-7.0, 7.0)))

    # ---- Functions of each element ---------------------------------------------------------------------------

    def _function(self) -> Made:
        shape = self._shape()
        return [], self._like(self._input(shape), shape)

    _abs = _elu = _neg = _sqrt = _rsqrt = _square = _sign = _exp = _log = _floor = _ceil = _round = _function
    _relu_n1_to_1 = _relu_0_to_1 = _relu = _relu6 = _quantize = _gelu = _function
    _zeros_like = _function

    def _hard_swish(self) -> Made:
        """Make the result's scale at least 0.02 times the operand's, because LiteRT refuses much smaller ones."""
        shape = self._shape()
        source = self._input(shape)
        scale = self._scale_of(source) * max(self._ratio(), 0.02)
        return [], super()._tensor("result", shape, scale)

    def _local_response_normalization(self) -> Made:
        fields, result = self._function()
        return [
            *fields,
            (0, "Int32", 1),
            (1, "Float32", 1.0),
            (2, "Float32", 0.5),
            (3, "Float32", 0.5),
        ], result

    def _fake_quant(self) -> Made:
        _, result = self._function()
        return [(0, "Float32", -1.0), (1, "Float32", 1.0), (2, "Int32", 8)], result

    def _cumsum(self) -> Made:
        shape = self._shape()
        source = self._input(shape)
        self._setting("axis", 3)
        return [], self._like(source, shape)

    # ---- Two operands ----------------------------------------------------------------------------------------

    def _maximum(self) -> Made:
        """Write an operator of a tensor and one number, which has its own scale, or of two tensors."""
        if self._integer(0, 1):
            a, _, shape = self._operands()
            return [], self._like(a, shape)
        shape = self._shape()
        source = self._input(shape)
        self._operand((1,), constant=True)
        if self._integer(0, 1):
            self._read.reverse()
        return [], self._like(source, shape)

    _minimum = _maximum

    def _squared_difference(self) -> Made:
        a, _, shape = self._operands()
        return [], self._like(a, shape)

    _floor_div = _pow = _squared_difference

    def _div(self) -> Made:
        a, _, shape = self._operands()
        return [(0, "Int8", 0)], self._like(a, shape)

    def _add_n(self) -> Made:
        shape = self._shape()
        a = self._input(shape)
        self._input(shape)
        return [], self._like(a, shape)

    # ---- Reductions ------------------------------------------------------------------------------------------

    def _sum(self) -> Made:
        """Sum over one or two axes. In a third of the files, each of these axes has one element."""
        shape, axes = list(self._shape()), self._some_axes()
        if self._integer(0, 2) == 0:
            for axis in axes:
                shape[axis] = 1
        return self._reduced(shape, axes)

    def _reduce_max(self) -> Made:
        shape, axes = list(self._shape()), self._some_axes()
        shape[axes[0]] = self._integer(2, 9)
        source = self._input(tuple(shape))
        self._setting("axes", axes)
        extents = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
        return [(0, "Bool", True)], self._alike(source, tuple(extents))

    _reduce_min = _reduce_max

    def _reduce_prod(self) -> Made:
        batch, _, width, channels = self._shape()
        return self._reduced([batch, 3, width, channels], [1])

    def _some_axes(self) -> list[int]:
        return [int(axis) for axis in (self._random.permutation(3) + 1)[: self._integer(1, 2)]]

    def _reduced(self, shape: list[int], axes: list[int]) -> Made:
        source = self._input(tuple(shape))
        self._setting("axes", axes)
        extents = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
        return [(0, "Bool", True)], self._like(source, tuple(extents))

    def _alike(self, source: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return a result with the operand's scale and zero point, which LiteRT requires for some operators."""
        assert source.quantization is not None
        return quantized(Tensor("result", shape, self._dtype), *source.quantization)

    # ---- Moves -----------------------------------------------------------------------------------------------

    def _reshape(self) -> Made:
        batch, height, width, channels = self._shape()
        source = self._input((batch, height, width, channels))
        shape = (batch, width, height * channels)
        self._setting("shape", shape)
        return [], self._like(source, shape)

    def _squeeze(self) -> Made:
        """Remove all extents of 1."""
        _, height, _, channels = self._shape()
        source = self._input((2, height + 1, 1, channels + 1))
        return [], self._like(source, (2, height + 1, channels + 1))

    def _expand_dims(self) -> Made:
        batch, height, width, _ = self._shape()
        source = self._input((batch, height, width))
        self._setting("axis", 1)
        return [], self._like(source, (batch, 1, height, width))

    def _reverse_v2(self) -> Made:
        shape = self._shape()
        source = self._input(shape)
        self._setting("axes", [self._integer(1, 3)])
        return [], self._like(source, shape)

    def _broadcast_to(self) -> Made:
        shape = self._shape()
        source = self._input((shape[0], *self._some_ones(shape[1:])))
        self._setting("shape", shape)
        return [], self._like(source, shape)

    def _space_to_depth(self) -> Made:
        batch, height, width, channels = self._shape()
        source = self._input((batch, 2 * height, 2 * width, channels))
        return [(0, "Int32", 2)], self._like(source, (batch, height, width, 4 * channels))

    def _depth_to_space(self) -> Made:
        batch, height, width, channels = self._shape()
        source = self._input((batch, height, width, 4 * channels))
        return [(0, "Int32", 2)], self._like(source, (batch, 2 * height, 2 * width, channels))

    def _split(self) -> Made:
        batch, height, width, channels = self._shape()
        self._setting("axis", 3)
        source = self._input((batch, height, width, 2 * channels))
        return [(0, "Int32", 2)], [self._like(source, (batch, height, width, channels)) for _ in range(2)]

    def _split_v(self) -> Made:
        batch, height, width, channels = self._shape()
        source = self._input((batch, height, width, channels + 3))
        self._setting("sizes", [channels, 3])
        self._setting("axis", 3)
        return [(0, "Int32", 2)], [self._like(source, (batch, height, width, size)) for size in (channels, 3)]

    def _unpack(self) -> Made:
        batch, height, width, _ = self._shape()
        source = self._input((batch, height, width, 3))
        return [(0, "Int32", 3), (1, "Int32", 3)], [
            self._like(source, (batch, height, width)) for _ in range(3)
        ]

    def _pack(self) -> Made:
        shape = self._shape()
        first = self._input(shape[:3])
        self._add_input(self._beside(first, shape[:3], "other"))
        return [(0, "Int32", 2), (1, "Int32", 3)], self._beside(first, (*shape[:3], 2), "result")

    def _concatenation(self) -> Made:
        """Join two to four tensors along an axis other than the batch. All but the first may be constants."""
        shape, axis, has_constants = self._shape(), self._integer(1, 3), bool(self._integer(0, 1))
        if has_constants:
            shape = (1, *shape[1:])
        first = self._input(shape)
        extents = [shape[axis]]
        for _ in range(self._integer(1, 3)):
            extents.append(self._integer(1, 9))
            own = (*shape[:axis], extents[-1], *shape[axis + 1 :])
            other = self._add_input(self._beside(first, own, f"other{len(extents)}"))
            if has_constants and self._integer(0, 1):
                other.data = self.inputs.pop()
        whole = (*shape[:axis], sum(extents), *shape[axis + 1 :])
        return [(0, "Int32", axis)], self._beside(first, whole, "result")

    def _beside(self, first: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """Return another operand, or the result. Its scale is the first operand's times one random ratio.

        `_tensor` might multiply it by a second ratio, and then LiteRT's 32-bit numbers could overflow.
        """
        return super()._tensor(name, shape, self._scale_of(first) * self._ratio())

    def _padv2(self) -> Made:
        fields, result = self._pad()
        self._read.append(len(self._tensors))
        number = self._integer(int(self._limits.min), int(self._limits.max))
        assert result.quantization is not None
        self._tensors.append(quantized(constant("value", [number], self._dtype), *result.quantization))
        return fields, result

    def _mirror_pad(self) -> Made:
        batch, height, width, channels = self._shape()
        shape = (batch, height + 1, width + 2, channels + 1)
        source = self._input(shape)
        sides = [(0, 0), (1, 1), (self._integer(0, 2), self._integer(0, 2)), (0, self._integer(0, 1))]
        self._setting("sides", sides)
        wide = tuple(extent + sum(both) for extent, both in zip(shape, sides, strict=True))
        return [(0, "Int8", self._integer(0, 1))], self._alike(source, wide)

    def _softmax(self) -> Made:
        _, result = super()._softmax()
        return [(0, "Float32", float(self._random.choice([1.0, 0.5, 2.0, 0.75])))], result

    def _log_softmax(self) -> Made:
        return [], self._of_channels(16 / 256, int(self._limits.max))

    def _l2_normalization(self) -> Made:
        return [], self._of_channels(1 / 128, int(self._limits.min) + 128)

    def _of_channels(self, scale: float, zero_point: int) -> Tensor:
        """Add an input whose integers are clipped to a random range. Return a result with this scale and zero point.

        LiteRT accepts no other scale and zero point for these operators.
        """
        shape = (self._integer(1, 3), self._integer(1, 4), self._integer(1, 2), self._integer(1, 90))
        self._input(shape)
        near = self._integer(0, 255)
        low, high = int(self._limits.min), int(self._limits.max)
        self.inputs[-1] = np.clip(self.inputs[-1], low + near // 2, high - near // 2)
        return quantized(Tensor("result", shape, self._dtype), [scale], [zero_point])

    # ---- Others ----------------------------------------------------------------------------------------------

    def _batch_matmul(self) -> Made:
        batch, rows, inner, columns = self._shape()
        source = self._input((batch, rows, inner))
        weight = self._tensor("weight", (inner, columns), self._scale())
        low, high = int(self._limits.min), int(self._limits.max)
        weight.data = self._random.integers(low, high + 1, weight.shape).astype(self._dtype)
        self._read.append(len(self._tensors))
        self._tensors.append(weight)
        scale = 300.0 * inner**0.5 * self._scale_of(source) * self._scale_of(weight)
        return [], self._tensor("result", (batch, rows, columns), scale)

    def _l2_pool_2d(self) -> Made:
        return self._average_pool_2d()

    def _transpose_conv(self) -> Made:
        batch, height, width, channels = self._shape()
        outputs = self._integer(1, 9)
        same, kernel = self._integer(0, 1), [self._integer(1, 4) for _ in range(2)]
        strides = (self._integer(1, 3), self._integer(1, 3))
        size = [
            extent * stride if same else (extent - 1) * stride + max(taps, stride)
            for extent, stride, taps in zip((height, width), strides, kernel, strict=True)
        ]
        shape = (batch, size[0], size[1], outputs)
        self._setting("shape", shape)
        source = self._tensor("input", (batch, height, width, channels), self._scale())
        scales = self._weights((outputs, *kernel, channels), source, self._random.choice([1, outputs]), 0)
        self._add_input(source)
        bias = self._read.pop(2)
        self._read.append(bias)
        fields: list[Field] = [(0, "Int8", 1 - same), (1, "Int32", strides[1]), (2, "Int32", strides[0])]
        return fields, self._product(shape, source, scales, kernel[0] * kernel[1] * channels)

    def _prelu(self) -> Made:
        shape = self._shape()
        source = self._input(shape)
        slope = self._tensor("slope", (1, 1, shape[3]), self._scale())
        low, high = int(self._limits.min), int(self._limits.max)
        slope.data = self._random.integers(low, high + 1, slope.shape).astype(self._dtype)
        self._read.append(len(self._tensors))
        self._tensors.append(slope)
        return [], self._like(source, shape)
