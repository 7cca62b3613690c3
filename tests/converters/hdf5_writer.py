"""Write the objects of HDF5 files byte by byte, also in forms that no library writes. It needs no package."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

_BEGIN = 48
_FLOAT32 = struct.pack("<BB2xI", 0x11, 0x20, 4) + struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127)


def message(kind: int, data: bytes) -> bytes:
    return struct.pack("<BHB", kind, len(data), 0) + data


def attribute(name: str, value: bytes = b"") -> bytes:
    """Return the message of an attribute with one text; without one, it is an empty list."""
    own = name.encode()
    elements = struct.pack("<BB2xI", 3, 0, len(value) or 1)
    space = bytes((2, 0, 0, 0 if value else 2))
    sizes = struct.pack("<BBHHHB", 3, 0, len(own), len(elements), len(space), 0)
    return message(12, sizes + own + elements + space + value)


def link(name: str, address: int) -> bytes:
    own = name.encode()
    return message(6, bytes((1, 0, len(own))) + own + struct.pack("<Q", address))


def continuation(address: int, size: int) -> bytes:
    return message(16, struct.pack("<QQ", address, size))


class Hdf5Writer:
    """Puts objects one after another. `put` returns the address of an object, for links to it."""

    def __init__(self) -> None:
        self._content = bytearray()

    def put(self, content: bytes) -> int:
        self._content += content
        return _BEGIN + len(self._content) - len(content)

    def object(self, messages: Sequence[bytes]) -> int:
        block = b"".join(messages)
        return self.put(b"OHDR" + bytes((2, 2)) + struct.pack("<I", len(block)) + block + bytes(4))

    def float32(self, value: float) -> int:
        """Put an array of the shape (1, 1)."""
        shape = message(1, bytes((2, 2, 0, 1)) + struct.pack("<QQ", 1, 1))
        layout = message(8, struct.pack("<BBHf", 3, 0, 4, value))
        return self.object([shape, message(3, _FLOAT32), layout])

    def file(self, root: int) -> bytes:
        head = b"\x89HDF\r\n\x1a\n" + bytes((2, 8, 8, 0))
        head += struct.pack("<QQQQ", 0, 2**64 - 1, _BEGIN + len(self._content), root)
        return head + bytes(_BEGIN - len(head)) + bytes(self._content)


def dense_layers(count: int, **settings: Any) -> dict[str, Any]:
    """Return a Keras model of Dense layers a0, a1, ... of one unit."""
    made: list[Mapping[str, Any]] = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 1], "name": "in"}}
    ]
    made += [
        {"class_name": "Dense", "config": {"name": f"a{i}", "units": 1, "use_bias": False, **settings}}
        for i in range(count)
    ]
    return {"class_name": "Sequential", "config": {"name": "s", "layers": made}}


def model_config(model: Any) -> bytes:
    return attribute("model_config", json.dumps(model, separators=(",", ":")).encode())


def shared_group(layers: int, attributes: int) -> bytes:
    """Return a model whose layers have one group of weights, with a list of names in many attributes."""
    writer = Hdf5Writer()
    names = [attribute(f"weight_names{i}") for i in reversed(range(attributes - 1))]
    names.append(attribute(f"weight_names{attributes - 1}", b"kernel:0"))
    group = writer.object([link("kernel:0", writer.float32(0.5)), *names])
    groups = writer.object([link(f"a{i}", group) for i in range(layers)])
    config = model_config(dense_layers(layers))
    return writer.file(writer.object([config, link("model_weights", groups)]))


def repeated_continuations(outer: int, inner: int) -> bytes:
    """Return a file whose root continues `outer` times in one block, which continues `inner` times in another one."""
    writer = Hdf5Writer()
    last = b"OCHK" + message(0, bytes(1 << 12)) + bytes(4)
    end = writer.put(last)
    middle = b"OCHK" + continuation(end, len(last)) * inner + bytes(4)
    return writer.file(writer.object([continuation(writer.put(middle), len(middle))] * outer))


def message_beyond_its_block(times: int) -> bytes:
    """Return a file whose root continues in many blocks of 4 bytes, whose message claims to have 65,535 bytes."""
    writer = Hdf5Writer()
    blocks = [writer.put(b"OCHK" + struct.pack("<BHB", 0, 65_535, 0) + bytes(4)) for _ in range(times)]
    root = writer.object([continuation(address, 12) for address in blocks])
    writer.put(bytes(65_536))
    return writer.file(root)
