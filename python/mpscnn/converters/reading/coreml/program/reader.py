"""Convert Core ML's programs to networks of mpscnn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mpscnn.converters.finishing.photo_settings import MAX_LABELS
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.features import ORDERS, Feature, feature, restore_settings
from mpscnn.converters.reading.coreml.file import CoremlFile
from mpscnn.converters.reading.coreml.inputs import describe_photos, input_shapes, plain_photo
from mpscnn.converters.reading.coreml.photo_scaling import PhotoScaling
from mpscnn.converters.reading.coreml.pipeline import PostProcessing
from mpscnn.converters.reading.coreml.program import types
from mpscnn.converters.reading.coreml.program.blocks import result_block
from mpscnn.converters.reading.coreml.program.constants import CONSTEXPR, Constant, Constants
from mpscnn.converters.reading.coreml.program.float_types import FloatTypes
from mpscnn.converters.reading.coreml.program.linear_and_reductions import scale_and_bias
from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.coreml.program.operations import REFUSED, ROWS
from mpscnn.converters.reading.coreml.program.row_calls import call_row
from mpscnn.converters.reading.coreml.segmenter import describe_segmenter, leave_out_search
from mpscnn.converters.reading.graph.builder import Builder, Extents
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.settings import state_scores

_MAIN = "main"


def read_program(
    file: CoremlFile, model: Any, options: ReadOptions, post_processing: PostProcessing | None = None
) -> Network:
    """Return the network of a model's main function."""
    function, description = _chosen_function(file, model, options.signature)
    features = {one.name: one for one in (feature(message, file.origin) for message in description.input)}
    inputs, whole = [], set()
    for given in function.inputs:
        if given.type.has("stateType"):
            raise UnsupportedError(
                f"keeps the state {quote_name(given.name)} between runs, which is not supported"
            )
        if not given.type.has("tensorType"):
            raise UnsupportedError(f"its input {quote_name(given.name)} is not a tensor")
        if types.is_integer(given.type):
            whole.add(given.name)
        extents = _input_extents(given, features.get(given.name))
        inputs.append((features.get(given.name, Feature(given.name, "array", extents)), extents))
    shapes = input_shapes(inputs, options, file.origin)
    builder = Builder(file.origin, shapes, name=options.name, size=lambda: file.size, whole=whole)
    walk = Walk(builder, file.origin)
    block = _block_of(function)
    walk.expect(sum(operation.type != "const" for operation in block.operations))
    photos = [one for one, _ in inputs]
    is_photo = len(photos) == 1 and photos[0].kind == "image"
    scaling = None
    if is_photo and not photos[0].is_float_image:
        scaling = PhotoScaling(photos[0].name, ORDERS[photos[0].color], _reads(block.operations))
    program = _Program(file, walk, FloatTypes(block.operations), scaling)
    for message in block.operations:
        program.add(message)
    described = [one.name for one in description.output if one.name in set(block.outputs)]
    outputs = program.outputs([*described, *block.outputs])
    if post_processing is not None:
        post_processing(program.walk, outputs)
    is_segmenter = is_photo and post_processing is None and leave_out_search(program.walk, outputs)
    network = program.walk.network_with_names({one: one for one in outputs}, options)
    if is_photo:
        describe_photos(
            network, photos, scaling.photo() if scaling is not None else plain_photo(photos[0]), file.origin
        )
    network.labels = program.labels
    if not options.outputs:
        if program.labels is not None:
            state_scores(network, "as is")
        restore_settings(network, model.description.metadata)
    if is_segmenter:
        describe_segmenter(network, model.description.metadata)
    return network


def _reads(operations: Sequence[Any]) -> Iterator[str]:
    """Yield the names of the values that the operations read."""
    for message in operations:
        for entry in message.inputs:
            yield from (one.name for one in entry.value.arguments)


def other_functions(model: Any, wanted: str | None) -> list[str]:
    """Return the names of a program's functions that are not read."""
    name = wanted or main_function_name(model)
    return [entry.key for entry in model.mlProgram.functions if entry.key != name]


def main_function_name(model: Any) -> str:
    """Return the name of the program's default function, or of its only one."""
    name: str = model.description.defaultFunctionName or _MAIN
    names = {entry.key for entry in model.mlProgram.functions}
    return names.pop() if name not in names and len(names) == 1 else name


def description_of(model: Any, wanted: str | None) -> Any:
    """Return the description of the inputs and outputs of a function; None: the program's default function."""
    name = wanted or main_function_name(model)
    return next((one for one in model.description.functions if one.name == name), model.description)


def _chosen_function(file: CoremlFile, model: Any, wanted: str | None) -> tuple[Any, Any]:
    """Return the wanted function or the program's default function, and the description of its inputs and outputs."""
    name = wanted or main_function_name(model)
    functions = {entry.key: entry.value for entry in model.mlProgram.functions}
    if name not in functions:
        known = ", ".join(quote_name(one) for one in list(functions)[:8]) or "none"
        if wanted is not None:
            raise ParameterError(
                f"{file.origin}: it has no function {quote_name(name)}; its functions: {known}"
            )
        raise WeightsError(f"damaged: it has no function {quote_name(name)}")
    described = description_of(model, wanted)
    if described.state:
        raise UnsupportedError(
            f"keeps the state {quote_name(described.state[0].name)} between runs, which is not supported"
        )
    return functions[name], described


def _block_of(function: Any) -> Any:
    """Return the block of operations for the opset that the function states."""
    blocks = {entry.key: entry.value for entry in function.block_specializations}
    if function.opset in blocks:
        return blocks[function.opset]
    if len(blocks) == 1:
        return next(iter(blocks.values()))
    raise WeightsError(f"damaged: it has no operations for {quote_name(function.opset)}")


def _input_extents(given: Any, described: Feature | None) -> Extents:
    """Return the shape of an input, with None for extents that allow several values."""
    extents = types.extents(given.type.tensorType)
    stated = (1, *described.extents) if described is not None and described.kind == "image" else ()
    if described is not None and described.kind == "array":
        stated = described.extents
    if len(stated) != len(extents):
        return extents
    return tuple(None if a is None else b for a, b in zip(stated, extents, strict=True))


class _Program:
    """Adds the operations of a program to a graph.

    Attributes:
        walk: converts the operations one by one.
        labels: the names of the classes of a classifier; None for other programs.
    """

    def __init__(self, file: CoremlFile, walk: Walk, types: FloatTypes, scaling: PhotoScaling | None) -> None:
        self.walk = walk
        self._types = types
        self._scaling = scaling
        self.labels: list[str] | None = None
        self._origin = file.origin
        self._constants = Constants(file)
        self._tensors: dict[str, str] = {}
        self._blocks: dict[str, tuple[int, int]] = {}
        self._classified: dict[str, str] = {}

    def add(self, message: Any) -> None:
        """Add an operation. Raises WeightsError if it contradicts itself."""
        if not message.type:
            raise WeightsError("damaged: it has an operation without a type")
        operation = Operation(self.walk.builder, self._constants, self._tensors, self._blocks, message)
        if operation.kind == "const":
            self._state(operation, lambda: [self._constants.value(self._stated(message))])
        elif operation.kind in CONSTEXPR:
            self._state(
                operation,
                lambda: self._constants.computed(operation.kind, operation.constants_given()),
            )
        elif operation.kind == "classify":
            self._classify(operation)
        else:
            self._convert(operation, message)

    @staticmethod
    def _stated(message: Any) -> Any:
        value = next((entry.value for entry in message.attributes if entry.key == "val"), None)
        if value is None:
            raise WeightsError("damaged: a constant without a value")
        return value

    def _state(self, operation: Operation, make: Callable[[], list[Constant]]) -> None:
        def convert() -> Sequence[str]:
            made = make()
            if len(operation.outputs) != len(made):
                raise WeightsError(
                    f"damaged: it has {len(operation.outputs)} results, where {operation.kind} has {len(made)}"
                )
            for name, constant in zip(operation.outputs, made, strict=True):
                self._constants.put(name, constant)
            return []

        self.walk.constant(operation.kind, operation.name, operation.outputs, convert)

    def _convert(self, operation: Operation, message: Any) -> None:
        row = ROWS.get(operation.kind)
        refusal = None if row else REFUSED.get(operation.kind, "mpscnn does not know this operation")

        def convert() -> Sequence[str]:
            assert row is not None
            if (block := result_block(operation)) is not None:
                self._blocks |= dict.fromkeys(operation.outputs, block)
            if self._scaling is not None and self._scaling.takes(
                operation.name, operation.reads, operation.outputs, lambda: scale_and_bias(operation)
            ):
                return [operation.tensor("x")]
            if self._types.keeps_float32(message):
                self.walk.builder.keep_float32()
            made = call_row(row, self.walk.builder, operation)
            if isinstance(made, str) and self._types.is_border(message):
                made = ops.cast_of_floats(self.walk.builder, made)
            return [made] if isinstance(made, str) else made

        self.walk.layer(operation.kind, operation.name, operation.reads, operation.outputs, convert, refusal)

    def _classify(self, operation: Operation) -> None:
        """Convert the classify operation at the end of a classifier: keep the names of the classes."""
        found = operation.texts("classes")
        if len(found) > MAX_LABELS or not operation.reads:
            raise WeightsError(f"damaged: {len(found)} classes of {len(operation.reads)} tensors")
        self.labels = found
        for output in operation.outputs:
            self._classified[output] = operation.reads[0]

    def outputs(self, names: Sequence[str]) -> list[str]:
        """Return the outputs of the program. For a classifier these are the probabilities."""
        wanted = list(dict.fromkeys(self._classified.get(name, name) for name in names))
        for name in set(self._classified.values()):
            self.walk.flatten(name)
        for name in wanted:
            if self._constants.holds(name):
                raise UnsupportedError(f"its output {quote_name(name)} is a constant")
        return wanted
