"""Hold the models that the service has loaded, with the runners that all requests share."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from mpscnn._private.arrays import naming_remedy
from mpscnn._private.class_scores import score_count
from mpscnn._private.model_name import is_path
from mpscnn._private.names import did_you_mean
from mpscnn.apps.serve.failures import RefusedError
from mpscnn.apps.serve.settings import check_threads
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.model import Model, load
from mpscnn.opening_models import hub_model_name
from mpscnn.runner.runner import Runner

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.runtime.options import LoadArguments

#: The largest number of axes of an input whose order an error explains. NumPy's arrays have at most 32.
_MAX_AXES = 8


_Named = TypeVar("_Named", bound="LoadedModel | HostedModel")


class Progress(Protocol):
    """How far a change of a model's options is."""

    begun: bool
    given_up: bool


class Compiled:
    """A compiled model with its runners.

    `take` and `give_back` count the requests that use it. After `retire`, the last request closes the runners.
    Only tasks of one event loop may use it, but any thread may call the constructor, `tensors` and `output_shapes`.
    """

    def __init__(self, model: Model, inflight: int, max_batch: int) -> None:
        self.model = model
        self._inflight = inflight
        self._max_batch = max_batch
        self._users = 0
        self._retired = False
        self._photos: Runner[Any] | None = None
        options = model.run_options.to_dict()
        # Both runners have the default max_wait of 0: they combine requests that are waiting already, and never delay a
        # request to combine it with later ones.
        self._tensors: Runner[Any] = Runner(model.program, inflight, max_batch=max_batch, **options)
        self._known_shapes: tuple[tuple[tuple[int, ...], ...], list[tuple[int, ...]]] | None = None
        self._no_photos = ""
        self.options = json.dumps(
            {
                "device": model.program.device,
                "precision": model.program.precision,
                "threads": self.threads_of_a_request,
            }
        )
        """The options of the compiled model as JSON. Responses carry it in a header."""
        try:
            self._photos = Runner(model, inflight, max_batch=max_batch, **options)
        except UnsupportedError as error:
            self._no_photos = str(error)

    @property
    def takes_photos(self) -> bool:
        """Return True if the model can classify, detect or segment photos."""
        return self._photos is not None

    @property
    def photos(self) -> Runner[Any]:
        """Return the runner for photos. Raise UnsupportedError if the model does not take photos."""
        if self._photos is None:
            raise UnsupportedError(self._no_photos)
        return self._photos

    @property
    def tensors(self) -> Runner[Any]:
        """Return the runner for tensors."""
        return self._tensors

    def output_shapes(self, inputs: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
        """Return the outputs' shapes for these input shapes. The last result is cached, since computing it is slow."""
        known = self._known_shapes
        if known is None or known[0] != inputs:
            program = self.model.program
            arrays = [np.broadcast_to(np.float32(0), shape) for shape in inputs if len(shape) <= _MAX_AXES]
            with naming_remedy([*program.inputs.values()], arrays, arrays):
                known = self._known_shapes = inputs, program.output_shapes(*inputs)
        return known[1]

    @property
    def threads_of_a_request(self) -> int | None:
        """Return the number of threads that compute one request; None on a GPU."""
        return self._tensors.threads if self.model.program.device == "cpu" else None

    def take(self) -> None:
        """Count one more request that uses the runners, so that they stay open until its `give_back`."""
        self._users += 1

    def give_back(self) -> None:
        """Count one request fewer. After `retire`, the last request that ends closes the runners."""
        self._users -= 1
        if self._retired and not self._users:
            self._close()

    def retire(self) -> None:
        """Close the runners as soon as no request uses them any more."""
        self._retired = True
        if not self._users:
            self._close()

    def _close(self) -> None:
        """Close the runners.

        They are idle, so this does not block. When the service ends, it waits for frames that are still computed.
        """
        for runner in (self._photos, self._tensors):
            if runner is not None:
                runner.close()


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model, which has no threads yet, and its name in URLs."""

    name: str
    model: Model


class HostedModel:
    """A loaded model with its runners, and its name in URLs."""

    def __init__(self, name: str, compiled: Compiled) -> None:
        self.name = name
        self.compiled = compiled
        self.changes = 0
        """The number of changes of the options that are compiled or wait."""
        self._changing = asyncio.Lock()

    @classmethod
    def of(cls, loaded: LoadedModel, inflight: int, max_batch: int) -> HostedModel:
        """Start the runners of a loaded model."""
        return cls(loaded.name, Compiled(loaded.model, inflight, max_batch))

    @property
    def task(self) -> str:
        """Return the model's task, such as "classification"."""
        return self.compiled.model.task

    def describe(self) -> dict[str, Any]:
        """Return the model's entry in the list of models, for JSON."""
        compiled, model = self.compiled, self.compiled.model
        program = model.program
        shape = next(iter(program.inputs.values()))
        outputs = list(model._outputs.values())
        is_classifier = model.task == "classification" and score_count(outputs) is not None
        threshold = None if model._detection is None else round(model._score_threshold, 6)
        size = {"height": shape[1], "width": shape[2]} if len(shape) == 4 else None
        return {
            "name": self.name,
            "task": model.task,
            "photos": compiled.takes_photos,
            "labels": model.labels,
            "scores_are": model.scores_are if is_classifier else None,
            "answers": model.answers,
            "score_threshold": threshold,
            "input": size,
            "device": program.device,
            "device_name": program.device_name,
            "precision": program.precision,
            "weights": program.weight_type,
            "accumulate_dtype": program.accumulate_dtype,
            "winograd": program.winograd,
            "metal_kernels": program.metal_kernels,
            "reason": program.reason,
            "threads": compiled.threads_of_a_request,
        }

    async def change(self, pool: Executor, progress: Progress, **options: Unpack[LoadArguments]) -> None:
        """Compile the model with other options, and use the result for later requests.

        Until the new program is ready, the old one serves.

        Args:
            pool: the threads in which the model is compiled.
            progress: the change's progress. If it is given up, the compiled model is not used.
            options: as for `mpscnn.load`. `max_memory` cannot be changed, and `threads` may be at most the number
                of cores.

        Raises:
            ParameterError, DeviceError, UnsupportedError, WeightsError: as `mpscnn.load`. The old model then stays in
                use.
        """
        check_threads(options.get("threads", "auto"))

        def compile_again() -> Compiled:
            present = self.compiled.model
            limited: LoadArguments = {**options, "max_memory": present.compile_options.max_memory}
            model = Model(present._core, **limited)
            return Compiled(model, self.compiled._inflight, self.compiled._max_batch)

        async with self._changing:
            progress.begun = True
            made = await asyncio.get_running_loop().run_in_executor(pool, compile_again)
            if progress.given_up:
                made.retire()
                return
            old, self.compiled = self.compiled, made
            old.retire()


def require_distinct(models: Iterable[_Named]) -> list[_Named]:
    """Return the models as a list. Raise ParameterError if two of them have one name."""
    listed = [*models]
    names: set[str] = set()
    for model in listed:
        if model.name in names:
            raise ParameterError(
                f"two models are called {model.name!r}: a file's name without its suffix is its model's, so "
                "rename one of the files"
            )
        names.add(model.name)
    return listed


class Models:
    """All models of the service, in the order of the command line."""

    def __init__(self, models: Iterable[HostedModel]) -> None:
        self._by_name = {model.name: model for model in require_distinct(models)}

    def __iter__(self) -> Any:
        return iter(self._by_name.values())

    def named(self, name: str) -> HostedModel:
        """Return the model with this name. Raise RefusedError with status 404 if there is none."""
        if name not in self._by_name:
            raise RefusedError(
                HTTPStatus.NOT_FOUND,
                "UnknownModel",
                f"there is no model {name[:100]!r}{did_you_mean(name[:100], list(self._by_name))}; "
                f"served are {', '.join(self._by_name)}",
            )
        return self._by_name[name]

    def for_task(self, name: str | None, task: str) -> HostedModel:
        """Return the named model, or without a name the first one that has this task.

        Raise RefusedError for an unknown name, UnsupportedError for a model with another task.
        """
        if name is not None:
            model = self.named(name)
            if model.task != task:
                raise UnsupportedError(f"model {name!r} is for {model.task}, not for {task}")
            return model
        for model in self._by_name.values():
            if model.task == task:
                return model
        served = ", ".join(f"{model.name} ({model.task})" for model in self._by_name.values())
        raise RefusedError(
            HTTPStatus.NOT_FOUND, "UnknownModel", f"no model for {task} is served; served are {served}"
        )

    def close(self) -> None:
        """Close all models when the service ends."""
        for model in self._by_name.values():
            model.compiled.retire()


def load_model(source: str | os.PathLike[str], **options: Unpack[LoadArguments]) -> LoadedModel:
    """Load a model with the options of `mpscnn.load`, and return it with its name.

    The name is the registry name, that of the hub's repository, or the file's name without suffix. Raises the errors of
    `mpscnn.load`.
    """
    text = os.fspath(source)
    name = hub_model_name(text) or (Path(text).stem if is_path(text) else text)
    return LoadedModel(name, load(source, **options))


def host(
    source: str | os.PathLike[str], inflight: int, max_batch: int = 1, **options: Unpack[LoadArguments]
) -> HostedModel:
    """Load a model with the options of `mpscnn.load`, and start its runners. Raises the errors of `load_model`."""
    return HostedModel.of(load_model(source, **options), inflight, max_batch)
