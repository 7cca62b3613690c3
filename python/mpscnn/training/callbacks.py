"""Call users' functions after each epoch, and write epochs to TensorBoard, MLflow and callbacks of Keras."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from mpscnn._private.callables import require_arguments
from mpscnn.errors import ParameterError
from mpscnn.training.early_stopping import EarlyStopping
from mpscnn.training.history import Epoch

#: A function that is called with each epoch. If it returns True, the training ends. Other results have no effect.
Callback = Callable[[Epoch], Any]

#: Names of Keras for the fields of `Epoch`.
_KERAS = {"validation_loss": "val_loss", "validation_accuracy": "val_accuracy"}


def callback_list(callbacks: Any | Iterable[Any]) -> list[Callback]:
    """Return one or several callbacks as a list of functions of an `Epoch`.

    A callback is a function, a SummaryWriter of TensorBoard, the module or client `mlflow`, or a callback of Keras with
    `on_epoch_end`. Raises ParameterError for anything else.
    """
    # The module mlflow and a SummaryWriter cannot be iterated. A single function is one callback, too.
    single = callable(callbacks) or not isinstance(callbacks, Iterable)
    return [_as_function(one) for one in ([callbacks] if single else callbacks)]


def call_all(callbacks: Iterable[Callback], epoch: Epoch) -> bool:
    """Call all callbacks with an epoch. Return True if one of them returned True, which ends the training."""
    answers = [callback(epoch) for callback in callbacks]
    return any(isinstance(answer, (bool, np.bool_)) and bool(answer) for answer in answers)


def _as_function(one: Any) -> Callback:
    if isinstance(one, EarlyStopping):
        raise ParameterError(
            "callbacks of iter_epochs and mpscnn.train do not take an EarlyStopping: pass early_stopping="
        )
    if hasattr(one, "add_scalar"):
        return lambda epoch: _write_scalars(one, epoch)
    if hasattr(one, "log_metrics"):
        return lambda epoch: one.log_metrics(_numbers(epoch), step=epoch.index)
    if hasattr(one, "on_epoch_end"):
        return lambda epoch: one.on_epoch_end(epoch.index - 1, _keras_logs(epoch))
    if not callable(one):
        raise ParameterError(
            "callbacks must be functions that take an Epoch, a SummaryWriter of TensorBoard, mlflow, or callbacks of "
            f"Keras with on_epoch_end, got {type(one).__name__}"
        )
    require_arguments("callbacks: each", one, ["epoch"])
    function: Callback = one
    return function


def _numbers(epoch: Epoch) -> dict[str, float]:
    """Return the numbers of an epoch by their names, without its index and those that it does not have."""
    values = {field.name: getattr(epoch, field.name) for field in fields(epoch) if field.name != "index"}
    return {name: value for name, value in values.items() if value is not None and not math.isnan(value)}


def _keras_logs(epoch: Epoch) -> dict[str, float]:
    return {_KERAS.get(name, name): value for name, value in _numbers(epoch).items()}


def _write_scalars(writer: Any, epoch: Epoch) -> None:
    for name, value in _numbers(epoch).items():
        writer.add_scalar(name, value, epoch.index)
