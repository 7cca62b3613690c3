"""Decode the program that `extraction.py` takes out of a Core AI asset, and check it.

The extracting process runs Apple's parser on a file of a stranger. So nothing that it returns is trusted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.confined import Limits, run_confined
from mpscnn._private.installation import install_command
from mpscnn._private.json_text import parse_json
from mpscnn.converters.reading.coreai.asset import Asset
from mpscnn.errors import UnsupportedError, WeightsError

Extents = tuple[int | None, ...]
GRAPH, CONSTANT, OUTPUT, INVOKE = "coreai.graph", "coreai.constant", "coreai.output", "coreai.invoke"
# These limits hold for Apple's parser. It and Python take some 120 MiB, and resources are hexadecimal digits.
_MEMORY, _MEMORY_PER_BYTE = 350 << 20, 8
_SECONDS, _WALL, _BYTES_PER_SECOND = 3.0, 20.0, 16 << 20
_LOADED = 4  # the processors may have other work
_MAX_OPERATIONS = 100_000
_MAX_RANK = 16
_TENSOR = re.compile(r"tensor<((?:(?:\d+|\?)x)*)([a-zA-Z0-9]+(?:<[a-z0-9]+>)?)(?:, .*)?>", re.DOTALL)
_IMAGE = re.compile(r"!coreai\.image<<(\w+)> x (\d{1,9}) : i64 x (\d{1,9}) : i64")
_COMPOSITE = re.compile(r'#coreai\.composite_declaration<"([^"]*)"')
_SYMBOL = re.compile(r"@([\w.$-]+|\"[^\"]*\")")

_BITS = re.compile(r"[su]i(\d+)")
_BYTE = 8
_STORED: Mapping[str, Any] = {
    "i1": np.bool_,
    "f16": np.float16,
    "f32": np.float32,
    "f64": np.float64,
    "bf16": np.uint16,
    **{f"si{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"ui{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"si{bits}": np.int8 for bits in range(1, 8)},
    **{f"ui{bits}": np.uint8 for bits in range(1, 8)},
}
"""The types of stored elements; bf16 is its 16 bits. Those of fewer than 8 bits take a byte each, or are packed."""


@dataclass(frozen=True)
class TensorType:
    """The type of a tensor: its extents, with None for free ones, and MLIR's name of the element type."""

    extents: Extents
    element: str

    @property
    def is_float(self) -> bool:
        """True for floating-point numbers."""
        return "f" in self.element and "<" not in self.element

    @property
    def is_whole(self) -> bool:
        """True for integers and truth values."""
        return self.element == "i1" or _BITS.fullmatch(self.element) is not None


@dataclass(frozen=True)
class Stored:
    """A constant of the program.

    Attributes:
        type: its type.
        data: the bytes of its elements in row-major order; one element if all are equal.
        lacks: what the constant has no readable form of; "": it has one.
    """

    type: TensorType
    data: memoryview
    is_splat: bool = False
    lacks: str = ""

    def array(self) -> NDArray[Any]:
        """Return the elements, not copied if that is possible. Equal elements become a broadcast view.

        Raises UnsupportedError for elements that mpscnn does not read, and WeightsError if their number is another one.
        """
        dtype, shape = _STORED.get(self.type.element), self.type.extents
        if self.lacks or dtype is None:
            raise UnsupportedError(f"it is a constant of {self.type.element}, which is not supported")
        if None in shape:
            raise WeightsError("damaged: a constant whose size is free")
        extents = tuple(extent or 0 for extent in shape)
        count = 1 if self.is_splat else prod(extents)
        wanted = count * np.dtype(dtype).itemsize
        found = _BITS.fullmatch(self.type.element)
        bits = int(found[1]) if found else _BYTE
        if bits < _BYTE and len(self.data) in (wanted, -(-count * bits // _BYTE)):
            few = _of_few_bits(self.data, count, bits, is_signed=self.type.element.startswith("s"))
            return np.broadcast_to(few.reshape(()), extents) if self.is_splat else few.reshape(extents)
        if len(self.data) != wanted:
            raise WeightsError(f"damaged: a constant with {len(self.data)} bytes instead of {wanted}")
        numbers = np.frombuffer(self.data, dtype)
        if self.type.element == "bf16":
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        return np.broadcast_to(numbers.reshape(()), extents) if self.is_splat else numbers.reshape(extents)


def _of_few_bits(data: memoryview, count: int, bits: int, *, is_signed: bool) -> NDArray[Any]:
    """Return integers of a few bits each: the lowest ones of a byte, or packed from the first byte's lowest bit on."""
    found: NDArray[Any] = np.frombuffer(data, np.uint8)
    if len(data) != count:
        stream = np.unpackbits(found, count=count * bits, bitorder="little")
        found = np.packbits(stream.reshape(count, bits), axis=1, bitorder="little").reshape(count)
    unused = _BYTE - bits
    raised = found << unused
    return raised.view(np.int8) >> unused if is_signed else raised >> unused


@dataclass(frozen=True)
class Operation:
    """An operation of a graph.

    Attributes:
        kind: its name without the dialect, such as "conv2d".
        operands: the numbers of the values that it reads.
        results: the numbers of its results, and their types.
        attributes: its attributes as texts of MLIR.
        stem: the name of the operator that it was converted from; "": the program does not state it.
        stored: the value of a constant; None: it is another operation.
        regions: what its regions compute; see `extraction.py`.
    """

    kind: str
    operands: Sequence[int]
    results: Sequence[tuple[int, str]]
    attributes: Mapping[str, str]
    stem: str
    stored: Stored | None
    regions: Sequence[str]

    def attribute(self, name: str) -> str:
        """Return an attribute's word: "linear" of #coreai.interpolation_mode<linear>; "" if it is not stated."""
        text = self.attributes.get(name, "")
        return text[text.find("<") + 1 : text.rfind(">")] if text.endswith(">") else text.strip('"')

    @property
    def callee(self) -> str:
        """The name of the graph that it calls."""
        return _symbol(self.attributes.get("callee", ""))


@dataclass(frozen=True)
class Graph:
    """A graph of the program, which has inputs and outputs.

    Attributes:
        name: its name.
        inputs: the number, the name and the type of each input.
        output_names: the names of its outputs.
        operations: its operations in order. The last one has the outputs as operands.
        is_private: whether it is only called by other graphs.
        composite: the name of the layer that it computes, such as "hard_sigmoid"; "": it states none.
    """

    name: str
    inputs: Sequence[tuple[int, str, str]]
    output_names: Sequence[str]
    operations: Sequence[Operation]
    is_private: bool
    composite: str
    composite_text: str


@dataclass(frozen=True)
class ImageType:
    """The type of an image: the name of the format of its pixels, such as "k24RGB", and its size."""

    pixels: str
    height: int
    width: int


def image_type(text: str) -> ImageType | None:
    """Return the type of an image; None for other types."""
    found = _IMAGE.match(text)
    return None if found is None else ImageType(found[1], int(found[2]), int(found[3]))


def tensor_type(text: str) -> TensorType | None:
    """Return the type of a tensor; None for other types, such as images and handles of states."""
    found = _TENSOR.fullmatch(text)
    if found is None:
        return None
    extents = [None if one == "?" else int(one) for one in found[1].split("x")[:-1]]
    if len(extents) > _MAX_RANK:
        raise UnsupportedError(f"has a tensor of {len(extents)} axes; supported are at most {_MAX_RANK}")
    return TensorType(tuple(extents), found[2])


def read_program(asset: Asset) -> dict[str, Graph]:
    """Return the graphs of an asset by name.

    Raises UnsupportedError if the package coreai-core is missing, or for a program that needs too much or with other
    parts than graphs; WeightsError for a damaged one.
    """
    if find_spec("coreai") is None:
        raise UnsupportedError(
            f"{asset.origin}: reading Core AI needs coreai-core: {install_command('coreai')}"
        )
    content = asset.program.read_bytes()
    seconds = len(content) / _BYTES_PER_SECOND
    limits = Limits(_MEMORY + _MEMORY_PER_BYTE * len(content), _SECONDS + seconds, _WALL + _LOADED * seconds)
    try:
        made = run_confined("mpscnn.converters.reading.coreai.extraction:prepare", content, limits)
    except UnsupportedError as error:
        raise UnsupportedError(
            f"{asset.origin}: its program cannot be read: {error}. Apple's parser ends so for damaged programs: copy "
            "the asset again, or export it again"
        ) from error
    return decode(made, asset.origin)


def decode(content: bytes, origin: str) -> dict[str, Graph]:
    """Return the graphs of an extracted program by name. Raises WeightsError if it is damaged.

    Raises UnsupportedError for a program with other parts than graphs.
    """
    try:
        size = int.from_bytes(content[:8], "little")
        header = parse_json(content[8 : 8 + size].decode())
        data = memoryview(content)[8 + size :]
        graphs = {}
        for one in header["operations"]:
            if one["kind"] == GRAPH:
                graph = _graph(one, data)
                graphs[graph.name] = graph
            elif one["kind"] != "coreai.target_spec":
                raise UnsupportedError(f"{origin}: it has {one['kind']}, which is not supported")
        return graphs
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise WeightsError(f"damaged: {origin}: its program: {error}") from error


def _graph(one: Mapping[str, Any], data: memoryview) -> Graph:
    attributes = one["attributes"]
    body = one["body"]
    if len(body) > _MAX_OPERATIONS:
        raise WeightsError(f"damaged: it has {len(body)} operations; at most {_MAX_OPERATIONS} are read")
    names = one["argument_names"] or [""] * len(one["arguments"])
    composite = attributes.get("composite_decl", "")
    found = _COMPOSITE.match(composite)
    return Graph(
        str(attributes["sym_name"]).strip('"'),
        [
            (int(number), str(name) or f"input_{place}", str(kind))
            for place, ((number, kind), name) in enumerate(zip(one["arguments"], names, strict=True))
        ],
        [str(name) for name in one["result_names"]],
        [_operation(own, data) for own in body],
        "priv" in attributes or "private" in attributes or attributes.get("sym_visibility") == '"private"',
        found[1] if found else "",
        composite,
    )


def _operation(one: Mapping[str, Any], data: memoryview) -> Operation:
    stored = None
    if one["kind"] == CONSTANT:
        value = one["value"]
        kind = tensor_type(value["type"])
        begin, size = int(value.get("offset", 0)), int(value.get("size", 0))
        lacks = str(value.get("lacks", "")) or ("" if kind else "a tensor")
        part = data[begin : begin + size]
        stored = Stored(kind or TensorType((), value["type"]), part, bool(value.get("splat")), lacks)
    return Operation(
        str(one["kind"]).removeprefix("coreai.").removeprefix("decomposable."),
        [int(number) for number in one["operands"]],
        [(int(number), str(kind)) for number, kind in one["results"]],
        one.get("attributes", {}),
        str(one.get("stem", "")),
        stored,
        [str(region) for region in one["regions"]],
    )


def _symbol(text: str) -> str:
    found = _SYMBOL.search(text)
    return found[1].strip('"') if found else ""
