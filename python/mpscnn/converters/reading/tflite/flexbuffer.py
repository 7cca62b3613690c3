"""Read and write FlexBuffers maps, which TensorFlow Lite's custom operators have as options.

Reading checks all bounds.

Only maps from names to numbers are supported. https://flatbuffers.dev/flexbuffers/ describes the encoding: offsets
point backwards, and sizes and offsets are as wide as the value that they belong to.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from mpscnn.errors import UnsupportedError, WeightsError

Number = int | float | bool

_INT, _UINT, _FLOAT, _MAP, _BOOL = 1, 2, 3, 9, 26
_INDIRECT = {6: _INT, 7: _UINT, 8: _FLOAT}
_CODES = {
    _INT: {1: "<b", 2: "<h", 4: "<i", 8: "<q"},
    _UINT: {1: "<B", 2: "<H", 4: "<I", 8: "<Q"},
    _FLOAT: {2: "<e", 4: "<f", 8: "<d"},
    _BOOL: {1: "<?", 2: "<H", 4: "<I", 8: "<Q"},
}
_WIDTH, _BITS = 4, 2  # written numbers have 2^2 bytes
_MAX_ENTRIES = 256
_MAX_NAME = 256


def read_map(buffer: bytes) -> dict[str, Number]:
    """Return the map in a buffer. Raises WeightsError if it is damaged, UnsupportedError for other contents."""
    if len(buffer) < 3:
        raise WeightsError(f"damaged: options of {len(buffer)} bytes")
    width, packed = buffer[-1], buffer[-2]
    if packed >> 2 != _MAP:
        raise UnsupportedError(f"options of kind {packed >> 2}, expected a map of numbers")
    start = _target(buffer, len(buffer) - 2 - width, width)
    width = 1 << (packed & 3)
    count = _number(buffer, start - width, _UINT, width)
    if count > _MAX_ENTRIES:
        raise WeightsError(f"damaged: options with {count} entries")
    keys_width = _number(buffer, start - 2 * width, _UINT, width)
    keys = _target(buffer, start - 3 * width, width)
    result: dict[str, Number] = {}
    for i in range(int(count)):
        key = _text(buffer, _target(buffer, keys + i * int(keys_width), int(keys_width)))
        kind = int(_number(buffer, start + int(count) * width + i, _UINT, 1))
        result[key] = _value(buffer, start + i * width, kind, width)
    return result


def _value(buffer: bytes, position: int, packed: int, width: int) -> Number:
    kind = packed >> 2
    if kind in _INDIRECT:
        return _number(buffer, _target(buffer, position, width), _INDIRECT[kind], 1 << (packed & 3))
    if kind not in _CODES:
        raise UnsupportedError(f"options hold a value of kind {kind}, which is not a number")
    number = _number(buffer, position, kind, width)
    return bool(number) if kind == _BOOL else number


def _target(buffer: bytes, position: int, width: int) -> int:
    return position - int(_number(buffer, position, _UINT, width))


def _text(buffer: bytes, start: int) -> str:
    if not 0 <= start < len(buffer):
        raise WeightsError(f"damaged: options have a name at byte {start} of {len(buffer)}")
    end = buffer.find(b"\0", start, start + _MAX_NAME + 1)
    if end < 0:
        raise WeightsError(
            f"damaged: options have a name at byte {start} that has more than {_MAX_NAME} characters"
        )
    return buffer[start:end].decode("utf-8", errors="replace")


def _number(buffer: bytes, position: int, kind: int, width: int) -> Number:
    code = _CODES[kind].get(width)
    if code is None or not 0 <= position <= len(buffer) - width:
        raise WeightsError(f"damaged: options refer to {width} bytes at byte {position} of {len(buffer)}")
    number: Number = struct.unpack_from(code, buffer, position)[0]
    return number


def write_map(values: Mapping[str, Number]) -> bytes:
    """Return the bytes of a map. Its numbers have 32 bits, and its entries lie in the order of their names."""
    names = sorted(values)
    content, starts = bytearray(), []
    for name in names:
        starts.append(len(content))
        content += name.encode() + b"\0"
    content += bytes(-len(content) % _WIDTH)
    content += struct.pack("<I", len(names))
    keys = len(content)
    for start in starts:
        content += struct.pack("<I", len(content) - start)
    content += struct.pack("<III", len(content) - keys, _WIDTH, len(names))
    start, kinds = len(content), bytearray()
    for name in names:
        value = values[name]
        kind = _BOOL if isinstance(value, bool) else _FLOAT if isinstance(value, float) else _INT
        content += struct.pack(_CODES[kind][_WIDTH], value)
        kinds.append(kind << 2 | _BITS)
    content += kinds
    content += struct.pack("<BBB", len(content) - start, _MAP << 2 | _BITS, 1)
    return bytes(content)
