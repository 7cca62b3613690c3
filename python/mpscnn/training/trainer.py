"""Train a network step by step: `mpscnn.Trainer`."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number, name_list, require_bool, require_text, whole_number
from mpscnn._private.arrays import naming_remedy
from mpscnn._private.callables import require_arguments
from mpscnn._private.copies import NoCopies
from mpscnn._private.fork_safe_lock import ForkSafeLock
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_arguments import accept_foreign_arguments, conversion_hint, number_format
from mpscnn._private.other_names import Expected, FixedAttributes
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.class_numbers import require_same_classes
from mpscnn.graph.network import Network
from mpscnn.graph.settings import copy_settings, state_scores
from mpscnn.graph.training_arrays import loss_settings, prediction_shape, to_inputs, to_loss_weights
from mpscnn.runtime.device_name import named_device
from mpscnn.runtime.profile import Profile
from mpscnn.training.batches import Data, batches, pair_with_labels
from mpscnn.training.built_trainer import BuiltTrainer, network_from, without_weights
from mpscnn.training.checkpoint import (
    Choices,
    convert_checkpoint_errors,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from mpscnn.training.epoch_loop import EpochLoop
from mpscnn.training.fit_data import ClassWeight, weigh_classes
from mpscnn.training.frozen_layers import FrozenLayers
from mpscnn.training.history import Epoch
from mpscnn.training.objective import Objective, loss_of_core, require_fitting_end
from mpscnn.training.optimizers import (
    Optimizer,
    Schedule,
    learning_rate_at,
    optimizer_settings,
    resolve_optimizer,
    stored_optimizer,
)
from mpscnn.training.own_loss import OWN, Loss, OwnLoss
from mpscnn.training.progress import Evaluated, Step, Tally, TrainingProgress
from mpscnn.vision.detector import DetectionHead

__all__ = ["Evaluated", "Trainer"]


def _one_by_one(patterns: tuple[Any, ...]) -> list[str]:
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ParameterError(
                f'layers are given one by one, as in freeze("conv1", "block_*"), got {pattern!r}'
            )
    return list(patterns)


class StepLoss(Expected, float):
    """The loss of a step: a float with leads from the attributes of tensors. `item()` returns the number."""

    __slots__ = ()
    _other_names = (("__float__", "item"),)


class Trainer(NoCopies, FixedAttributes, EpochLoop):
    """Trains a network on the CPU or a GPU. Weights, gradients and losses are float32.

    Several threads may use a trainer; methods that change it or read its weights wait for the running step. Only one
    thread may call `fit`. If a process is forked during a step, the trainer in the child raises StateError.

    Args:
        network: a network with one output or the outputs of a detector, and with all its weights. If it has none, they
            begin as those of `Network.initialize_weights` with this `seed`. The network stays unchanged. If the output
            is a softmax and the loss is "softmax_cross_entropy", "focal" or "dice", the loss is computed from the
            softmax's input.
        loss: the name of a loss (docs/training.md), or its parameters as a mapping with "kind". The kind "multibox" is
            the loss of a single-shot detector whose `detection` has scores of the kind "softmax". It has the parameters
            of the operation "multibox_loss", and "iou_threshold". Or a loss of yours: a function of (outputs, targets)
            that returns (loss, gradient), float32 arrays, or a `Network` with the inputs "prediction" and "labels" and
            the losses as its output. With `weighted`, the function also takes weights, and the network "weights".
        optimizer: mpscnn.Sgd, RmsProp or Adam, or its name; None: Adam.
        learning_rate: the learning rate for an optimizer given by name; None: its default.
        device: "auto", "cpu", "metal" or a name of `mpscnn.devices()`.
        precision: "float32"; on "cpu" also "bfloat16": then convolutions and dense layers round both operands of their
            products to bfloat16, forward and backward (docs/training.md lists the exceptions). On "metal" also
            "float16": then the outputs of layers are rounded to half precision.
        threads: a number; "auto": all that the process may use. The results do not depend on it.
        seed: the random seed of the data's order and of dropout.
        frozen: layers whose weights do not change, as names or patterns ("block_*").
        accumulate: the number of batches whose mean gradient is used for one update of the weights.
        average: the share that a moving average of the weights keeps at each update, such as 0.999; 0: no average.
        weighted: whether data and steps also have a weight for each loss, after inputs and labels.
        check_finite: whether to check that all results and gradients of each step are finite, which takes time.

    Raises:
        ParameterError: an unknown option, or nothing to train.
        UnsupportedError: a layer has no gradient (the message names it), or the device does not train in the precision.
        WeightsError: the network lacks weights.
    """

    _other_names = (
        ("network.predict", "predict"),
        ("step", "train_step training_step"),
        ("evaluate", "validate test"),
        ("save", "save_checkpoint"),
    )
    _instead = "save(path) writes a checkpoint, and Trainer.resume(path) makes a trainer of it"

    @accept_foreign_arguments
    def __init__(
        self,
        network: Network,
        *,
        loss: Loss = "softmax_cross_entropy",
        optimizer: Optimizer | str | None = None,
        learning_rate: float | Schedule | None = None,
        device: str = "auto",
        precision: str = "float32",
        threads: int | str = "auto",
        seed: int = 0,
        frozen: tuple[str, ...] = (),
        accumulate: int = 1,
        average: float = 0.0,
        weighted: bool = False,
        check_finite: bool = False,
    ) -> None:
        if not isinstance(network, Network):
            raise ParameterError(
                f"network must be a Network, got {type(network).__name__}{conversion_hint(network)}"
            )
        for node in network.to_dict()["nodes"]:
            if node["operation"] == "custom":
                raise UnsupportedError(
                    f"training: layer {node['name']!r}: custom layers have no gradient, and no checkpoint holds them"
                )
        seed = whole_number("seed", seed, minimum=0, maximum=2**63 - 1)
        if threads != "auto":
            threads = whole_number("threads", threads, otherwise="'auto'")
        if not network.weights:
            network = network.copy()
            network.initialize_weights(seed=seed)
        self._own: OwnLoss | None = None
        if isinstance(loss, Network) or callable(loss):
            self._own = OwnLoss(loss, network, weighted=require_bool("weighted", weighted))
        self._loss = {"kind": OWN} if self._own is not None else loss_settings(network, loss)
        self._options: dict[str, Any] = {} if self._own is not None else {"loss": loss_of_core(self._loss)}
        self._optimizer = resolve_optimizer(optimizer, learning_rate)
        self._options |= {"optimizer": optimizer_settings(self._optimizer), "seed": seed}
        if callable(self._optimizer.learning_rate):
            require_arguments("learning_rate", self._optimizer.learning_rate, ["step"])
        else:
            learning_rate_at(self._optimizer, 0)  # raises an error for an invalid rate
        if not is_finite_number(average) or not 0 <= average <= 1:
            raise ParameterError(f"average must be 0 to 1, got {average!r}")
        self._options |= {
            "accumulate": whole_number("accumulate", accumulate),
            "average_rate": float(average),
        }
        for name, value in (("weighted", weighted), ("check_finite", check_finite)):
            self._options[name] = require_bool(name, value)
        self._options["precision"] = require_text("precision", number_format(precision))
        self._threads = 0 if threads == "auto" else int(threads)
        self._original = without_weights(network)
        self._position = TrainingProgress()
        self._made: list[Epoch] = []
        self._lock = ForkSafeLock()
        with named_device(device) as self._device:
            self._built = self._build(network, FrozenLayers(self._matching(name_list("frozen", frozen))))
        self._objective = Objective(
            network,
            self._loss,
            self._built.described,
            weighted=self._options["weighted"],
            own=self._own,
        )
        require_fitting_end(network, self._loss["kind"])

    # ---- Steps ----

    @property
    def steps(self) -> int:
        """The number of steps so far: one for each batch."""
        return self._current_position.steps

    @accept_foreign_arguments
    def step(self, inputs: Any, labels: Any, weights: Any = None) -> float:
        """Train on one batch. Return the loss before the update of the weights.

        Args:
            inputs: float32 or float16 in the network's input shape, a list for several inputs. float64 is converted.
            labels: class numbers (n,), or floats of the prediction's shape (n, ...). For a prediction with one channel,
                whole numbers and booleans are values, too. For a detector, a list with a mapping for each image:
                "boxes" (k, 4) with left, top, right and bottom as fractions of the input, and "classes" (k,) from 0 on;
                or the results of `Detector.targets`.
            weights: the weights of the losses, if the trainer is `weighted`: (n,), or with more axes of the prediction.

        Raises:
            StateError: the loss (or with `check_finite` any result) is not finite. The weights then stay unchanged.
            ImageError: the network has preprocessing, and the inputs are pixels from 0 to 255.
            ParameterError: the labels belong to other classes than those of the network, or another argument is wrong.
        """
        return self._step(inputs, labels, weights)

    def profile(self, inputs: Any, labels: Any, weights: Any = None, *, runs: int = 20) -> Profile:
        """Measure the parts of a training step: forward, backward and weight update. The weights stay unchanged.

        With `accumulate`, this is the time of one batch without the weight update.

        Args:
            inputs, labels, weights: as for `step`.
            runs: the number of measured runs, 1 to 100000. One run before them is not measured.

        Raises:
            ParameterError, ShapeError: the arguments are invalid for `step`, or `runs` is out of its range.
        """
        count = whole_number("runs", runs, maximum=100_000)
        self._require_same_classes(labels)
        given, targets = self._step_arrays(inputs, labels, weights)
        with self._lock:
            return Profile.parsed(*self._built.core.profile(given, targets, count))

    @accept_foreign_arguments
    def evaluate(
        self, data: Data, labels: Any = None, *, batch_size: int = 250, averaged: bool = False
    ) -> Evaluated:
        """Return the loss and accuracy of the present weights. The network runs as in inference.

        Args:
            data, labels: as for `fit`.
            averaged: use the moving average of the weights.

        Raises ParameterError if the data has other classes than the network.
        """
        data = pair_with_labels(data, labels)
        self._require_same_classes(data)
        layers = self._built.described["prediction_layers"]
        network = self.averaged if averaged else self.network
        session = network.compile(
            device=self._device, precision=self._options["precision"], outputs=layers
        ).session(threads=self._threads or "auto")
        tally = Tally()
        for inputs, labels, weights in batches(network, data, batch_size):
            self._require_same_classes(labels)
            if weights is not None:
                self._objective.require_weighted(weights)
            answer = session.run(inputs)
            prediction = (
                np.concatenate([answer[layer] for layer in layers], -1)
                if isinstance(answer, dict)
                else np.asarray(answer)
            )
            objective, targets = self._objective, self._objective.targets(labels, prediction.shape)
            loss = objective.value(prediction, targets, weights)
            tally.add(loss, objective.counted(targets, weights), *objective.answers(prediction, targets))
        return tally.evaluated()

    # ---- Weights ----

    @property
    def network(self) -> Network:
        """A network with the present weights."""
        with self._lock:
            return self._network_of(self._built.core.network())

    @property
    def averaged(self) -> Network:
        """A network with the moving average of the weights. Raises ParameterError if there is none."""
        with self._lock:
            averaged = self._network_of(self._built.core.averages())
            self._built.frozen.average(averaged)
            return averaged

    def _network_of(self, graph: _core.Graph) -> Network:
        trained = Network.from_graph(graph)
        copy_settings(self._original, trained)
        if self._loss["kind"] in ("sigmoid_cross_entropy", "sigmoid_focal"):
            state_scores(trained, "sigmoid")
        return trained

    @property
    def frozen(self) -> tuple[str, ...]:
        """The layers whose weights do not change."""
        return self._built.frozen.names

    def freeze(self, *patterns: str) -> None:
        """Keep the weights of layers with these names or patterns ("block_*") unchanged from now on.

        The optimiser's state, moving averages and accumulated gradients of these layers are kept, too. With
        `accumulate`, the next update of a layer divides its sum of gradients by `accumulate`, even if the sum has fewer
        terms.
        """
        with self._lock:
            self._refreeze({*self.frozen, *self._matching(_one_by_one(patterns))})

    def unfreeze(self, *patterns: str) -> None:
        """Train layers again that were frozen. They continue as if there had been no steps in between."""
        with self._lock:
            self._refreeze(set(self.frozen) - set(self._matching(_one_by_one(patterns))))

    # ---- Checkpoints ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint. A trainer that `resume` creates from it gives the same results to the bit.

        An older file is replaced when the new one is complete.
        """
        write_checkpoint(path, *self._state())

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        with self._lock:
            return self._stored()

    def _return_to(self, state: tuple[dict[str, Any], dict[str, NDArray[Any]]]) -> None:
        then = Trainer._resumed(*state, "the best epoch", Choices(self._own, self._optimizer))
        with self._lock:
            self._built, self._position = then._built, then._position

    def _weighted_by_class(self, data: Data, class_weight: ClassWeight) -> Data:
        classes = int(self._built.described["prediction"][-1])
        weighted = weigh_classes(data, class_weight, classes)
        if not self._options["weighted"]:
            settings, arrays = self._state()
            settings = settings | {"options": {**settings["options"], "weighted": True}}
            then = Trainer._resumed(settings, arrays, "class_weight", Choices(self._own, self._optimizer))
            with self._lock:
                self._own, self._options, self._objective = then._own, then._options, then._objective
                self._built, self._position = then._built, then._position
        self._weighs_classes = True
        return weighted

    def _stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        head, now = self._original.detection, self._current_position
        settings = {
            "graph": self._original.to_dict(),
            "loss": self._loss,
            "options": self._options,
            "optimizer": stored_optimizer(self._optimizer),
            "device": self._device,
            "threads": self._threads,
            "steps": now.steps,
            "epoch": now.epoch,
            "batch": now.batch,
            "tally": asdict(now.tally),
            "labels": self._original.labels,
            "preprocess": self._original.preprocess,
            "scores": self._original.scores,
            "answers": self._original.answers,
            "detection": None if head is None else dict(head.settings),
            **self._built.frozen.settings(),
        }
        arrays = {f"weight:{name}": np.asarray(value) for name, value in self.network.weights.items()}
        arrays |= {f"variable:{name}": value for name, value in self._built.variables().items()}
        if head is not None and head.anchors is not None:
            arrays["anchors"] = head.anchors
        return settings, arrays | self._built.frozen.arrays()

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        loss: Callable[..., Any] | Network | None = None,
        optimizer: Optimizer | None = None,
        device: str | None = None,
        threads: int | str | None = None,
    ) -> Trainer:
        """Return the trainer from a checkpoint.

        Args:
            loss: the loss, if it was a function or a `Network`, which a checkpoint cannot hold; otherwise None.
            optimizer: None: the saved one. Another optimiser may differ only in its learning rate. It is required if
                the saved learning rate was a function that is not from `mpscnn.training.schedules`.
            device: None: the saved one.
            threads: None: the saved number.

        Raises:
            WeightsError: the file is missing, damaged or not a checkpoint.
            ParameterError: the optimiser differs, or is required.
        """
        settings, arrays = read_checkpoint(path)
        with convert_checkpoint_errors(path):
            return cls._resumed(settings, arrays, path, Choices(loss, optimizer, device, threads))

    @classmethod
    def _resumed(
        cls,
        settings: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        path: str | os.PathLike[str],
        given: Choices,
    ) -> Trainer:
        options, optimizer = settings["options"], given.optimizer
        if optimizer is None:
            optimizer = restore_optimizer(settings, path)
        elif optimizer_settings(optimizer) != options["optimizer"]:
            raise ParameterError(
                f"{os.fspath(path)}: the checkpoint's optimiser is {options['optimizer']}, "
                f"got {optimizer_settings(optimizer)}"
            )
        network = network_from(settings["graph"])
        network.load_weights(
            {name[7:]: array for name, array in arrays.items() if name.startswith("weight:")}, layout="OHWI"
        )
        network.labels, network.preprocess = settings["labels"], settings["preprocess"]
        network.scores, network.answers = settings.get("scores"), settings.get("answers")
        if settings["detection"] is not None:
            network.detection = DetectionHead(settings["detection"], arrays.get("anchors"))
        trainer = cls(
            network,
            loss=given.resumed_loss(settings["loss"], path),
            optimizer=optimizer,
            device=settings["device"] if given.device is None else given.device,
            precision=options.get("precision", "float32"),
            threads=(settings["threads"] or "auto") if given.threads is None else given.threads,
            seed=options["seed"],
            frozen=tuple(settings["frozen"]),
            accumulate=options["accumulate"],
            average=options["average_rate"],
            weighted=options["weighted"],
            check_finite=options["check_finite"],
        )
        frozen = FrozenLayers.of_checkpoint(settings, arrays)
        built = trainer._build(network, frozen) if frozen.missed else replace(trainer._built, frozen=frozen)
        variables = {name[9:]: array for name, array in arrays.items() if name.startswith("variable:")}
        wanted = {entry["name"] for entry in built.described["variables"]}
        if wanted - set(variables):
            missing = min(wanted - set(variables))
            raise WeightsError(f"{os.fspath(path)} is a damaged checkpoint: it has no {missing!r}")
        if set(variables) - wanted:
            unknown = min(set(variables) - wanted)
            raise WeightsError(f"{os.fspath(path)} is a damaged checkpoint: it has {unknown!r}, of no layer")
        built.set_variables(variables)
        steps, epoch, batch = (
            whole_number(f"{os.fspath(path)}: {name}", settings[name], minimum=0)
            for name in ("steps", "epoch", "batch")
        )
        built.core.set_steps(steps)
        trainer._built = built
        trainer._position = TrainingProgress(steps, epoch, batch, Tally.stored(settings["tally"]))
        return trainer

    # ---- Private ----

    def _build(self, network: Network, frozen: FrozenLayers) -> BuiltTrainer:
        loss = None if self._own is None else self._own.graph
        return BuiltTrainer.of(network, self._options, frozen, self._device, self._threads, loss)

    def _require_same_classes(self, data: Any) -> list[str] | None:
        return require_same_classes(data, self._original, self._built.described["prediction"])

    @property
    def _current_position(self) -> TrainingProgress:
        """The present position, which includes the last step."""
        return self._position.counted(self._objective)

    def _matching(self, patterns: Sequence[str]) -> tuple[str, ...]:
        inputs = {tensor.name for tensor in self._original.inputs}
        names = [name for name in self._original.layer_names() if name not in inputs]
        found: set[str] = set()
        for pattern in patterns:
            matching = fnmatch.filter(names, pattern)
            if not matching:
                raise ParameterError(
                    f"no layer of the network matches {pattern!r}{did_you_mean(pattern, names)}; "
                    "Network.layer_names() lists them"
                )
            found.update(matching)
        return tuple(sorted(found))

    def _refreeze(self, frozen: set[str]) -> None:
        before = self._built
        variables = {**before.frozen.variables, **before.variables()}
        in_network = {entry["name"] for entry in before.described["variables"] if entry["layer"]}
        changed = before.frozen.changed(frozen, self._updates)
        built = self._build(self.network, changed)
        known = {entry["name"] for entry in built.described["variables"]}
        built.set_variables({name: value for name, value in variables.items() if name in known})
        built.core.set_steps(self.steps)
        kept = {name: value for name, value in variables.items() if name not in known | in_network}
        self._built = replace(built, frozen=replace(changed, variables=kept))

    def _step(self, inputs: Any, labels: Any, weights: Any, *, of_epoch: bool = False) -> float:
        names = self._require_same_classes(labels)
        given, targets = self._step_arrays(inputs, labels, weights)
        self._original.labels = names or self._original.labels
        prediction = np.empty(targets.shape, np.float32)
        step = Step(targets, prediction, weights, of_epoch, np.full(1, np.nan))
        with self._lock:
            rate = learning_rate_at(self._optimizer, self._updates)
            # If Ctrl-C came just after the last step, that step still counts.
            self._position = replace(self._current_position, made=step)
            # The arrays of an epoch's batches may have been tensors.
            passed = None if of_epoch else inputs
            with naming_remedy([tensor.shape for tensor in self._original.inputs], given, passed):
                self._built.core.step(given, targets, rate, prediction, step.loss)
            self._position = self._current_position
        return StepLoss(step.loss[0])

    def _step_arrays(
        self, inputs: Any, labels: Any, weights: Any
    ) -> tuple[list[NDArray[Any]], NDArray[np.float32]]:
        """Return the arrays for the core: inputs, weights of the losses, labels in the prediction's shape."""
        given = to_inputs(self._original, inputs)
        if given[0].ndim == 0 or len(given[0]) == 0:
            raise ParameterError(f"a step takes at least one image, got inputs of the shape {given[0].shape}")
        shape = prediction_shape(len(given[0]), self._built.described["prediction"][1:], labels)
        targets = self._objective.targets(labels, shape)
        self._objective.require_weighted(weights)
        if weights is not None:
            given = [*given, to_loss_weights(weights, shape)]
        return given, targets
