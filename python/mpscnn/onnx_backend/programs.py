"""Compile a model: one program for each combination of input shapes and of values that must be constants."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.simplify.simplifier import simplify
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.unsupported import UnsupportedLayersError
from mpscnn.converters.reading.onnx.file import file_from_model
from mpscnn.converters.reading.onnx.reader import Converted, converted
from mpscnn.converters.values.float32_intermediates import keep_intermediates
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import has_integer_tensors
from mpscnn.onnx_backend.models import BackendModel
from mpscnn.runtime.options import CompileOptions, RunOptions
from mpscnn.runtime.program import named_results
from mpscnn.runtime.session_pool import SessionPool

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]
_MAX_KEPT = 8


@dataclass(frozen=True)
class _Form:
    """One way to build a network from a model.

    Attributes:
        taken: the numbers of the model's inputs that are inputs of the network; the others become constants.
        has_batch: whether their first axis is the batch; otherwise the network computes everything as one image.
    """

    taken: tuple[int, ...]
    has_batch: bool


class _Compiled:
    """A program, with the input shapes and constants for which it was compiled."""

    def __init__(
        self, form: _Form, made: Converted, pool: SessionPool, inputs: Sequence[Array] | None
    ) -> None:
        self._form = form
        self._made = made
        self._pool = pool
        self._shapes = None if inputs is None else [array.shape for array in inputs]
        self._bound = {
            place: array.copy() for place, array in enumerate(inputs or ()) if place not in form.taken
        }

    def is_for(self, inputs: Sequence[Array]) -> bool:
        """Return True if the program can compute these inputs."""
        return self._shapes in (None, [array.shape for array in inputs]) and all(
            array.tobytes() == inputs[place].tobytes() for place, array in self._bound.items()
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Compute the model's outputs."""
        given = [
            np.asarray(layout.arranged(inputs[place]), np.float32)
            for layout, place in zip(self._made.inputs, self._form.taken, strict=True)
        ]
        with self._pool.session() as session:
            results = named_results(session, given[0] if len(given) == 1 else given).values()
        return [layout.restored(result) for layout, result in zip(self._made.outputs, results, strict=True)]


class BoundPrograms:
    """The programs of one model, of which the last few are kept.

    Args:
        model: the model.
        for_programs: the options for compiling.
        for_runs: the options for running.

    Raises UnsupportedError if the model cannot run for any input.
    """

    def __init__(self, model: BackendModel, for_programs: CompileOptions, for_runs: RunOptions) -> None:
        self._model = model
        self._for_programs, self._for_runs = for_programs, for_runs
        self._kept: deque[_Compiled] = deque(maxlen=_MAX_KEPT)
        self._lock = threading.Lock()
        if not any(port.is_data for port in model.inputs):
            raise UnsupportedError(f"{model.title}: it has no input of floats, which networks need")
        self._compile_early()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Compute the model's outputs. Raises UnsupportedError if mpscnn lacks something."""
        with self._lock:
            compiled = next((one for one in self._kept if one.is_for(inputs)), None)
            if compiled is None:
                compiled = self._first_of(_forms(self._model, inputs), inputs)
                self._kept.append(compiled)
        return self._model.typed(compiled.run(inputs))

    def _compile_early(self) -> None:
        """Compile a model whose inputs all are floats with known shapes, except for the batch."""
        ports = self._model.inputs
        shapes = [port.shape for port in ports if port.is_data]
        if len(shapes) < len(ports) or any(shape is None or None in shape[1:] for shape in shapes):
            return
        everything = tuple(range(len(ports)))
        forms = [_Form(everything, has_batch=True)]
        is_known = not any(None in (shape or ()) for shape in shapes)
        if is_known:
            forms.append(_Form(everything, has_batch=False))
        try:
            self._kept.append(self._first_of(forms, None))
        except UnsupportedError:
            if len(ports) == 1 and is_known:
                raise

    def _first_of(self, forms: Sequence[_Form], inputs: Sequence[Array] | None) -> _Compiled:
        """Compile the first form that mpscnn supports. If there is none, raise the first error that names layers."""
        errors: list[UnsupportedError] = []
        for form in forms:
            try:
                return self._compiled(form, inputs)
            except UnsupportedError as error:
                errors.append(error)
        named = [error for error in errors if isinstance(error, UnsupportedLayersError)]
        none = UnsupportedError(f"{self._model.title}: it has no input of floats with elements")
        raise next(iter([*named, *errors]), none)

    def _compiled(self, form: _Form, inputs: Sequence[Array] | None) -> _Compiled:
        """Compile the network of a form for these inputs. If there are none, use the shapes that the model states."""
        title, ports = self._model.title, self._model.inputs
        bound = {
            port.name: array
            for place, (port, array) in enumerate(zip(ports, inputs or (), strict=False))
            if place not in form.taken
        }
        shapes = {ports[place].name: inputs[place].shape for place in form.taken if inputs is not None}
        file = file_from_model(_with_constants(self._model.proto, bound), title)
        options = ReadOptions(title, shapes=shapes, outputs=file.outputs, has_batch=form.has_batch)
        made = converted(file, options)
        network = keep_intermediates(simplify(made.network))
        program = network.compile(**{**self._for_programs.to_dict(), "precision": self._precision(network)})
        return _Compiled(form, made, SessionPool(program, self._for_runs), inputs)

    def _precision(self, network: Network) -> str:
        """Return the precision in which the program computes what the file says, unless the caller chose one.

        A quantised file rounds to integers after each layer, and only int8 does that. Metal has no int8.
        """
        chosen = self._for_programs
        if chosen.precision != "auto":
            return chosen.precision
        return "int8" if chosen.device == "cpu" and has_integer_tensors(network) else "float32"


def _forms(model: BackendModel, inputs: Sequence[Array]) -> list[_Form]:
    """Return the forms to try, in order."""
    data = [
        place
        for place, (port, array) in enumerate(zip(model.inputs, inputs, strict=True))
        if port.is_data and array.size
    ]
    batched = [place for place in data if inputs[place].ndim > 1]
    alike = [place for place in batched if len(inputs[place]) == len(inputs[batched[0]])]
    found = [_Form(tuple(alike), has_batch=True), _Form(tuple(batched[:1]), has_batch=True)]
    found += [_Form(tuple(data), has_batch=False), _Form(tuple(data[:1]), has_batch=False)]
    return [form for form in dict.fromkeys(found) if form.taken]


def _with_constants(model: onnx.ModelProto, constants: Mapping[str, Array]) -> onnx.ModelProto:
    """Return the model with constants in place of inputs."""
    import onnx

    if not constants:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in constants.items()
    )
    return copy
