"""Convert Keras's layers with several inputs (Add, Concatenate, ...), and arithmetic with operators.

Keras 3 stores arithmetic between layers, such as `x * 2 + 1`, as functions of keras.ops. Keras 2 stores it as
TFOpLambda layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from mpscnn.converters.affine import scale_and_offset
from mpscnn.converters.keras.functions import layer_function, named_function
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.special_values import quotient, sqrt
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Pairwise = Callable[..., Tensor]


def _merged(c: LayerCall, pairwise: Pairwise) -> Tensor:
    """Combine all inputs pairwise, from left to right. The last operation gets the layer's name."""
    first, *others = _of_one_rank(c, c.inputs())
    if not others:
        return first
    partial = reduce(lambda a, b: pairwise(a, b, name=c.name("/part")), others[:-1], first)
    return pairwise(partial, others[-1], name=c.name())


def _of_one_rank(c: LayerCall, inputs: list[Tensor]) -> list[Tensor]:
    """Return the inputs with the same number of axes, by inserting axes of extent 1 after the batch."""
    rank = max(len(x.shape) for x in inputs)
    return [_expanded(c, x, rank) for x in inputs]


def _expanded(c: LayerCall, x: Tensor, rank: int) -> Tensor:
    missing = rank - len(x.shape)
    if not missing:
        return x
    if x.shape[1:].count(None) > 1:
        raise UnsupportedError(f"its input {x.shape} has fewer axes than the others, and free ones")
    extents = [1] * missing + [-1 if extent is None else extent for extent in x.shape[1:]]
    return c.network.reshape(x, extents, name=c.name("/axes"))


def _merge(method: str) -> Callable[[LayerCall], Tensor]:
    return lambda c: _merged(c, getattr(c.network, method))


def _subtract(c: LayerCall) -> Tensor:
    inputs = c.inputs()
    if len(inputs) != 2:
        raise UnsupportedError(f"a difference of {len(inputs)} inputs")
    return _merged(c, c.network.subtract)


def _average(c: LayerCall) -> Tensor:
    count = len(c.inputs())
    total = _merged(c, c.network.add)
    return c.network.activation(total, {"kind": "linear", "a": 1.0 / count}, name=c.name("/mean"))


def _concatenate(c: LayerCall) -> Tensor:
    inputs, axis = c.inputs(), c.settings.whole("axis", -1)
    rank = len(inputs[0].shape)
    if not -rank <= axis < rank:
        raise WeightsError(f"damaged: joins {inputs[0].shape} along axis {axis}")
    if axis % rank == 0:
        raise UnsupportedError("joins images along the batch")
    if len(inputs) == 1:
        return inputs[0]
    return c.network.concat(inputs, axis=-1 if axis % rank == rank - 1 else axis, name=c.name())


# ---- Operators ---------------------------------------------------------------------------------------------


def _operands(c: LayerCall) -> tuple[Any, Any]:
    given = list(
        c.arguments[0] if len(c.arguments) == 1 and isinstance(c.arguments[0], list) else c.arguments
    )
    given += [c.keywords[key] for key in ("x1", "x", "y", "x2") if c.keywords.get(key) is not None]
    if len(given) != 2:
        raise UnsupportedError(f"an operator with {len(given)} operands")
    for value in given:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not isinstance(value, Tensor) and not number:
            raise UnsupportedError("an operand is neither the result of a layer nor a number")
    return given[0], given[1]


def _require_one_rank(operands: list[Tensor]) -> None:
    """Raise UnsupportedError if the operands of a function have different numbers of axes.

    Functions broadcast from the last axis, unlike layers, so the batch would be combined with another axis.
    """
    if len({len(x.shape) for x in operands}) != 1:
        raise UnsupportedError(f"its operands {[x.shape for x in operands]} have different numbers of axes")


def _extreme(method: str) -> Callable[[LayerCall], Tensor]:
    def apply(c: LayerCall) -> Tensor:
        _require_one_rank(c.inputs())
        return _merged(c, getattr(c.network, method))

    return apply


def _operator(c: LayerCall, operation: str) -> Tensor:
    a, b = _operands(c)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        _require_one_rank([a, b])
        made: Tensor = getattr(c.network, operation)(a, b, name=c.name())
        return made
    x, number = (a, float(b)) if isinstance(a, Tensor) else (b, float(a))
    if operation == "divide" and x is b:
        return quotient(c.network, number, x, c.name)
    if operation == "divide" and number == 0.0:
        raise UnsupportedError("divides by 0")
    scale, offset = scale_and_offset(operation, number, constant_first=x is b)
    a, b = 1.0 if scale is None else scale, 0.0 if offset is None else offset
    return c.network.activation(x, {"kind": "linear", "a": a, "b": b}, name=c.name())


def _operator_of(operation: str) -> Callable[[LayerCall], Tensor]:
    return lambda c: _operator(c, operation)


def _function_of(name: str) -> Callable[[LayerCall], Tensor]:
    return lambda c: c.applied(named_function(name, c.generation))


def _neuron(neuron: Activation) -> Callable[[LayerCall], Tensor]:
    return lambda c: c.network.activation(c.x(), neuron, name=c.name())


def _like_layer(kind: str) -> Callable[[LayerCall], Tensor]:
    """Return a function that converts a call of keras.ops like an activation layer of this kind."""
    return lambda c: c.applied(layer_function(kind, c.settings, c.generation))


def _gelu(c: LayerCall) -> Tensor:
    kind: Activation = "gelu_tanh" if c.settings.flag("approximate", True) else "gelu"
    return c.network.activation(c.x(), kind, name=c.name())


_OPERATORS: dict[str, Callable[[LayerCall], Tensor]] = {
    "Add": _operator_of("add"),
    "Subtract": _operator_of("subtract"),
    "Multiply": _operator_of("multiply"),
    "Divide": _operator_of("divide"),
    "TrueDivide": _operator_of("divide"),
    "Relu": _function_of("relu"),
    "Relu6": _function_of("relu6"),
    "Sigmoid": _function_of("sigmoid"),
    "Silu": _function_of("silu"),
    "HardSilu": _function_of("hard_silu"),
    "HardSwish": _function_of("hard_silu"),
    "HardSigmoid": _function_of("hard_sigmoid"),
    "Softplus": _function_of("softplus"),
    "Tanh": _function_of("tanh"),
    "Exp": _function_of("exponential"),
    "LogSigmoid": _function_of("log_sigmoid"),
    "Selu": _function_of("selu"),
    "Softsign": _function_of("softsign"),
    "Absolute": _neuron("absolute"),
    "Negative": _neuron({"kind": "linear", "a": -1.0}),
    "Sqrt": lambda c: sqrt(c.network, c.x(), c.name),
    "Square": _neuron({"kind": "power", "a": 1.0, "c": 2.0}),
    "Concatenate": _concatenate,
    "Elu": _like_layer("ELU"),
    "Gelu": _gelu,
    "LeakyRelu": _like_layer("LeakyReLU"),
    "Maximum": _extreme("maximum"),
    "Minimum": _extreme("minimum"),
    "Softmax": _like_layer("Softmax"),
}
# TensorFlow's names of functions in TFOpLambda layers, and the names in keras.ops.
_TENSORFLOW = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "TrueDivide",
    "math.divide": "TrueDivide",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.silu": "Silu",
    "math.sigmoid": "Sigmoid",
    "math.tanh": "Tanh",
    "math.exp": "Exp",
}


def function_handler(kind: str) -> Callable[[LayerCall], Tensor] | None:
    """Return the function that converts a call of keras.ops; None if it is not supported."""
    return _OPERATORS.get(kind)


def _tensorflow_function(c: LayerCall) -> Tensor:
    name = c.settings.text("function", "")
    if name not in _TENSORFLOW:
        raise UnsupportedError(f"TensorFlow's function {quote_name(name)} is not supported")
    return _OPERATORS[_TENSORFLOW[name]](c)


MERGES: dict[str, Callable[[LayerCall], Tensor]] = {
    "Add": _merge("add"),
    "Average": _average,
    "Concatenate": _concatenate,
    "Maximum": _merge("maximum"),
    "Minimum": _merge("minimum"),
    "Multiply": _merge("multiply"),
    "Subtract": _subtract,
    "TFOpLambda": _tensorflow_function,
}
