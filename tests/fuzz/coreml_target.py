"""Fuzz the reader of Core ML models: neural networks, and programs as a message or a text.

An input is the length of the message or text, the message or text, and a program's file of weights.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path
from random import Random

import numpy as np
from file_fuzzer import Limits, Target
from message_values import other_values
from mutation import mutated

from mpscnn import converters
from mpscnn.converters.reading.coreml.program.operations import ROWS

sys.path.append(str(Path(__file__).parent.parent))
from converters.coreml_writer import (  # type: ignore[import-not-found]
    Program,
    add,
    array,
    image,
    model,
    settings,
)
from converters.mil_text import text_of  # type: ignore[import-not-found]
from converters.protobuf_messages import coreml_model

_FOLDER = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-"))
_TOKENS = tuple(
    kind.encode() for kind in ("conv", "constexpr_lut_to_dense", "const", "reshape", "softmax", "pad", "main")
)
_BEGINNING = b"program("
_WORDS = (
    b"tensor<fp32, [1]>", b"([1, 2])", b"BLOBFILE(", b"list<", b"func", b"[", b"(", b"{", b"<", b'"',
    b"-> (y)", *_TOKENS,
)  # fmt: skip
_TEXTS = ("", "x", "y", "conv", "photo", "rows", "same", "custom", "const", *ROWS)


def _network() -> bytes:
    message = model({"photo": image(6, 8)}, {"y": array((1, 4))}, version=5)
    net = message.neuralNetwork
    net.arrayInputShapeMapping = net.imageInputShapeMapping = 1
    filters = np.ones((4, 3, 3, 3))
    fill = settings(
        outputChannels=4, kernelChannels=3, kernelSize=[3, 3], weights=filters, same={"asymmetryMode": 1}
    )
    add(net, "convolution", "photo", "conv", fill)
    add(net, "pooling", "conv", "pool", settings(type=1, kernelSize=[2, 2], stride=[2, 2], valid={}))
    add(net, "upsample", "pool", "large", settings(scalingFactor=[2, 2], mode=1))
    add(net, "reorganizeData", "large", "deep", settings(mode=0, blockSize=2))
    add(
        net,
        "sliceStatic",
        "deep",
        "part",
        settings(
            beginIds=[0, 1, 0, 0],
            beginMasks=[True, False, True, True],
            endIds=[0, 9, 0, 0],
            endMasks=[True, False, True, True],
            strides=[1, 2, 1, 1],
            squeezeMasks=[False] * 4,
        ),
    )
    add(net, "tile", "part", "tiled", settings(reps=[2, 3]))
    add(net, "reduceMean", "tiled", "mean", settings(axes=[2, 3]))
    add(net, "softmaxND", "mean", "y", settings(axis=1))
    quantized = net.layers[0].convolution.weights
    quantized.ClearField("floatValue")
    quantized.rawValue = bytes(54)
    quantized.quantization.numberOfBits = 4
    quantized.quantization.lookupTableQuantization.floatValue.extend(range(16))
    return _joined(message.SerializeToString(), b"")


def _made() -> Program:
    made = Program({"photo": (1, 3, 6, 8)})
    made.constant(
        "filters", np.ones((4, 3, 3, 3), np.float32).tobytes(), kind=11, stored=2, shape=(4, 3, 3, 3)
    )
    made.constant("table", np.arange(4, dtype=np.float32))
    made.constant("places", np.zeros(27, np.uint8))
    made.constant("extents", np.array([4, 3, 3, 3], np.int32))
    made.add("constexpr_lut_to_dense", "dense", indices="%places", lut="%table", shape="%extents")
    made.add("conv", "a", x="%photo", weight="%filters", pad_type="custom", pad=[1, 1, 1, 1])
    made.add("conv", "b", x="%photo", weight="%dense", pad_type="same")
    made.add("concat", "both", values=("%a", "%b"), axis=1)
    made.add("reshape", "rows", x="%both", shape=[1, 8, -1])
    made.add("softmax", x="%rows", axis=2)
    return made


def _program() -> bytes:
    made = _made()
    return _joined(made.message.SerializeToString(), bytes(made.blobs))


def _text() -> bytes:
    """Return the text of a compiled model's program. It begins with `_BEGINNING`, and messages never do."""
    made = _made()
    return _joined(text_of(made, new=False).encode(), bytes(made.blobs))


def _joined(message: bytes, weights: bytes) -> bytes:
    return struct.pack("<I", len(message)) + message + weights


def _mutate(data: bytes, random: Random) -> bytes:
    length = struct.unpack_from("<I", data.ljust(4, b"\0"))[0]
    message, weights = data[4 : 4 + length], data[4 + length :]
    if weights and random.random() < 0.2:
        return _joined(message, mutated(weights, random))
    if message.startswith(_BEGINNING):
        return _joined(_BEGINNING + mutated(message[len(_BEGINNING) :], random, tokens=_WORDS), weights)
    if random.random() < 0.7:
        changed = other_values(coreml_model(), message, random, _TEXTS)
        return _joined(changed or mutated(message, random, tokens=_TOKENS), weights)
    return _joined(mutated(message, random, tokens=_TOKENS), weights)


def _read(data: bytes) -> None:
    length = struct.unpack_from("<I", data.ljust(4, b"\0"))[0]
    message, weights = data[4 : 4 + length], data[4 + length :]
    if not weights:
        path = _FOLDER / "model.mlmodel"
        path.write_bytes(message)
        converters.read_network([path])
        return
    if message.startswith(_BEGINNING):
        folder = _FOLDER / "model.mlmodelc"
        (folder / "weights").mkdir(parents=True, exist_ok=True)
        (folder / "model.mil").write_bytes(message)
        (folder / "weights" / "weight.bin").write_bytes(weights)
        converters.read_network([folder])
        return
    package = _FOLDER / "model.mlpackage"
    inner = package / "Data" / "com.apple.CoreML"
    if not package.exists():
        Program({"x": (1, 1)}).saved(package)
    (inner / "model.mlmodel").write_bytes(message)
    (inner / "weights" / "weight.bin").write_bytes(weights)
    converters.read_network([package])


# A layer of some 40 bytes becomes several ONNX nodes and layers of a network.
TARGET = Target(
    lambda: [_network(), _program(), _text()],
    _read,
    _mutate,
    limits=Limits(seconds_per_byte=200e-6, memory_per_byte=2_000),
)
