"""Convert modules, functions and exported programs of PyTorch to networks, through torch.export."""

from __future__ import annotations

import copy
import itertools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpscnn._private.arguments import require_bool
from mpscnn._private.expected_names import accept_foreign_arguments, conversion_hint
from mpscnn.converters.float32_intermediates import keep_intermediates
from mpscnn.converters.onnx_reader.file import OnnxFile
from mpscnn.converters.onnx_reader.reader import Converted, converted
from mpscnn.converters.pytorch.calls import Call, bind_call
from mpscnn.converters.pytorch.check import require_equal
from mpscnn.converters.pytorch.dynamic_shapes import require_free
from mpscnn.converters.pytorch.other_sizes import inputs_of_other_sizes
from mpscnn.converters.pytorch.packages import require_packages
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.simplify.simplifier import simplify
from mpscnn.converters.unsupported import CHOOSE_SHAPE, CHOOSE_SIZE, UnsupportedLayersError
from mpscnn.errors import ParameterError, UnsupportedError

if TYPE_CHECKING:
    from mpscnn.graph.network import Network

_FIXES = "Suggested fixes:"  # a line of PyTorch's messages
_ADVICE = ' For more information, run with TORCH_LOGS="+dynamic".'


@accept_foreign_arguments
def from_torch(
    module: Any,
    example_inputs: Any,
    *,
    name: str | None = None,
    fold: bool = True,
    check: bool = True,
    dynamic_shapes: Any = None,
) -> Network:
    """Convert a `torch.nn.Module`, or a function of tensors, to a network, without a file.

    torch.export traces the module in inference mode. Layers are named by the paths of their modules. Images at inputs,
    and results with four axes, become NHWC. The batch is free. All other extents are those of the example, unless
    `dynamic_shapes` makes them free. A module that is in training mode (which causes a warning), on a GPU, or not
    float32 is copied first. The preprocessing of photos is not known, so assign `Network.preprocess`
    ("torchvision" for most classifiers of torchvision).

    Args:
        module: a module or function that takes and returns tensors, or sequences or mappings of tensors.
        example_inputs: a tensor or array, or a sequence of them, with the shapes that the module takes: images are
            (n, channels, height, width). A `torch.nn.Parameter` among them, or a mapping of parameters as for
            `torch.func.functional_call`, becomes weights of the network instead of an input.
        name: the name of the network; None: that of the module's class.
        fold: True for inference: batch normalizations become part of the layers before them, and biases of zeros are
            left out. False for training: both stay layers, and exactly the parameters of the module are trained, under
            their names. Dropout is left out. A module that is called twice gets two copies of its weights, which are
            trained separately; that causes a warning.
        check: whether to run the network and the module on the example inputs on the CPU and compare the results. An
            input whose elements are all equal is replaced by random numbers. If the example is one image, the results
            for a batch of three are compared, too: each image must have the result that it has alone. If
            `dynamic_shapes` leaves sizes free, the results for one other size are compared, too, and for sizes at which
            the module may compute something else.
        dynamic_shapes: the free extents, as for `torch.export.export`: for each example input, in order or by the
            name of the argument, a mapping such as {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}, or None.
            For one input the mapping alone is enough. Height and width of images may be free.

    Raises:
        ParameterError: `module` cannot be called, an input is not a tensor or array, or `dynamic_shapes` does not fit
            the inputs.
        UnsupportedError: a package is missing or has a wrong version, torch.export cannot trace the module, or mpscnn
            does not support some layers (the message names all of them). With `fold=False` also if a parameter could
            not be trained, and with `check` if the module fails, a result differs from the module's, or the module
            combines or reorders the images of a batch.
    """
    require_packages()
    import torch

    is_module = isinstance(module, torch.nn.Module)
    hint = conversion_hint(module)
    if (not is_module and not callable(module)) or "from_keras" in hint:
        if isinstance(module, Mapping):
            hint = "; module.load_state_dict(weights) sets the weights of a module"
        raise ParameterError(
            f"from_torch: expected a torch.nn.Module or a function, got {type(module).__name__}{hint}"
        )
    own_name = type(module).__name__ if is_module else getattr(module, "__name__", "function")
    title = name or str(own_name)
    fold, check = require_bool("fold", fold), require_bool("check", check)
    call = bind_call(module, example_inputs, dynamic_shapes)
    inputs = _tensors(call.inputs)
    prepared = _for_inference(call.module, title)
    program = _exported(prepared, inputs, call, title)
    if call.free is not None:
        require_free(call.free, program, title)
    made, compared = _converted(program, inputs, title, fold=fold)
    if check and compared is not None:
        others = inputs_of_other_sizes(program, inputs, call.free) if call.free else ()
        del program  # it may hold another copy of the weights
        require_equal(compared, prepared, inputs, title, others)
    # For training, norms are not merged, so that each parameter stays in its layer.
    return keep_intermediates(simplify(made.network, merges_norms=fold))


def _converted(
    program: Any, inputs: Sequence[Any], title: str, *, fold: bool
) -> tuple[Converted, Converted | None]:
    """Return the network of a program, and a network that has the results of the program, see `_with_own_results`."""
    from mpscnn.converters.pytorch.exported_program import read_program

    with _quiet():
        read = read_program(program, title, learns=not fold)
    options = ReadOptions(title, parameters=None if fold else read.parameters)
    try:
        made = converted(read.file, options)
    except UnsupportedLayersError as error:
        raise UnsupportedLayersError(_advised(str(error), inputs), error.layers) from error
    except UnsupportedError as error:
        raise UnsupportedError(_advised(str(error), inputs)) from error
    made.network.notes += read.notes
    for note in made.network.notes:
        if note.startswith("parameter "):
            warnings.warn(f"{title}: {note}", stacklevel=4)
    return made, _with_own_results(made, read.file, options)


def _exported(module: Any, inputs: Sequence[Any], call: Call, title: str) -> Any:
    """Return the torch.export.ExportedProgram of a module.

    PyTorch's interpreter of bytecode (strict=True) traces some modules that a run of their code cannot trace.
    """
    import torch

    errors = []
    for strict in (False, True):
        try:
            with _quiet(), _separate_operators(), torch.no_grad():
                return _traced(module, tuple(inputs), call.dynamic_shapes, strict=strict)
        except Exception as error:  # the module's code and PyTorch's compiler may raise any error
            errors.append(error)
    raise UnsupportedError(f"{title}: torch.export cannot trace it: {_reason(errors[0])}") from errors[0]


def _traced(module: Any, inputs: tuple[Any, ...], shapes: Any, *, strict: bool) -> Any:
    """Call torch.export. If it suggests other free extents, call it again with these; `require_free` reports them."""
    import torch

    with torch.fx.experimental._config.patch(backed_size_oblivious=True):  # an extent of 1 may be free, too
        try:
            return torch.export.export(module, inputs, dynamic_shapes=shapes, strict=strict)
        except torch._dynamo.exc.UserError as error:
            try:
                refined = torch.export.dynamic_shapes.refine_dynamic_shapes_from_suggested_fixes(
                    error.msg, shapes
                )
            except Exception:  # there are no suggestions, or they do not fit the shapes
                raise error from None
            return torch.export.export(module, inputs, dynamic_shapes=refined, strict=strict)


def _advised(message: str, inputs: Sequence[Any]) -> str:
    """Return an error message with the advice for a module instead of that for a file."""
    for advice in (CHOOSE_SIZE, f"choose a shape with {CHOOSE_SHAPE}"):
        message = message.replace(advice, "leave it out of dynamic_shapes")
    if len(inputs) < 2:
        return message
    return f"{message}. An example input that is a torch.nn.Parameter becomes a weight instead of an input"


def _with_own_results(made: Converted, file: OnnxFile, options: ReadOptions) -> Converted | None:
    """Return a network with the same outputs as the module, to compare the two.

    The network of a recognised detector has boxes and scores as outputs instead. So the module is converted again with
    all its results as outputs. Return None if that is not supported.
    """
    if not made.network.source_ends:
        return made
    try:
        return converted(file, replace(options, outputs=file.outputs))
    except UnsupportedError:
        made.network.notes.append("not compared with the module, whose results are not those of the network")
        return None


def _tensors(given: Any) -> tuple[Any, ...]:
    """Return the example inputs as float32 tensors on the CPU."""
    import numpy as np
    import torch

    values: Sequence[Any] = given if isinstance(given, (tuple, list)) else (given,)
    tensors = []
    for number, value in enumerate(values):
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        if not isinstance(value, torch.Tensor):
            raise ParameterError(
                f"from_torch: example input {number} must be a tensor or an array, got {type(value).__name__}"
                f"{'; torch.rand(shape) is an example' if isinstance(value, int) else ''}"
            )
        tensors.append(value.detach().cpu().float() if value.is_floating_point() else value.detach().cpu())
    return tuple(tensors)


def _for_inference(module: Any, title: str) -> Any:
    """Return the module if it is in inference mode, on the CPU and in float32. Otherwise return a copy that is."""
    import torch

    training = any(part.training for part in module.modules())
    values = [*module.parameters(), *module.buffers()]
    elsewhere = any(
        value.device.type != "cpu" or (value.is_floating_point() and value.dtype != torch.float32)
        for value in values
    )
    if not training and not elsewhere:
        return module
    if training:
        warnings.warn(f"{title} is in training mode; converted is a copy after eval()", stacklevel=4)
    try:
        copied = copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise UnsupportedError(
            f"{title}: cannot be copied ({error}); call eval(), cpu() and float() before converting it"
        ) from error
    return copied.eval().cpu().float()


def _reason(error: BaseException) -> str:
    """Return the first line of the original error and its suggested fixes, without PyTorch's general advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines()]
    first = next(filter(None, lines), type(error).__name__).removesuffix(_ADVICE)[:300]
    if _FIXES not in lines:
        return first
    return " ".join([first, _FIXES, *itertools.takewhile(bool, lines[lines.index(_FIXES) + 1 :])])


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress log messages and warnings of PyTorch."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _separate_operators() -> Iterator[None]:
    """Let layers of transformers call the operators they are made of, instead of one fused operator of PyTorch."""
    import torch

    is_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fused)
