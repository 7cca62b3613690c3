"""Convert files with state dicts to networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading.pytorch.architectures import match_network
from mpscnn.converters.reading.pytorch.state_dict import read_state_dict
from mpscnn.converters.reading.pytorch.timm_config import read_timm_config
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a file with a state dict.

    The option `architecture` is needed if names and shapes fit several networks ("tf_efficientnet_b0" has those of
    "efficientnet_b0"). None means the one that the file's name begins with, or that of timm's config.json next to it.

    Raises:
        UnsupportedError: an unknown network, other objects than tensors in a pickle, or several files. WeightsError: a
            damaged file. ParameterError: an option that only files with networks have.
    """
    options.refuse_choices(paths[0])
    if len(paths) != 1:
        raise UnsupportedError(f"{paths[1]}: a PyTorch network is one file; {len(paths)} were given")
    state = read_state_dict(paths[0])
    config = read_timm_config(paths[0])
    return match_network(
        state, options.name, options.size, options.architecture, config=config, fold=options.fold
    )
