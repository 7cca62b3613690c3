"""Fuzz the reader of Caffe networks. An input is the length of the network's text, this text, and the weights."""

from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path
from random import Random

import numpy as np
from file_fuzzer import Limits, Target
from mutation import INTERESTING, mutated

from mpscnn import converters
from mpscnn.converters.reading.caffe.layers import ROWS

sys.path.append(str(Path(__file__).parent.parent))
from converters.caffe_writer import image, layer, weights  # type: ignore[import-not-found]

_FOLDER = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-"))
_NUMBERS = (
    b"0", b"-1", b"1", b"2147483647", b"4294967295", b"9223372036854775807", b"nan", b"-inf", b"1e38", b"0.5",
)  # fmt: skip
_TOKENS = (
    *(f'type: "{kind}"'.encode() for kind in ROWS),
    *(b"axis: " + number + b" " for number in _NUMBERS),
    b'bottom: "data" ',
    b'top: "data" ',
    b"tile_param { axis: 2 tiles: 1000000 }",
    b"interp_param { zoom_factor: 100000 }",
    b"reshape_param { shape { dim: 0 dim: -1 } }",
    b"convolution_param { num_output: 4000000 kernel_size: 1 }",
    b"pooling_param { kernel_size: 100000 pad: 99999 }",
)


def _joined(text: str, blobs: bytes) -> bytes:
    content = text.encode()
    return struct.pack("<I", len(content)) + content + blobs


def _classifier() -> bytes:
    text = image(1, 3, 8, 8) + layer(
        "Convolution", "conv", "data", "convolution_param { num_output: 4 kernel_size: 3 }"
    )
    text += layer("BatchNorm", "norm", "conv", tops="conv") + layer("Scale", "scale", "conv", "", "conv")
    text += layer("ReLU", "relu", "conv", tops="conv")
    text += layer("Pooling", "pool", "conv", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    text += layer("InnerProduct", "dense", "pool", "inner_product_param { num_output: 5 }")
    text += layer("Softmax", "y", "dense")
    ones = np.ones(4, np.float32)
    blobs = {
        "conv": [np.ones((4, 3, 3, 3), np.float32), ones],
        "norm": [ones, ones, ones[:1]],
        "scale": [ones],
        "dense": [np.ones((5, 36), np.float32), np.ones(5, np.float32)],
    }
    return _joined(text, weights(blobs))


def _moves() -> bytes:
    text = image(2, 6, 4, 5) + layer("MVN", "mvn", "data", "mvn_param { across_channels: true eps: 0.1 }")
    text += layer("Slice", "parts", "mvn", "slice_param { axis: 1 slice_point: 2 }", "first second")
    text += layer("Tile", "tiled", "first", "tile_param { axis: 1 tiles: 2 }")
    text += layer("Eltwise", "sum", "tiled second", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }")
    text += layer("Interp", "large", "sum", "interp_param { zoom_factor: 2 }")
    text += layer("Upsample", "larger", "large", "upsample_param { scale: 2 }")
    text += layer("Normalize", "unit", "larger", "norm_param { across_spatial: false }")
    text += layer("Permute", "turned", "unit", "permute_param { order: 0 order: 2 order: 3 order: 1 }")
    text += layer("Reshape", "rows", "turned", "reshape_param { axis: 1 num_axes: 2 shape { dim: -1 } }")
    text += layer("Reduction", "mean", "rows", "reduction_param { operation: MEAN axis: 2 coeff: 2 }")
    text += layer("Threshold", "above", "mean", "threshold_param { threshold: 0.5 }")
    text += layer("Flatten", "flat", "above") + layer("Swish", "y", "flat", "swish_param { beta: 2 }")
    text += layer("ArgMax", "place", "larger", "argmax_param { axis: 1 }")
    return _joined(text, weights({"unit": [np.ones(4, np.float32)]}))


def _mutate(data: bytes, random: Random) -> bytes:
    if random.random() < 0.1 or len(data) < 4:
        return mutated(data, random, tokens=_TOKENS)
    length = struct.unpack_from("<I", data)[0]
    text, blobs = data[4 : 4 + length], data[4 + length :]
    if random.random() < 0.3:
        blobs = mutated(blobs, random)
    else:
        text = (
            _other_numbers(text, random) if random.random() < 0.5 else mutated(text, random, tokens=_TOKENS)
        )
    return struct.pack("<I", len(text)) + text + blobs


def _other_numbers(text: bytes, random: Random) -> bytes:
    """Change numbers of parameters, so that the text keeps its syntax."""
    words = text.split(b" ")
    places = [place for place, word in enumerate(words) if word[:1].isdigit() or word[:1] == b"-"]
    for place in random.sample(places, min(len(places), random.choice((1, 1, 2, 4)))):
        number = random.choice((random.choice(INTERESTING), random.randrange(9)))
        words[place] = random.choice((*_NUMBERS, str(number).encode()))
    return b" ".join(words)


def _read(data: bytes) -> None:
    length = struct.unpack_from("<I", data.ljust(4, b"\0"))[0]
    paths = [_FOLDER / "net.prototxt", _FOLDER / "net.caffemodel"]
    paths[0].write_bytes(data[4 : 4 + length])
    paths[1].write_bytes(data[4 + length :])
    converters.read_network(paths)


# A layer of some 40 bytes becomes several ONNX nodes and layers of a network.
TARGET = Target(
    lambda: [_classifier(), _moves()],
    _read,
    _mutate,
    limits=Limits(seconds_per_byte=200e-6, memory_per_byte=2_000),
)
