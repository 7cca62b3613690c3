"""ONNX files as networks.

Images (n, channels, height, width) become (n, height, width, channels). Transpositions and reshapes are not layers but
another view (`converters.layout`); only where a layer needs elements in another order, they are moved.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from mpscnn.converters.layer_names import LayerNames, shown
from mpscnn.converters.layout import Axis, Value, batch_atom
from mpscnn.converters.onnx_reader.constants import Constants
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.detection import mark_detection, undecoded
from mpscnn.converters.onnx_reader.detector_postprocess import Tail, candidates, needed
from mpscnn.converters.onnx_reader.file import Described, OnnxFile
from mpscnn.converters.onnx_reader.fused_activation import begins_activation
from mpscnn.converters.onnx_reader.integer_network import keep_integers
from mpscnn.converters.onnx_reader.layouts import InputLayout, OutputLayout
from mpscnn.converters.onnx_reader.neurons import NEURONS
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operators import OPERATORS, reason_against
from mpscnn.converters.onnx_reader.parameters import Parameters
from mpscnn.converters.onnx_reader.response import begins_response
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unrounded import Operators
from mpscnn.converters.unsupported import UnsupportedLayers
from mpscnn.errors import Error, ParameterError, UnsupportedError
from mpscnn.graph.network import Network

Extents = tuple[int | None, ...]

_FLOATS = frozenset({"float", "float16", "bfloat16"})
_INTEGERS = frozenset({f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"bool"})
_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_MAX_RANK = 6  # of our tensors
# Operators that may come between an input and the transposition that shows the order of its axes.
_IN_BETWEEN = frozenset(
    {"Add", "Cast", "Div", "Identity", "Mul", "Sub", "QuantizeLinear", "DequantizeLinear"}
)
_MOST_IN_BETWEEN = 64


@dataclass(frozen=True)
class Converted:
    """The network of a file, and how the axes of its inputs and outputs are arranged in the file.

    Attributes:
        network: the network.
        inputs: the layout of each input.
        outputs: the layout of each output. It is None for a detector, whose outputs are not the file's.
    """

    network: Network
    inputs: tuple[InputLayout, ...]
    outputs: tuple[OutputLayout, ...]


def convert(file: OnnxFile, options: ReadOptions) -> Network:
    """Return the network of a file; see `converted`."""
    return converted(file, options).network


def converted(file: OnnxFile, options: ReadOptions) -> Converted:
    """Return the network of a file.

    Raises:
        UnsupportedError: names all nodes that mpscnn cannot express. WeightsError: the file contradicts itself.
            ParameterError: an input or output that it does not have, or another shape of it.
    """
    options.check_inputs([described.name for described in file.inputs], file.origin)
    wanted = _wanted_outputs(file, options)
    notes: list[str] = []
    if not options.outputs:
        tail = Tail(file, wanted)
        for heads in candidates(tail, file, wanted):
            with suppress(UnsupportedError):  # which the conversion of all of the file reports
                context = _converted(file, options, heads)
                if mark_detection(context, tail, heads, notes):
                    keep_integers(context)
                    context.network.notes += context.notes
                    context.network.source_ends = list(heads)
                    return Converted(context.network, context.input_layouts, ())
        wanted, more = _before_suppression(tail, wanted)
        notes = more or notes
    context = _converted(file, options, wanted)
    outputs = _Outputs(context)
    for name in wanted:
        outputs.mark(name)
    if wanted != file.outputs and not options.outputs:
        context.network.source_ends = wanted
    keep_integers(context)
    context.network.notes += [*notes, *context.notes, *filter(None, [undecoded(context.network)])]
    return Converted(context.network, context.input_layouts, tuple(outputs.layouts))


def _converted(file: OnnxFile, options: ReadOptions, wanted: Sequence[str]) -> Context:
    """Return a network that computes these tensors, none of which is an output yet.

    If the first axes of the inputs have fixed extents above 1 and cannot be the batch, the inputs are those of one
    image, and the network has a batch before them.
    """
    inputs = _with_one_batch([_input_of(file, described, options) for described in file.inputs], file)
    try:
        return _of_inputs(file, options, wanted, inputs)
    except UnsupportedError:
        if not (options.has_batch and inputs) or any(one.extents[0] in (None, 1) for one in inputs):
            raise
        with suppress(UnsupportedError):  # the first error is about the file as it is
            return _of_inputs(file, options, wanted, [_of_one_image(one) for one in inputs])
        raise


def _with_one_batch(inputs: list[_Input], file: OnnxFile) -> list[_Input]:
    """Give all inputs the same batch.

    If their first axes have different fixed extents, only inputs with an extent of 1 have a batch. The others get one.
    """
    batches = {one.extents[0] for one in inputs}
    if len(batches) == 1:
        return inputs
    if None in batches:
        raise UnsupportedError(
            f"{file.origin}: its inputs have different batches: {sorted(map(str, batches))}; choose one with --shape "
            "(shapes= in Python)"
        )
    return [one if one.extents[0] == 1 else _of_one_image(one) for one in inputs]


def _of_inputs(
    file: OnnxFile, options: ReadOptions, wanted: Sequence[str], inputs: Sequence[_Input]
) -> Context:
    batches = {one.extents[0] for one in inputs}
    names = LayerNames()
    shapes = {}
    for one in inputs:
        is_image = len(inputs) == 1 and len(one.own) == 3
        shapes[names.unique("image" if is_image else one.name)] = one.own
    network = options.network(shapes, file.origin)
    parameters = Parameters(options.parameters)
    batch = batch_atom(batches.pop()) if options.has_batch else None
    constants = Constants(file, parameters)
    context = Context(network, file, constants, names, batch, frozenset(wanted), parameters)
    context.input_layouts = tuple(one.layout for one in inputs)
    for one, tensor in zip(inputs, network.inputs, strict=True):
        plain = FileTensor.plain(context.arranger, tensor)
        context.values[one.name] = one.seen(plain)
    nodes = needed(file, wanted)
    _Conversion(context, nodes).run()
    try:
        context.notes += context.parameters.settle(network, nodes)
    except UnsupportedError as error:
        raise UnsupportedError(f"{file.origin}: {error}") from error
    return context


def _wanted_outputs(file: OnnxFile, options: ReadOptions) -> list[str]:
    if not options.outputs:
        return file.outputs
    known = {name for node in file.nodes for name in node.outputs if name}
    for name in options.outputs:
        if name not in known:
            raise ParameterError(f"{file.origin}: it has no tensor {shown(name)} to stop at")
    return list(options.outputs)


def _before_suppression(tail: Tail, wanted: list[str]) -> tuple[list[str], list[str]]:
    """Return the tensors at which the network ends, and notes for the user.

    If outputs are computed by a non-maximum suppression, they are replaced by the boxes and scores that it reads.
    """
    if not tail.suppressions:
        return wanted, []
    heads = dict.fromkeys(name for node in tail.suppressions for name in node.inputs[:2])
    if any(name in tail.made for name in heads):
        return wanted, []  # other nodes chose among the boxes before; the conversion refuses those by name
    kept = [name for name in wanted if name not in tail.made and name not in heads]
    note = (
        f"{tail.suppressions[0].kind} and what follows it are left out: outputs are the boxes and scores that it "
        f"reads, {', '.join(map(shown, heads))}; their meaning is not in the file: give --detection "
        "(docs/detection.md)"
    )
    return [*kept, *heads], [note]


# ---- Inputs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Input:
    name: str
    extents: Extents  # the file's
    own: Extents  # the network's, without the batch
    axes: tuple[int, ...]  # the file's axis i is axis axes[i] of the network's
    has_batch: bool = True  # whether the file's first axis is the batch; else its axes are those after it
    whole_numbers: bool = False  # whether the file takes integers

    @property
    def is_number(self) -> bool:
        """Whether the file's tensor has no axes."""
        return len(self.axes) == 1

    @property
    def layout(self) -> InputLayout:
        """Where the network's axes are in the file, the inverse of `axes`."""
        places = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return InputLayout(tuple(places), self.has_batch, len(self.axes) == len(self.own) + 1)

    def seen(self, plain: FileTensor) -> FileTensor:
        """Return the network's input as the file sees it."""
        if not plain.has_batch_first:  # a network without a batch
            own = replace(plain, axes=plain.axes[: len(self.axes) - 1])
            return own.as_whole_numbers() if self.whole_numbers else own
        value = replace(plain, axes=tuple(plain.axes[axis] for axis in self.axes))
        if self.is_number:
            value = replace(value, axes=())
        elif not self.has_batch:
            value = value.without_axes([0])
        return value.as_whole_numbers() if self.whole_numbers else value


def _of_one_image(one: _Input) -> _Input:
    """Return the input with a batch of 1 before its own axes."""
    if not one.has_batch or one.is_number:
        return one
    extents = (1, *one.extents)
    return replace(one, extents=extents, own=one.extents, axes=tuple(range(len(extents))), has_batch=False)


def _input_of(file: OnnxFile, described: Described, options: ReadOptions) -> _Input:
    where = f"{file.origin}: input {shown(described.name)}"
    if described.type == "string":
        raise UnsupportedError(f"{where} is text, which is not supported: give the network numbers")
    if described.type not in _FLOATS | _INTEGERS:
        raise UnsupportedError(
            f"{where} is of {described.type}; supported are float, float16, bfloat16 and integers"
        )
    if described.shape is None:
        shape = options.shape_of(described.name, None, where)
    else:
        shape = options.shape_of(described.name, described.shape, where)
    if shape is not None and len(shape) > _MAX_RANK:
        raise UnsupportedError(f"{where} has {len(shape)} axes; supported are {_MAX_RANK}")
    if shape is None:
        raise UnsupportedError(f"{where} has no stated shape: choose one with --shape (shapes= in Python)")
    whole_numbers = described.type in _INTEGERS
    if not options.has_batch:
        return replace(_without_batch(described.name, shape, where), whole_numbers=whole_numbers)
    made = _axes_of_input(file, described.name, shape, options, where)
    if made.own[-1] is None or (len(shape) != 4 and None in made.own):
        raise UnsupportedError(
            f"{where} is {shape}; only its batch, and height and width of images, may be free: choose a shape with "
            "--shape (shapes= in Python)"
        )
    return replace(made, whole_numbers=whole_numbers)


def _axes_of_input(file: OnnxFile, name: str, shape: Extents, options: ReadOptions, where: str) -> _Input:
    """Find out which of the file's axes is the batch, and which are those of an image."""
    if not shape:
        return _Input(name, (1,), (1,), (0,), has_batch=False)
    if len(shape) == 1:
        return _Input(name, (1, *shape), shape, (0, 1), has_batch=False)
    if len(shape) == 4:
        channels_first = shape[1] is not None and shape[3] is None  # the number of channels is never free
        nhwc = not channels_first and _is_nhwc(file, name)
        image = shape if nhwc else tuple(shape[axis] for axis in _TO_NHWC)
        image = options.sized(image, where)
        extents = image if nhwc else tuple(image[axis] for axis in _TO_NCHW)
        axes = (0, 1, 2, 3) if nhwc else _TO_NCHW
        return _Input(name, extents, image[1:], axes)
    if len(shape) == 3 and _gets_batch(file, name):
        shape = (1, *shape)
        image = options.sized(tuple(shape[axis] for axis in _TO_NHWC), where)
        return _Input(name, shape, image[1:], _TO_NCHW, has_batch=False)
    if len(shape) == 3 and _reaches(file, name, "Conv"):
        return _Input(name, shape, (1, shape[2], shape[1]), (0, 3, 2))
    if None not in shape and _gets_axis_first(file, name):
        return _Input(name, (1, *shape), shape, tuple(range(len(shape) + 1)), has_batch=False)
    return _Input(name, shape, shape[1:], tuple(range(len(shape))))


def _without_batch(name: str, shape: Extents, where: str) -> _Input:
    """Return an input for a file without a batch. All its axes are those of one image."""
    if None in shape or len(shape) >= _MAX_RANK:
        raise UnsupportedError(f"{where} is {shape}; supported are up to {_MAX_RANK - 1} known extents")
    return _Input(name, (1, *shape), shape or (1,), tuple(range(len(shape) + 1)), has_batch=False)


def _is_nhwc(file: OnnxFile, name: str) -> bool:
    """Return True if the first operation on an image transposes it to NCHW."""
    user = _first_user(file, name)
    return user is not None and user.kind == "Transpose" and tuple(user.integers("perm", ())) == _TO_NCHW


def _gets_batch(file: OnnxFile, name: str) -> bool:
    """Return True if the file adds the batch to an image (channels, height, width).

    Elementwise arithmetic may come before that.
    """
    return "Conv" in file.kinds and _gets_axis_first(file, name)


def _gets_axis_first(file: OnnxFile, name: str) -> bool:
    """Return True if the file adds a first axis to a tensor. Elementwise arithmetic may come before that."""
    user = _first_user(file, name)
    if user is None or user.kind != "Unsqueeze":
        return False
    given = user.input(1)
    if user.has("axes"):
        return user.integers("axes") == [0]
    constant = file.tensors.get(given) if given else None
    maker = file.makers.get(given) if given else None
    if constant is None and maker is not None and maker.kind == "Constant":
        constant = maker.attributes.get("value")
    return constant is not None and file.array(constant).reshape(-1).tolist() == [0]


def _reaches(file: OnnxFile, name: str, kind: str) -> bool:
    user = _first_user(file, name)
    return user is not None and user.kind == kind


def _first_user(file: OnnxFile, name: str) -> Node | None:
    """Return the first node that reads a tensor, or reads what elementwise arithmetic makes of it."""
    position = file.positions
    places = {position[id(node)] for node in file.users.get(name, ())}
    waiting = sorted(places)
    for _ in range(_MOST_IN_BETWEEN):
        if not waiting:
            break
        node = file.nodes[heapq.heappop(waiting)]
        if node.kind not in _IN_BETWEEN:
            return node
        users = {position[id(user)] for output in node.outputs for user in file.users.get(output, ())}
        for place in users - places:
            heapq.heappush(waiting, place)
        places |= users
    return None


# ---- Outputs -------------------------------------------------------------------------------------------------------


class _Outputs:
    """Marks values of the file as outputs of the network."""

    def __init__(self, context: Context) -> None:
        self._c = context
        self._marked: set[int] = {tensor.index for tensor in context.network.inputs}
        self._known_ends: dict[str, bool] = {}
        self.layouts: list[OutputLayout] = []

    def mark(self, name: str) -> None:
        c = self._c
        where = f"{c.file.origin}: its output {shown(name)}"
        try:
            value = c.constant(name) if c.is_constant(name) else c.value(name, whole_numbers=True)
            value = value.beginning_with_batch(c.arranger.batch)
            tensor = c.arranger.physical(value, self._axes(name, value))
        except UnsupportedError as error:
            raise UnsupportedError(f"{where}: {error}") from error
        if tensor.index in self._marked:
            tensor = c.network.activation(
                tensor, {"kind": "none"}, name=c.names.unique(c.file.layer_of(name))
            )
        self._marked.add(tensor.index)
        c.network.output(tensor)

    def _axes(self, name: str, value: Value) -> list[Axis]:
        """NHWC for images, unless the file has made them NHWC itself; the file's axes for other values."""
        batch = self._c.arranger.batch
        if batch is None:
            self.layouts.append(OutputLayout(tuple(range(value.rank)), has_batch=False))
            return list(value.axes) or [()]
        if not value.axes and batch.high == 1:
            self.layouts.append(OutputLayout((), has_batch=False))
            return [()]
        if not value.axes or not any(atom.is_batch for atom in value.axes[0]):
            raise UnsupportedError(f"{value.shown}: its first axis is not the batch")
        if not value.has_batch_first:
            if batch.high != 1:
                raise UnsupportedError(f"{value.shown}: its first axis is not the batch alone")
            self._c.notes.append(
                f"output {shown(name)} gets an axis for the batch, which the file leaves out"
            )
        own = [tuple(atom for atom in axis if not atom.is_batch) for axis in value.axes]
        plain = own[1:] if value.has_batch_first else own
        moves = value.rank == 4 and value.has_batch_first and not self._ends_in_nhwc(name)
        axes = _TO_NHWC if moves else tuple(range(value.rank))
        self.layouts.append(OutputLayout(axes, value.has_batch_first))
        if not plain:
            return [()]
        return [own[2], own[3], own[1]] if moves else plain

    def _ends_in_nhwc(self, name: str) -> bool:
        """Return True if the last operation on an image transposes it to NHWC, elementwise functions aside."""
        makers = self._c.file.makers
        way = []
        result = False
        while (node := makers.get(name)) is not None:
            if name in self._known_ends:
                result = self._known_ends[name]
                break
            way.append(name)
            if node.kind == "Transpose":
                result = tuple(node.integers("perm", ())) == _TO_NHWC
                break
            if node.kind not in _IN_BETWEEN and node.kind not in NEURONS and node.kind != "Softmax":
                break
            name = next((given for given in node.inputs if given in makers), "")
        self._known_ends |= dict.fromkeys(way, result)
        return result


# ---- Nodes ---------------------------------------------------------------------------------------------------------


class _Conversion:
    """Converts one node after the other, and collects those that cannot be."""

    def __init__(self, context: Context, nodes: Sequence[Node]) -> None:
        self._c = context
        self._nodes = nodes
        self._unsupported = UnsupportedLayers(context.file.origin)
        self._missing: set[str] = set()  # what could not be converted would compute, and all that needs it
        self._operators = Operators(context.network)
        self._free_size = any(None in tensor.shape[1:] for tensor in context.network.inputs)

    def run(self) -> None:
        """Convert all nodes. Constants are computed first, since a layer may read constants of later nodes."""
        early = {id(node) for node in self._nodes if self._compute_early(node)}
        for node in self._nodes:
            if id(node) in early:
                continue
            if not self._missing.isdisjoint(node.inputs):
                self._try_alone(node)
            elif id(node) not in self._c.merged:
                self._attempt(node)
        if self._unsupported:
            raise self._unsupported.error()
        if not any("Quantize" in node.kind or node.kind.startswith("QLinear") for node in self._nodes):
            self._operators.keep()

    def _compute_early(self, node: Node) -> bool:
        """Compute a node whose inputs are constants that other nodes state, not weights of the file.

        An example is a shape that is assembled from parts. Return True if nothing is left to do for the node.
        """
        if not self._c.constants.is_made_of_stated(node):
            return False
        self._c.begin(node)
        computed: list[bool] = []
        compute = self._c.constants.compute
        done = self._unsupported.attempt(
            node.kind, node.name, lambda: computed.append(compute(node)), free_size=self._free_size
        )
        if not done:
            self._missing.update(filter(None, node.outputs))
        return not done or computed == [True]

    def _attempt(self, node: Node) -> None:
        self._c.begin(node)
        known = len(self._c.values)
        if not self._unsupported.attempt(
            node.kind, node.name, lambda: self._convert_named(node), free_size=self._free_size
        ):
            self._missing.update(filter(None, node.outputs))
        made = itertools.islice(self._c.values.values(), known, None)
        self._operators.ended(value.tensor.name for value in made)

    def _convert_named(self, node: Node) -> None:
        """Convert a node. If that fails, the error names its parameters, which then could not be trained."""
        try:
            self._convert(node)
        except UnsupportedError as error:
            parameters = self._c.parameters.read_by(node)
            if not parameters:
                raise
            raise UnsupportedError(f"{error}; so {', '.join(parameters)} would not learn") from error

    def _convert(self, node: Node) -> None:
        if self._c.constants.compute(node):
            return
        if node.kind in ("Shape", "Size"):
            self._shape(node)
            return
        handler = OPERATORS.get(node.kind)
        if handler is None:
            raise UnsupportedError(reason_against(node.kind))
        if not (begins_activation(self._c, node) or begins_response(self._c, node)):
            self._c.put(node, handler(self._c, node))

    def _shape(self, node: Node) -> None:
        value = self._c.value(node.inputs[0], whole_numbers=True)
        both = [np.asarray(extents, np.int64) for extents in value.stand_ins()]
        if node.kind == "Size":
            both = [np.asarray(np.prod(extents), np.int64) for extents in both]
        else:
            start, end = node.integer("start", 0), node.integer("end", value.rank)
            both = [extents[start:end] for extents in both]
        self._c.constants.put(node.outputs[0], *both)

    def _try_alone(self, node: Node) -> None:
        """Try a node whose inputs could not be converted, since the error names all nodes that cannot."""
        self._missing.update(filter(None, node.outputs))
        handler = OPERATORS.get(node.kind)
        if handler is None:
            if node.kind not in ("Shape", "Size"):
                self._unsupported.add(node.kind, node.name, reason_against(node.kind))
            return
        alone = self._alone(node)
        if alone is None:
            return
        try:
            handler(alone, node)
        except UnsupportedError as error:
            self._unsupported.add(node.kind, node.name, str(error))
        except (Error, ArithmeticError, LookupError, TypeError, ValueError):
            return  # it may be what the file states of layers that were left out

    def _alone(self, node: Node) -> Context | None:
        """Return a network whose inputs are those of the node, or None if one of their shapes is not known."""
        shapes: dict[str, Extents] = {}
        for name in dict.fromkeys(node.inputs):
            if not name or self._c.is_constant(name):
                continue
            value = self._c.values.get(name)
            stated = self._c.file.stated.get(name)
            shape = value.shape if value is not None else stated.shape if stated is not None else None
            if shape is None or len(shape) < 2 or None in shape[1:]:
                return None
            shapes[name] = shape
        if self._c.arranger.batch is None:
            return None
        network = Network(input={name: self._own(shape) for name, shape in shapes.items()})
        c = self._c
        alone = Context(network, c.file, c.constants, LayerNames(), c.arranger.batch, c.results, c.parameters)
        alone.begin(node)
        for (name, shape), tensor in zip(shapes.items(), network.inputs, strict=True):
            made = FileTensor.of_image if len(shape) == 4 else FileTensor.plain
            alone.values[name] = made(alone.arranger, tensor)
        return alone

    @staticmethod
    def _own(shape: Extents) -> Extents:
        return tuple(shape[axis] for axis in _TO_NHWC)[1:] if len(shape) == 4 else shape[1:]
