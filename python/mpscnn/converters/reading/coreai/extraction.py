"""Take the program out of a Core AI asset with Apple's parser, as plain data.

Apple's parser is native code that ends the process for some damaged files. So this module runs in a confined process of
its own, and its result is checked again by `program.py`.

The result is 8 bytes with the size of a JSON text, the JSON text, and the elements of the constants, one after another.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn._private.confined.frames import write_fully

_READABLE = frozenset({"i1", "f16", "f32", "f64", *(f"{s}i{n}" for s in "su" for n in (8, 16, 32, 64))})
"""The element types that Apple's binding gives as arrays. It ends the process for others."""
_RESOURCE = re.compile(r"dense_resource<([^>]*)>")
_BLOB = re.compile(r'^\s*"?([^\s":]+)"?: "0x([0-9A-Fa-f]*)",?$', re.MULTILINE)
_NUMBER = re.compile(r"0x[0-9A-Fa-f]+|-?\d[\d.]*(?:[eE][+-]?\d+)?")
LAYER = "layer:"
"""The beginning of the location that mpscnn gives the operations of a layer. The layer's name follows."""
_ESCAPE = re.compile(rb"\\(\\|[0-9A-Fa-f]{2})")
_STEM = re.compile(rf'<"{LAYER}([^"]*)"|identifiers = \["([^"]*)"')
_MAX_TEXT = 1 << 16
_FEW_BITS = re.compile(r"[su]i[1-7]")


class Extraction:
    """The constants of a program, which are collected while its operations are listed."""

    def __init__(self, module: Any) -> None:
        text = module.operation.get_asm(large_elements_limit=4)
        start = text.rfind("{-#")
        self._blobs = {} if start < 0 else {one[1]: one[2] for one in _BLOB.finditer(text, start)}
        self._placed: dict[
            str, dict[str, int]
        ] = {}  # by the name of a resource, which several constants may share
        self.parts: list[bytes] = []
        self.size = 0
        self._graphs = [
            self._graph(one.operation) for one in module.operation.regions[0].blocks[0].operations
        ]

    def result(self) -> bytes:
        """Return the program as bytes."""
        header = json.dumps({"operations": self._graphs}).encode()
        return b"".join([len(header).to_bytes(8, "little"), header, *self.parts])

    def _graph(self, operation: Any) -> dict[str, Any]:
        """Return an operation of the module, which is a graph if it has a region."""
        found: dict[str, Any] = {"kind": operation.name, "attributes": _attributes(operation)}
        if operation.name != "coreai.graph":
            return found
        block = operation.regions[0].blocks[0]
        numbers: dict[Any, int] = {}
        found["arguments"] = [_named(one, numbers) for one in block.arguments]
        found["argument_names"] = _names(operation, "arg_attrs")
        found["result_names"] = _names(operation, "res_attrs")
        found["body"] = [self._operation(one.operation, numbers) for one in block.operations]
        return found

    def _operation(self, operation: Any, numbers: dict[Any, int]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": operation.name,
            "operands": [numbers.get(one, -1) for one in operation.operands],
            "results": [_named(one, numbers) for one in operation.results],
            "regions": [_region(one) for one in operation.regions],
        }
        if stem := _STEM.search(str(operation.location)):
            found["stem"] = _unescaped(stem[1] or stem[2])
        if operation.name == "coreai.constant":
            found["value"] = self._constant(operation.attributes["value"])
        else:
            found["attributes"] = _attributes(operation)
        return found

    def _constant(self, value: Any) -> dict[str, Any]:
        from coreai._compiler import ir

        kind = str(value.type)
        element = kind.removeprefix("tensor<").removesuffix(">").rpartition("x")[2]
        if not ir.DenseElementsAttr.isinstance(value):
            named = _RESOURCE.match(str(value))
            if named is None:
                return {"type": kind, "lacks": "stored elements"}
            if named[1] not in self._placed:  # the first number of a resource is its alignment
                self._placed[named[1]] = self._put(bytes.fromhex(self._blobs.get(named[1], ""))[4:])
            return {"type": kind, "splat": False, **self._placed[named[1]]}
        dense = ir.DenseElementsAttr(value)
        if element in _READABLE:
            array = np.array(dense)
            if dense.is_splat:
                array = array.reshape(-1)[:1]
            return {"type": kind, "splat": dense.is_splat, **self._put(np.ascontiguousarray(array).tobytes())}
        if element != "bf16" and not _FEW_BITS.fullmatch(element):
            return {"type": kind, "lacks": "elements of a known type"}
        return {"type": kind, "splat": dense.is_splat, **self._put(_elements(str(value), element))}

    def _put(self, data: bytes) -> dict[str, int]:
        self.parts.append(data)
        self.size += len(data)
        return {"offset": self.size - len(data), "size": len(data)}


def _elements(text: str, element: str) -> bytes:
    """Return the elements of a constant of bfloat16 or of integers of a few bits, which take a byte each.

    MLIR writes many elements as one hexadecimal number, and few as decimal numbers.
    """
    if text.startswith('dense<"0x'):
        return bytes.fromhex(text[len('dense<"0x') : text.find('"', len('dense<"0x'))])
    numbers = _NUMBER.findall(text.rpartition(" : ")[0].replace("true", "1").replace("false", "0"))
    if element == "bf16":
        return np.array([_bf16(one) for one in numbers], np.uint16).tobytes()
    return bytes(int(one) & 0xFF for one in numbers)


def _bf16(text: str) -> int:
    """Return the 16 bits of a number that is written as a decimal, or as its bits."""
    if text.startswith("0x"):
        return int(text, 16) & 0xFFFF
    bits = int(np.array(float(text), np.float32).view(np.uint32))
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16  # to the nearest, since the text has few digits


def _unescaped(text: str) -> str:
    """Return a name as it was before MLIR printed it, with two digits for each byte that is no character of ASCII."""
    found = _ESCAPE.sub(
        lambda one: b"\\" if one[1] == b"\\" else bytes.fromhex(one[1].decode("ascii")), text.encode()
    )
    return found.decode(errors="replace")


def _region(region: Any) -> str:
    """Return what a region computes: "1" for its second argument, "coreai.add" for one operation; "?" for others."""
    if len(region.blocks) != 1:
        return "?"
    *before, last = region.blocks[0].operations
    arguments, given = list(region.blocks[0].arguments), list(last.operands)
    if not before and len(given) == 1 and given[0] in arguments:
        return str(arguments.index(given[0]))
    is_plain = len(before) == 1 and list(before[0].operands) == arguments and list(before[0].results) == given
    return before[0].operation.name if is_plain else "?"


def _named(value: Any, numbers: dict[Any, int]) -> list[Any]:
    numbers[value] = len(numbers)
    return [numbers[value], str(value.type)[:_MAX_TEXT]]


def _attributes(operation: Any) -> dict[str, str]:
    return {one.name: str(one.attr)[:_MAX_TEXT] for one in operation.attributes if one.name != "value"}


def _names(operation: Any, key: str) -> list[str]:
    """Return the names of the inputs or outputs of a graph; "" for one without a name."""
    if key not in operation.attributes:
        return []
    return [one["coreai.name"].value if "coreai.name" in one else "" for one in operation.attributes[key]]


def prepare() -> Callable[[bytes], bytes]:
    """Import Apple's parser, and return the function that takes the program out of bytecode. It is called once."""
    from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import load_module_from_bytecode
    from coreai.authoring.context import Context

    # The parser reads files only, and a confined process opens none. This file is in memory, or has no name.
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("program")
    else:
        with tempfile.TemporaryFile() as nameless:
            file = os.dup(nameless.fileno())
    context = Context()._mlir_context

    def extract(content: bytes) -> bytes:
        write_fully(file, content)
        os.lseek(file, 0, os.SEEK_SET)
        return Extraction(load_module_from_bytecode(context=context, path=Path(f"/dev/fd/{file}"))).result()

    return extract
