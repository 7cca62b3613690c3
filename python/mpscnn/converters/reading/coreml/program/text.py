"""Parse the text of a Core ML program (model.mil in compiled models) to the message that packages have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from mpscnn._private.json_text import parse_json
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.wire.built import Built
from mpscnn.converters.reading.coreml.program import types
from mpscnn.converters.reading.coreml.schema import MODEL_KIND
from mpscnn.errors import UnsupportedError, WeightsError

MAX_TEXT = 1 << 26
"""The maximum size of a text in bytes."""

_MAX_NESTED = 64
# The maximum number of elements of a constant in the text; larger ones are in files of weights.
_MAX_VALUES = 1 << 22
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<arrow>->)
    | (?P<number>[-+]?(?:0x[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?(?:p[-+]?\d+)?|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|(?:inf|nan)\b))
    | (?P<name>[A-Za-z_][\w.@]*)
    | (?P<mark>[()\[\]{}<>=,;:?])
    )""",
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = "([{<", ")]}>"


def parse_program(text: str) -> Any:
    """Parse the text of a program, and return a Core ML model (a message) that contains the program.

    Raises:
        WeightsError: the text is not a valid program. UnsupportedError: an element type is not supported.
    """
    return _Parser(text).model()


class _Parser:
    """A recursive-descent parser with one token of lookahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._tokens = self._scan()
        self._kind, self._token = "", ""
        self._next()

    # ---- Tokens ----------------------------------------------------------------------------------------------------

    def _scan(self) -> Iterator[tuple[str, str]]:
        text, end = self._text, len(self._text.rstrip())
        while self._at < end:
            found = _TOKEN.match(text, self._at)
            if found is None or found.lastgroup is None:
                raise self._wrong("a character that programs do not have")
            self._at = found.end()
            yield found.lastgroup, found[found.lastgroup]
        yield "end", ""

    def _next(self) -> str:
        """Return the current token and go to the next one."""
        before = self._token
        self._kind, self._token = next(self._tokens, ("end", ""))
        return before

    def _wrong(self, what: str) -> WeightsError:
        line = self._text.count("\n", 0, self._at) + 1
        return WeightsError(f"damaged: line {line} of the program: {what}")

    def _expect(self, token: str) -> None:
        if self._token != token or self._kind == "text":
            raise self._wrong(f"expected {token!r} and not {quote_name(self._token)}")
        self._next()

    def _takes(self, token: str) -> bool:
        """Skip the current token if it is `token`, and return whether it was."""
        if self._token != token or self._kind == "text":
            return False
        self._next()
        return True

    def _name(self) -> str:
        if self._kind != "name":
            raise self._wrong(f"expected a name and not {quote_name(self._token)}")
        return self._next()

    def _whole(self) -> int:
        try:
            return int(self._next())
        except ValueError:
            raise self._wrong("expected a whole number") from None

    def _skip(self) -> None:
        """Skip a bracket with all of its contents."""
        depth = 0
        while True:
            if self._kind == "end":
                raise self._wrong("a bracket that is not closed")
            if self._kind == "mark" and self._token in _OPENING:
                depth += 1
            elif self._kind == "mark" and self._token in _CLOSING:
                depth -= 1
            self._next()
            if depth <= 0:
                return

    # ---- The program -----------------------------------------------------------------------------------------------

    def model(self) -> Any:
        """Parse the program, and return the message of a model that contains it."""
        model = Built(MODEL_KIND)
        self._expect("program")
        self._skip()  # the version of the program
        if self._token == "[":
            self._skip()
        self._expect("{")
        while not self._takes("}"):
            self._expect("func")
            entry = model.mlProgram.functions.add(key=self._name())
            self._function(entry.value)
        if self._kind != "end":
            raise self._wrong("something after its end")
        model.mlProgram.version = 1
        return model

    def _function(self, function: Any) -> None:
        self._expect("<")
        function.opset = self._name()
        self._expect(">")
        self._expect("(")
        while not self._takes(")"):
            self._type(function.inputs.add())
            self._takes(",")
        if self._token == "[":  # such as the shapes that the inputs may have
            self._skip()
        block = function.block_specializations.add(key=function.opset).value
        self._expect("{")
        while not self._takes("}"):
            self._operation(block.operations.add())
        self._expect("->")
        self._expect("(")
        while not self._takes(")"):
            block.outputs.append(self._name())
            self._takes(",")
        self._takes(";")

    def _operation(self, operation: Any) -> None:
        in_brackets = self._takes("(")
        while not self._takes("="):
            self._type(operation.outputs.add())
            if not self._takes(",") and in_brackets:
                self._expect(")")
        operation.type = self._name()
        self._expect("(")
        while not self._takes(")"):
            entry = operation.inputs.add(key=self._name())
            self._expect("=")
            self._argument(entry.value)
            self._takes(",")
        # Skip blocks of control flow; the operation is refused later by name.
        while self._token in ("{", "->", "("):
            if not self._takes("->"):
                self._skip()
        if self._takes("["):
            while not self._takes("]"):
                attribute = operation.attributes.add(key=self._name())
                self._expect("=")
                self._value(attribute.value)
                self._takes(",")
        self._expect(";")

    def _argument(self, argument: Any) -> None:
        if self._takes("("):
            while not self._takes(")"):
                self._binding(argument.arguments.add())
                self._takes(",")
        else:
            self._binding(argument.arguments.add())

    def _binding(self, binding: Any) -> None:
        """Read a name, or a value that begins with its type."""
        name = self._name()
        if self._token in ("<", "("):
            self._value(binding.value, begun=name)
        else:
            binding.name = name

    # ---- Types and values ------------------------------------------------------------------------------------------

    def _type(self, named: Any) -> None:
        self._value_type(named.type, self._name(), 0)
        named.name = self._name()

    def _value_type(self, kind: Any, name: str, depth: int) -> None:
        if depth > _MAX_NESTED:
            raise self._wrong(f"types within {_MAX_NESTED} others")
        if name == "tensor":
            self._expect("<")
            kind.tensorType.dataType = self._element(self._name())
            self._expect(",")
            self._expect("[")
            while not self._takes("]"):
                extent = kind.tensorType.dimensions.add()
                if self._takes("?") or self._kind == "name":
                    extent.unknown.mark_stated()
                    if self._kind == "name":
                        self._next()
                else:
                    size = self._whole()
                    if not 0 <= size < 2**31:
                        raise self._wrong(f"an extent of {size}")
                    extent.constant.size = size
                self._takes(",")
            kind.tensorType.rank = len(kind.tensorType.dimensions)
            self._expect(">")
        elif name == "list":
            self._expect("<")
            self._value_type(kind.listType.type, self._name(), depth + 1)
            if self._takes(","):
                self._next()
            self._expect(">")
        elif name in ("dict", "tuple", "state"):
            field = {"dict": "dictionaryType", "tuple": "tupleType", "state": "stateType"}[name]
            getattr(kind, field).mark_stated()
            self._skip()
        else:
            kind.tensorType.dataType = self._element(name)

    def _element(self, name: str) -> int:
        number = _TYPES.get(name)
        if number is None:
            raise UnsupportedError(
                f"its program has numbers of the type {quote_name(name)}, which is not supported"
            )
        return number

    def _value(self, value: Any, begun: str | None = None) -> None:
        self._value_type(value.type, self._name() if begun is None else begun, 0)
        self._expect("(")
        if self._takes("BLOBFILE"):
            self._blob(value.blobFileValue)
            self._expect(")")
            return
        if value.type.has("dictionaryType") or value.type.has("tupleType"):
            depth = 1
            while depth:
                depth += (self._token == "(") - (self._token == ")") if self._kind == "mark" else 0
                if self._kind == "end":
                    raise self._wrong("a bracket that is not closed")
                self._next()
            return
        held = self._scalars()
        if value.type.has("listType"):
            element = value.type.listType.type
            if element.has("listType"):
                raise UnsupportedError("its program has lists of lists, which are not supported")
            if element.tensorType.dimensions:  # each element of the list would get a copy of the shape
                raise UnsupportedError("its program has a list of tensors, which is not supported")
            for one in held:
                made = value.immediateValue.list.values.add()
                made.type = element
                self._fill(made, [one])
        else:
            self._fill(value, held)

    def _scalars(self) -> list[tuple[str, str]]:
        """Return the strings and numbers of a value as a flat list, up to the bracket that closes the value."""
        found: list[tuple[str, str]] = []
        depth = 1
        while True:
            kind, token = self._kind, self._token
            if len(found) > _MAX_VALUES:
                raise UnsupportedError(
                    f"a constant of more than {_MAX_VALUES} values in the text of its program"
                )
            if kind in ("text", "number") or (kind == "name" and token in ("true", "false", "inf", "nan")):
                found.append((kind, token))
            elif kind == "mark" and token in "([{":
                depth += 1
            elif kind == "mark" and token in ")]}":
                depth -= 1
            elif (kind == "name" and token in _TYPES) or token == "tensor":  # the type of a list element
                self._next()
                if self._token == "<":
                    self._skip()
                continue
            elif token != ",":
                raise self._wrong(f"expected a value and not {quote_name(token)}")
            self._next()
            if depth == 0:
                return found

    def _fill(self, value: Any, held: list[tuple[str, str]]) -> None:
        tensor = value.type.tensorType
        count = math.prod(
            int(extent.constant.size) if extent.has("constant") else 0 for extent in tensor.dimensions
        )
        if len(held) != count:
            raise self._wrong(f"{len(held)} values for a tensor of {count}")
        into = value.immediateValue.tensor
        is_text = tensor.dataType == types.STRING
        if any((kind == "text") != is_text for kind, _ in held):
            raise self._wrong("text in place of numbers, or numbers in place of text")
        if is_text:
            into.strings.values.extend([_plain(token) for _, token in held])
            into.strings.mark_stated()
            return
        element = types.element_type(tensor.dataType)
        try:
            if element.dtype.kind == "f":
                numbers = np.array([_number(token) for _, token in held], np.float64)
                into.doubles.values.extend(numbers.astype(element.dtype).astype(np.float64).tolist())
                into.doubles.mark_stated()
            else:
                limits = (0, 1) if element.dtype.kind == "b" else _limits(element.dtype)
                into.longInts.values.extend([_integer(token, *limits) for _, token in held])
                into.longInts.mark_stated()
        except ValueError:
            raise self._wrong("numbers of another type, or out of range") from None

    def _blob(self, blob: Any) -> None:
        """Parse the position of a value in a file of weights."""
        self._expect("(")
        while not self._takes(")"):
            name = self._name()
            self._expect("=")
            self._name()  # the type of the entry
            if self._token == "<":
                self._skip()
            self._expect("(")
            held = self._scalars()
            if len(held) != 1 or (held[0][0] == "text") != (name == "path"):
                raise self._wrong(f"a place of weights without its {name}")
            if name == "path":
                blob.fileName = _plain(held[0][1])
            elif name == "offset":
                try:
                    blob.offset = _integer(held[0][1], 0, 2**63 - 1)
                except ValueError:
                    raise self._wrong("an offset that is not a place in a file") from None
            else:
                raise self._wrong(f"a place of weights with {quote_name(name)}")
            self._takes(",")


def _plain(token: str) -> str:
    """Return the string for a token in quotation marks, with escapes decoded."""
    try:
        return str(parse_json(token, strict=False))
    except ValueError:
        return token[1:-1]


def _number(token: str) -> float:
    if token in ("true", "false"):
        raise ValueError(token)
    try:
        return float.fromhex(token) if "0x" in token else float(token)
    except OverflowError:
        raise ValueError(token) from None


def _limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), min(int(np.iinfo(dtype).max), 2**63 - 1)


def _integer(token: str, low: int, high: int) -> int:
    """Return the integer or boolean for a token. Raises ValueError if it is not between `low` and `high`."""
    if token in ("true", "false"):
        return int(token == "true")
    number = int(token, 16 if "0x" in token else 10)
    if not low <= number <= high:
        raise ValueError(token)
    return number


_TYPES = {
    "string": types.STRING,
    **{types.element_type(number).name: number for number in types.NUMBERS},
}
"""Core ML's number of an element type, by its name in the text."""
