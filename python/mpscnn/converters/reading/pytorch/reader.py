"""Convert files with state dicts to networks."""

from __future__ import annotations

from pathlib import Path

from mpscnn.converters.reading.pytorch.architectures import match_network
from mpscnn.converters.reading.pytorch.state_dict import read_state_dict
from mpscnn.converters.reading.pytorch.timm_config import read_timm_config
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network


def read_pytorch(
    paths: list[Path],
    name: str,
    size: tuple[int, int] | None = None,
    architecture: str | None = None,
    *,
    fold: bool = True,
) -> Network:
    """Return the network of a file with a state dict.

    Args:
        paths: the file.
        name: the name of the network.
        size: (height, width) of the network's image; None: the usual size of the architecture.
        architecture: the name of the architecture, needed if names and shapes fit several ("tf_efficientnet_b0" has
            those of "efficientnet_b0"); None: the one that the file's name begins with, or the one of
            timm's config.json next to the file.
        fold: whether batch normalizations become part of the layers before them, or stay separate layers.

    Raises:
        UnsupportedError: an unknown network, other objects than tensors in a pickle, or several files. WeightsError: a
            damaged file.
    """
    if len(paths) != 1:
        raise UnsupportedError(f"{paths[1]}: a PyTorch network is one file; {len(paths)} were given")
    state = read_state_dict(paths[0])
    config = read_timm_config(paths[0])
    return match_network(state, name, size, architecture, config=config, fold=fold)
