"""Convert TensorFlow Lite files to networks.

In networks of quantised files, weights keep their integers with scale and zero point, and other constants are
dequantised. The quantizations of layers' results are kept, too, and precision "int8" computes in these integers. Other
precisions compute in floats and only clip results to the range that the integers can represent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from mpscnn.converters.finishing.integer_scales import quantized
from mpscnn.converters.finishing.metadata_entries import describe
from mpscnn.converters.finishing.photo_input import preprocess_of_normalized, preprocess_of_quantized
from mpscnn.converters.finishing.renaming import make_distinct, name_outputs
from mpscnn.converters.finishing.simplify.simplifier import simplify, simplify_before_integers
from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.opening.read_options import Extents, ReadOptions
from mpscnn.converters.opening.unsupported import MixedImagesError, UnsupportedLayers, UnsupportedLayersError
from mpscnn.converters.reading.tflite.constants import Constants
from mpscnn.converters.reading.tflite.conversion import Conversion
from mpscnn.converters.reading.tflite.file import FileOperator, TfliteFile, read_tflite
from mpscnn.converters.reading.tflite.operators import ROWS, unsupported_reason
from mpscnn.converters.reading.tflite.restored_layers import restored
from mpscnn.converters.reading.tflite.row_calls import call_row
from mpscnn.converters.reading.tflite.unscaled_integers import refuse_unscaled_integers
from mpscnn.converters.values.float32_intermediates import Operators
from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.values.layout import Atom, batch_atom, without_batch
from mpscnn.errors import Error, ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings, state_scores


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of some files. Raises the errors of `convert`, and those of opening the files."""
    return convert([read_tflite(path, options.signature) for path in paths], options)


def convert(files: Sequence[TfliteFile], options: ReadOptions) -> Network:
    """Return the network of one file, or of several files, each of which takes the results of the one before.

    Args:
        files: the parsed files.
        options: the options. Shapes are for inputs of the first file, and outputs are tensors of the last file.

    Raises:
        UnsupportedError: mpscnn does not support some layers; the message names all of them. WeightsError: a file
            contradicts itself. ParameterError: the options contradict the file's shapes, or name an input or output
            that it does not have.
    """
    files = [*files[:-1], _stopped(files[-1], options.outputs)]
    try:
        return _converted(files, options, has_batch=True)
    except UnsupportedError as error:
        if len(files) > 1 or not _may_lack_batch(files[0]):
            raise
        try:
            return _converted(files, options, has_batch=False)
        except UnsupportedLayersError:
            if isinstance(error, UnsupportedLayersError):
                raise error from None  # the first error describes the file better
            raise  # the first error is only about the batch, and this one names the layers
        except UnsupportedError:
            raise error from None


def _takes_any_batch(file: TfliteFile, options: ReadOptions) -> bool:
    """Return True if the file states shapes of one image, but its batch is free, and the caller did not choose 1."""
    for index in file.inputs:
        tensor = file.tensors[index]
        extents = _chosen(
            file, index, options, f"{file.origin}: input {quote_name(_input_name(file, index))}"
        )
        if tensor.shape[:1] == (1,) and extents[:1] != (1,):
            return True
    return False


def _may_lack_batch(file: TfliteFile) -> bool:
    """Return True if the inputs have fixed sizes, and the first axis of one of them is not a batch of 1."""
    shapes = [file.tensors[index].extents for index in file.inputs]
    return all(None not in shape for shape in shapes) and any(shape[:1] != (1,) for shape in shapes)


def _converted(files: Sequence[TfliteFile], options: ReadOptions, *, has_batch: bool) -> Network:
    """Convert as `convert` does.

    Without `has_batch`, the first axis of an input is not the batch, and the network's inputs get an additional first
    axis for it. So do inputs whose first axis has another extent than that of an input of one image.
    """
    names = LayerNames()
    network = options.network(_input_shapes(files[0], names, options, has_batch), files[0].origin)
    network.preprocess = _preprocess(files[0], network)
    network.labels = list(files[-1].metadata.labels) or None
    values, noted = list(network.inputs), dict[int, Grid | None]()
    any_batch = has_batch and _takes_any_batch(files[0], options)
    for file in files:
        if len(values) != len(file.inputs):
            raise WeightsError(
                f"{file.origin}: has {len(file.inputs)} inputs, the part before it {len(values)} outputs"
            )
        batch = _batch(file, has_batch=has_batch, any_batch=any_batch)
        converter = _FileConverter(network, file, names, batch, has_batch=has_batch)
        converter.integers.of_tensors = noted
        values = converter.run(values)
        network.detection = converter.detection
    stated = files[-1].output_names
    renamed = [  # results that are inputs, but have names of their own
        value
        for value, name in zip(values, stated, strict=False)
        if value in network.inputs and value.name != name and network.detection is None
    ]
    results = make_distinct(network, names, values, files[-1].origin, renamed)
    noted |= {
        own.index: noted[value.index]
        for own, value in zip(results, values, strict=True)
        if value.index in noted
    }
    for result in results:
        network.output(result)
    layers = network.layer_names()
    integers = {layers[number]: found for number, found in noted.items() if found is not None}
    network.notes += dict.fromkeys(note for file in files for note in file.notes)
    own = files[-1].metadata.own
    network = _written_by_mpscnn(network, files[-1], integers) if own else quantized(network, integers)
    if own:
        outputs = None if options.outputs else [one.name for one in network.outputs]
        describe(network, own, files[-1].origin, outputs)
    elif files[-1].metadata.are_probabilities and not options.outputs:
        state_scores(network, "as is")
    if own or network.detection is not None or len(stated) != len(network.outputs):
        return network
    return name_outputs(network, stated)


def _written_by_mpscnn(network: Network, file: TfliteFile, integers: Mapping[str, Grid]) -> Network:
    """Return the network that mpscnn has written as this file. `integers` has the quantizations of its tensors."""
    if len(network.outputs) > 1:  # the layers that prepare the choice of boxes are not needed
        needed = network.subgraph([tensor.name for tensor in network.outputs])
        copy_settings(network, needed)
        network = needed
    network = simplify_before_integers(network, integers) if integers else simplify(network)
    left = set(network.layer_names())
    network = restored(quantized(network, {name: own for name, own in integers.items() if name in left}))
    if integers:
        floats = {tensor.name for tensor in file.tensors if tensor.dtype == np.float32}
        network.keep_float32([node["name"] for node in network.to_dict()["nodes"] if node["name"] in floats])
    return network


def _stopped(file: TfliteFile, outputs: Sequence[str]) -> TfliteFile:
    """Return the file with these tensors as outputs, without the operators that they do not depend on."""
    if not outputs:
        return file
    made = dict(zip(file.output_names, file.outputs, strict=False))
    made |= {file.tensors[index].name: index for operator in file.operators for index in operator.outputs}
    for name in outputs:
        if name not in made:
            raise ParameterError(f"{file.origin}: it has no tensor {quote_name(name)} to stop at")
    needed = {made[name] for name in outputs}
    operators = []
    for operator in reversed(file.operators):
        if not needed.isdisjoint(operator.outputs):
            operators.append(operator)
            needed.update(operator.inputs)
    ends = tuple(made[name] for name in outputs)
    return replace(file, operators=operators[::-1], outputs=ends, output_names=())


def _input_shapes(
    file: TfliteFile, names: LayerNames, options: ReadOptions, has_batch: bool
) -> dict[str, Sequence[int | None]]:
    names_of = {index: _input_name(file, index) for index in file.inputs}
    known = dict.fromkeys([*names_of.values(), *(file.tensors[index].name for index in file.inputs)])
    options.check_inputs(list(known), file.origin)
    shapes: dict[str, Sequence[int | None]] = {}
    batched = _with_batch(file) if has_batch else frozenset()
    for index in file.inputs:
        tensor, name = file.tensors[index], names_of[index]
        where = f"{file.origin}: input {quote_name(name)}"
        if tensor.problem:
            raise UnsupportedError(f"{where}: {tensor.problem}")
        if index not in batched:
            shapes[names.unique(name or "input")] = tensor.shape or (1,)
            continue
        if len(tensor.shape) < 2:
            raise UnsupportedError(f"{where} has the shape {tensor.shape}, without a batch")
        extents = options.sized(_chosen(file, index, options, where), where)
        if extents[-1] is None:
            raise UnsupportedError(f"{where}: its number of channels is free; only height and width may be")
        is_image = len(file.inputs) == 1 and len(extents) == 4
        shapes[names.unique("image" if is_image else name or "input")] = extents[1:]
    return shapes


def _input_name(file: TfliteFile, index: int) -> str:
    return file.input_names.get(index) or file.tensors[index].name


def _chosen(file: TfliteFile, index: int, options: ReadOptions, where: str) -> Extents:
    """Return the shape of an input. The caller chooses it by the name in the signature, or by that of the tensor."""
    tensor, name = file.tensors[index], _input_name(file, index)
    return options.shape_of(name if name in options.shapes else tensor.name, tensor.extents, where) or ()


def _preprocess(file: TfliteFile, network: Network) -> dict[str, object] | None:
    """Return the preprocessing that the file states: 8-bit integer inputs are samples of the photo."""
    if len(file.inputs) != 1:
        return None
    tensor = file.tensors[file.inputs[0]]
    lowest = {"uint8": 0, "int8": -128}.get(tensor.dtype.name)
    if lowest is None:
        return preprocess_of_normalized(network, file.metadata.mean, file.metadata.deviation)
    if tensor.quantization is None:
        return preprocess_of_quantized(network, 1.0, 0, lowest) if lowest == 0 else None
    if tensor.quantization.scales.size != 1:
        return None
    scale, zero_point = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    return preprocess_of_quantized(network, float(scale), int(zero_point), lowest)


def _batch(file: TfliteFile, *, has_batch: bool, any_batch: bool) -> Atom:
    """Return the atom of a file's batch. Files state the number 1 for a free batch."""
    stated = next((file.tensors[index].shape[0] for index in _with_batch(file)), 1) if has_batch else 1
    is_free = any(0 in file.tensors[index].free_axes for index in file.inputs)
    return batch_atom(None if any_batch and is_free and stated == 1 else stated)


def _with_batch(file: TfliteFile) -> frozenset[int]:
    """Return the inputs whose first axis is the batch: all, or if their first axes differ, those of one image."""
    first = {index: file.tensors[index].shape[:1] for index in file.inputs}
    same = len(set(first.values())) == 1
    return frozenset(index for index, extents in first.items() if extents and (same or extents == (1,)))


class _FileConverter(Conversion):
    """Adds one file's layers to a network, and collects the unsupported ones."""

    def __init__(
        self, network: Network, file: TfliteFile, names: LayerNames, batch: Atom, *, has_batch: bool
    ) -> None:
        super().__init__(network, file, Constants(file), names, batch)
        self._with_batch = _with_batch(file) if has_batch else frozenset[int]()
        self._one = batch_atom(1) if batch.is_free else batch
        self._unsupported = UnsupportedLayers(file.origin)
        self._operators = Operators(network)
        # Results of unsupported operators, and all tensors that depend on them:
        self._missing: set[int] = set()

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        for index, value in zip(self.file.inputs, inputs, strict=True):
            extents = self.file.tensors[index].extents
            has_batch = index in self._with_batch
            expected = extents[1:] if has_batch else extents or (1,)
            if not _fits(value.shape[1:], expected):
                raise WeightsError(
                    f"{self.file.origin}: its input is {expected}, the part before it gives {value.shape[1:]}"
                )
            made = self.of_tensor(value, batch_first=has_batch)
            self.tensors[index] = made if extents else replace(made, axes=())
            self.integers.note(index, value)
        for operator in self.file.operators:
            if self._missing.isdisjoint(operator.inputs):
                self._convert_checked(operator)
            else:
                self._try_alone(operator)
        if self._unsupported:
            raise self._unsupported.error()
        if not any(self.integers.of_tensors.values()):
            self._operators.keep()
        return self.heads or [self._output(index) for index in self.file.outputs]

    def _output(self, index: int) -> Tensor:
        try:
            self.begin(index)
            value = self.computed(index)
            if value.rank > 1 if value.has_batch_first else self._batch_of([index]).high != 1:
                return self.tensor(value)
            if value.rank and not value.has_batch_first:
                name = quote_name(self.file.tensors[index].name)
                self.network.notes.append(
                    f"output {name} gets an axis for the batch, which the file leaves out"
                )
            groups = [without_batch(axis) for axis in value.axes[int(value.has_batch_first) :]]
            return self.arranger.physical(value, groups or [()])
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.file.origin}: its output: {error}") from error

    # ---- Operators -----------------------------------------------------------------------------------------------

    def _convert_checked(self, operator: FileOperator) -> None:
        name = self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"
        free = any(None in value.shape[1:] for value in self.network.inputs)
        if not self._unsupported.attempt(
            operator.kind, name, lambda: self._convert(operator), free_size=free
        ):
            self._missing.update(operator.outputs)
        made = {str(index): self.tensors.get(index) for index in operator.outputs}
        self._operators.ended({name: value.tensor.name for name, value in made.items() if value is not None})

    def _convert(self, operator: FileOperator) -> None:
        """Convert an operator for any number of images, or if its shapes hold for one image only, for one.

        Operators that mix images are refused, unless their operands are already those of one image.
        """
        batch = self._batch_of(operator.inputs)
        try:
            self._convert_for(operator, batch)
        except MixedImagesError:
            raise
        except (Error, ArithmeticError, LookupError, TypeError, ValueError):
            if not batch.is_free or self.tensors.keys().isdisjoint(operator.inputs):
                raise
            self._convert_for(operator, self._one)

    def _batch_of(self, tensors: Sequence[int]) -> Atom:
        """Return the batch of operands: that of one image if an operand holds for one image only."""
        given = (self.tensors[index] for index in tensors if index in self.tensors)
        is_one = any(not any(atom.is_batch and atom.is_free for atom in chain(*one.axes)) for one in given)
        return self._one if is_one else self.file_batch

    def _convert_for(self, operator: FileOperator, batch: Atom) -> None:
        kept = {index: self.tensors[index] for index in operator.inputs if index in self.tensors}
        self.arranger.batch = batch
        if batch is not self.file_batch:
            self.tensors |= {index: value.with_batch(batch) for index, value in kept.items()}
        try:
            self._convert_with_table(operator)
        finally:
            self.tensors |= kept
            self.arranger.batch = self.file_batch

    def _convert_with_table(self, operator: FileOperator) -> None:
        row = ROWS.get(operator.kind)
        if row is None:
            raise UnsupportedError(unsupported_reason(operator.kind))
        if not all(map(self.is_constant, operator.inputs)):
            refuse_unscaled_integers(self.file, operator)
        self.begin(operator.outputs[0], operator.kind)
        with self.reading_bytes(operator):
            made = call_row(row, self, operator)
            results = made if isinstance(made, Iterator) else iter([made])
            for output in operator.outputs:
                self.begin(output)
                value = next(results, None)
                if value is not None and output >= 0:
                    self.put(output, value)

    # ---- Unsupported operators -----------------------------------------------------------------------------------

    def _try_alone(self, operator: FileOperator) -> None:
        """Check whether an operator whose inputs could not be converted is supported itself.

        The error then names all unsupported operators. The check uses a separate network with inputs of the shapes that
        the file states.
        """
        self._missing.update(operator.outputs)
        try:
            given = [index for index in dict.fromkeys(operator.inputs) if index >= 0]
            needed = [index for index in given if not self.constants.holds(index)]
            shapes = {f"input {index}": self._stated_shape(index) for index in needed}
            network = Network(input=shapes or {"x": (1,)})
            alone = _FileConverter(network, self.file, LayerNames(), self._one, has_batch=True)
            alone.constants = self.constants
            for index, tensor in zip(needed, network.inputs, strict=False):
                alone.tensors[index] = alone.of_tensor(tensor)
            alone._convert_with_table(operator)
        except UnsupportedError as error:
            name = self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"
            self._unsupported.add(operator.kind, name, str(error))
        except (Error, ArithmeticError, LookupError, TypeError, ValueError):
            return  # the cause may be shapes that the file states wrongly, so nothing is reported

    def _stated_shape(self, index: int) -> Extents:
        return (
            self.tensors[index].shape[1:] if index in self.tensors else self.file.tensors[index].extents[1:]
        )


def _fits(given: Extents, expected: Extents) -> bool:
    return len(given) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(given, expected, strict=True)
    )
