"""Convert ONNX files to networks.

Images (n, channels, height, width) become (n, height, width, channels). Transpositions and reshapes add no layers; they
only change the description of a tensor's layout (`converters.values.layout`). Elements are moved only if a layer needs
them in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mpscnn.converters.finishing.metadata_entries import OUTPUTS, describe, has_detection, listed_names
from mpscnn.converters.finishing.planned_names import PlannedNames
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.reading.onnx.completion import complete
from mpscnn.converters.reading.onnx.constants import Constants
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.conversion import Conversion
from mpscnn.converters.reading.onnx.detection import mark_detection, undecoded_note, unknown_boxes_note
from mpscnn.converters.reading.onnx.detector_postprocess import PostProcessing, candidates, required_nodes
from mpscnn.converters.reading.onnx.file import OnnxFile, read_onnx
from mpscnn.converters.reading.onnx.inputs import FileInput, add_batch, read_input, unify_batch
from mpscnn.converters.reading.onnx.integer_network import keep_integers
from mpscnn.converters.reading.onnx.layouts import InputLayout, OutputLayout
from mpscnn.converters.reading.onnx.outputs import Outputs
from mpscnn.converters.reading.onnx.parameters import Parameters
from mpscnn.converters.values.layout import Atom, batch_atom
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network


@dataclass(frozen=True)
class Converted:
    """The network of a file, and the layouts of the file's inputs and outputs.

    Attributes:
        network: the network.
        inputs: the layout of each input.
        outputs: the layout of each output. It is empty for a detector, whose outputs are not those of the file.
    """

    network: Network
    inputs: tuple[InputLayout, ...]
    outputs: tuple[OutputLayout, ...]


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a file. Raises the errors of `convert`, and those of opening the file."""
    return convert(read_onnx(only(paths)), options)


def convert(file: OnnxFile, options: ReadOptions, ready: Context | None = None) -> Network:
    """Return the network of a file; see `converted`."""
    return converted(file, options, ready).network


def converted(file: OnnxFile, options: ReadOptions, ready: Context | None = None) -> Converted:
    """Return the network of a file.

    Args:
        file: the file.
        options: the options of the conversion.
        ready: the file's nodes, if they are converted already. The context is used up.

    Raises:
        UnsupportedError: mpscnn does not support some nodes; the message names all of them.
        WeightsError: the file contradicts itself.
        ParameterError: the options name an input or output that the file does not have, or a shape that contradicts it.
    """
    options.check_inputs([described.name for described in file.inputs], file.origin)
    found = _found(file, options, ready)
    results = None if options.outputs else _wanted_outputs(file, options)
    describe(found.network, file.metadata, file.origin, results)
    return found


def _found(file: OnnxFile, options: ReadOptions, ready: Context | None) -> Converted:
    """Return the network of a file without the labels and settings of the file's metadata."""
    wanted = _wanted_outputs(file, options)
    notes: list[str] = []
    if not options.outputs and not has_detection(file.metadata):
        processing = PostProcessing(file, wanted)
        for heads in candidates(processing, file, wanted):
            with suppress(UnsupportedError):  # the conversion of the whole file below reports it again
                context, ready = ready or _converted(file, options, heads), None
                if mark_detection(context, processing, heads, notes):
                    keep_integers(context)
                    context.network.notes += [*file.notes, *context.notes]
                    context.network.source_ends = list(heads)
                    return Converted(context.network, context.input_layouts, ())
        wanted, more = _before_suppression(processing, wanted)
        notes = more or notes
    context = ready or _converted(file, options, wanted)
    if not (options.outputs or notes or has_detection(file.metadata)):
        notes = [note] if (note := unknown_boxes_note(context, wanted)) else []
    outputs = Outputs(context)
    for name in wanted:
        outputs.mark(name)
    complete(context)
    if wanted != file.outputs and not options.outputs:
        context.network.source_ends = wanted
    keep_integers(context)
    context.network.notes += [
        *file.notes,
        *notes,
        *context.notes,
        *filter(None, [undecoded_note(context.network)]),
    ]
    return Converted(context.network, context.input_layouts, tuple(outputs.layouts))


def _converted(file: OnnxFile, options: ReadOptions, wanted: Sequence[str]) -> Context:
    """Return a network that computes these tensors. They are not yet marked as its outputs.

    The first axis of each input is the batch. If this cannot be converted, and the axes have fixed extents, which are
    not all 1, the conversion is tried again with a batch of 1 added in front of all axes.
    """
    own = [read_input(file, described, options) for described in file.inputs]
    try:
        return _of_inputs(file, options, wanted, unify_batch(own, file))
    except UnsupportedError:
        batches = {one.extents[0] for one in own}
        if not options.has_batch or None in batches or batches <= {1}:
            raise
        with suppress(UnsupportedError):  # the first error describes the file better, so that one is raised
            return _of_inputs(file, options, wanted, [add_batch(one) for one in own])
        raise


def _of_inputs(
    file: OnnxFile, options: ReadOptions, wanted: Sequence[str], inputs: Sequence[FileInput]
) -> Context:
    if options.has_batch and not inputs:
        raise UnsupportedError(
            f"{file.origin}: it has no inputs, so its results are constants, which is not supported"
        )
    parameters = Parameters(options.parameters)
    context = begin(file, options, inputs, Constants(file, parameters), wanted, parameters)
    context.nodes = required_nodes(file, wanted)
    Conversion(context, context.nodes).run()
    return context


def begin(
    file: OnnxFile,
    options: ReadOptions,
    inputs: Sequence[FileInput],
    constants: Constants,
    wanted: Sequence[str] = (),
    parameters: Parameters | None = None,
) -> Context:
    """Return a context with a network that has these inputs and no layers."""
    batches = {one.extents[0] for one in inputs}
    names = PlannedNames()
    shapes = {}
    for one in inputs:
        is_image = len(inputs) == 1 and len(one.own) == 3
        shapes[names.unique("image" if is_image else one.name)] = one.own
    network = options.network(shapes, file.origin)
    batch = batch_atom(batches.pop()) if options.has_batch else None
    context = Context(network, file, constants, names, batch, frozenset(wanted), parameters)
    context.input_layouts = tuple(one.layout for one in inputs)
    named: dict[str, Atom] = {}
    described = {one.name: one.names for one in file.inputs}
    for one, tensor in zip(inputs, network.inputs, strict=True):
        plain = FileTensor.from_tensor(context.arranger, tensor)
        context.values[one.name] = _with_named_extents(one.seen(plain), described[one.name], named)
        if one.ends_free:
            context.notes.append(
                f"input {quote_name(tensor.name)} gets a last axis of extent 1, because that of a network is not free"
            )
    return context


def _with_named_extents(value: FileTensor, names: Sequence[str], known: dict[str, Atom]) -> FileTensor:
    """Return an input whose free extents equal those that have the same name in the file.

    Axes of one name have the same numbers, but an atom each: axes of equal extents are still different axes.
    """
    if len(names) != value.rank:
        return value
    same: dict[Atom, Atom] = {}
    for axis, name in zip(value.axes, names, strict=True):
        if name and len(axis) == 1 and axis[0].is_free and not axis[0].is_batch:
            like = known.setdefault(name, axis[0])
            same[axis[0]] = Atom(like.low, like.high)
    return value.with_atoms(same)


def written_heads(file: OnnxFile) -> list[str]:
    """Return the tensors that the suppression of a file of mpscnn reads; none for other files."""
    return listed_names(file.metadata, OUTPUTS) if has_detection(file.metadata) else []


def _wanted_outputs(file: OnnxFile, options: ReadOptions) -> list[str]:
    """Return the tensors to compute: those of the user; or the file's outputs, or what its suppression reads.

    The suppression that mpscnn writes is described in the metadata. Others are recognised later.
    """
    wanted = list(options.outputs) or written_heads(file)
    if not wanted:
        return file.outputs
    known = {name for node in file.nodes for name in node.outputs if name}
    for name in wanted:
        # A file's output may also be an input or a weight.
        if name not in known and name not in file.outputs:
            error = ParameterError if options.outputs else WeightsError
            raise error(f"{file.origin}: it has no tensor {quote_name(name)} to stop at")
    return wanted


def _before_suppression(processing: PostProcessing, wanted: list[str]) -> tuple[list[str], list[str]]:
    """Return the tensors at which the network ends, and notes for the user.

    If outputs are computed by a non-maximum suppression, they are replaced by the boxes and scores that it reads.
    """
    if not processing.suppressions:
        return wanted, []
    heads = dict.fromkeys(name for node in processing.suppressions for name in node.inputs[:2])
    if any(name in processing.made for name in heads):
        return wanted, []  # other selections come before; the conversion refuses them by name
    kept = [name for name in wanted if name not in processing.made and name not in heads]
    note = (
        f"{processing.suppressions[0].kind} and what follows it are left out: outputs are the boxes and scores that it "
        f"reads, {', '.join(map(quote_name, heads))}; their meaning is not in the file: give --detection "
        "(`mpscnn convert --help`)"
    )
    return [*kept, *heads], [note]
