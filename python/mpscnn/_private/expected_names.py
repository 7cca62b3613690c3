"""Errors for names of other frameworks: they say which name to use here (docs/from_other_frameworks.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

if TYPE_CHECKING:
    from types import FrameType

__all__ = [
    "ARGUMENTS",
    "DEVICES",
    "NO_ARGUMENTS",
    "NO_OPTIONS",
    "PRECISIONS",
    "SAID",
    "WORDS",
    "Expected",
    "NamedArrays",
    "arguments_of",
    "no_attribute",
    "no_option",
    "takes_expected_arguments",
    "told",
]

#: Other frameworks' values of arguments in lower case, each with mpscnn's value.
DEVICES = {"gpu": "metal", "mps": "metal"}
PRECISIONS = {
    "half": "float16",
    "fp16": "float16",
    "float": "float32",
    "single": "float32",
    "fp32": "float32",
    "bf16": "bfloat16",
}
WORDS = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "cross_entropy": "softmax_cross_entropy",
    "crossentropy": "softmax_cross_entropy",
    "bce": "sigmoid_cross_entropy",
    "binary_crossentropy": "sigmoid_cross_entropy",
}

#: Other frameworks' names of arguments, each with mpscnn's name.
ARGUMENTS = {
    "stride": "strides",
    "bias": "use_bias",
    "out_channels": "filters",
    "out_features": "units",
    "scale_factor": "scale",
    "mode": "method",
    "interpolation": "method",
    "lr": "learning_rate",
    "dtype": "precision",
    "num_classes": "classes",
    "min_delta": "minimum_change",
    "restore_best_weights": "restore_best",
}

_THREADS = "threads= of mpscnn.load, Program.session and Trainer says it"

#: Hints for arguments of other frameworks that have no counterpart here.
NO_ARGUMENTS = {
    "in_channels": "the channels of the input follow from the tensor",
    "in_features": "the features of the input follow from the tensor",
    "betas": "they are beta1= and beta2= here",
    "dtype": "precision= of mpscnn.load, Network.compile and Trainer says it",
    "num_classes": "classes= of the functions of mpscnn.models says it; `mpscnn train` makes other classifiers",
    "pretrained": "mpscnn.load(name) loads trained weights, and weights= of the functions of mpscnn.models takes them",
    "threads": _THREADS,
    "lr": "learning_rate= of Trainer and of optimizers says it, and Trainer.learning_rate can be assigned",
    "accumulate": "it is accumulate_dtype= here, 'float16' or 'float32'",
    "half": "it is precision='float16' here",
    "verbose": "it is progress=True or False here",
    "shuffle": "arrays are shuffled by the seed, Trainer(seed=...), and other iterables keep their order",
    "validation_split": "validation_data= takes the data to validate on",
    "metrics": "the epochs of History have the loss, and the accuracy of a classifier",
    "criterion": "loss= takes the name of a loss, such as 'cross_entropy' or 'mse'",
    "weight_decay": "the optimizer has it: optimizer=mpscnn.Adam(weight_decay=0.01)",
    "steps_per_epoch": "an epoch reads all data: pass an iterable with as many batches",
    "initial_epoch": "Trainer.resume(path) continues a checkpoint, and fit trains further epochs",
    "sample_weight": "Trainer(weighted=True) takes (inputs, labels, weights) as data",
    "class_weight": "Trainer(weighted=True) takes (inputs, labels, weights) as data",
}

#: For options that users guess and commands do not have: the option to write instead.
NO_OPTIONS = {
    "--save": "-o FOLDER (or --output) writes the results",
    "--source": "photos and videos are given without an option",
    "--conf": "only objects have a lowest score: `mpscnn detect`",
    "--half": "it is --precision float16 here",
    "--gpu": "it is --device metal here",
    "--pretrained": "--model NAME loads trained weights",
}

_LOAD = "mpscnn.load(path) reads files of ONNX, Keras, TensorFlow Lite, Caffe and PyTorch"
_BATCHES = (
    "data is a pair of arrays, an iterable of batches (PyTorch's DataLoader is one) or an mpscnn.ImageFolder"
)
_LAYERS = "layers are methods of mpscnn.Network: x = net.conv2d(net.input, 8, 3)"
_WEIGHTS = "Network.weights has the arrays by name, and Network.load_weights takes them"

#: Functions that other frameworks have as layers or modules, each with the name that `Network.activation` takes.
_FUNCTIONS = {
    **{name: name for name in ("relu6", "leaky_relu", "prelu", "elu", "gelu", "mish", "swish", "hard_swish")},
    **{name: name for name in ("sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign")},
    "silu": "swish",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
}
_CALLBACKS = "Trainer.fit(callbacks=...) takes functions of an Epoch"

_NO_BOXES = "a classifier finds no boxes"
_MOST_PROBABLE = "the most probable object is the first: detections[0]"
_PICTURE = {
    "plot": "draw() returns the picture, and show() opens it",
    "save": "draw().save(path) writes the picture, and to_json() the numbers",
}

#: Hints for attributes of other frameworks, by class; "mpscnn" stands for the module.
SAID: dict[str, dict[str, str]] = {
    "mpscnn": {
        "AdamW": "mpscnn.Adam(weight_decay=0.01) is AdamW",
        "optim": "the optimisers are mpscnn.Sgd, mpscnn.RmsProp and mpscnn.Adam",
        "losses": "Trainer(loss=...) takes the name of a loss, such as 'cross_entropy' or 'mse'",
        "nn": _LAYERS,
        "layers": _LAYERS,
        "Sequential": _LAYERS,
        "Module": _LAYERS,
        "from_onnx": _LOAD,
        "from_tflite": _LOAD,
        "list_models": "mpscnn.registry.names() lists the models",
        "create_model": "mpscnn.load(name) loads a model, and mpscnn.models has the architectures",
        "set_num_threads": _THREADS,
        "manual_seed": "Network.initialize_weights(seed=...) and Trainer(seed=...) take the seed",
        "DataLoader": _BATCHES,
        "Dataset": _BATCHES,
        "classify": "mpscnn.load(...).classify(photo), or `mpscnn classify` in a shell",
        "detect": "mpscnn.load(...).detect(photo), or `mpscnn detect` in a shell",
        "segment": "mpscnn.load(...).segment(photo), or `mpscnn segment` in a shell",
        "train": "mpscnn.Trainer(network).fit(data), or `mpscnn train` in a shell",
        "convert": "mpscnn.converters.convert_files(...), or `mpscnn convert` in a shell",
        "export": "Network.save('file.onnx'), or mpscnn.converters.export_onnx",
        "benchmark": "`mpscnn benchmark` in a shell; Session.profile measures the layers",
        "callbacks": _CALLBACKS,
        "ModelCheckpoint": f"{_CALLBACKS}, and Trainer.save(path) writes a checkpoint",
        "ReduceLROnPlateau": f"{_CALLBACKS}, and Trainer.learning_rate can be assigned",
        "InferenceSession": "mpscnn.load(path).session() lends a session",
    },
    "Model": {
        "predict_proba": "predict(photo) has the labels and probabilities, the most probable first",
        "export": "Model.save('file.onnx') writes it",
        "evaluate": "mpscnn.evaluate(model, data) measures it",
        "profile": "with model.session() as session: session.profile(x)",
        "to": "mpscnn.load(..., device='metal') chooses the device",
        "half": "mpscnn.load(..., precision='float16') chooses the precision",
        "parameters": "Model.network.weights has the arrays by name",
        "fit": "mpscnn.Trainer(model.network).fit(data) trains",
        "eval": "a Model never trains, so there is nothing to switch",
    },
    "Network": {
        "layers": "Network.layer_names() has their names, and Network.describe() what they are",
        "state_dict": _WEIGHTS,
        "load_state_dict": _WEIGHTS,
        "fit": "mpscnn.Trainer(network).fit(data) trains",
        "train": "mpscnn.Trainer(network).fit(data) trains",
        **{name: f"net.activation(x, {ours!r}) applies it" for name, ours in _FUNCTIONS.items()},
        **dict.fromkeys(("max_pooling2d", "maxpool2d"), "it is net.max_pool2d(x, 2)"),
        **dict.fromkeys(("average_pooling2d", "avg_pool2d"), "it is net.average_pool2d(x, 2)"),
        **dict.fromkeys(
            ("global_average_pooling2d", "adaptive_avg_pool2d"), "it is net.global_average_pool2d(x)"
        ),
        **dict.fromkeys(("batch_normalization", "batch_norm2d", "batchnorm2d"), "it is net.batch_norm(x)"),
        "layer_normalization": "it is net.layer_norm(x)",
        **dict.fromkeys(("concatenate", "cat"), "it is net.concat([x, y])"),
        "conv_transpose2d": "it is net.conv2d_transpose(x, filters, kernel_size)",
        "zero_padding2d": "it is net.pad(x, 1)",
        "interpolate": "it is net.resize(x, size=(height, width))",
        "permute": "it is net.transpose(x, axes)",
        "evaluate": "mpscnn.Trainer(network).evaluate(data) measures it",
        "to": "Network.compile(device='metal') chooses the device",
        "half": "Network.compile(precision='float16') chooses the precision",
        "export": "Network.save('file.onnx') writes it",
    },
    "Trainer": {
        "state_dict": "Trainer.save(path) writes a checkpoint, and Trainer.resume(path) continues it",
        "predict": "Trainer.network.predict(x) computes with the present weights",
        "train": "Trainer.fit(data) trains",
        "train_on_batch": "Trainer.step(x, y) trains on one batch",
        "compile": "Trainer(network, optimizer=..., loss=...) takes what Keras' compile takes",
        "save_weights": "Trainer.network.save(path) writes the network, and Trainer.save(path) a checkpoint",
        "model": "Trainer.network has the present weights",
    },
    "History": {"history": "History.to_dict() has the lists by name"},
    "Classification": {
        "boxes": _NO_BOXES,
        "xyxy": _NO_BOXES,
        "filter": "[one for one in result if one.probability > 0.1] has some classes",
        **_PICTURE,
    },
    "Detections": {
        "label": "labels has the label of each object, and detections[0].label that of the first",
        "score": "scores has the probability of each object, and detections[0].score that of the first",
        "top1": _MOST_PROBABLE,
        "top5": _MOST_PROBABLE,
        "probs": "scores has the probability of each object",
        **_PICTURE,
    },
    "Segmentation": {
        "top1": "areas[0] is the largest class",
        "top5": "areas has the classes, the largest first",
        "label": "labels has the class of each pixel, and areas[0].label is the largest",
        "filter": "[one for one in result if one.fraction > 0.1] has some classes",
        "masks": "mask(label) has the pixels of a class",
        **dict.fromkeys(("boxes", "xyxy"), "areas has the classes and their pixels"),
        **dict.fromkeys(
            ("probs", "score", "confidence"), "segment(photo, scores=True).scores has them for each pixel"
        ),
        **_PICTURE,
    },
    "Program": {
        "predict": "Program.run(x) computes, and Model.predict takes photos",
        "accumulate": "Program.accumulate_dtype has the number format of the sums",
    },
}


def told(owner: str, name: str) -> str:
    """Return a hint to append to the error about an unknown attribute of a class or the module; "" if there is none."""
    text = SAID.get(owner, {}).get(name)
    return "" if text is None else f"; {text}"


def no_attribute(module: str, name: str, hint: str) -> AttributeError | ImportError:
    """Return the error about an unknown attribute of a module. Only a module's `__getattr__` may call this function.

    The statement `from module import name` replaces an AttributeError by one without the hint. So an ImportError is
    returned if that statement asks for an attribute that has a hint.
    """
    is_module = f"{module}.{name}" in sys.modules  # during its import, the statement finds the module there
    if hint and not is_module and _is_import_from(sys._getframe(2)):
        file = sys.modules[module].__file__
        return ImportError(f"cannot import name {name!r} from {module!r}{hint}", name=module, path=file)
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint}")


def _is_import_from(frame: FrameType) -> bool:
    """Return True if a frame executes the instruction that binds a name of `from module import name`."""
    from opcode import EXTENDED_ARG, opmap

    code, position = frame.f_code.co_code, frame.f_lasti
    while 0 <= position < len(code) and code[position] == EXTENDED_ARG:
        position += 2  # Python 3.10 gives the position of the prefix
    return 0 <= position < len(code) and code[position] == opmap.get("IMPORT_FROM")


class NamedArrays(dict[str, Any]):
    """A dictionary of arrays. Calling it, like a PyTorch module's `parameters()`, raises an error that explains it."""

    def __call__(self) -> NoReturn:
        raise TypeError("parameters is a dict of arrays by name, and no method: parameters.values()")


class Expected:
    """Base class that adds a hint to errors about unknown attributes."""

    if not TYPE_CHECKING:  # type checkers would accept every name as an Any

        def __getattr__(self, name: str) -> NoReturn:
            if not name.startswith("__") and hasattr(type(self), name):
                return object.__getattribute__(self, name)  # raises the AttributeError of that property again
            owner = type(self).__name__
            raise AttributeError(f"{owner!r} object has no attribute {name!r}{told(owner, name)}")


def no_option(name: str, known: Iterable[str]) -> TypeError:
    """Return the TypeError for an unknown option, with a hint or a similar name."""
    if name in NO_ARGUMENTS:
        return TypeError(f"there is no option {name!r}; {NO_ARGUMENTS[name]}")
    from mpscnn._private.names import did_you_mean

    return TypeError(f"there is no option {name!r}{did_you_mean(name, known)}")


Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def takes_expected_arguments(function: Function, /) -> Function: ...
@overload
def takes_expected_arguments(*, options: Iterable[str]) -> Callable[[Function], Function]: ...
def takes_expected_arguments(function: Any = None, /, *, options: Iterable[str] = ()) -> Any:
    """Let a function accept other frameworks' names for its arguments. Type checkers see only mpscnn's names.

    Args:
        function: the function to decorate.
        options: names that the function takes as `**options`.
    """
    if function is None:
        return partial(_taking_expected_arguments, also=frozenset(options))
    return _taking_expected_arguments(function, frozenset())


def _taking_expected_arguments(function: Function, also: Set[str]) -> Function:
    known = arguments_of(function) | also
    *_, owner, name = ("", *function.__qualname__.split("."))
    shown = owner if name in ("__init__", "__call__") else name
    others = {guess: own for guess, own in ARGUMENTS.items() if own in known and guess not in known}
    refused = {guess: text for guess, text in NO_ARGUMENTS.items() if guess not in (*known, *others)}

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if not options.keys() <= known:
            options = _own_names(shown, options, others, refused)
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


def arguments_of(function: Callable[..., Any]) -> Set[str]:
    """Return the names of a Python function's arguments. `inspect` would take milliseconds."""
    code = function.__code__
    return {*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}


def _own_names(
    name: str, options: Mapping[str, Any], others: Mapping[str, str], refused: Mapping[str, str]
) -> dict[str, Any]:
    for guess in options:
        if guess in refused:
            raise TypeError(f"{name}() has no argument {guess!r}; {refused[guess]}")
        if others.get(guess) in options:
            raise TypeError(f"{name}() got {guess!r} and {others[guess]!r}, which mean the same")
    return {others.get(guess, guess): value for guess, value in options.items()}
