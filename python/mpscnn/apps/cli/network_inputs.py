"""Choose the inputs for commands that examine a network's numbers: photos, or random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpscnn.apps.cli.output import warn
from mpscnn.apps.cli.sizes import Size, check_size
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.evaluation.class_samples import ClassFinder
from mpscnn.graph.network import Network
from mpscnn.opening_models import described_network, model_path, open_model
from mpscnn.vision.photo_list import photo_paths
from mpscnn.vision.preprocessing import preprocess

_RANDOM_INPUTS = 4


class OneInput(NamedTuple):
    """A network with one input, the texts of its file about it, and whether the file has a calibration."""

    network: Network
    information: dict[str, str]
    is_calibrated: bool


def open_one_input(model: str, size: Size | None, instead: str) -> OneInput:
    """Open a model whose network has one input.

    Raises UnsupportedError if the network has several inputs. `instead` ends the message.
    """
    core = open_model(model_path(model))
    network, information = described_network(core)
    if len(network.inputs) != 1:
        raise UnsupportedError(f"{model} has {len(network.inputs)} inputs{instead}")
    check_size(network, size)
    return OneInput(network, information, core.calibration() is not None)


def chosen_inputs(network: Network, paths: Sequence[str], size: Size | None) -> list[NDArray[np.float32]]:
    """Return the inputs of a network with one input: photos, or random numbers in [-1, 1] without any."""
    if paths:
        return preprocess_photos(network, paths, size)
    return [_random_input(network, seed, size) for seed in range(_RANDOM_INPUTS)]


def select_photos(given: list[str], max_photos: int | None, *, option: str = "--images") -> list[str]:
    """Return at most `max_photos` photos of files and folders, evenly spaced; None: all photos.

    An argument without photos and an unreadable folder each cause a warning.
    """
    paths, failures = photo_paths(given)
    for failure in failures:
        warn(failure)
    if not paths:
        raise ParameterError(f"{option}: there is no photo")
    count = len(paths) if max_photos is None else min(max_photos, len(paths))
    return [paths[i * len(paths) // count] for i in range(count)]


def preprocess_photos(network: Network, paths: Sequence[str], size: Size | None) -> list[NDArray[np.float32]]:
    """Convert photos to inputs of the network by its preprocessing."""
    settings = network.preprocess
    if settings is None:
        raise UnsupportedError(
            "the model does not say how a photo becomes its input; convert it with --preprocess"
        )
    channels = network.input.shape[-1] or 3
    sides = size or _sides(network)
    return [preprocess(path, sides, settings, channels=channels) for path in paths]


def _sides(network: Network) -> Size:
    shape = network.input.shape
    if len(shape) != 4 or shape[1] is None or shape[2] is None:
        raise UnsupportedError(f"photos cannot be the input {shape} of network {network.name!r}")
    return shape[1], shape[2]


def true_classes(paths: Sequence[str], labels: Sequence[str]) -> list[int] | None:
    """Return the class of each photo from the name of its folder; None if a folder is not named after a class."""
    if not paths or not labels:
        return None
    finder = ClassFinder(labels)
    try:
        known = {folder: finder.of_folder(folder) for folder in {Path(path).parent for path in paths}}
    except ParameterError:
        return None
    return [known[Path(path).parent] for path in paths]


def _random_input(network: Network, seed: int, size: Size | None) -> NDArray[np.float32]:
    """Return random numbers in [-1, 1] in the shape of one input."""
    shape = list(network.input.shape)
    shape[0] = 1
    if size is not None:
        shape[1:3] = size
    extents = [extent for extent in shape if extent is not None]
    return np.random.default_rng(seed).uniform(-1.0, 1.0, extents).astype(np.float32)
