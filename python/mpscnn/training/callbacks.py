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
from mpscnn.training.history import KERAS_NAMES, Epoch

#: A function that is called with each epoch. If it returns True, the training ends. Other results have no effect.
Callback = Callable[[Epoch], Any]

#: Callbacks of Keras that need its models, each with what does the same here.
_OURS = {
    "EarlyStopping": "early_stopping= takes a number of epochs or an mpscnn.EarlyStopping",
    **dict.fromkeys(
        ("ModelCheckpoint", "BackupAndRestore", "OrbaxCheckpoint"),
        "output= of mpscnn.train keeps the best weights and the state for resume=, and trainer.save(path) in a "
        "callback writes a checkpoint",
    ),
    **dict.fromkeys(
        ("ReduceLROnPlateau", "LearningRateScheduler"),
        "mpscnn.Adam(rate) takes a schedule of mpscnn.training.schedules, and a callback may set "
        "trainer.learning_rate; mpscnn.train lets the rate fall along a cosine from learning_rate=",
    ),
    "TensorBoard": "a SummaryWriter of TensorBoard is a callback here",
    "ProgbarLogger": "progress=True shows the progress",
    "SwapEMAWeights": "Trainer(average=0.999) averages the weights",
}
#: Methods of callbacks of Keras that are never called here.
_UNCALLED = tuple(
    f"on_{part}_{end}"
    for part in ("epoch", "batch", "train_batch", "test", "test_batch")
    for end in ("begin", "end")
    if (part, end) != ("epoch", "end")
)


def callback_list(callbacks: Any | Iterable[Any]) -> list[Callback]:
    """Return one or several callbacks as a list of functions of an `Epoch`.

    A callback is a function, a SummaryWriter of TensorBoard, the module or client `mlflow`, or a callback of Keras with
    `on_epoch_end`. Raises ParameterError for anything else, and for callbacks of Keras that need its models or the
    batches.
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
        return _KerasCallback(one)
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


class _NoModel:
    """Stands for the model of a callback of Keras, which may set `stop_training`."""

    stop_training = False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"callbacks of Keras get no model here, so there is no model.{name}; a function of an mpscnn.Epoch is a "
            "callback, too, and may use the trainer"
        )


class _KerasCallback:
    """Calls a callback of Keras after each epoch with the numbers by their names in Keras.

    It ends the training if the callback sets `self.model.stop_training`.
    """

    def __init__(self, given: Any) -> None:
        self._given, self._model, self._begun = given, _NoModel(), False
        kind = next(
            (base for base in type(given).__mro__ if base.__name__ in _OURS and _is_of_keras(base)), None
        )
        if kind is not None:
            raise ParameterError(
                f"callbacks: {kind.__name__} of Keras needs a model of Keras; {_OURS[kind.__name__]}"
            )
        if uncalled := [name for name in _UNCALLED if _defines(given, name)]:
            raise ParameterError(
                f"callbacks: {type(given).__name__} of Keras has {uncalled[0]}, which is never called here; "
                "on_epoch_end is called after each epoch"
            )
        if hasattr(given, "set_model"):
            given.set_model(self._model)

    def __call__(self, epoch: Epoch) -> bool:
        if not self._begun:
            self._begun = True
            if hasattr(self._given, "on_train_begin"):
                self._given.on_train_begin({})
        logs = {KERAS_NAMES.get(name, name): value for name, value in _numbers(epoch).items()}
        answer = self._given.on_epoch_end(epoch.index - 1, logs)
        return answer is True or bool(self._model.stop_training)

    def end(self) -> None:
        """Tell the callback that the training has ended."""
        if self._begun and hasattr(self._given, "on_train_end"):
            self._given.on_train_end({})


def end_all(callbacks: Iterable[Callback]) -> None:
    """Tell the callbacks of Keras that the training has ended."""
    for callback in callbacks:
        if isinstance(callback, _KerasCallback):
            callback.end()


def _is_of_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("keras", "tensorflow", "tf_keras")


def _defines(given: Any, name: str) -> bool:
    """Return True if a callback has a method of its own, not the one of Keras' base class that does nothing.

    TerminateOnNaN has nothing to do, because a loss that is not finite is an error here.
    """
    if not any(map(_is_of_keras, type(given).__mro__)) or type(given).__name__ == "TerminateOnNaN":
        return False
    owners = (base for base in type(given).__mro__ if name in vars(base))
    return name in vars(given) or getattr(next(owners, None), "__name__", "Callback") != "Callback"


def _write_scalars(writer: Any, epoch: Epoch) -> None:
    for name, value in _numbers(epoch).items():
        writer.add_scalar(name, value, epoch.index)
