"""Read attributes and float arrays of untrusted HDF5 files by their paths."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.file_bytes import Content
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras import hdf5_objects as objects
from mpscnn.converters.reading.keras.hdf5_objects import OTHER_FORM, UNDEFINED, Message, Objects
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_DEPTH = 64
_MAX_RANK = 32

_FLOAT, _STRING, _OPAQUE, _VARIABLE = 1, 3, 5, 9
# NumPy's types by HDF5's description: size in bytes, bit offset, precision, position and size of the exponent, position
# and size of the mantissa, and bias of the exponent.
_FLOATS = {
    (2, 0, 16, 10, 5, 0, 10, 15): "<f2",
    (4, 0, 32, 23, 8, 0, 23, 127): "<f4",
    (8, 0, 64, 52, 11, 0, 52, 1023): "<f8",
    (2, 0, 16, 7, 8, 0, 7, 127): "bfloat16",
}
_BIG_ENDIAN, _VAX = 0x01, 0x40  # flags of the order of bytes
_NAMES = {
    0: "integer",
    1: "float",
    3: "string",
    5: "opaque",
    6: "compound",
    8: "enumeration",
    9: "variable",
    10: "array",
}


@dataclass(frozen=True)
class _Type:
    """The element type of an array or attribute, from its HDF5 datatype message."""

    kind: int
    flags: int
    size: int
    properties: bytes

    @property
    def name(self) -> str:
        return _NAMES.get(self.kind, f"class {self.kind}")


class Hdf5:
    """The contents of a file. Raises WeightsError for damage, UnsupportedError for features that Keras does not use."""

    def __init__(self, content: Content) -> None:
        self._objects = Objects(content)
        self._budget = Budget(lambda: len(content))
        # The content of objects by their addresses: an object that has several names is read once.
        self._attributes: dict[int, dict[str, bytes]] = {}
        self._strings: dict[tuple[int, str], list[str]] = {}
        self._texts: dict[tuple[int, str], list[str] | None] = {}

    def has(self, path: str) -> bool:
        """Return True if there is a group or an array of this name."""
        return self._find(path) is not None

    def text(self, path: str, name: str) -> str | None:
        """Return a string attribute; None if there is none of this name."""
        address = self._find(path)
        texts = None if address is None else self._attribute(address, name)
        if texts is None:
            return None
        if len(texts) != 1:
            raise WeightsError(f"damaged: its attribute {name} is not one text")
        return texts[0]

    def texts(self, path: str, name: str) -> list[str] | None:
        """Return an attribute that is a list of strings; None if there is none.

        Long lists are stored in several attributes, `name0`, `name1`, ...
        """
        address = self._find(path)
        if address is None:
            return None
        if (address, name) not in self._texts:
            self._texts[address, name] = self._all_texts(address, name)
        return self._texts[address, name]

    def _all_texts(self, address: int, name: str) -> list[str] | None:
        found, number = self._attribute(address, name), 0
        if found is not None:
            return found
        texts: list[str] = []
        while (part := self._attribute(address, f"{name}{number}")) is not None:
            texts += part
            number += 1
        return texts if number else None

    def array(self, path: str) -> NDArray[np.float32] | None:
        """Return an array as float32; None if there is none at this path."""
        address = self._find(path)
        if address is None:
            return None
        try:
            return self._array(path, {message.kind: message for message in self._objects.header(address)})
        except struct.error as error:
            raise WeightsError(f"damaged: {quote_name(path)}: {error}") from error

    def _array(self, path: str, header: dict[int, Message]) -> NDArray[np.float32]:
        if not {objects.DATASPACE, objects.DATATYPE, objects.LAYOUT} <= set(header):
            raise WeightsError(f"damaged: {quote_name(path)} is not an array")
        if objects.EXTERNAL in header:
            raise UnsupportedError(f"weight {quote_name(path)} lies in another file, which is not supported")
        if objects.FILTERS in header:
            raise UnsupportedError(
                f"weight {quote_name(path)} is compressed, which is not supported: save the model without compression"
            )
        if header[objects.DATATYPE].is_shared() or header[objects.DATASPACE].is_shared():
            raise UnsupportedError(f"weight {quote_name(path)} {OTHER_FORM}")
        shape = _shape(header[objects.DATASPACE].data)
        elements = _type(header[objects.DATATYPE].data)
        dtype = _dtype(path, elements)
        size = math.prod(shape) * elements.size
        try:
            self._budget.copy(size)
        except WeightsError as error:
            raise WeightsError(f"{error}: {quote_name(path)} is {shape}") from error
        raw = self._elements(path, header[objects.LAYOUT].data, size)
        if dtype == "bfloat16":
            halves = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
            return halves.view(np.float32).reshape(shape)
        return np.frombuffer(raw, dtype).astype(np.float32, copy=False).reshape(shape)

    def _elements(self, path: str, layout: bytes, size: int) -> bytes:
        """Return the data of an array, which must be stored contiguously."""
        version, kind = struct.unpack_from("<BB", layout)
        if version not in (3, 4) or kind == 2:
            raise UnsupportedError(f"weight {quote_name(path)} {OTHER_FORM}")
        if kind == 3:
            raise UnsupportedError(f"weight {quote_name(path)} lies in another file, which is not supported")
        if kind == 0:
            (stored,) = struct.unpack_from("<H", layout, 2)
            raw = layout[4 : 4 + stored]
        else:
            address, stored = struct.unpack_from("<QQ", layout, 2)
            if address == UNDEFINED and size:
                raise UnsupportedError(f"weight {quote_name(path)} was never written, which is not supported")
            raw = b"" if address == UNDEFINED else self._objects.at(address, stored)
        if len(raw) != size:
            raise WeightsError(
                f"damaged: {quote_name(path)} takes {size} bytes, of which {len(raw)} are there"
            )
        return raw

    # ---- Attributes ----------------------------------------------------------------------------------------

    def _attribute(self, address: int, name: str) -> list[str] | None:
        """Return the strings of an object's attribute; None if there is none of this name."""
        if address not in self._attributes:
            self._attributes[address] = self._messages_of_attributes(address)
        data = self._attributes[address].get(name)
        if data is None:
            return None
        if (address, name) not in self._strings:
            try:
                self._strings[address, name] = self._strings_of(data, name)
            except struct.error as error:
                raise WeightsError(f"damaged: its attribute {name}: {error}") from error
        return self._strings[address, name]

    def _messages_of_attributes(self, address: int) -> dict[str, bytes]:
        """Return the messages of an object's attributes by their names. The first of a name counts."""
        found: dict[str, bytes] = {}
        for message in self._objects.header(address):
            if message.kind == objects.ATTRIBUTE_INFO and objects.attributes_elsewhere(message):
                raise UnsupportedError(f"an attribute of the file {OTHER_FORM}")
            if message.kind == objects.ATTRIBUTE and not message.is_shared():
                found.setdefault(_attribute_parts(message.data)[0], message.data)
        return found

    def _strings_of(self, data: bytes, name: str) -> list[str]:
        """Return the strings of an attribute's message."""
        _, type_, space, raw = _attribute_parts(data)
        version, flags = data[:2]
        if flags & 3 and version > 1:
            raise UnsupportedError(f"the attribute {name} {OTHER_FORM}")
        elements, count = _type(type_), math.prod(_shape(space))
        raw = raw[: count * elements.size]
        if len(raw) < count * elements.size:
            raise WeightsError(f"damaged: its attribute {name} is incomplete")
        if count == 0:
            return []
        each = (
            [raw[i * elements.size : (i + 1) * elements.size] for i in range(count)] if elements.size else []
        )
        if elements.kind == _STRING:
            return [one.rstrip(b"\0 ").decode("utf-8", "replace") for one in each]
        if elements.kind != _VARIABLE or elements.flags & 0xF != 1 or elements.size != 16:
            raise WeightsError(f"damaged: its attribute {name} is of type {elements.name} instead of text")
        return [self._variable(one) for one in each]

    def _variable(self, entry: bytes) -> str:
        length, heap, index = struct.unpack("<IQI", entry)
        if length == 0:
            return ""
        return self._objects.heap_object(heap, index)[:length].decode("utf-8", "replace")

    def _find(self, path: str) -> int | None:
        """Return the address of the object at a path; None if there is none. Links out of the file are refused."""
        place: int | None = self._objects.root
        parts = [part for part in path.split("/") if part]
        if len(parts) > _MAX_DEPTH:
            raise WeightsError(f"damaged: the path {quote_name(path)} has {len(parts)} parts")
        for part in parts:
            links = self._objects.links(place) if place is not None else {}
            if part not in links:
                return None
            place = links[part]
            if place is None:
                raise objects.link_error(path)
        return place


def _attribute_parts(data: bytes) -> tuple[str, bytes, bytes, bytes]:
    """Return the name of an attribute's message, its datatype, its dataspace, and the rest, which has the value."""
    try:
        version, _, *sizes = struct.unpack_from("<BBHHH", data)
    except struct.error as error:
        raise WeightsError(f"damaged: an attribute: {error}") from error
    if version not in (1, 2, 3):
        raise UnsupportedError(f"attributes of version {version} are not supported")
    place = 9 if version == 3 else 8
    unit = 8 if version == 1 else 1
    parts = []
    for size in sizes:
        parts.append(data[place : place + size])
        place += (size + unit - 1) // unit * unit
    return parts[0].partition(b"\0")[0].decode("utf-8", "replace"), parts[1], parts[2], data[place:]


def _shape(data: bytes) -> tuple[int, ...]:
    version, rank, _, kind = struct.unpack_from("<BBBB", data)
    if version not in (1, 2) or rank > _MAX_RANK:
        raise WeightsError(f"damaged: an array has {rank} axes")
    if version == 2 and kind == 2:
        return (0,)
    return struct.unpack_from(f"<{rank}Q", data, 8 if version == 1 else 4)


def _type(data: bytes) -> _Type:
    kind, flags, size = struct.unpack_from("<BB2xI", data)
    return _Type(kind & 0xF, flags, size, data[8:])


def _dtype(path: str, elements: _Type) -> str:
    """Return the numpy type of an array's elements, or "bfloat16"."""
    if elements.kind == _OPAQUE and elements.size == 2:
        return "bfloat16"  # as h5py stores it
    if elements.kind == _FLOAT and not elements.flags & _VAX and len(elements.properties) >= 12:
        layout = struct.unpack_from("<HHBBBBI", elements.properties)
        known = _FLOATS.get((elements.size, *layout))
        if known is not None and not elements.flags & _BIG_ENDIAN:
            return known
        if known is not None and known != "bfloat16":
            return known.replace("<", ">")
    raise UnsupportedError(
        f"weight {quote_name(path)} is of type {elements.name} ({elements.size} bytes), which is not supported"
    )
