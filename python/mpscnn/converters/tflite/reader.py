"""Convert TensorFlow Lite files to networks.

In networks of quantised files, weights keep their integers with scale and zero point, and other constants are
dequantised. The quantizations of layers' results are kept, too, and precision "int8" computes in these integers. Other
precisions compute in floats and only clip results to the range that the integers can represent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpscnn.converters.constant import Constant
from mpscnn.converters.duplicate_outputs import make_distinct
from mpscnn.converters.float32_intermediates import Operators
from mpscnn.converters.image_size import Extents
from mpscnn.converters.layer_names import LayerNames, quote_name
from mpscnn.converters.layout import trial_shapes, without_batch
from mpscnn.converters.photo_input import preprocess_of_normalized, preprocess_of_quantized
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.tflite.constant_operators import COMPUTED, compute
from mpscnn.converters.tflite.constants import Constants
from mpscnn.converters.tflite.context import Integers, OperatorReader
from mpscnn.converters.tflite.file import FileOperator, TfliteFile
from mpscnn.converters.tflite.operators import OPERATORS
from mpscnn.converters.tflite.unscaled_integers import refuse_unscaled_integers
from mpscnn.converters.tflite.unsupported_operators import unsupported_reason
from mpscnn.converters.unsupported import UnsupportedLayers, UnsupportedLayersError
from mpscnn.errors import Error, ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.graph.settings import state_scores


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
    if _takes_any_batch(files[0], options) and (made := _of_several_images(files, options)) is not None:
        return made
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
        where = f"{file.origin}: input {quote_name(tensor.name)}"
        extents = options.shape_of(tensor.name, tensor.extents, where) or ()
        if tensor.shape[:1] == (1,) and extents[:1] != (1,):
            return True
    return False


_SEVERAL = 7


def _of_several_images(files: Sequence[TfliteFile], options: ReadOptions) -> Network | None:
    """Return the network of files that take any batch, converted with the shapes of several images.

    With the stated shapes of one image, layers that combine or reorder images seem to do nothing with the batch. The
    result is None for other errors: shapes that are constants of the file may hold for one image only, and then the
    file takes only one.

    Raises UnsupportedLayersError for layers that combine or reorder images.
    """
    several = [_with_several_images(file) for file in files]
    shapes = {name: (_SEVERAL, *shape[1:]) for name, shape in options.shapes.items()}
    try:
        return _converted(several, replace(options, shapes=shapes), has_batch=True)
    except UnsupportedLayersError as error:
        mixing = UnsupportedLayers(files[0].origin)
        for layer in error.layers:
            if layer.mixes_images:
                mixing.add(layer.kind, layer.name, layer.reason)
        if mixing:
            raise mixing.error() from None
    except Error:
        pass
    return None


def _with_several_images(file: TfliteFile) -> TfliteFile:
    """Return the file with a batch of several images in the shapes of all tensors whose first extent is free."""
    tensors = [
        replace(tensor, shape=(_SEVERAL, *tensor.shape[1:]), free_axes=tensor.free_axes - {0})
        if 0 in tensor.free_axes and tensor.shape[0] == 1
        else tensor
        for tensor in file.tensors
    ]
    return replace(file, tensors=tensors)


def _may_lack_batch(file: TfliteFile) -> bool:
    """Return True if the inputs have fixed sizes, and the first axis of one of them is not a batch of 1."""
    shapes = [file.tensors[index].extents for index in file.inputs]
    return all(None not in shape for shape in shapes) and any(shape[:1] != (1,) for shape in shapes)


def _converted(files: Sequence[TfliteFile], options: ReadOptions, *, has_batch: bool) -> Network:
    """Convert as `convert` does.

    Without `has_batch`, the first axis of an input is not the batch, and the network's inputs get an additional first
    axis for it.
    """
    names = LayerNames()
    network = options.network(_input_shapes(files[0], names, options, has_batch), files[0].origin)
    network.preprocess = _preprocess(files[0], network)
    network.labels = list(files[-1].metadata.labels) or None
    if len(files) == 1 and files[0].subgraph != 0:  # LiteRT's interpreter would run subgraph 0
        network.source_ends = [files[0].tensors[index].name for index in files[0].outputs]
    values, noted = list(network.inputs), dict[int, Integers | None]()
    for file in files:
        if len(values) != len(file.inputs):
            raise WeightsError(
                f"{file.origin}: has {len(file.inputs)} inputs, the part before it {len(values)} outputs"
            )
        converter = _FileConverter(network, file, names, has_batch=has_batch)
        converter.integers = noted
        values = converter.run(values)
        network.detection = converter.detection
    results = make_distinct(network, names, values)
    noted |= {
        own.index: noted[value.index]
        for own, value in zip(results, values, strict=True)
        if value.index in noted
    }
    for number, integers in noted.items():
        if integers is not None:
            network.graph.quantize(number, *integers)
    _quantize_moves(network)
    for result in results:
        network.output(result)
    if files[-1].metadata.are_probabilities and not options.outputs:
        state_scores(network, "as is")
    return network


_MOVES = {"channel_shuffle", "gather", "reshape", "slice", "tile", "transpose"}


def _quantize_moves(network: Network) -> None:
    """Give inserted layers that only move elements the quantization of their input."""
    structure = network.to_dict()
    known = {
        entry["name"]: entry["quantization"]
        for entry in (*structure["inputs"], *structure["nodes"])
        if "quantization" in entry
    }
    for node in structure["nodes"]:
        name, source = node["name"], node["inputs"][0] if node["inputs"] else None
        if node["operation"] in _MOVES and name not in known and source in known:
            known[name] = known[source]
            integers = known[name]
            network.quantize(name, integers["type"], integers["scale"], integers["zero_point"])


def _stopped(file: TfliteFile, outputs: Sequence[str]) -> TfliteFile:
    """Return the file with these tensors as outputs, without the operators that they do not depend on."""
    if not outputs:
        return file
    made = {file.tensors[index].name: index for operator in file.operators for index in operator.outputs}
    for name in outputs:
        if name not in made:
            raise ParameterError(f"{file.origin}: it has no tensor {quote_name(name)} to stop at")
    needed = {made[name] for name in outputs}
    operators = []
    for operator in reversed(file.operators):
        if not needed.isdisjoint(operator.outputs):
            operators.append(operator)
            needed.update(operator.inputs)
    return replace(file, operators=operators[::-1], outputs=tuple(made[name] for name in outputs))


def _input_shapes(
    file: TfliteFile, names: LayerNames, options: ReadOptions, has_batch: bool
) -> dict[str, Sequence[int | None]]:
    options.check_inputs([file.tensors[index].name for index in file.inputs], file.origin)
    shapes: dict[str, Sequence[int | None]] = {}
    for index in file.inputs:
        tensor = file.tensors[index]
        where = f"{file.origin}: input {quote_name(tensor.name)}"
        if tensor.problem:
            raise UnsupportedError(f"{where}: {tensor.problem}")
        if not has_batch:
            shapes[names.unique(tensor.name or "input")] = tensor.shape or (1,)
            continue
        if len(tensor.shape) < 2:
            raise UnsupportedError(f"{where} has the shape {tensor.shape}, without a batch")
        extents = options.sized(options.shape_of(tensor.name, tensor.extents, where) or (), where)
        if extents[-1] is None:
            raise UnsupportedError(f"{where}: its number of channels is free; only height and width may be")
        is_image = len(file.inputs) == 1 and len(extents) == 4
        shapes[names.unique("image" if is_image else tensor.name or "input")] = extents[1:]
    return shapes


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


class _FileConverter(OperatorReader):
    """Adds one file's layers to a network, and collects the unsupported ones."""

    def __init__(self, network: Network, file: TfliteFile, names: LayerNames, *, has_batch: bool) -> None:
        super().__init__(network, file, Constants(file), names, has_batch=has_batch)
        self._has_batch = has_batch
        self._unsupported = UnsupportedLayers(file.origin)
        self._operators = Operators(network)
        # Results of unsupported operators, and all tensors that depend on them:
        self._missing: set[int] = set()

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        for index, value in zip(self.file.inputs, inputs, strict=True):
            extents = self.file.tensors[index].extents
            expected = extents[1:] if self._has_batch else extents or (1,)
            if not _fits(value.shape[1:], expected):
                raise WeightsError(
                    f"{self.file.origin}: its input is {expected}, the part before it gives {value.shape[1:]}"
                )
            self.values[index] = self.of_tensor(value, batch_first=self._has_batch)
            if not extents:
                self.values[index] = replace(self.values[index], axes=())
            self.note_integers(index)
        for operator in self.file.operators:
            if self._missing.isdisjoint(operator.inputs):
                self._convert_checked(operator)
            else:
                self._try_alone(operator)
        if self._unsupported:
            raise self._unsupported.error()
        if not any(self.integers.values()):
            self._operators.keep()
        return self.heads or [self._output(index) for index in self.file.outputs]

    def _output(self, index: int) -> Tensor:
        try:
            self.begin(index)
            value = self.seen(index)
            if value.rank > 1 if value.has_batch_first else self.batch != 1:
                return self.value(index)
            if value.rank and not value.has_batch_first:
                name = quote_name(self.file.tensors[index].name)
                self.network.notes.append(
                    f"output {name} gets an axis for the batch, which the file leaves out"
                )
            groups = [without_batch(axis) for axis in value.axes[int(value.has_batch_first) :]]
            return self.arranger.physical(value, groups or [()])
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.file.origin}: its output: {error}") from error

    def _convert_checked(self, operator: FileOperator) -> None:
        name, free = self.name_of(operator), any(None in value.shape[1:] for value in self.network.inputs)
        if not self._unsupported.attempt(
            operator.kind, name, lambda: self._convert(operator), free_size=free
        ):
            self._missing.update(operator.outputs)
        made = (self.values.get(index) for index in operator.outputs)
        self._operators.ended(value.tensor.name for value in made if value is not None)

    def _convert(self, operator: FileOperator) -> None:
        if operator.kind == "SHAPE":
            self.constants.put(operator.outputs[0], self._shape_of(operator.inputs[0]))
            return
        if operator.kind == "RANK":
            rank = len(self.file.tensors[operator.inputs[0]].shape)
            self.constants.put_array(operator.outputs[0], np.array(rank, np.int64))
            return
        given = [index for index in operator.inputs if index >= 0]
        if given and operator.kind in COMPUTED and all(map(self.constants.holds, given)):
            operands = [constant for index in given if (constant := self.constants.find(index)) is not None]
            self.constants.put(operator.outputs[0], compute(self, operator, operands))
            return
        handler = OPERATORS.get(operator.kind)
        if handler is None:
            raise UnsupportedError(unsupported_reason(operator.kind))
        refuse_unscaled_integers(self.file, operator)
        self.begin(operator.outputs[0], operator.kind)
        with self.reading_bytes(operator):
            self.put(operator, handler(self, operator))

    def _shape_of(self, index: int) -> Constant:
        """Return a tensor's shape, with the file's own batch."""
        known = self.values.get(index)
        axes = self.arranger.atoms(self.file.tensors[index].extents) if known is None else known.axes
        return Constant.of_extents(trial_shapes(axes), self.constants.budget)

    # ---- Unsupported operators ---------------------------------------------------------------------------

    def _refuse(self, operator: FileOperator, reason: str) -> None:
        self._unsupported.add(operator.kind, self.name_of(operator), reason)
        self._missing.update(operator.outputs)

    def _try_alone(self, operator: FileOperator) -> None:
        """Check whether an operator whose inputs could not be converted is supported itself.

        The error then names all unsupported operators. The check uses a separate network with inputs of the shapes that
        the file states.
        """
        self._missing.update(operator.outputs)
        handler = OPERATORS.get(operator.kind)
        if handler is None:
            if operator.kind not in COMPUTED:  # it might have only constant operands
                self._refuse(operator, unsupported_reason(operator.kind))
            return
        try:
            refuse_unscaled_integers(self.file, operator)
            given = [index for index in dict.fromkeys(operator.inputs) if index >= 0]
            needed = [index for index in given if not self.constants.holds(index)]
            shapes = {f"input {index}": self._stated_shape(index) for index in needed}
            alone = OperatorReader(Network(input=shapes), self.file, self.constants, LayerNames())
            alone.begin(operator.outputs[0], operator.kind)
            alone.values = {
                index: alone.of_tensor(tensor)
                for index, tensor in zip(needed, alone.network.inputs, strict=True)
            }
            alone.put(operator, handler(alone, operator))
        except UnsupportedError as error:
            self._refuse(operator, str(error))
        except (Error, ArithmeticError, LookupError, TypeError, ValueError):
            return  # the cause may be shapes that the file states wrongly, so nothing is reported

    def _stated_shape(self, index: int) -> Extents:
        return self.values[index].shape[1:] if index in self.values else self.file.tensors[index].extents[1:]


def _fits(given: Extents, expected: Extents) -> bool:
    return len(given) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(given, expected, strict=True)
    )
