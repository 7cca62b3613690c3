"""Leave large tensors out of an ONNX file before it is parsed; see `converters.skipped_bytes`."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.skipped_bytes import LENGTH, VARINT, Field, Holder, Path

_DATA_TYPE, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 2, 9, 13, 14
_FLOAT, _DOUBLE = 1, 11
# The data types that are left out. They are FLOAT, DOUBLE, UINT8, INT8, INT32, INT64, FLOAT16 and BFLOAT16.
_PLAIN_TYPES = {_FLOAT, 2, 3, 6, 7, 10, _DOUBLE, 16}
# Fields whose content has the same bytes as raw_data: float_data and double_data, by field number and data type.
_SAME_BYTES = {(4, _FLOAT), (10, _DOUBLE)}

Place = tuple[str, str]
"""The offset and length of data in the file, as strings in the form that ONNX has for external data."""


def data_position(data: Field) -> Place:
    """Return the position of a field's data."""
    return str(data.start), str(data.end - data.start)


def _data(fields: Sequence[Field]) -> Field | None:
    types = [field.value for field in fields if field.number == _DATA_TYPE and field.kind == VARINT]
    elsewhere = any(field.number in (_EXTERNAL_DATA, _DATA_LOCATION) for field in fields)
    if len(types) != 1 or types[0] not in _PLAIN_TYPES or elsewhere:
        return None
    held = [
        field
        for field in fields
        if field.kind == LENGTH and (field.number == _RAW_DATA or (field.number, types[0]) in _SAME_BYTES)
    ]
    return held[0] if len(held) == 1 else None


def _reference(data: Field) -> bytes:
    """Return encoded fields that refer to the data.

    They are external data without a location. A valid file has none, so such tensors can be recognised.
    """
    import onnx

    tensor = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in zip(("offset", "length"), data_position(data), strict=True):
        tensor.external_data.add(key=key, value=value)
    return bytes(tensor.SerializeToString())


_TENSOR = Holder(_data, _reference)
TENSORS: Path = {7: {5: _TENSOR, 1: {5: {5: _TENSOR}}}}
"""The field numbers (of onnx.proto) on the way to tensors.

They are ModelProto.graph and GraphProto.initializer, and for the tensors of Constant nodes GraphProto.node,
NodeProto.attribute and AttributeProto.t.
"""
