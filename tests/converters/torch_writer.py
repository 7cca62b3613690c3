"""Write files like those of torch.save and safetensors without these packages, including malicious files."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "float64": "DoubleStorage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle refers to."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A call that unpickling makes."""

    function: object
    arguments: tuple[object, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A reference by a persistent identifier, which the reader of a pickle resolves."""

    identifier: object


@dataclass(frozen=True)
class Raw:
    """Opcodes that are written unchanged. They must leave one object on the stack."""

    code: bytes


def pickled(value: object) -> bytes:
    """Return the pickle of a value in protocol 2, which torch.save uses."""
    return b"\x80\x02" + _encoded(value) + b"."


def _encoded(value: object) -> bytes:
    if isinstance(value, Raw):
        return value.code
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_encoded, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_encoded, value)) + b"e"
    if isinstance(value, dict):
        items = [part for item in value.items() for part in item]
        return b"}(" + b"".join(map(_encoded, items)) + b"u"
    if isinstance(value, Name):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        return _encoded(value.function) + _encoded(value.arguments) + b"R"
    assert isinstance(value, Reference), value
    return _encoded(value.identifier) + b"Q"


@dataclass
class Storages:
    """The storages of one file. Its functions also make tensors of them."""

    contents: list[bytes] = field(default_factory=list)
    elements: list[int] = field(default_factory=list)

    def storage(self, array: NDArray[Any], kind: str | None = None, elements: int | None = None) -> Reference:
        """Add a storage with the array's elements. The pickle states `elements` as their number; None: the truth."""
        self.contents.append(array.tobytes())
        self.elements.append(array.size)
        claimed = array.size if elements is None else elements
        kind = kind or STORAGES[array.dtype.name]
        return Reference(("storage", Name("torch", kind), str(len(self.contents) - 1), "cpu", claimed))

    def tensor(self, array: NDArray[Any]) -> Call:
        """Return a tensor in a new storage."""
        strides = tuple(stride // array.itemsize for stride in array.strides)
        return view(self.storage(array), 0, array.shape, strides)


def view(storage: object, offset: object, shape: object, strides: object) -> Call:
    """Return a tensor that is a view of a storage."""
    arguments = (storage, offset, shape, strides, False, Call(Name("collections", "OrderedDict")))
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), arguments)


def zip_form(value: object, storages: Storages, **entries: bytes) -> bytes:
    """Return a file in the zip format of torch.save. `entries` are additional or changed files, by name."""
    files = {"data.pkl": pickled(value), "version": b"3\n"} | entries
    files |= {f"data/{key}": content for key, content in enumerate(storages.contents)}
    return zipped({f"archive/{name}": content for name, content in files.items()})


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive of these files, by name. Its bytes do not depend on the time: they are names of tests."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def legacy_form(value: object, storages: Storages) -> bytes:
    """Return a file in the format that torch.save wrote before version 1.6."""
    keys = [str(key) for key in range(len(storages.contents))]
    pickles = [LEGACY_MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}, value, keys]
    data = zip(storages.elements, storages.contents, strict=True)
    return b"".join(map(pickled, pickles)) + b"".join(struct.pack("<q", n) + one for n, one in data)


FORMS: dict[str, Callable[[object, Storages], bytes]] = {"zip": zip_form, "legacy": legacy_form}


def state_dict_file(arrays: dict[str, NDArray[Any]], form: str = "zip") -> bytes:
    """Return a file of torch.save that holds a dict of tensors with these values."""
    storages = Storages()
    return FORMS[form]({name: storages.tensor(array) for name, array in arrays.items()}, storages)


def safetensors_file(
    arrays: dict[str, NDArray[Any]], metadata: dict[str, str] | None = None, **changes: dict[str, Any]
) -> bytes:
    """Return a safetensors file. `changes` replace fields of an array's entry in the header, by the array's name."""
    names = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint16": "BF16"}
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, array in arrays.items():
        entry = {
            "dtype": names[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        header[name] = entry | changes.get(name, {})
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def state_of(weights: dict[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a network with PyTorch's layer names as a state_dict, with axes in PyTorch's order."""
    return {
        name: np.ascontiguousarray(array.transpose(0, 3, 1, 2) if array.ndim == 4 else array)
        for name, array in weights.items()
    }
