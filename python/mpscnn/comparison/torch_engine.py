"""Modules of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mpscnn.comparison.trace import (
    ACTIVATION,
    NORMALIZATION,
    Array,
    Trace,
    Value,
    channels_first,
    channels_last,
)
from mpscnn.errors import UnsupportedError

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


class TorchEngine:
    """A module in the mode in which it is given, on torch's CPU engine.

    Args:
        module: a `torch.nn.Module` that takes images (n, channels, height, width).
        shapes: of its inputs, as of `Value.array`, by name: a module does not say them.
    """

    precision = "float32"
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(self, module: Any, shapes: dict[str, tuple[int | None, ...]]) -> None:
        self._module = module
        self.title = f"{type(module).__name__} (torch)"
        self.inputs = shapes

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """See `Engine`. The values are the results of the modules within it that have none within them."""
        import torch

        values: dict[str, Value] = {}

        def note(name: str, module: Any, result: Any) -> None:
            if isinstance(result, torch.Tensor) and result.is_floating_point():
                unique = name if name not in values else f"{name}#{len(values)}"
                kind = _KINDS.get(type(module).__name__, ACTIVATION if _is_activation(module) else "")
                # A copy: activations in place change what the module before them computed.
                values[unique] = Value(unique, kind, channels_last(result.detach().cpu().numpy().copy()))

        hooks = [
            module.register_forward_hook(lambda module, _, result, name=name: note(name, module, result))
            for name, module in self._module.named_modules()
            if not list(module.children())
        ]
        try:
            with torch.no_grad():
                given = [torch.from_numpy(channels_first(array)) for array in inputs]
                result = self._module(*given)
        finally:
            for hook in hooks:
                hook.remove()
        outputs = _tensors(result)
        if not outputs:
            raise UnsupportedError(f"{self.title}: its result is {type(result).__name__}, without a tensor")
        named = {f"output {number}": channels_last(array) for number, array in enumerate(outputs)}
        results = [Value(name, "", array) for name, array in named.items()]
        return Trace((*values.values(), *results), tuple(named))


def _is_activation(module: Any) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def _tensors(result: Any) -> list[np.ndarray[Any, Any]]:
    import torch

    if isinstance(result, torch.Tensor):
        return [result.detach().cpu().numpy()]
    if isinstance(result, dict):
        result = list(result.values())
    return [array for part in result for array in _tensors(part)] if isinstance(result, (list, tuple)) else []
