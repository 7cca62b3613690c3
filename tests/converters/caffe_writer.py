"""Write small Caffe networks for tests, through the schema that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("google.protobuf", reason="protobuf is not installed")

from converters.protobuf_messages import caffe_weights

Blobs = Mapping[str, Sequence[NDArray[Any]]]


def weights(blobs: Blobs, *, old: bool = False) -> bytes:
    """Return a .caffemodel. With `old` it has the fields of Caffe's first format."""
    message = caffe_weights()()
    for name, arrays in blobs.items():
        layer = message.layers.add(name=name) if old else message.layer.add(name=name)
        for array in arrays:
            blob = layer.blobs.add()
            blob.data.extend(np.asarray(array, np.float32).reshape(-1).tolist())
            if old:
                shape = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = shape
            else:
                blob.shape.dim.extend(array.shape)
    return bytes(message.SerializeToString())


def image(*shape: int) -> str:
    """Return the text of the input layer `data`."""
    dims = " ".join(f"dim: {extent}" for extent in shape)
    return f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'


def layer(kind: str, name: str, bottoms: str, parameters: str = "", tops: str = "") -> str:
    """Return the text of a layer. Its result has the layer's name unless `tops` names it."""
    lines = [f'name: "{name}"', f'type: "{kind}"']
    lines += [f'bottom: "{bottom}"' for bottom in bottoms.split()]
    lines += [f'top: "{top}"' for top in (tops or name).split()]
    return f"layer {{ {' '.join(lines)} {parameters} }}\n"


def write(folder: Path, text: str, blobs: Blobs | None = None, *, old: bool = False) -> list[Path]:
    """Write the network and its weights. Without `blobs`, the weights are those of a layer not in the network."""
    paths = [folder / "net.prototxt", folder / "net.caffemodel"]
    paths[0].write_text(text)
    paths[1].write_bytes(weights(blobs or {"nothing": [np.zeros(1)]}, old=old))
    return paths
