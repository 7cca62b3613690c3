"""Convert modules, functions and exported programs of PyTorch to networks, through torch.export."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mpscnn._private.arguments import require_bool
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.installation import install_command
from mpscnn._private.other_arguments import accept_foreign_arguments, conversion_hint
from mpscnn.converters.finishing.simplify.simplifier import simplify
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.opening.unsupported import (
    CHOOSE_EXTENTS,
    CHOOSE_SHAPE,
    CHOOSE_SIZE,
    ONE_IMAGE,
    REPLACE_IN_MODULE,
    STOP_BEFORE,
    UnsupportedLayersError,
)
from mpscnn.converters.reading.onnx.file import OnnxFile
from mpscnn.converters.reading.onnx.reader import Converted, converted
from mpscnn.converters.reading.pytorch.calls import bind_call
from mpscnn.converters.reading.pytorch.check import require_equal
from mpscnn.converters.reading.pytorch.dynamic_shapes import require_free
from mpscnn.converters.reading.pytorch.other_sizes import inputs_of_other_sizes
from mpscnn.converters.reading.pytorch.program_calls import program_call
from mpscnn.converters.reading.pytorch.tracing import (
    example_tensors,
    exported,
    for_inference,
    without_messages,
)
from mpscnn.converters.values.float32_intermediates import keep_intermediates
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network


@accept_foreign_arguments
def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    input_shape: Sequence[int] | None = None,
    name: str | None = None,
    fold: bool = True,
    check: bool = True,
    dynamic_shapes: Any = None,
) -> Network:
    """Convert a module, a function of tensors or an exported program of PyTorch to a network, without a file.

    torch.export traces the module in inference mode. Layers are named by the paths of their modules. Images at inputs,
    and results with four axes, become NHWC. The batch is free. All other extents are those of the example, unless
    `dynamic_shapes` makes them free. A module that is in training mode (which causes a warning), on a GPU, or not
    float32 is copied first. The preprocessing of photos is not known, so assign `Network.preprocess`
    ("torchvision" for most classifiers of torchvision). SSD, RetinaNet and FCOS of torchvision become detectors with
    anchors, suppression of boxes and preprocessing (docs/detection.md).

    Args:
        module: a module or function that takes and returns tensors, or sequences or mappings of tensors; or a
            `torch.export.ExportedProgram`, which has example inputs and free extents of its own.
        example_inputs: a tensor or array, or a sequence of them, with the shapes that the module takes: images are
            (n, channels, height, width). A `torch.nn.Parameter` among them, or a mapping of parameters as for
            `torch.func.functional_call`, becomes weights of the network instead of an input. An exported program needs
            none.
        input_shape: the shape of an example of random numbers, such as (1, 3, 224, 224), instead of `example_inputs`.
        name: the name of the network; None: that of the module's class.
        fold: True for inference: batch normalizations become part of the layers before them, and biases of zeros are
            left out. False for training: both stay layers, and exactly the parameters of the module are trained, under
            their names. Dropout is left out. A module that is called twice gets two copies of its weights, which are
            trained separately; that causes a warning.
        check: whether to run the network and the module on the example inputs on the CPU and compare the results. An
            input whose elements are all equal is replaced by random numbers. The results for a batch of three images
            are compared, too: each image must have the result that it has alone. If it has not, and the example has
            several images, the whole batch becomes one input of the network. If
            `dynamic_shapes` leaves sizes free, the results for one other size are compared, too, and for sizes at which
            the module may compute something else.
        dynamic_shapes: the free extents, as for `torch.export.export`: for each example input, in order or by the
            name of the argument, a mapping such as {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}, or None.
            For one input the mapping alone is enough. Height and width of images may be free.

    Raises:
        ParameterError: `module` cannot be called, an input is not a tensor or array, or `dynamic_shapes` does not fit
            the inputs.
        UnsupportedError: a package is missing or has a wrong version, torch.export cannot trace the module, or mpscnn
            does not support some layers (the message names all of them), or its results depend on a buffer or an
            attribute that it changes. With `fold=False` also if a parameter could
            not be trained, and with `check` if the module fails, a result differs from the module's, or the module
            combines or reorders the images of a batch.
    """
    require_packages()
    import torch

    from mpscnn.converters.reading.pytorch.kept_values import restored
    from mpscnn.converters.reading.pytorch.state import require_no_state
    from mpscnn.converters.reading.pytorch.torchvision_detectors import torchvision_detector

    fold, check = require_bool("fold", fold), require_bool("check", check)
    detector = None
    if isinstance(module, torch.export.ExportedProgram):
        call = program_call(module, example_inputs, dynamic_shapes)
        title = name or "program"
        program, prepared, inputs = module, call.module, call.inputs
    else:
        title = name or _name_of(module)
        if example_inputs is None and input_shape is not None:
            example_inputs = torch.rand(tuple(input_shape), generator=torch.Generator().manual_seed(0))
        if example_inputs is None:
            raise ParameterError(
                "from_torch: example_inputs are needed; torch.rand(1, 3, 224, 224) is an example for a photo, and "
                "input_shape=(1, 3, 224, 224) makes one"
            )
        detector = torchvision_detector(module, example_inputs, dynamic_shapes, title)
        if detector is not None:
            module, example_inputs = detector.module, detector.example
        call = bind_call(module, example_inputs, dynamic_shapes)
        inputs = example_tensors(call.inputs)
        prepared = for_inference(call.module, title)
        with restored(prepared):
            program = exported(prepared, inputs, call, title)
        if call.free is not None:
            require_free(call.free, program, title)
    require_no_state(program, title)
    made, compared = _converted(program, inputs, title, fold=fold)
    # For training, norms are not merged, so that each parameter stays in its layer.
    network = simplify(made.network, merges_norms=fold)
    if check and compared is not None:
        same = network if compared is made else simplify(compared.network, merges_norms=fold)
        others = inputs_of_other_sizes(program, inputs, call.free) if call.free else ()
        several = any(
            one.has_batch and len(given) > 1 for one, given in zip(compared.inputs, inputs, strict=True)
        )
        whole = partial(_of_whole_batch, program, prepared, inputs, title, fold=fold) if several else None
        del program  # it may hold another copy of the weights
        try:
            require_equal(replace(compared, network=same), prepared, inputs, title, others)
        except UnsupportedError:
            # A module that counts or combines images fits a network whose input is the whole batch of the example.
            if whole is None or (found := whole()) is None:
                raise
            network = found
    if detector is not None:
        detector.complete(network)
    return keep_intermediates(network)


def _of_whole_batch(
    program: Any, module: Any, inputs: Sequence[Any], title: str, *, fold: bool
) -> Network | None:
    """Return a network whose input is the whole batch of the example; None if it differs from the module."""
    try:
        made, compared = _converted(program, inputs, title, fold=fold, has_batch=False)
        network = simplify(made.network, merges_norms=fold)
        if compared is not made:
            return None
        require_equal(replace(made, network=network), module, inputs, title)
    except UnsupportedError:
        return None
    network.notes.append(
        "the whole batch of the example is one input, because the module counts or combines its images"
    )
    return network


def _name_of(module: Any) -> str:
    """Return the name of a module's class, or of a function. Raises ParameterError for other values."""
    import torch

    is_module = isinstance(module, torch.nn.Module)
    if isinstance(module, torch.jit.ScriptModule):
        raise UnsupportedError(
            "from_torch: a TorchScript program is not converted; give the module from which torch.jit made it"
        )
    hint = conversion_hint(module)
    if (not is_module and not callable(module)) or "from_keras" in hint:
        if isinstance(module, Mapping):
            hint = "; module.load_state_dict(weights) sets the weights of a module"
        raise ParameterError(
            f"from_torch: expected a torch.nn.Module or a function, got {type(module).__name__}{hint}"
        )
    return str(type(module).__name__ if is_module else getattr(module, "__name__", "function"))


def _converted(
    program: Any, inputs: Sequence[Any], title: str, *, fold: bool, has_batch: bool = True
) -> tuple[Converted, Converted | None]:
    """Return the network of a program, and a network that has the results of the program, see `_with_own_results`."""
    from mpscnn.converters.reading.pytorch.exported_program import read_program

    with without_messages():
        read = read_program(program, title, learns=not fold)
    options = ReadOptions(title, parameters=None if fold else read.parameters, has_batch=has_batch)
    try:
        made = converted(read.file, options)
    except UnsupportedLayersError as error:
        raise UnsupportedLayersError(_advised(str(error), inputs), error.layers) from error
    except UnsupportedError as error:
        raise UnsupportedError(_advised(str(error), inputs)) from error
    made.network.notes += read.notes
    for note in made.network.notes:
        if note.startswith("parameter "):
            warn_caller(f"{title}: {note}")
    return made, _with_own_results(made, read.file, options)


def _advised(message: str, inputs: Sequence[Any]) -> str:
    """Return an error message with the advice for a module instead of that for a file."""
    for advice in (CHOOSE_SIZE, CHOOSE_EXTENTS, f"choose a shape with {CHOOSE_SHAPE}"):
        message = message.replace(advice, "leave it out of dynamic_shapes")
    for advice in (STOP_BEFORE, ONE_IMAGE):
        message = message.replace(advice, REPLACE_IN_MODULE)
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


_NEEDED = ("torch",)


def require_packages() -> None:
    """Raise UnsupportedError if a package is missing."""
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise UnsupportedError(
            f"from_torch needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            f"{install_command('torch')}"
        )
