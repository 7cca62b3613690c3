"""Run modules with torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mpscnn.comparison.trace import (
    ACTIVATION,
    NORMALIZATION,
    TOLERANCES,
    Array,
    Steps,
    Trace,
    Value,
    channels_first,
    channels_last,
    mark_inner_values,
)
from mpscnn.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

_KINDS = {
    "AvgPool2d": "pooling",
    "AdaptiveAvgPool2d": "pooling",
    "BatchNorm2d": NORMALIZATION,
    "Conv2d": "convolution",
    "ConvTranspose2d": "transposed_convolution",
    "LayerNorm": "layer_normalization",
    "Linear": "dense",
    "MaxPool2d": "pooling",
    "Softmax": "softmax",
    "Upsample": "resize",
}


# Kinds of torch's functions that modules call. Results of other functions are not compared; most of these only move
# elements or compute shapes.
_FUNCTIONS = {
    **dict.fromkeys(("add", "add_", "__add__", "__iadd__", "__radd__"), "add"),
    **dict.fromkeys(("mul", "mul_", "__mul__", "__imul__", "__rmul__"), "multiply"),
    **dict.fromkeys(("cat", "concat", "concatenate"), "concatenation"),
    **dict.fromkeys(("avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "boolean_dispatch"), "pooling"),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), "reduction"),
    "batch_norm": NORMALIZATION,
    "conv2d": "convolution",
    "conv_transpose2d": "transposed_convolution",
    "interpolate": "resize",
    "layer_norm": "layer_normalization",
    "linear": "dense",
    "pad": "padding",
    "softmax": "softmax",
}
_ACTIVATIONS = (
    *("celu", "clamp", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish", "prelu"),
    *("relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh"),
)
_FUNCTIONS |= dict.fromkeys((name + end for name in _ACTIVATIONS for end in ("", "_")), ACTIVATION)


class TorchEngine:
    """A torch module in its present mode (training or evaluation).

    Args:
        module: a `torch.nn.Module` that takes images (n, channels, height, width).
        shapes: the shapes of its inputs by name, as in `Value.array`, because a module does not define them.
    """

    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(self, module: Any, shapes: dict[str, tuple[int | None, ...]]) -> None:
        self._module = module
        self.title = f"{type(module).__name__} (torch)"
        self.inputs = shapes
        weights = [weight for weight in module.parameters() if weight.is_floating_point()]
        self._like = weights[0] if weights else None
        dtype = str(weights[0].dtype).removeprefix("torch.") if weights else "float32"
        self.precision = dtype if dtype in TOLERANCES else "float32"

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return the results of all layers.

        The values are results of modules without submodules, and of functions called between modules.
        """
        import torch
        from torch.overrides import TorchFunctionMode

        notes = _Notes()

        class Calls(TorchFunctionMode):  # type: ignore[misc]
            def __torch_function__(
                self, function: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                known = notes.of((args, kwargs))
                result = function(*args, **(kwargs or {}))
                if not notes.within:
                    name = getattr(function, "__name__", "")
                    notes.add(name, _FUNCTIONS.get(name), known, result)
                return result

        def enter(_: Any, args: Any) -> None:
            notes.within.append(notes.of(args))

        def leave(name: str, module: Any, result: Any) -> None:
            kind = _KINDS.get(type(module).__name__, ACTIVATION if _is_activation(module) else "")
            notes.add(name, kind, notes.within[-1], result)
            notes.within.pop()  # after notes.add, whose calls of torch must not be recorded

        hooks = []
        for name, module in self._module.named_modules():
            if not list(module.children()):
                hooks.append(module.register_forward_pre_hook(enter))
                hooks.append(
                    module.register_forward_hook(
                        lambda module, _, result, name=name: leave(name, module, result)
                    )
                )
        try:
            with torch.no_grad(), Calls():
                given = [torch.from_numpy(channels_first(array)) for array in inputs]
                if self._like is not None:
                    given = [array.to(self._like.device, self._like.dtype) for array in given]
                result = self._module(*given)
        except Exception as error:  # a module may raise anything
            raise UnsupportedError(f"{self.title}: torch cannot run it: {error}") from error
        finally:
            for hook in hooks:
                hook.remove()
        outputs = _tensors(result)
        if not outputs:
            raise UnsupportedError(f"{self.title}: its result is {type(result).__name__}, without a tensor")
        values = list(notes.values.values())
        for number, tensor in enumerate(outputs):
            name = f"output {number}"
            values.append(Value(name, "", _array(tensor)))
            notes.inputs[name] = notes.of(tensor)
        names = tuple(f"output {number}" for number in range(len(outputs)))
        return Trace(mark_inner_values(values, notes.inputs, names), names)


class _Notes:
    """The values computed so far, and the values that each was computed from."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.inputs: dict[str, list[str]] = {}
        self.within: list[list[str]] = []
        """For each running module without submodules, the names of its inputs (a stack)."""
        self._names: dict[int, str] = {}
        self._kept: list[torch.Tensor] = []  # keeps tensors alive, so that no other gets the same id

    def of(self, given: Any) -> list[str]:
        """Return the names of the tensors among the arguments."""
        return [self._names[id(tensor)] for tensor in _tensors(given) if id(tensor) in self._names]

    def add(self, name: str, kind: str | None, inputs: list[str], result: Any) -> None:
        """Add a result. Without a kind it is not a layer, but counts as a reader of its inputs."""
        import torch

        if not isinstance(result, torch.Tensor) or not result.is_floating_point():
            if _tensors(result):
                self.inputs[f"#{len(self.inputs)}"] = inputs
            return
        unique = name if name not in self.inputs else f"{name}#{len(self.inputs)}"
        self.inputs[unique] = inputs
        if kind is None:
            return
        # _array copies the result, because a later activation in place would change it.
        self.values[unique] = Value(unique, kind, _array(result))
        self._names[id(result)] = unique
        self._kept.append(result)


def _array(tensor: Any) -> Array:
    return channels_last(tensor.detach().cpu().float().numpy().copy())


def _is_activation(module: Any) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def _tensors(result: Any) -> list[torch.Tensor]:
    import torch

    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    return (
        [tensor for part in result for tensor in _tensors(part)] if isinstance(result, (list, tuple)) else []
    )
