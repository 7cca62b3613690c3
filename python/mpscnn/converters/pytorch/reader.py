"""State dicts as networks."""

from __future__ import annotations

from pathlib import Path

from mpscnn.converters.pytorch.architectures import network_of
from mpscnn.converters.pytorch.state_dict import read_state_dict
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
    """Return the network of one state dict.

    Args:
        name: the network's.
        size: (height, width) of its image; None: what the architecture was made for.
        architecture: which one it is, where names and shapes do not tell ("tf_efficientnet_b0" has those of
            "efficientnet_b0"); None: the one that the file's name begins with.
        fold: batch normalizations become part of the layers before them; else they are layers.

    Raises:
        UnsupportedError: a network that is not known, more than tensors in a pickle, several files. WeightsError: a
            damaged file.
    """
    if len(paths) != 1:
        raise UnsupportedError(f"{paths[1]}: a PyTorch network is one file; {len(paths)} were given")
    state = read_state_dict(paths[0])
    network = network_of(state, name, size, architecture, fold=fold)
    network.notes += state.notes
    return network
