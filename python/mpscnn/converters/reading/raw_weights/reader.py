"""Read the folder of Deep MNIST's raw files as `mpscnn.models.deep_mnist`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.graph.network import Network

_DIGITS = "0123456789"  # the files contain no names of classes


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a folder. Raises WeightsError if a file is missing or has a wrong size."""
    from mpscnn.models.deep_mnist import deep_mnist

    folder = only(paths)
    options.refuse_choices(folder)
    network = deep_mnist(folder, name=options.name)
    network.labels = list(_DIGITS)
    return network
