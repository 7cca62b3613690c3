"""Read pickles safely: classes and functions in them are never imported or called, only their names are read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from mpscnn.converters.opening.budget import max_objects
from mpscnn.errors import Error, UnsupportedError, WeightsError


@dataclass(frozen=True)
class Global:
    """A class or function that a pickle names. It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Meanings:
    """How to interpret the globals, calls and references in the pickles of a format.

    Attributes:
        named: returns the object for a global (a class or function); raises UnsupportedError if it is not allowed.
        called: returns the result of a call of such an object with arguments.
        referred: returns the object for a persistent identifier.
    """

    named: Callable[[Global], object]
    called: Callable[[object, tuple[object, ...]], object]
    referred: Callable[[object], object]


class PickleReader:
    """Reads one pickle after another from bytes.

    It supports the opcodes that Python's pickle module writes in the protocols 2 to 5 for plain values. One byte may
    create an object of a hundred bytes, so the total number of opcodes is limited.

    Args:
        content: the bytes.
        origin: the name of the file, for messages.
        meanings: how to interpret globals, calls and persistent identifiers.
        size: the size of the whole file in bytes.
    """

    def __init__(self, content: memoryview, origin: str, meanings: Meanings, size: int) -> None:
        self._maximum = self._left = max_objects(size)
        self._known: dict[tuple[str, str], object] = {}
        self.position = 0
        self._content = content
        self._origin = origin
        self._meanings = meanings

    def load(self) -> object:
        """Return the value of the next pickle. Raises WeightsError for damage, UnsupportedError for unknown content."""
        self._stack: list[object] = []
        self._marked: list[list[object]] = []
        self._memo: dict[int, object] = {}
        try:
            while (code := self._take(1)[0]) != _STOP:
                self._left -= 1
                if self._left < 0:
                    raise UnsupportedError(
                        f"{self._origin}: its pickle makes more than {self._maximum} objects, which is not supported "
                        "for a file of its size"
                    )
                step = _STEPS.get(code)
                if step is None:
                    raise UnsupportedError(
                        f"{self._origin}: its pickle has the opcode {code:#04x}, which state dicts do not use"
                    )
                step(self)
            return self._pop()
        except Error:
            raise
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(f"{self._origin}: its pickle is damaged at byte {self.position}") from error

    # ---- Bytes and the stack ---------------------------------------------------------------------------------------

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self._content):
            raise WeightsError(f"{self._origin}: its pickle ends early, at byte {len(self._content)}")
        taken = self._content[self.position : end]
        self.position = end
        return taken

    def _number(self, form: str) -> int:
        (value,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return int(value)

    def _line(self) -> str:
        """Return the bytes up to the next line end as text, a part of a global's name."""
        start = self.position
        found = bytes(self._content[start : start + _MAX_NAME_LENGTH])
        length = found.find(b"\n")
        if length < 0:
            raise WeightsError(f"{self._origin}: its pickle is damaged at byte {start}: a name does not end")
        self.position = start + length + 1
        return found[:length].decode("utf-8")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> object:
        return self._stack.pop()

    def _since_mark(self) -> list[object]:
        items = self._stack
        self._stack = self._marked.pop()
        return items

    # ---- Opcodes ---------------------------------------------------------------------------------------------------

    def _skip_protocol(self) -> None:
        self._take(1)

    def _skip_frame(self) -> None:
        self._take(8)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _text(self, form: str) -> None:
        self._push(str(self._take(self._number(form)), "utf-8", "surrogatepass"))

    def _latin(self, form: str) -> None:
        """Push a byte string of Python 2 as text."""
        self._push(str(self._take(self._number(form)), "latin-1"))

    def _bytes(self, form: str) -> None:
        self._push(bytes(self._take(self._number(form))))

    def _integer(self, form: str) -> None:
        self._push(self._number(form))

    def _long(self) -> None:
        self._push(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _float(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def _tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _tuple(self) -> None:
        self._push(tuple(self._since_mark()))

    def _append(self) -> None:
        item = self._pop()
        self._list().append(item)

    def _appends(self) -> None:
        items = self._since_mark()
        self._list().extend(items)

    def _list(self) -> list[object]:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError
        return target

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_pairs([key, value])

    def _set_items(self) -> None:
        self._set_pairs(self._since_mark())

    def _set_pairs(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing other keys, such as nested tuples, may take very long.
            if not isinstance(key, (str, int, float, bytes, type(None))):
                raise UnsupportedError(
                    f"{self._origin}: a {type(key).__name__} is a key of a mapping in its pickle"
                )
            # Many longer integers may have the same hash, which makes a mapping very slow.
            if isinstance(key, int) and key.bit_length() > 64:
                raise UnsupportedError(
                    f"{self._origin}: an integer of {key.bit_length()} bits is a key of a mapping in its pickle"
                )
            target[key] = value

    def _named(self, module: str, name: str) -> None:
        key = module, name
        if key not in self._known:
            self._known[key] = self._meanings.named(Global(module, name))
        self._push(self._known[key])

    def _global(self) -> None:
        module = self._line()
        self._named(module, self._line())

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError
        self._named(module, name)

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            raise TypeError
        self._push(self._meanings.called(function, arguments))

    def _build(self) -> None:
        """Drop an object's attributes, such as `_metadata` of state dicts."""
        self._pop()
        self._stack[-1]  # there must be an object

    def _refer(self) -> None:
        self._push(self._meanings.referred(self._pop()))

    def _put(self, form: str) -> None:
        self._memo[self._number(form)] = self._stack[-1]

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, form: str) -> None:
        self._push(self._memo[self._number(form)])


_STOP = ord(".")
_MAX_NAME_LENGTH = 1_024

_STEPS: dict[int, Callable[[PickleReader], object]] = {
    0x80: PickleReader._skip_protocol,
    0x95: PickleReader._skip_frame,
    ord("("): PickleReader._mark,
    ord("0"): PickleReader._pop,
    ord("N"): lambda reader: reader._push(None),
    0x88: lambda reader: reader._push(True),
    0x89: lambda reader: reader._push(False),
    ord("K"): lambda reader: reader._integer("<B"),
    ord("M"): lambda reader: reader._integer("<H"),
    ord("J"): lambda reader: reader._integer("<i"),
    0x8A: PickleReader._long,
    ord("G"): PickleReader._float,
    0x8C: lambda reader: reader._text("<B"),
    ord("X"): lambda reader: reader._text("<I"),
    0x8D: lambda reader: reader._text("<Q"),
    ord("U"): lambda reader: reader._latin("<B"),
    ord("T"): lambda reader: reader._latin("<I"),
    ord("C"): lambda reader: reader._bytes("<B"),
    ord("B"): lambda reader: reader._bytes("<I"),
    0x8E: lambda reader: reader._bytes("<Q"),
    ord(")"): lambda reader: reader._push(()),
    0x85: lambda reader: reader._tuple_of(1),
    0x86: lambda reader: reader._tuple_of(2),
    0x87: lambda reader: reader._tuple_of(3),
    ord("t"): PickleReader._tuple,
    ord("]"): lambda reader: reader._push([]),
    ord("a"): PickleReader._append,
    ord("e"): PickleReader._appends,
    ord("}"): lambda reader: reader._push({}),
    ord("s"): PickleReader._set_item,
    ord("u"): PickleReader._set_items,
    ord("c"): PickleReader._global,
    0x93: PickleReader._stack_global,
    ord("R"): PickleReader._reduce,
    ord("b"): PickleReader._build,
    ord("Q"): PickleReader._refer,
    ord("q"): lambda reader: reader._put("<B"),
    ord("r"): lambda reader: reader._put("<I"),
    0x94: PickleReader._memoize,
    ord("h"): lambda reader: reader._get("<B"),
    ord("j"): lambda reader: reader._get("<I"),
}
