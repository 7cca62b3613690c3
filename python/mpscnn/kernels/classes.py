"""Raw kernels that have only properties. Each is made from the core's table at its first use.

`classes.pyi` declares them.
"""

from mpscnn.kernels.arithmetic import Arithmetic, ArithmeticKernel
from mpscnn.kernels.arithmetic_gradient import ArithmeticGradient
from mpscnn.kernels.dropout import Dropout  # noqa: F401, the forward class of DropoutGradient
from mpscnn.kernels.families import Pooling, ReduceBinary, ReduceUnary, Upsampling, UpsamplingGradient
from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.image import ImageScale
from mpscnn.kernels.kernel import BinaryKernel, UnaryKernel
from mpscnn.kernels.made_classes import class_of, kernels, parameters_of
from mpscnn.kernels.neuron import Neuron, constructor_with
from mpscnn.kernels.pooling import PoolingGradient

_BASES = {
    base.__name__: base
    for base in (
        *(Arithmetic, ArithmeticGradient, ArithmeticKernel, BinaryKernel, DifferentiableKernel),
        *(GradientKernel, ImageScale, Neuron, Pooling, PoolingGradient, ReduceBinary, ReduceUnary),
        *(UnaryKernel, Upsampling, UpsamplingGradient),
    )
}
_KERNELS = {name: (_BASES[base], takes) for name, base, takes in kernels()}
__all__ = sorted(_KERNELS)


def __getattr__(name: str) -> type:
    """Make the class of a kernel. Python calls this function only for missing attributes."""
    if name not in _KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, _class(name, *_KERNELS[name]))  # threads get the same class


def _class(name: str, base: type, takes: str | None) -> type:
    if base is Neuron:
        function = parameters_of(name)["neuron_descriptor"]["default"]["neuron_type"]
        return class_of(name, base, takes, constructor_with(function))
    if not hasattr(base, "forward_class"):
        return class_of(name, base, takes, base.__init__)
    forward = name.removesuffix("Gradient")
    return class_of(
        name, base, takes, base.__init__, forward_class=globals().get(forward) or __getattr__(forward)
    )
