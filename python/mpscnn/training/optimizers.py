"""Define optimisers like those of MPSNNOptimizer, with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, Literal

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.settings import plain
from mpscnn.errors import ParameterError
from mpscnn.training.schedules import Schedule, restore_rate, stored_rate

__all__ = ["Adam", "AdamW", "Optimizer", "RmsProp", "Schedule", "Sgd"]


@dataclass(frozen=True, kw_only=True)
class _Gradient:
    """Options of all optimisers for the gradient: it is clipped, rescaled, and the regularization is added."""

    clip: bool = False
    minimum: float = -1.0
    maximum: float = 1.0
    rescale: float = 1.0
    regularization: Literal["none", "l1", "l2"] = "none"
    regularization_scale: float = 0.0
    weight_decay: float = 0.0
    global_norm: float = 0.0


@dataclass(frozen=True)
class Sgd(_Gradient):
    """Stochastic gradient descent: m = momentum m + rate g, w = w - m.

    Args:
        learning_rate: a number, or a function of the step (`mpscnn.training.schedules`).
        momentum: the share of the moment that is kept; 0: none.
        nesterov: use w = w - rate (g + momentum m) with m = momentum m + g.
        clip, minimum, maximum: limits for each element of a gradient.
        rescale: a factor for the gradient after the limits.
        regularization, regularization_scale: "l2" adds scale * w to the gradient, "l1" scale * sign(w).
        weight_decay: this share of the weights, times the learning rate, is subtracted separately from the gradient.
        global_norm: the largest norm of all gradients together. Larger ones are scaled to it first; 0: no limit.
    """

    learning_rate: float | Schedule = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    kind = "sgd"


@dataclass(frozen=True)
class RmsProp(_Gradient):
    """RMSProp (Hinton 2012): s = decay s + (1 - decay) g^2, w = w - rate g / (sqrt(s) + epsilon).

    The other arguments are those of `Sgd`.
    """

    learning_rate: float | Schedule = 1e-3
    decay: float = 0.9
    epsilon: float = 1e-8

    kind = "rmsprop"


@dataclass(frozen=True)
class Adam(_Gradient):
    """Adam (Kingma and Ba 2015): moving averages of g and g^2, corrected for their start at 0.

    With `amsgrad`, the largest average of squares so far is the divisor. With `weight_decay`, it is AdamW (Loshchilov
    and Hutter 2019). The other arguments are those of `Sgd`.
    """

    learning_rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = False

    kind = "adam"


Optimizer = Sgd | RmsProp | Adam


def _without_weights(construct: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor refuse weights, which optimizers of PyTorch take first."""

    @wraps(construct)
    def call(self: Optimizer, *arguments: Any, **options: Any) -> None:
        if arguments and isinstance(arguments[0], Iterable) and not isinstance(arguments[0], str):
            raise TypeError(
                f"{type(self).__name__}() takes a learning rate and no weights: mpscnn.Trainer(network, optimizer=...) "
                "has those of the network"
            )
        construct(self, *arguments, **options)

    return call


for _optimizer in (Sgd, RmsProp, Adam):
    _optimizer.__init__ = _without_weights(accept_foreign_arguments(_optimizer.__init__))  # type: ignore[method-assign]


def AdamW(  # noqa: N802 - the name of the class in other frameworks
    learning_rate: float | Schedule = 1e-3, *, weight_decay: float = 0.01, **options: Any
) -> Adam:
    """Return `Adam` with weight decay, which is AdamW (Loshchilov and Hutter 2019). `options` are those of `Adam`."""
    return Adam(learning_rate, weight_decay=weight_decay, **options)


def resolve_optimizer(optimizer: Optimizer | str | None, rate: float | Schedule | None) -> Optimizer:
    """Return an optimiser from its name, an object or None, with the learning rate if one is given.

    Raises ParameterError for an unknown name, or if a rate is given with an optimiser object.
    """
    if optimizer is not None and not isinstance(optimizer, str):
        if rate is not None:
            raise ParameterError(
                "learning_rate goes with the name of an optimizer; give it to the optimizer itself"
            )
        return optimizer
    kinds: dict[str, type[Sgd] | type[RmsProp] | type[Adam]] = {one.kind: one for one in (Sgd, RmsProp, Adam)}
    name = "adam" if optimizer is None else optimizer.lower()
    if name == "adamw":
        return AdamW(1e-3 if rate is None else rate)
    if name not in kinds:
        raise ParameterError(
            f"optimizer must be {', '.join(map(repr, [*kinds, 'adamw']))} or an optimizer, got {optimizer!r}"
        )
    return kinds[name]() if rate is None else kinds[name](rate)


def optimizer_settings(optimizer: object) -> dict[str, Any]:
    """Return an optimiser's settings for the core, as plain Python values without the learning rate."""
    if isinstance(optimizer, type) and issubclass(optimizer, (Sgd, RmsProp, Adam)):
        raise ParameterError(f"optimizer must be an object, got the class: mpscnn.{optimizer.__name__}()")
    if not isinstance(optimizer, (Sgd, RmsProp, Adam)):
        foreign = optimizer if isinstance(optimizer, type) else type(optimizer)
        raise ParameterError(
            "optimizer must be a name such as 'adam', or mpscnn.Sgd, RmsProp or Adam with its learning rate, got "
            f"{foreign.__module__}.{foreign.__qualname__}"
        )
    settings = {one.name: getattr(optimizer, one.name) for one in fields(optimizer)}
    del settings["learning_rate"]
    return {"kind": optimizer.kind, **plain("optimizer", settings)}


def stored_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimiser's settings for a checkpoint, with the learning rate unless it is a user's function."""
    return {**optimizer_settings(optimizer), "learning_rate": stored_rate(optimizer.learning_rate)}


def optimizer_from_settings(stored: Any) -> Optimizer:
    """Return the optimiser from a checkpoint's settings.

    Raises KeyError, TypeError or ValueError if they are invalid.
    """
    given = dict(stored)
    kinds: dict[str, type[Sgd] | type[RmsProp] | type[Adam]] = {one.kind: one for one in (Sgd, RmsProp, Adam)}
    return kinds[given.pop("kind")](**{**given, "learning_rate": restore_rate(given["learning_rate"])})


def learning_rate_at(optimizer: Optimizer, step: int) -> float:
    """Return the learning rate of a step."""
    rate = optimizer.learning_rate
    rate = rate(step) if callable(rate) else rate
    if not is_finite_number(rate) or rate < 0:
        raise ParameterError(
            f"the learning rate must be a finite number of at least 0, or a function that gives one, got {rate!r}"
        )
    return float(rate)
