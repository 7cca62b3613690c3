"""Give the library access to parts of the toolkit: readers and writers of other frameworks' files, and measurements.

The library must not import the toolkit. So `mpscnn/__init__.py` registers functions that import it at first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from mpscnn.errors import Error


class Converter(Protocol):
    """The functions of the module `mpscnn.converters.formats.conversion_cache`."""

    CONVERTER_VERSION: int

    def convert_cached(
        self, name: str, *, fold: bool = ..., note_photos: bool = ..., record: str = ...
    ) -> str:
        """Convert a file of another framework to a model file in the cache, and return its path."""
        ...

    def fold_state(self, weights: Mapping[str, Any], architecture: str) -> Any:
        """Return the weights of a network of `mpscnn.models` for a state dict of PyTorch."""
        ...

    def convert_files(self, *arguments: Any, **options: Any) -> Any:
        """Convert files of another framework to a model file."""
        ...


class Writers(Protocol):
    """The content of the module `mpscnn.converters.formats.writers`."""

    WRITERS: Mapping[str, Callable[..., None]]
    """Functions (network, path, dtype, information) that write a file, by the suffix of the file."""


class Precisions(Protocol):
    """The function of the module `mpscnn.comparison.precision_choice`."""

    def fastest_options(
        self, network: Any, options: Any, threads: int | None, within: float
    ) -> dict[str, Any]:
        """Return the arguments of `Network.compile` for the fastest precision whose error is at most `within`."""
        ...


class CoremlPrograms(Protocol):
    """The function of the module `mpscnn.converters.writing.coreml.compiled_program`."""

    def write_program(self, content: bytes, request: str) -> str:
        """Write a network as a compiled Core ML program, and return JSON about it."""
        ...


class Calibrations(Protocol):
    """The functions of the module `mpscnn.evaluation.calibration`."""

    def calibration_of(
        self,
        model: Any,
        samples: Any,
        *,
        inflight: int,
        failed: Callable[[Any, Error], object] | None,
    ) -> Any:
        """Return the `Calibration` of a classifier on labelled photos."""
        ...

    def detector_threshold(
        self,
        model: Any,
        photos: Any,
        annotations: Any,
        precision: float,
        *,
        inflight: int,
        failed: Callable[[Any, Error], object] | None,
    ) -> float:
        """Return the score threshold with which a detector has a precision on annotated photos."""
        ...


class Importers(NamedTuple):
    """Functions that import a part of the toolkit at its first use."""

    converters: Callable[[], Converter]
    writers: Callable[[], Writers]
    precisions: Callable[[], Precisions]
    coreml_programs: Callable[[], CoremlPrograms]
    calibrations: Callable[[], Calibrations]


_importers: Importers


def provide(importers: Importers) -> None:
    """Register the functions that import the parts of the toolkit."""
    global _importers
    _importers = importers


def converter() -> Converter:
    """Import and return the converters."""
    return _importers.converters()


def writers() -> Mapping[str, Callable[..., None]]:
    """Import the writers of other frameworks' files. Return them by file suffix."""
    return _importers.writers().WRITERS


def precisions() -> Precisions:
    """Import and return the choice of a precision."""
    return _importers.precisions()


def calibrations() -> Calibrations:
    """Import and return the calibration of classifiers."""
    return _importers.calibrations()


def write_coreml(content: bytes, request: str) -> str:
    """Write a network for the device "coreml". The core calls this when a program is compiled for that device."""
    return _importers.coreml_programs().write_program(content, request)
