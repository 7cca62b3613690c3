"""Read a program's constants: in its message, in files of weights, or decompressed by constexpr operations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.blobs import Blob, Place
from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.reading.coreml.file import CoremlFile
from mpscnn.converters.reading.coreml.program import types
from mpscnn.converters.reading.coreml.program.blob_file import BlobFile, decode_data, numbers, unpack_integers
from mpscnn.converters.values import block_weights
from mpscnn.converters.values.stored_integers import StoredIntegers
from mpscnn.errors import UnsupportedError, WeightsError

Array = NDArray[Any]
# The allowed elements of decompressed constants for each byte of the file. A byte may hold eight elements of a mask, or
# eight indices of one bit. While a sparse palettized weight is read, each of the eight takes up to five elements: the
# element of the mask, the index, the number of its table, the table entry and the result.
_ELEMENTS_PER_BYTE = 64


@dataclass
class Constant:
    """A constant of the program.

    Attributes:
        kind: the element type; None for strings.
        shape: the extents.
        held: the elements, their position in a file, or strings.
        integers: the 8-bit integers of a decompressed weight; None: there are none.
    """

    kind: types.Element | None
    shape: tuple[int, ...]
    held: Array | Place | list[str]
    integers: StoredIntegers | None = None


class Constants:
    """The constants of one program.

    Args:
        file: the file of the program.
    """

    def __init__(self, file: CoremlFile) -> None:
        self._file = file
        self._known: dict[str, Constant] = {}
        self._files: dict[str, BlobFile] = {}
        self._budget = Budget(lambda: file.size, elements_per_byte=_ELEMENTS_PER_BYTE)

    def holds(self, name: str) -> bool:
        """Return True if a value of this name is a constant."""
        return name in self._known

    def put(self, name: str, constant: Constant) -> None:
        """Add a constant."""
        self._known[name] = constant

    def named(self, name: str) -> Constant:
        """Return the constant of this name."""
        return self._known[name]

    def spend(self, elements: int) -> None:
        """Count elements before they are decompressed. Raises UnsupportedError for too many."""
        self._budget.spend(Cost(elements, elements))

    def array(self, constant: Constant) -> Array:
        """Return the elements of a constant."""
        if constant.kind is None or isinstance(constant.held, list):
            raise WeightsError("damaged: text in place of numbers")
        if isinstance(constant.held, Place):
            self.spend(math.prod(constant.shape))
            return numbers(constant.held, constant.kind, constant.shape)
        return constant.held.reshape(constant.shape)

    def weight(self, constant: Constant) -> Array | Blob:
        """Return the elements of a constant, or for floats in a file, a reference to them."""
        kind = constant.kind
        if isinstance(constant.held, Place) and kind is not None and kind.name in ("fp16", "fp32"):
            return Blob(constant.shape, constant.held)
        return self.array(constant)

    def text(self, constant: Constant) -> str:
        """Return the string of a constant."""
        if not isinstance(constant.held, list) or len(constant.held) != 1:
            raise WeightsError("damaged: numbers in place of text")
        return constant.held[0]

    # ---- Values of the file ----------------------------------------------------------------------------------------

    def value(self, message: Any) -> Constant:
        """Return the constant for a value in the program's message."""
        if message.has("type") and message.type.has("listType"):
            return self._list(message)
        if not message.type.has("tensorType"):
            raise UnsupportedError("a constant that is not a tensor")
        tensor = message.type.tensorType
        shape = types.constant_shape(tensor)
        if tensor.dataType == types.STRING:
            return Constant(None, shape, [str(text) for text in message.immediateValue.tensor.strings.values])
        kind = types.element_type(tensor.dataType)
        if message.has("blobFileValue"):
            stated = message.blobFileValue
            return Constant(kind, shape, self._blob_file(stated.fileName).place(stated.offset, kind, shape))
        return Constant(kind, shape, _immediate(message.immediateValue.tensor, kind, shape))

    def _list(self, message: Any) -> Constant:
        """Return the constant for a list of strings or numbers."""
        held = [self.value(one) for one in message.immediateValue.list.values]
        if all(one.kind is None for one in held):
            return Constant(None, (len(held),), [self.text(one) for one in held])
        if any(one.kind is None or one.shape for one in held):
            raise UnsupportedError("a list of tensors")
        return Constant(held[0].kind, (len(held),), np.asarray([self.array(one) for one in held]))

    def _blob_file(self, name: str) -> BlobFile:
        if name not in self._files:
            self._files[name] = BlobFile(FileBytes(self._file.blob_file(name)))
        return self._files[name]

    # ---- Computed --------------------------------------------------------------------------------------------------

    def computed(self, kind: str, given: Mapping[str, Constant]) -> list[Constant]:
        """Compute the results of a constexpr operation, which decompresses a weight.

        Raises UnsupportedError for an unknown operation, and WeightsError if its operands do not fit each other.
        """
        self._file.weights.decompressed |= kind != "constexpr_cast"
        # Many operations may decompress one constant.
        self.spend(sum(one.held.size for one in given.values() if isinstance(one.held, np.ndarray)))
        if kind in _SPARSE_MAKERS:
            mask, values = _SPARSE_MAKERS[kind](self, given)
            return [Constant(_BIT, mask.shape, mask.view(_BIT.dtype)), _floats(values[mask])]
        maker = _MAKERS.get(kind)
        if maker is None:
            raise UnsupportedError("weights that are compressed in this way are not supported")
        made = _floats(maker(self, given))
        if kind in _SCALED:
            made.integers = self._integers(made.shape, *(given.get(name) for name in _SCALED[kind]))
        return [made]

    def _integers(self, shape: tuple[int, ...], *given: Constant | None) -> StoredIntegers | None:
        """Return a weight's integers; None if there are no 8-bit integers with one scale, or one for each output."""
        values, scale, zero = given
        if values is None or scale is None or values.kind is None or values.kind.bits > 8:
            return None
        if math.prod(scale.shape) not in (1, *shape[:1]):
            return None
        integers, scales = self.array(values), self.array(scale).astype(np.float32).reshape(-1)
        zeros = np.zeros(scales.size, integers.dtype) if zero is None else self.array(zero).reshape(-1)
        return StoredIntegers(integers, scales, zeros)


_FLOAT, _BIT = types.element_type(11), types.element_type(37)


def _floats(array: Array) -> Constant:
    return Constant(_FLOAT, array.shape, array.astype(np.float32, copy=False))


def _immediate(tensor: Any, kind: types.Element, shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    for field in ("floats", "ints", "bools", "longInts", "doubles"):
        if tensor.has(field):
            values: Array = getattr(tensor, field).numbers("values")
            if values.size != count:
                raise WeightsError(f"damaged: {values.size} numbers for the shape {shape}")
            return values.astype(kind.dtype).reshape(shape)
    content = tensor.bytes.values
    if len(content) < -(-count * kind.bits // 8):
        raise WeightsError(f"damaged: {len(content)} bytes for the shape {shape} of {kind.name}")
    return decode_data(content[: -(-count * kind.bits // 8)], kind, shape)


# ---- Compressed weights --------------------------------------------------------------------------------------------


def _needed(given: Mapping[str, Constant], name: str) -> Constant:
    if name not in given:
        raise WeightsError(f"damaged: it has no {name}")
    return given[name]


def _affine(constants: Constants, given: Mapping[str, Constant]) -> Array:
    """Compute scale * (data - zero point), with one scale or one for each index of an axis."""
    data = constants.array(_needed(given, "quantized_data"))
    axis = int(constants.array(_needed(given, "axis")).reshape(()))
    if not -data.ndim <= axis < data.ndim:
        raise WeightsError(f"damaged: axis {axis} of {data.ndim}")

    def along(name: str) -> Array:
        values = constants.array(_needed(given, name)).astype(np.float32)
        if values.size == 1:
            return values.reshape(())
        if values.size != data.shape[axis]:
            raise WeightsError(f"damaged: {values.size} numbers for the axis {axis} of {data.shape}")
        return values.reshape([-1 if place == axis % data.ndim else 1 for place in range(data.ndim)])

    made: Array = (data.astype(np.float32) - along("zero_point")) * along("scale")
    return made


def _blockwise(constants: Constants, given: Mapping[str, Constant]) -> Array:
    """Compute scale * (data - offset), with a scale for each block of elements."""
    return _block_scaled(constants, constants.array(_needed(given, "data")), given)


def _block_scaled(constants: Constants, data: Array, given: Mapping[str, Constant]) -> Array:
    def spread(name: str) -> Array:
        return block_weights.spread(
            constants.array(given[name]).astype(np.float32), data.shape, constants.spend
        )

    scaled: Array = data.astype(np.float32)
    if "offset" in given:
        scaled = scaled - spread("offset")
    _needed(given, "scale")
    made: Array = scaled * spread("scale")
    return made


def _look_up(constants: Constants, given: Mapping[str, Constant]) -> Array:
    """Decompress a palettized weight: look up indices in a table."""
    table = constants.array(_needed(given, "lut"))
    if "shape" not in given:
        return _look_up_blocks(constants, constants.array(_needed(given, "indices")), table, given)
    shape = _stated_shape(constants, given)
    bits = max(table.size - 1, 1).bit_length()
    if table.ndim != 1 or table.size not in (2, 4, 8, 16, 64, 256):
        raise WeightsError(f"damaged: a table of the shape {table.shape}")
    count = math.prod(shape)
    constants.spend(count)
    packed = constants.array(_needed(given, "indices")).view(np.uint8)
    places = packed[:count] if bits == 8 else unpack_integers(packed, count, bits)
    if places.size != count:
        raise WeightsError(f"damaged: {places.size} places for the shape {shape}")
    made: Array = table[places].reshape(shape)
    return made


def _look_up_blocks(
    constants: Constants, places: Array, tables: Array, given: Mapping[str, Constant]
) -> Array:
    """Decompress a palettized weight with a table for each block.

    Table entries are numbers or vectors along an axis.
    """
    axis = int(constants.array(given["vector_axis"]).reshape(())) if "vector_axis" in given else None
    return block_weights.look_up(places, tables, axis, constants.spend)


def _sparse(constants: Constants, given: Mapping[str, Constant]) -> Array:
    """Decompress a sparse weight: stored elements where a mask has ones, zeros elsewhere."""
    values, mask = constants.array(_needed(given, "nonzero_data")), _mask(constants, given, "mask")
    return block_weights.fill(values, mask, constants.spend)


def _mask(constants: Constants, given: Mapping[str, Constant], name: str) -> Array:
    mask = constants.array(_needed(given, name))
    if "shape" not in given:
        return mask.astype(bool)
    shape = _stated_shape(constants, given)
    constants.spend(math.prod(shape))
    return unpack_integers(mask.view(np.uint8).reshape(-1), math.prod(shape), 1).astype(bool).reshape(shape)


def _sparse_blockwise(constants: Constants, given: Mapping[str, Constant]) -> tuple[Array, Array]:
    """Compute scale * (data - offset) for a sparse weight.

    Returns the weight's mask, and an array of the same shape with the numbers where the mask has ones. Its other
    elements have no meaning.
    """
    mask = _mask(constants, given, "data_mask")
    data = block_weights.fill(constants.array(_needed(given, "nonzero_data")), mask, constants.spend)
    return mask, _block_scaled(constants, data, given)


def _sparse_look_up(constants: Constants, given: Mapping[str, Constant]) -> tuple[Array, Array]:
    """Look up the indices of a sparse weight.

    Returns the weight's mask, and an array of the same shape with the numbers where the mask has ones. Its other
    elements have no meaning.
    """
    mask = _mask(constants, given, "indices_mask")
    places = block_weights.fill(
        constants.array(_needed(given, "indices_nonzero_data")), mask, constants.spend
    )
    values = _look_up_blocks(constants, places, constants.array(_needed(given, "lut")), given)
    for axis, (extent, wanted) in enumerate(zip(mask.shape, values.shape, strict=True)):
        mask = np.repeat(mask, wanted // extent, axis) if wanted != extent else mask
    return mask, values


def _stated_shape(constants: Constants, given: Mapping[str, Constant]) -> tuple[int, ...]:
    shape = tuple(int(one) for one in constants.array(given["shape"]).reshape(-1))
    if not 0 < len(shape) <= 8 or min(shape) < 1:
        raise WeightsError(f"damaged: a shape {shape[:8]}")
    return shape


_MAKERS = {
    "constexpr_affine_dequantize": _affine,
    "constexpr_blockwise_shift_scale": _blockwise,
    "constexpr_cast": lambda constants, given: constants.array(_needed(given, "source_val")).astype(
        np.float32
    ),
    "constexpr_lut_to_dense": _look_up,
    "constexpr_sparse_to_dense": _sparse,
}
_SPARSE_MAKERS = {
    "constexpr_lut_to_sparse": _sparse_look_up,
    "constexpr_sparse_blockwise_shift_scale": _sparse_blockwise,
}
#: The operands of operations that scale integers: the integers, their scales and zero points.
_SCALED = {
    "constexpr_affine_dequantize": ("quantized_data", "scale", "zero_point"),
    "constexpr_blockwise_shift_scale": ("data", "scale", "offset"),
}
CONSTEXPR = (*_MAKERS, *_SPARSE_MAKERS)
"""The operations that decompress weights."""
