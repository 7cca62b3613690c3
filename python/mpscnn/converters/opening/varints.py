"""Read and write protocol buffers' varints: integers with seven bits in each byte, the lowest bits first."""

from __future__ import annotations

LONGEST = 10
"""The maximum number of bytes of an encoded number."""


def decode(content: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it. Raises ValueError if the number does not end."""
    value = 0
    for place, byte in enumerate(content[position : position + LONGEST]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise ValueError(f"a number at byte {position} does not end")


def encode(value: int) -> bytes:
    """Return the bytes of a number."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
