"""Accept other frameworks' names and values of arguments, or say in the error what to write here.

docs/from_other_frameworks.md lists the frequent ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial, wraps
from os import PathLike
from typing import Any, TypeVar, overload

from mpscnn.errors import ParameterError

Function = TypeVar("Function", bound=Callable[..., Any])

__all__ = [
    "ARGUMENTS",
    "DEVICES",
    "MONITORS",
    "PRECISIONS",
    "WORDS",
    "accept_foreign_arguments",
    "argument_names",
    "canonical_device",
    "conversion_hint",
    "device_text",
    "number_format",
    "option_error",
    "translate_options",
]

#: Other frameworks' values of arguments in lower case, each with mpscnn's value.
DEVICES = {
    "gpu": "metal",
    "mps": "metal",
    **dict.fromkeys(
        ("ane", "neuralengine", "neural_engine", "cpuandneuralengine"), "coreml:cpuAndNeuralEngine"
    ),
}
PRECISIONS = {
    "half": "float16",
    "fp16": "float16",
    "float": "float32",
    "single": "float32",
    "fp32": "float32",
    "bf16": "bfloat16",
}
MONITORS = {
    "val_loss": "validation_loss",
    **dict.fromkeys(("val_accuracy", "val_acc"), "validation_accuracy"),
    "acc": "accuracy",
}
#: Losses, without "loss" or "_loss" at the end.
WORDS = {
    **dict.fromkeys(("mse", "meansquarederror"), "mean_squared_error"),
    **dict.fromkeys(("mae", "l1", "meanabsoluteerror"), "mean_absolute_error"),
    **dict.fromkeys(("cross_entropy", "crossentropy"), "softmax_cross_entropy"),
    **dict.fromkeys(("categorical_crossentropy", "categoricalcrossentropy"), "softmax_cross_entropy"),
    **dict.fromkeys(
        ("sparse_categorical_crossentropy", "sparsecategoricalcrossentropy"), "softmax_cross_entropy"
    ),
    **dict.fromkeys(("bce", "binary_crossentropy", "binarycrossentropy"), "sigmoid_cross_entropy"),
    **dict.fromkeys(
        ("bce_with_logits", "bcewithlogits", "binary_cross_entropy_with_logits"), "sigmoid_cross_entropy"
    ),
    **dict.fromkeys(("smooth_l1", "smoothl1", "huber"), "huber"),
    **dict.fromkeys(("categorical_focal_crossentropy", "categoricalfocalcrossentropy"), "focal"),
    **dict.fromkeys(
        ("binary_focal_crossentropy", "binaryfocalcrossentropy", "sigmoidfocal"), "sigmoid_focal"
    ),
}

#: Other frameworks' names of arguments, each with mpscnn's names. The first one that a function has is meant.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "stride": ("strides",),
    "kernel": ("kernel_size", "pool_size"),
    "kernel_size": ("pool_size",),
    "dilation_rate": ("dilation",),
    "bias": ("use_bias",),
    "out_channels": ("filters",),
    "out_features": ("units",),
    "scale_factor": ("scale",),
    "mode": ("method",),
    "interpolation": ("method",),
    "eps": ("epsilon",),
    "p": ("rate",),
    "input_shape": ("input",),
    "inputs": ("input",),
    "lr": ("learning_rate",),
    "dtype": ("precision",),
    "precision": ("dtype",),
    "optimiser": ("optimizer",),
    "num_classes": ("classes",),
    "min_delta": ("minimum_change",),
    "restore_best_weights": ("restore_best",),
    "num_threads": ("threads",),
    "n_jobs": ("threads",),
    "random_state": ("seed",),
    "random_seed": ("seed",),
    "transform": ("preprocess",),
    "transforms": ("preprocess",),
    "preprocessing": ("preprocess",),
    "preprocess": ("settings",),
    "root": ("path",),
    "annotation": ("annotations",),
    "mask": ("masks",),
    **dict.fromkeys(("image_size", "img_size", "target_size", "input_size", "imgsz"), ("size",)),
    **dict.fromkeys(
        ("validation_split", "val_split", "val", "test_size", "validation_data"), ("validation",)
    ),
    "class_names": ("labels",),
    "names": ("labels",),
    "classes": ("labels",),
    "channels": ("channel_order",),
    "patience": ("early_stopping",),
    "verbose": ("progress",),
    **dict.fromkeys(("path", "name", "model_name", "model_path", "filename", "file"), ("model", "path")),
    **dict.fromkeys(("image", "images", "img", "source"), ("photo",)),
    "x": ("data", "inputs", "photo"),
    "data": ("samples", "images"),
    "calibration_data": ("images",),
    "criterion": ("loss",),
    "y": ("labels", "classes"),
    **dict.fromkeys(("args", "example_input", "sample_input", "dummy_input"), ("example_inputs",)),
    "model": ("backbone", "network", "module"),
    "network": ("model",),
    "layer": ("layers",),
    **dict.fromkeys(("rotate", "degrees", "rotation_range"), ("rotation",)),
    "max_iter": ("epochs",),
    "learning_rate_init": ("learning_rate",),
    **dict.fromkeys(
        ("train_data", "train_dataset", "train_loader", "train_dataloaders", "dataset", "generator"),
        ("data", "samples", "images"),
    ),
    **dict.fromkeys(
        (
            "val_data",
            "valid_data",
            "validation",
            "eval_dataset",
            "val_loader",
            "val_dataset",
            "val_dataloader",
            "val_dataloaders",
        ),
        ("validation_data",),
    ),
    **dict.fromkeys(("nb_epoch", "num_epochs", "n_epochs", "max_epochs"), ("epochs",)),
    **dict.fromkeys(("k", "topk", "top_k"), ("top",)),
    **dict.fromkeys(("conf", "threshold", "confidence", "min_score", "score_thresh"), ("score_threshold",)),
    **dict.fromkeys(("iou", "iou_thres", "nms_threshold"), ("iou_threshold",)),
    "max_det": ("max_detections",),
    **dict.fromkeys(("batch_size", "max_batch_size"), ("max_batch",)),
    "batch": ("batch_size", "max_batch"),
    "lr0": ("learning_rate",),
    **dict.fromkeys(("in_flight", "inflight_buffers", "inflightBuffers"), ("inflight",)),
    **dict.fromkeys(("tol", "rtol"), ("tolerance",)),
    **dict.fromkeys(("parameter_loader", "parameterLoader"), ("weights",)),
    **dict.fromkeys(("channel_format", "channelFormat"), ("format",)),
}

#: Other frameworks' arguments that are True or False, each with mpscnn's argument and its value for True.
FLAGS = {"bgr": ("channel_order", "bgr"), **dict.fromkeys(("half", "fp16"), ("precision", "float16"))}

_POSITIONAL_REST, _NAMED_REST = 0x04, 0x08  # the flags of a code object for *arguments and **options


def number_format(value: object) -> object:
    """Return mpscnn's name for a number format by another name, or for a type of NumPy or PyTorch.

    Anything else is returned unchanged.
    """
    if isinstance(value, str):
        return PRECISIONS.get(value.lower(), value)
    text = str(value)
    if text.startswith("torch."):
        return text.removeprefix("torch.")
    # The first is the name of a type such as numpy.float16, and the second that of a numpy.dtype.
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    return name if type(value).__module__.partition(".")[0] in ("numpy", "builtins") and name else value


def device_text(value: object) -> str:
    """Return the text of a device's name or of a torch.device. Raises ParameterError for anything else."""
    if type(value).__module__ == "torch" and type(value).__name__ == "device":
        value = str(value)
    if not isinstance(value, str):
        raise ParameterError(
            f"device must be a name, got {value!r}; names are 'auto', 'cpu', 'metal' and 'coreml'"
        )
    return value


def canonical_device(text: str) -> str:
    """Return mpscnn's name for a device by another name or spelling. Other text is returned unchanged."""
    plain = text.lower().removesuffix(":0")
    return DEVICES.get(plain, plain if plain in ("auto", "cpu", "metal", "coreml") else text)


def conversion_hint(value: object) -> str:
    """Return a hint for an error: how a model of another framework, a Model or a file becomes a Network."""
    packages = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    if "keras" in packages:
        return "; mpscnn.from_keras(model) makes a Network of it"
    if "torch" in packages:
        return "; mpscnn.from_torch(module, example) makes a Network of it"
    if "onnx" in packages:
        return "; onnx.save(model, path) writes it, and mpscnn.load(path) reads it"
    if isinstance(value, (str, PathLike)):
        return "; mpscnn.load(path) reads files, and its network is the Network"
    return "; a Model has model.network" if hasattr(value, "network") else ""


def option_error(name: str, known: Iterable[str]) -> TypeError:
    """Return the TypeError for an unknown option, with a hint or a similar name."""
    return TypeError(f"there is no option {name!r}{_instead_of(name, known)}")


def _instead_of(guess: str, known: Iterable[str]) -> str:
    """Return what to write instead of an unknown argument, or "" if nothing is known."""
    from mpscnn._private.hints import twin_of
    from mpscnn._private.names import did_you_mean

    for name in (guess, *ARGUMENTS.get(guess, ())):
        if text := twin_of("argument", name):
            return f"; {text}"
    names = list(known)
    return did_you_mean(guess, names) or (f"; it takes {', '.join(names)}" if names else "")


@overload
def accept_foreign_arguments(function: Function, /) -> Function: ...
@overload
def accept_foreign_arguments(*, options: Iterable[str]) -> Callable[[Function], Function]: ...
def accept_foreign_arguments(function: Any = None, /, *, options: Iterable[str] = ()) -> Any:
    """Let a function accept other frameworks' names for its arguments. Type checkers see only mpscnn's names.

    Args:
        function: the function to decorate.
        options: names that the function takes as `**options`.
    """
    if function is None:
        return partial(_taking_expected_arguments, also=frozenset(options))
    return _taking_expected_arguments(function, frozenset())


def _taking_expected_arguments(function: Function, also: Set[str]) -> Function:
    code = function.__code__
    # A view of keys is a set that keeps the order, in which an error lists the arguments.
    known = dict.fromkeys([*argument_names(function), *sorted(also)]).keys()
    *_, owner, name = ("", *function.__qualname__.split("."))
    shown = owner if name in ("__init__", "__call__") else name
    others = _synonyms(known)
    # A function with **options that `also` does not list passes them to another function, which checks them.
    checks = bool(also) or not code.co_flags & _NAMED_REST
    limited = code.co_kwonlyargcount and not code.co_flags & _POSITIONAL_REST
    maximum = code.co_argcount if limited else sys.maxsize

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if len(arguments) > maximum:
            raise _too_many(shown, function)
        if not options.keys() <= known:
            options = _own_names(shown, options, others, known if checks else None)
        try:
            return function(*arguments, **options)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:
                raise
            raise _wrong_call(error, shown, function) from None  # the function was not entered

    return call  # type: ignore[return-value]


def _synonyms(known: Set[str]) -> dict[str, str]:
    """Return other frameworks' names for these arguments, each with the argument's name."""
    return {
        guess: next(own for own in names if own in known)
        for guess, names in ARGUMENTS.items()
        if guess not in known and not known.isdisjoint(names)
    }


def translate_options(function: str, options: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Return the options of a function by mpscnn's names. Unknown names are kept."""
    return _own_names(function, options, _synonyms({*known}), None)


def argument_names(function: Callable[..., Any]) -> Set[str]:
    """Return the names of a Python function's arguments in order. `inspect` would take milliseconds."""
    code = function.__code__
    return dict.fromkeys(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]).keys()


def _too_many(shown: str, function: Callable[..., Any]) -> TypeError:
    """Return the TypeError for too many arguments by position. It lists those that need their names."""
    code = function.__code__
    position = [name for name in code.co_varnames[: code.co_argcount] if name not in ("self", "cls")]
    rest = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    return TypeError(
        f"{shown}() takes {'only ' + ', '.join(position) if position else 'nothing'} by position; by name "
        f"{', '.join(f'{name}=' for name in rest)}; {_example(shown, function)}"
    )


def _wrong_call(error: TypeError, shown: str, function: Callable[..., Any]) -> TypeError:
    """Return the TypeError for missing arguments with a call that has all of them."""
    said = str(error).replace(f"{function.__qualname__}()", f"{shown}()", 1)
    return TypeError(f"{said}; {_example(shown, function)}")


def _example(shown: str, function: Any) -> str:
    """Return a call with all arguments that are necessary, and the first sentence about the function."""
    code = function.__code__
    by_position = code.co_varnames[: code.co_argcount - len(function.__defaults__ or ())]
    by_name = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    needed = [name for name in by_position if name not in ("self", "cls")]
    needed += [f"{name}=..." for name in by_name if name not in (function.__kwdefaults__ or {})]
    about = " ".join(f"{function.__doc__ or ''} ".split(". ")[0].split("\n\n")[0].split()).removesuffix(".")
    return f"call {shown}({', '.join(needed)}){about and f': {about}'}"


def _own_names(
    name: str, options: Mapping[str, Any], others: Mapping[str, str], known: Set[str] | None
) -> dict[str, Any]:
    """Return the options by mpscnn's names. Raises TypeError for a name that is not in `known`; None allows all."""
    options = _without_flags(options, known)
    for guess in options:
        if others.get(guess) in options:
            raise TypeError(f"{name}() got {guess!r} and {others[guess]!r}, which mean the same")
        if known is not None and guess not in known and guess not in others:
            own = [one for one in known if one not in ("self", "cls")]
            raise TypeError(f"{name}() has no argument {guess!r}{_instead_of(guess, own)}")
    return {others.get(guess, guess): value for guess, value in options.items()}


def _without_flags(options: Mapping[str, Any], known: Set[str] | None) -> dict[str, Any]:
    """Replace arguments of FLAGS by mpscnn's arguments, if the function has these."""
    changed = {}
    for name, value in options.items():
        own, meaning = FLAGS.get(name, (name, None))
        if (
            meaning is None
            or known is None
            or name in known
            or own not in known
            or not isinstance(value, bool)
        ):
            changed[name] = value
        elif value:
            changed[own] = meaning
    return changed
