"""Models: a network with its preprocessing, labels and compiled program."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpscnn import _core
from mpscnn.errors import ParameterError
from mpscnn.network import Network
from mpscnn.photo import open_photo
from mpscnn.program import Program, Session, thread_count
from mpscnn.registry.catalogue import BUNDLED_MODEL
from mpscnn.results import Classification, Prediction


def load(
    model: str | os.PathLike[str] = BUNDLED_MODEL.name,
    *,
    device: str = "auto",
    precision: str = "auto",
    threads: int | str = "auto",
) -> Model:
    """Loads a model and prepares it for a device.

    Args:
        model: a registry name (`mpscnn.registry.names()`), looked up in the package, in MPSCNN_MODELS, in the cache
            and at the publisher; or the path of a model file: anything with a suffix or a directory in it.
        device: "auto", "cpu" or "metal".
        precision: "auto", "float32" or "float16".
        threads: threads for each prediction, "auto": as many as this process may use.

    Raises:
        WeightsError: the file is missing or damaged. DownloadError: it could not be fetched. ParameterError: an unknown
            name or option. DeviceError: no such device.
    """
    core = _core.Model.load(str(model_path(model)))
    return Model(core, device=device, precision=precision, threads=threads)


def model_path(model: str | os.PathLike[str]) -> Path:
    """Where the file of a registry name or path lies; fetches published models."""
    from mpscnn import registry

    if "\0" in os.fspath(model):
        raise ParameterError(f"model: {model!r} contains a zero character")
    if not isinstance(model, str) or registry.is_path(model):
        return Path(model)
    return registry.find(model)


class Model:
    """A network with its preprocessing and labels, compiled for a device. Safe to use from several threads."""

    def __init__(
        self, core: _core.Model, *, device: str = "auto", precision: str = "auto", threads: int | str = "auto"
    ) -> None:
        self._core = core
        self.network = Network.from_graph(core.graph())
        description = json.loads(core.describe())
        self.labels: list[str] | None = description["labels"]
        self.preprocess: dict[str, Any] | None = description["preprocess"]
        self.information: dict[str, str] = description["information"]
        self.program: Program = self.network.compile(device=device, precision=precision)
        self._threads = thread_count(threads)
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    def __repr__(self) -> str:
        classes = f", {len(self.labels)} classes" if self.labels else ""
        return f"<Model {self.name!r}{classes} on {self.program.device} ({self.program.precision})>"

    def predict(self, photo: Any, *, top: int | None = None) -> Classification:
        """Classifies a photo.

        Args:
            photo: path, bytes of an image file, Pillow image, or array: see `mpscnn.photo.open_photo`.
            top: how many classes to return; None: all.

        Raises:
            ImageError: the photo cannot be read. ParameterError: the model is no classifier.
        """
        if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
            raise ParameterError(f"top must be a number of at least 1, got {top!r}")
        opened = open_photo(photo)
        with self.session() as session:
            started = time.perf_counter()
            ranked = self._core.classify(
                session._session, opened.pixels, opened.format, opened.orientation, top or 0
            )
            milliseconds = 1000.0 * (time.perf_counter() - started)
        predictions = tuple(Prediction(label, probability, index) for label, index, probability in ranked)
        program = self.program
        return Classification(predictions, program.device, program.precision, program.reason, milliseconds)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lends a session of this model's program to one caller; sessions are reused."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or self.program.session(threads=self._threads or "auto")
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append(session)

    def features(self, layers: Sequence[str]) -> Program:
        """A program that computes the results of the given layers, and nothing that they do not need."""
        return self.network.compile(
            device=self.program.device, precision=self.program.precision, outputs=list(layers)
        )
