"""Convert Core AI's programs to networks of mpscnn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, get_origin

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.metadata_entries import describe
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.reading.coreai.archive import unpacked
from mpscnn.converters.reading.coreai.asset import Asset, open_asset
from mpscnn.converters.reading.coreai.biases import with_biases
from mpscnn.converters.reading.coreai.compressed import COMPRESSED, decompressed
from mpscnn.converters.reading.coreai.operators import COLOUR_PLACES, REFUSED, ROWS, photo_colours
from mpscnn.converters.reading.coreai.program import (
    Graph,
    Operation,
    Stored,
    TensorType,
    image_type,
    read_program,
    tensor_type,
)
from mpscnn.converters.reading.coreml.photo_scaling import Numbers, PhotoScaling
from mpscnn.converters.reading.coreml.placing import PLACING, state_placing
from mpscnn.converters.reading.graph.builder import Builder, Extents
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.converters.values.rows import Parameter, call
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_MAIN = "main"
_MAX_NUMBERS = 4096
_COLOURS = 3
_ONE, _ZERO = np.ones(1), np.zeros(1)
_SCALINGS: dict[str, Callable[[NDArray[Any]], Numbers]] = {
    "broadcasting_add": lambda bias: (_ONE, np.float64(bias)),
    "broadcasting_mul": lambda scale: (np.float64(scale), _ZERO),
}
_MAX_CALLS = 32  # the maximum depth of graphs that call graphs
_SCANS = ("sum", "product", "min", "max")
# The attribute that states how many operands each group has. It is no setting, nor are those whose names begin with
# that of a dialect, such as "debuginfo.stem".
_GROUPS = "operandSegmentSizes"


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of an asset. Raises the errors of `convert`, and those of opening the asset."""
    asset = open_asset(only(paths))
    return convert(asset, read_program(asset), options)


def read_archived(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of an asset in an archive. Raises the errors of `read` and `unpacked`."""
    path = only(paths)
    if options.name == path.stem:  # which ends in the suffix of the asset
        options = replace(options, name=Path(path.stem).stem)
    with unpacked(path) as asset:
        return read([asset], options)


def convert(asset: Asset, graphs: Mapping[str, Graph], options: ReadOptions) -> Network:
    """Return the network of an asset.

    Raises:
        UnsupportedError: mpscnn does not support some operations; the message names all of them. WeightsError: the
            program contradicts itself. ParameterError: the options name an input or output that it does not have.
    """
    graph = main_graph(graphs, asset.origin, options.signature)
    program = _Program(asset, graphs, graph, options)
    results = program.add(graph, {number: name for number, name, _ in graph.inputs}, 0)
    outputs = program.outputs(results, graph.output_names)
    network = program.walk.network_with_names(outputs, options)
    others = sorted(one.name for one in graphs.values() if not one.is_private and one is not graph)
    if others:
        network.notes.append(
            f"the function {quote_name(graph.name)} is read; others are left out: {', '.join(map(quote_name, others))}"
        )
    entries = dict(asset.entries)
    if program.scaling is not None:  # the program has the mean and the scale, and the entry the rest
        network.preprocess = program.scaling.photo().preprocess(asset.origin)
        state_placing(network, entries.pop(PLACING, None))
    describe(network, entries, asset.origin, None if options.outputs else [*outputs])
    return network


def main_graph(graphs: Mapping[str, Graph], origin: str, wanted: str | None) -> Graph:
    """Return the function to convert: the wanted one, "main", or the only one."""
    public = {name: graph for name, graph in graphs.items() if not graph.is_private}
    name = wanted or _MAIN
    if name not in public and len(public) == 1 and not wanted:
        return next(iter(public.values()))
    if name not in public:
        raise UnsupportedError(
            f"{origin}: it has no function {quote_name(name)}; its functions are {', '.join(map(quote_name, public))}"
        )
    return public[name]


def _values_read(graph: Graph) -> Iterator[str]:
    """Yield the name, or else the number, of each value that the operations of a graph read."""
    names = {number: name for number, name, _ in graph.inputs}
    for operation in graph.operations:
        yield from (names.get(number, f"%{number}") for number in operation.operands)


def _unpacking(shape: Extents, pixels: str) -> list[tuple[str, list[list[int]]]]:
    """Return the operations that unpack the pixels before their preprocessing, with their constants.

    After any others, the channels of scales might not be those of the photo.
    """
    _, _, height, width = (extent or 0 for extent in shape)
    colours = COLOUR_PLACES.get(pixels, range(0))
    return [
        ("image_to_tensor", []),
        ("slice", [[0, 0, colours.start], [height, width, colours.stop], [1, 1, 1]]),
        ("transpose", [[2, 0, 1]]),
        ("reshape", [[1, _COLOURS, height, width]]),
        ("cast", []),
    ]


class _Program:
    """Adds the operations of a program to a graph.

    Attributes:
        walk: converts the operations one by one.
        scaling: the preprocessing, if the only input is an image; None for others.
    """

    def __init__(self, asset: Asset, graphs: Mapping[str, Graph], graph: Graph, options: ReadOptions) -> None:
        self._graphs = graphs
        self._pixels: dict[str, str] = {}  # the format of pixels of inputs that are images
        self._photos: dict[str, str] = {}  # the image whose pixels a blob is
        shapes: dict[str, Extents] = {}
        whole = set()
        options.check_inputs([name for _, name, _ in graph.inputs], asset.origin)
        for _, name, text in graph.inputs:
            where = f"{asset.origin}: input {quote_name(name)}"
            if (photo := image_type(text)) is not None:
                shapes[name] = (1, _COLOURS, photo.height, photo.width)
                self._pixels[name] = photo.pixels
                continue
            kind = tensor_type(text)
            if kind is None:
                raise UnsupportedError(f"{where} is {text[:80]}; supported are tensors and images")
            shapes[name] = kind.extents
            if kind.is_whole:
                whole.add(name)
        builder = Builder(asset.origin, shapes, name=options.name, size=lambda: asset.size, whole=whole)
        self.walk = Walk(builder, asset.origin)
        self._constants: dict[str, NDArray[Any]] = {}  # by the names of blobs
        self._stored: dict[str, Stored] = {}
        self._integers: dict[str, Any] = {}
        self._tensors: dict[str, str] = {}
        self._added = 0
        self._numbers = count()  # of blobs without a name, in all graphs
        self._unpacking: list[tuple[str, list[list[int]]]] = []  # what still has to unpack the pixels
        self.scaling: PhotoScaling | None = None
        if len(self._pixels) == len(graph.inputs) == 1:
            ((name, pixels),) = self._pixels.items()
            order = "bgr" if pixels == "k32BGRA" else "rgb"
            self.scaling = PhotoScaling(name, order, _values_read(graph))
            self._unpacking = _unpacking(shapes[name], pixels)

    def add(self, graph: Graph, blobs: dict[int, str], depth: int) -> list[str]:
        """Add the operations of a graph whose inputs are these blobs, and return the blobs of its outputs."""
        if depth > _MAX_CALLS:
            raise WeightsError(f"damaged: its graphs call each other more than {_MAX_CALLS} times")
        self._added += len(graph.operations)
        self.walk.expect(self._added)
        names = (
            dict(zip(graph.operations[-1].operands, graph.output_names, strict=False))
            if graph.operations
            else {}
        )
        for operation in with_biases(graph.operations):
            if operation.kind == "output":
                return [blobs[number] for number in operation.operands]
            for number, _ in operation.results:
                own = names.get(number) if depth == 0 else ""
                if not own or self.walk.builder.has(own):
                    own = f"%{next(self._numbers)}"
                blobs[number] = own
            reads = [self._blob(blobs, number) for number in operation.operands]
            makes = [blobs[number] for number, _ in operation.results]
            if operation.kind == "invoke":
                self._invoke(operation, reads, makes, blobs, depth)
            else:
                self._operation(operation, reads, makes, is_main=depth == 0)
        raise WeightsError(f"damaged: the graph {quote_name(graph.name)} has no outputs")

    def outputs(self, blobs: Sequence[str], names: Sequence[str]) -> dict[str, str]:
        """Return the blobs of the network's outputs by name. A blob that is put out again has the output's own name."""
        found: dict[str, str] = {}
        seen: set[str] = set()
        for place, blob in enumerate(map(self._computed, blobs)):
            name = blob
            if blob in seen:
                name = names[place] if place < len(names) else ""
                if not name or name in found or self.walk.builder.has(name):
                    name = f"%{next(self._numbers)}"
            seen.add(blob)
            found[name] = blob
        return found

    def _computed(self, blob: str) -> str:
        """Return an output of the network. A constant becomes a layer."""
        if blob in self._stored or blob in self._constants:
            self.walk.layer("constant", blob, [], [blob], lambda: [self._tensor(blob)], None)
        return blob

    @staticmethod
    def _blob(blobs: Mapping[int, str], number: int) -> str:
        if number not in blobs:
            raise WeightsError("damaged: an operation reads a value that no operation before it computes")
        return blobs[number]

    def _invoke(
        self,
        operation: Operation,
        reads: Sequence[str],
        makes: Sequence[str],
        blobs: dict[int, str],
        depth: int,
    ) -> None:
        """Add the operations of a graph that is called. A composite is its body, whose numbers are the same."""
        callee = self._graphs.get(operation.callee)
        if callee is None or len(callee.inputs) != len(reads):
            raise WeightsError(f"damaged: it calls {quote_name(operation.callee)}, which it does not have")
        results = self.add(
            callee,
            {number: blob for (number, _, _), blob in zip(callee.inputs, reads, strict=True)},
            depth + 1,
        )
        if len(results) != len(makes):
            raise WeightsError(
                f"damaged: {quote_name(operation.callee)} has {len(results)} results instead of {len(makes)}"
            )
        for (number, _), result in zip(operation.results, results, strict=True):
            blobs[number] = result

    def _operation(
        self, operation: Operation, reads: Sequence[str], makes: Sequence[str], *, is_main: bool
    ) -> None:
        name = operation.stem or operation.kind
        if operation.stored is not None:
            self._stored[makes[0]] = operation.stored
            return
        if operation.kind in COMPRESSED:
            self.walk.constant(operation.kind, name, makes, lambda: self._decompress(operation, reads, makes))
            return
        row = ROWS.get(operation.kind)
        refusal = None if row else REFUSED.get(operation.kind, "mpscnn does not know this operation")

        def convert() -> Sequence[str]:
            assert row is not None
            if is_main and self._is_preprocessing(operation, reads):
                return [self._tensor(reads[0])]
            if (colours := self._colours(operation, reads)) is not None:
                return [colours]
            if operation.kind == "image_to_tensor":
                self._photos[makes[0]] = reads[0]
            made = self._called(row, operation, reads)
            return [made] if isinstance(made, str) else list(made)

        computed = [one for one in reads if one not in self._stored and one not in self._constants]
        self.walk.layer(operation.kind, name, computed, makes, convert, refusal)

    def _is_preprocessing(self, operation: Operation, reads: Sequence[str]) -> bool:
        """Return True for an operation of the main graph that becomes part of the preprocessing."""
        if self.scaling is None:
            return False
        constant = [one in self._stored or one in self._constants for one in reads]
        values = zip(operation.operands, reads, constant, strict=True)
        computed = [
            blob if blob in self._pixels else f"%{number}"
            for number, blob, is_known in values
            if not is_known
        ]
        given = operation.stem, computed
        made = [f"%{number}" for number, _ in operation.results]
        if self._unpacking:
            kind, constants = self._unpacking[0]
            is_next = operation.kind == kind and all(constant[1:])
            if (
                is_next
                and [self._array(one).tolist() for one in reads[1:]] == constants
                and self.scaling.unpacks(*given, made)
            ):
                self._unpacking.pop(0)
            return False  # it stays in the network
        if (
            operation.kind == "reverse"
            and constant == [False, True]
            and self._array(reads[1]).tolist() == [1]
        ):
            return self.scaling.swaps(*given, made)
        if operation.kind not in _SCALINGS or constant != [False, True]:
            return False
        operand = self._array(reads[1])
        if operand.shape not in ((), *((1,) * rank for rank in range(5)), (1, _COLOURS, 1, 1)):
            return False
        return self.scaling.takes(*given, made, lambda: _SCALINGS[operation.kind](operand.reshape(-1)))

    def _colours(self, operation: Operation, reads: Sequence[str]) -> str | None:
        """Return the colours of a photo, if the operation takes them from its pixels; None for others."""
        photo = self._photos.get(reads[0]) if operation.kind == "slice" else None
        if photo is None or not all(one in self._stored or one in self._constants for one in reads[1:]):
            return None
        colours = COLOUR_PLACES[self._pixels[photo]]
        height, width = self._type(operation).extents[:2]
        wanted = [[0, 0, colours.start], [height, width, colours.stop], [1, 1, 1]]
        if [self._array(one).tolist() for one in reads[1:]] != wanted:
            return None
        return photo_colours(self.walk.builder, self.walk.builder.tensor(photo))

    def _called(self, row: Any, operation: Operation, reads: Sequence[str]) -> Any:
        settings: dict[str, Any] = {
            name: operation.attribute(name)
            for name in operation.attributes
            if name != _GROUPS and "." not in name
        }
        if operation.kind == "scan":  # the attribute is the number of the operation
            number = operation.attributes.get("scan_op", "").partition(" ")[0]
            settings["scan_op"] = dict(enumerate(_SCANS)).get(
                int(number) if number.isdecimal() else -1, number
            )
        if operation.kind == "image_to_tensor":
            settings["pixels"] = self._pixels.get(reads[0], "")
        if operation.kind in ("cast", "quantize"):
            settings["element"] = self._type(operation).element
        if operation.kind == "slice" and None not in (extents := self._type(operation).extents):
            settings["extents"] = extents
        if operation.kind == "split":
            settings["is_one"] = not self._array(reads[1]).shape
        if operation.regions and operation.kind == "scatter_nd":
            settings["region"] = operation.regions[0]
        given = {Builder: self.walk.builder}
        return call(row, reads, settings, self._operand, given)

    @staticmethod
    def _type(operation: Operation) -> TensorType:
        kind = tensor_type(operation.results[0][1]) if operation.results else None
        if kind is None:
            raise UnsupportedError("its result is not a tensor")
        return kind

    # ---- Operands ------------------------------------------------------------------------------------------------

    def _operand(self, parameter: Parameter, blob: str) -> Any:
        """Return an operand as a row takes it: a tensor of the graph, or constant numbers."""
        if parameter.kind is str:
            return self._tensor(blob)
        if blob in self._stored or blob in self._constants:
            numbers = self._array(blob).reshape(-1)
            if numbers.size > _MAX_NUMBERS:
                raise WeightsError(f"damaged: its {parameter.name} are {numbers.size} numbers")
            found = numbers.tolist()
        else:
            found = self.walk.builder.constant_integers(
                self.walk.builder.tensor(blob), f"its {parameter.name}"
            )
        if get_origin(parameter.kind) is tuple:
            return parameter.checked(found)
        if len(found) != 1:
            raise WeightsError(f"damaged: its {parameter.name} is {found[:8]}")
        if parameter.kind is float and isinstance(found[0], float) and not math.isnan(found[0]):
            return found[0]
        return parameter.checked(found[0])

    def _array(self, blob: str) -> NDArray[Any]:
        if blob not in self._constants:
            if blob not in self._stored:
                raise UnsupportedError("an operand is computed by the network, which is not supported")
            self._constants[blob] = self._stored[blob].array()
        return self._constants[blob]

    def _tensor(self, blob: str) -> str:
        if blob not in self._stored and blob not in self._constants:
            return self.walk.builder.tensor(blob)
        if blob not in self._tensors:
            values = self._array(blob)
            if values.dtype.kind != "b":
                values = values.astype(np.int64 if values.dtype.kind in "iu" else np.float32, copy=False)
            made = self.walk.builder.weight("weight", values)
            if blob in self._integers:
                self.walk.builder.note_integers(made, self._integers[blob])
            self._tensors[blob] = made
        return self._tensors[blob]

    def _decompress(self, operation: Operation, reads: Sequence[str], makes: Sequence[str]) -> list[str]:
        array, integers = decompressed(
            operation, [self._array(one) for one in reads], self.walk.builder.budget
        )
        self._constants[makes[0]] = array
        if integers is not None:
            self._integers[makes[0]] = integers
        return []
