"""Compare convolutions and poolings of sequences of images with LiteRT's kernels.

A reshape turns a sequence (1, images, height, width, channels) into a batch (images, height, width, channels).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converters.quantized_files import judged
from converters.tflite_writer import CODES, Operator, Tensor, constant, write_tflite
from hypothesis import given, settings
from hypothesis import strategies as st

from mpscnn import converters


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("several") / "one.tflite"


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_sequences_of_images(path: Path, kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    images, channels, filters, height, width, stride = (int(one) for one in random.integers(1, 4, 6))
    size = tuple(int(extent) for extent in random.integers(3, 7, 2))
    is_same = bool(random.integers(2))
    rows, columns = (
        -(-extent // stride) if is_same else (extent - taps) // stride + 1
        for extent, taps in zip(size, (height, width), strict=True)
    )
    window = [(0, "Int8", 0 if is_same else 1), (1, "Int32", stride), (2, "Int32", stride)]
    whole = (1, images, *size, channels)
    tensors = [
        Tensor("x", whole),
        constant("apart", (images, *size, channels), "int32"),
        Tensor("images", (images, *size, channels)),
    ]
    operators = [Operator(CODES["RESHAPE"], [0, 1], [2])]
    made = filters if kind == "CONV_2D" else channels
    if "POOL" in kind:
        options = [*window, (3, "Int32", width), (4, "Int32", height)]
        operators.append(Operator(CODES[kind], [2], [3], 5, options))
    else:
        first = filters if kind == "CONV_2D" else 1
        weights = random.normal(size=(first, height, width, channels)).astype(np.float32)
        tensors += [constant("w", weights), constant("b", random.normal(size=made).astype(np.float32))]
        is_plain = kind == "CONV_2D"
        shift = 0 if is_plain else 1
        options = [*window, (4 + shift, "Int32", 1), (5 + shift, "Int32", 1)]
        options += [(3, "Int8", 1)] if is_plain else [(3, "Int32", 1), (4, "Int8", 1)]
        operators.append(Operator(CODES[kind], [2, 3, 4], [5], 1 if is_plain else 2, options))
    last = operators[-1].outputs[0]
    tensors += [
        Tensor("y", (images, rows, columns, made)),
        constant("flat", (1, -1), "int32"),
        Tensor("z", (1, images * rows * columns * made)),
    ]
    operators.append(Operator(CODES["RESHAPE"], [last, last + 1], [last + 2]))
    path.write_bytes(write_tflite(tensors, operators, [0], [last + 2]))
    x = random.normal(size=whole).astype(np.float32)
    network = converters.read_network([path])
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(x)
    np.testing.assert_allclose(found, judged(path, x)[last + 2], rtol=1e-5, atol=1e-5)
