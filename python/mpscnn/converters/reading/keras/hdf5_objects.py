"""Read the objects of an HDF5 file: headers with their messages, and the links of groups.

The library libhdf5 is not used, because it crashes or hangs on some damaged files. Keras uses a small part of the
format; other parts are refused. The specification is docs.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from mpscnn.converters.opening.file_bytes import Content
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import UnsupportedError, WeightsError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1
OTHER_FORM = "is stored in a form that is not supported: save the model with h5py's own defaults"

# The types of header messages.
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE = 1, 2, 3, 6, 7, 8, 11, 12
CONTINUATION, SYMBOLS, ATTRIBUTE_INFO = 16, 17, 21

_MAX_NAME = 4096
_USER_BLOCK = 512
_SHARED = 2  # the flag of a message whose data is stored elsewhere


def _start(content: Content) -> int | None:
    """Return where an HDF5 file begins: at 0, or after a block of the user's of 512, 1024, 2048, ... bytes."""
    start = 0
    while start < len(content):
        if content.read(start, len(SIGNATURE)) == SIGNATURE:
            return start
        start = max(2 * start, _USER_BLOCK)
    return None


def is_hdf5(content: Content) -> bool:
    """Return True if the content is an HDF5 file."""
    return _start(content) is not None


@dataclass(frozen=True)
class Message:
    """A header message: one property of an object, such as its datatype."""

    kind: int
    flags: int
    data: bytes

    def is_shared(self) -> bool:
        """Return True if the message only has the address of its data."""
        return bool(self.flags & _SHARED)


class Objects:
    """Reads the objects of a file with bounds checks. Raises WeightsError for damage.

    Each object, group and heap is read once and kept, and no byte of a file belongs to two of them. So all together
    have at most as many bytes as the file, and a file whose parts refer to each other again and again is refused.
    """

    def __init__(self, content: Content) -> None:
        start = _start(content)
        if start is None:
            raise WeightsError("is not an HDF5 file")
        if start:
            content = content.part(start, len(content) - start)
        self._content = content
        self._left = len(content)
        self._headers: dict[int, list[Message]] = {}
        self._groups: dict[int, dict[str, int | None]] = {}
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}
        self._start = start
        self.root = self._superblock()

    def at(self, address: int, size: int) -> bytes:
        """Return the bytes at an address."""
        if size < 0 or address < 0 or address + size > len(self._content):
            raise WeightsError(
                f"damaged: {size} bytes at {address} are beyond the file's {len(self._content)}: it may be incomplete"
            )
        return self._content.read(address, size)

    def spend(self, size: int) -> None:
        """Count bytes that are read of headers, groups and strings. Raises WeightsError beyond the file's size."""
        self._left -= max(size, 0)
        if self._left < 0:
            raise WeightsError("damaged: its parts refer to each other more often than its size allows")

    def numbers(self, form: str, address: int) -> tuple[int, ...]:
        """Return little-endian numbers at an address, in a format of `struct`."""
        return struct.unpack("<" + form, self.at(address, struct.calcsize("<" + form)))

    def _superblock(self) -> int:
        """Return the address of the root group's header."""
        (version,) = self.numbers("B", 8)
        if version in (0, 1):
            sizes = self.numbers("BB", 13)
            base = 24 if version == 0 else 28
            addresses = self.numbers("QQQQQQ", base)
            root = addresses[5]
        elif version in (2, 3):
            sizes = self.numbers("BB", 9)
            addresses = self.numbers("QQQQ", 12)
            root = addresses[3]
        else:
            raise UnsupportedError(f"HDF5 files of version {version} are not supported")
        # Addresses count from the base, which h5py's user block moves; libhdf5 takes the signature's place for it.
        if sizes != (8, 8) or addresses[0] not in (0, self._start):
            raise UnsupportedError(f"HDF5 with offsets of {sizes} bytes from {addresses[0]} is not supported")
        return root

    # ---- Headers -------------------------------------------------------------------------------------------

    def header(self, address: int) -> list[Message]:
        """Return all header messages of the object at an address."""
        if address not in self._headers:
            second = self.at(address, 4) == b"OHDR"
            self._headers[address] = self._new_header(address) if second else self._old_header(address)
        return self._headers[address]

    def _old_header(self, address: int) -> list[Message]:
        version, _, count, _, size = self.numbers("BBHII", address)
        if version != 1:
            raise WeightsError(f"damaged: there is no object at {address}")
        messages: list[Message] = []
        blocks = deque([(address + 16, size)])
        while blocks:
            place, left = blocks.popleft()
            self.spend(left)
            while left >= 8 and len(messages) < count:
                kind, length, flags = self.numbers("HHB", place)
                message = self._message(kind, flags, place + 8, length, left - 8)
                messages.append(message)
                if kind == CONTINUATION:
                    blocks.append(_continuation(message))
                place, left = place + 8 + length, left - 8 - length
        return messages

    def _new_header(self, address: int) -> list[Message]:
        version, flags = self.numbers("BB", address + 4)
        if version != 2:
            raise WeightsError(f"damaged: there is no object at {address}")
        place = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.at(place, width), "little")
        messages: list[Message] = []
        blocks = deque([(place + width, size)])
        order = 2 if flags & 4 else 0
        while blocks:
            place, left = blocks.popleft()
            self.spend(left)
            while left >= 4 + order:
                kind, length, message_flags = self.numbers("BHB", place)
                place, left = place + 4 + order, left - 4 - order
                message = self._message(kind, message_flags, place, length, left)
                messages.append(message)
                if kind == CONTINUATION:
                    begin, extent = _continuation(message)
                    if self.at(begin, 4) != b"OCHK":
                        raise WeightsError(f"damaged: the object at {address} does not continue at {begin}")
                    blocks.append((begin + 4, extent - 8))  # without mark and checksum
                place, left = place + length, left - length
        return messages

    def _message(self, kind: int, flags: int, place: int, length: int, left: int) -> Message:
        """Return the message of `length` bytes at a place, after which its block has `left` bytes."""
        if length > left:
            raise WeightsError(f"damaged: a message of {length} bytes at {place} is longer than its block")
        return Message(kind, flags, self.at(place, length))

    # ---- Groups --------------------------------------------------------------------------------------------

    def links(self, address: int) -> dict[str, int | None]:
        """Return the addresses of a group's objects by name; None for links to other places or files.

        The result is empty for an array.
        """
        if address not in self._groups:
            links: dict[str, int | None] = {}
            for message in self.header(address):
                if message.kind == SYMBOLS:
                    tree, heap = _unpacked("QQ", message.data)
                    self._symbols(tree, self._heap(heap), links)
                elif message.kind == LINK:
                    name, target = _link(message.data)
                    links[name] = target
                elif message.kind == LINK_INFO and _indexed_elsewhere(message.data, 8):
                    raise UnsupportedError(f"a group of the file {OTHER_FORM}")
            self._groups[address] = links
        return self._groups[address]

    def _heap(self, address: int) -> tuple[int, int]:
        """Return the start and end of the local heap with the names of a group's objects."""
        if self.at(address, 4) != b"HEAP":
            raise WeightsError(f"damaged: there are no names at {address}")
        size, _, place = self.numbers("QQQ", address + 8)
        self.at(place, size)
        return place, place + size

    def _symbols(self, tree: int, names: tuple[int, int], links: dict[str, int | None]) -> None:
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            mark = self.at(node, 4)
            if mark == b"TREE":
                kind, _, count = self.numbers("BBH", node + 4)
                if kind != 0:
                    raise WeightsError(f"damaged: the tree at {node} is not a group's")
                self.spend(24 + 16 * count)
                waiting += [self.numbers("Q", node + 32 + 16 * entry)[0] for entry in range(count)]
            elif mark == b"SNOD":
                _, _, count = self.numbers("BBH", node + 4)
                self.spend(8 + 40 * count)
                for entry in range(count):
                    offset, target, cached = self.numbers("QQI", node + 8 + 40 * entry)
                    links[self._name(names, offset)] = None if cached == 2 else target
            else:
                raise WeightsError(f"damaged: there is no part of a group at {node}")

    def _name(self, names: tuple[int, int], offset: int) -> str:
        begin, end = names[0] + offset, names[1]
        if not names[0] <= begin < end:
            raise WeightsError("damaged: the name of a link is outside its group's")
        text = self._content.read(begin, min(end - begin, _MAX_NAME)).partition(b"\0")[0]
        self.spend(len(text))
        return text.decode("utf-8", "replace")

    # ---- Texts ---------------------------------------------------------------------------------------------

    def heap_object(self, address: int, index: int) -> bytes:
        """Return a string of variable length from a global heap."""
        if address not in self._heaps:
            self._heaps[address] = self._heap_objects(address)
        if index not in self._heaps[address]:
            raise WeightsError(f"damaged: there is no text {index} at {address}")
        place, length = self._heaps[address][index]
        self.spend(length)
        return self.at(place, length)

    def _heap_objects(self, address: int) -> dict[int, tuple[int, int]]:
        """Return the place and size of each object in a global heap."""
        if self.at(address, 4) != b"GCOL":
            raise WeightsError(f"damaged: there are no texts at {address}")
        (size,) = self.numbers("Q", address + 8)
        place, end = address + 16, address + size
        found: dict[int, tuple[int, int]] = {}
        while place + 16 <= end:
            index, _, _, length = self.numbers("HHIQ", place)
            self.spend(16)
            if index == 0:  # the rest of the heap is free
                break
            found.setdefault(index, (place + 16, length))
            place += 16 + (length + 7) // 8 * 8
        return found


def _continuation(message: Message) -> tuple[int, int]:
    offset, length = _unpacked("QQ", message.data)
    return offset, length


def _unpacked(form: str, data: bytes, offset: int = 0) -> tuple[int, ...]:
    try:
        return struct.unpack_from("<" + form, data, offset)
    except struct.error as error:
        raise WeightsError(f"damaged: a part of a header is too short: {error}") from error


def _indexed_elsewhere(data: bytes, counter: int) -> bool:
    """Return True if links or attributes are stored in a separate heap, as in newer files with many of them.

    `counter` is the size in bytes of an optional counter before the heap's address.
    """
    flags = _unpacked("BB", data)[1]
    width = counter if flags & 1 else 0
    return _unpacked("Q", data, 2 + width)[0] != UNDEFINED


def attributes_elsewhere(message: Message) -> bool:
    """Return True if an object's attributes are stored outside of its header."""
    return _indexed_elsewhere(message.data, 2)


def _link(data: bytes) -> tuple[str, int | None]:
    """Return the name of a link and the address of its object; None for soft and external links."""
    version, flags = _unpacked("BB", data)
    if version != 1:
        raise UnsupportedError(f"links of version {version} are not supported")
    place, kind = 2, 0
    if flags & 8:
        (kind,) = _unpacked("B", data, place)
        place += 1
    place += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[place : place + width], "little")
    place += width
    if not 0 < length <= _MAX_NAME or place + length > len(data):
        raise WeightsError(f"damaged: a link's name has {length} bytes")
    name = data[place : place + length].decode("utf-8", "replace")
    if kind != 0:
        return name, None
    (address,) = _unpacked("Q", data, place + length)
    return name, address


def link_error(path: str) -> UnsupportedError:
    """Return the error for a link to another place or file."""
    return UnsupportedError(f"{quote_name(path)} is a link to another place or file, which is not supported")
