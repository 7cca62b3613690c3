"""Test that the arguments of kernels, and their defaults, are the properties in the core's table."""

from __future__ import annotations

import ast
import inspect
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mpscnn import _core, kernels
from mpscnn.errors import ParameterError
from mpscnn.kernels.properties import Property

#: Properties whose values come from a descriptor or an array, so that they are no keyword arguments.
_FROM_OTHERS = {
    "anchor_boxes",
    "classes_loss_type",
    "confidence_loss_type",
    "max_iou_for_object_absence",
    "min_iou_for_object_presence",
    "rescore",
    "scale_class",
    "scale_no_object",
    "scale_object",
    "scale_wh",
    "scale_xy",
    "wh_loss_type",
    "xy_loss_type",
    "apply_gradient_clipping",
    "batch_normalization",
    "batch_normalization_epsilon",
    "data_count",
    "depthwise",
    "dilation_rate_x",
    "dilation_rate_y",
    "fused_neuron_descriptor",
    "gradient_clip_max",
    "gradient_clip_min",
    "gradient_rescale",
    "groups",
    "delta",
    "epsilon",
    "input_feature_channels",
    "kernel_height",
    "kernel_width",
    "label_smoothing",
    "learning_rate",
    "loss_type",
    "neuron_descriptor",
    "number_of_classes",
    "number_of_feature_channels",
    "output_feature_channels",
    "reduce_across_batch",
    "reduction_type",
    "regularization_scale",
    "regularization_type",
    "result",
    "stride_x",
    "stride_y",
    "sub_pixel_scale_factor",
    "weight",
}
KERNELS = [
    kind
    for name in kernels.__all__
    if isinstance(kind := getattr(kernels, name), type) and issubclass(kind, kernels.Kernel)
]


@cache
def classes_of(module: str) -> dict[str, ast.ClassDef]:
    """Return the classes that type checkers see in a module of kernels."""
    source = Path(kernels.__path__[0], module.rpartition(".")[2]).with_suffix(".pyi")
    if not source.exists():
        source = source.with_suffix(".py")
    return {
        node.name: node
        for node in ast.parse(source.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }


def named_arguments(name: str) -> set[str]:
    """Return the keys of a TypedDict of named.pyi."""
    found = classes_of("named").get(name)
    if found is None:
        return set()
    own = {ast.unparse(node.target) for node in found.body if isinstance(node, ast.AnnAssign)}
    return own.union(*(named_arguments(ast.unparse(base)) for base in found.bases))


def declared(kind: type) -> set[str]:
    """Return the arguments of the constructor that is declared for type checkers."""
    for base in kind.__mro__:
        if not base.__module__.startswith("mpscnn.kernels"):
            continue
        for node in ast.walk(classes_of(base.__module__)[base.__name__]):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                assert node.args.kwarg is not None
                assert node.args.kwarg.annotation is not None
                properties = ast.unparse(node.args.kwarg.annotation)
                names = {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)} - {"self"}
                return names | named_arguments(properties.removeprefix("Unpack[").removesuffix("]"))
    raise AssertionError(f"{kind} has no constructor")


@pytest.mark.parametrize("kind", KERNELS)
def test_every_property_is_an_argument(kind: type) -> None:
    if kind is kernels.Kernel:
        return
    properties = {name for name in dir(kind) if isinstance(inspect.getattr_static(kind, name), Property)}
    missing = properties - declared(kind)
    assert missing <= _FROM_OTHERS
    known = {name for typed in classes_of("named") for name in named_arguments(typed)}
    assert declared(kind) & known <= properties | {
        "destination_image_allocator",
        "beta",
    }  # `beta` is an array in some other classes


#: The kernels with the properties of a class that is no kernel.
_LIKE = {name: "Convolution" for name in kernels.__all__ if name.endswith("ConvolutionDescriptor")}
_LIKE["OptimizerDescriptor"] = "OptimizerAdam"


def test_defaults_are_those_of_the_table() -> None:
    table = {
        entry["name"]: {
            parameter["name"]: parameter["default"] for parameter in entry["fixed"] + entry["properties"]
        }
        for entry in json.loads(_core.kernels())
    }
    compared = set()
    for name in kernels.__all__:
        defaults = table.get(_LIKE.get(name, name), {})
        for argument in inspect.signature(getattr(kernels, name)).parameters.values() if defaults else ():
            if argument.name not in defaults or argument.default in (argument.empty, None):
                continue
            own, expected = argument.default, defaults[argument.name]
            same = np.float32(own) == np.float32(expected) if isinstance(own, float) else own == expected
            assert same or list(own) == expected, (name, argument.name)
            compared.add((name, argument.name))
    assert {("OptimizerAdam", "beta1"), ("ConvolutionDescriptor", "stride_x")} <= compared


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Convolution", (kernels.ConvolutionDescriptor(1, 1, 1, 1), [1.0])),
        ("FullyConnected", (kernels.ConvolutionDescriptor(1, 1, 1, 1), [1.0])),
        ("ConvolutionTranspose", (kernels.ConvolutionDescriptor(1, 1, 1, 1), [1.0])),
        ("ConvolutionGradient", (kernels.ConvolutionDescriptor(1, 1, 1, 1), [1.0])),
        ("BinaryConvolution", (kernels.ConvolutionDescriptor(1, 1, 1, 1), [1.0])),
        ("Loss", (kernels.LossDescriptor("huber"),)),
        ("YOLOLoss", (kernels.YOLOLossDescriptor([1.0, 2.0]),)),
        ("InstanceNormalization", ([1.0],)),
        ("GroupNormalization", (1, [1.0])),
        ("NeuronPReLU", ([0.5],)),
        ("OptimizerAdam", ()),
        ("OptimizerRMSProp", ()),
        ("OptimizerStochasticGradientDescent", ()),
    ],
)
def test_values_that_other_arguments_state_are_refused_by_name(
    name: str, arguments: tuple[object, ...]
) -> None:
    """The error says where the value belongs. Python's own error names a private base class."""
    kind = getattr(kernels, name)
    place = "OptimizerDescriptor" if name.startswith("Optimizer") else "the descriptor or the arrays"
    made = kind(*arguments)
    taken = inspect.signature(kind.__init__).parameters
    of_classes = {"depthwise", "sub_pixel_scale_factor"}  # only descriptors of other classes state them
    stated = _FROM_OTHERS - {"result", "epsilon"} - of_classes - set(taken)
    for one in sorted(stated & set(made._properties())):
        with pytest.raises(ParameterError, match=rf"^{name}: '{one}' .*{place}"):
            kind(*arguments, **{one: getattr(made, one)})
