"""Fuzz the reader of TensorFlow Lite files (`mpscnn.converters.read_network`)."""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from file_fuzzer import Limits, Target
from flatbuffer_map import places_of
from mutation import INTERESTING, mutated

from mpscnn import converters

sys.path.append(str(Path(__file__).parent.parent))
from converters.tflite.test_tflite_attention import File, integers  # type: ignore[import-not-found]
from converters.tflite.test_tflite_detection import OPTIONS, detector_file  # type: ignore[import-not-found]
from converters.tflite_writer import (  # type: ignore[import-not-found]
    Operator,
    Sparsity,
    Tensor,
    constant,
    quantized,
    write_tflite,
)

_FOLDER = Path(tempfile.mkdtemp(prefix="mpscnn-fuzz-"))
_CODES = range(210)
_CONVOLUTION = [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1), (4, "Int32", 1), (5, "Int32", 1)]
_POOLING = [(1, "Int32", 2), (2, "Int32", 2), (3, "Int32", 2), (4, "Int32", 2)]


# ---- Good files --------------------------------------------------------------------------------------------


def _classifier(size: int) -> bytes:
    generator = np.random.default_rng(1)
    scales = ([0.5, 0.25, 0.125, 1.0], [3, 2, 1, 0])
    weights = generator.integers(-100, 100, (4, 3, 3, 3))
    tensors = [
        quantized(Tensor("image", (1, size, size, 3), "uint8"), [1 / 128], [128]),
        quantized(constant("weights", weights, "int8"), *scales),
        quantized(constant("biases", np.arange(4), "int32"), *scales),
        Tensor("convolved", (1, size, size, 4)),
        constant("each", generator.standard_normal((1, 3, 3, 4))),
        Tensor("depthwise", (1, size, size, 4)),
        Tensor("pooled", (1, size // 2, size // 2, 4)),
        constant("axes", [1, 2], "int32"),
        Tensor("mean", (1, 4)),
        constant("dense", generator.standard_normal((5, 4))),
        Tensor("logits", (1, 5)),
        Tensor("probabilities", (1, 5)),
    ]
    depthwise = [(1, "Int32", 1), (2, "Int32", 1), (3, "Int32", 1), (5, "Int32", 1), (6, "Int32", 1)]
    operators = [
        Operator(3, [0, 1, 2], [3], 1, [(1, "Int32", 1), (2, "Int32", 1), (3, "Int8", 3)]),
        Operator(4, [3, 4, -1], [5], 2, depthwise),
        Operator(17, [5], [6], 5, _POOLING),
        Operator(40, [6, 7], [8], 27),
        Operator(9, [8, 9], [10], 8),
        Operator(25, [10], [11], 9, [(0, "Float32", 1.0)]),
    ]
    return write_tflite(tensors, operators, [0], [11])


def _segmenter() -> bytes:
    """Return a file with a free image size, and with arithmetic on shapes."""
    free = {"signature": (-1, -1, -1, 3)}
    tensors = [
        Tensor("image", (1, 1, 1, 3), **free),
        constant("sides", [[0, 0], [1, 1], [1, 1], [0, 0]], "int32"),
        Tensor("padded", (1, 3, 3, 3), **free),
        Tensor("shape", (4,), "int32"),
        *(constant(name, [value], "int32") for name, value in (("begin", 0), ("end", 1), ("stride", 1))),
        Tensor("batch", (), "int32"),
        constant("left", -1, "int32"),
        constant("channels", 3, "int32"),
        Tensor("wanted", (3,), "int32"),
        Tensor("rows", (1, 9, 3)),
        constant("offsets", [1, 2, 3]),
        Tensor("moved", (1, 9, 3)),
    ]
    slices = [(0, "Int32", 0), (4, "Int32", 1)]
    operators = [
        Operator(34, [0, 1], [2], 22),
        Operator(77, [2], [3], 55),
        Operator(45, [3, 4, 5, 6], [7], 32, slices),
        Operator(83, [7, 8, 9], [10], 59, [(0, "Int32", 3)]),
        Operator(22, [2, 10], [11], 17),
        Operator(0, [11, 12], [13], 11),
    ]
    return write_tflite(tensors, operators, [0], [13])


def _branches() -> bytes:
    image = (1, 6, 7, 3)
    tensors = [Tensor(name, image) for name in ("image", "a", "b", "sum")]
    tensors += [
        Tensor("both", (1, 6, 7, 6)),
        constant("size", [12, 14], "int32"),
        Tensor("large", (1, 12, 14, 6)),
        constant("axis", [3], "int32"),
        Tensor("labels", (1, 12, 14), "int64"),
    ]
    operators = [
        Operator(21, [0], [1]),
        Operator(14, [0], [2]),
        Operator(0, [1, 2], [3], 11),
        Operator(2, [3, 1], [4], 10, [(0, "Int32", 3)]),
        Operator(23, [4, 5], [6], 15, [(3, "Bool", True)]),
        Operator(56, [6, 7], [8], 40),
    ]
    return write_tflite(tensors, operators, [0], [8])


def _attention() -> bytes:
    """Return a file with attention, comparisons, selections, gathers by positions, and tiles."""
    made = File((1, 4, 6))
    heads = made.transpose(made.reshape(0, 4, 2, 3), 1, 0, 2)
    scores = made.add("BATCH_MATMUL", [heads, heads], (2, 4, 4), [(1, "Bool", True)])
    above = made.add("GREATER", [scores, made.constant(np.float32(0.5))], (2, 4, 4), dtype="bool")
    chosen = made.add("SELECT_V2", [above, scores, made.constant(np.ones((4, 4), np.float32))], (2, 4, 4))
    weights = made.add("SOFTMAX", [chosen], (2, 4, 4), [(0, "Float32", 1.0)])
    mixed = made.add("BATCH_MATMUL", [weights, heads], (2, 4, 3), [(1, "Bool", False)])
    joined = made.reshape(made.transpose(mixed, 1, 0, 2), 1, 4, 6)
    turned = made.add("REVERSE_V2", [joined, made.constant(integers(2))], (1, 4, 6))
    places = made.add("GATHER", [turned, made.constant(integers(2, 0, 0))], (1, 3, 6), [(0, "Int32", 1)])
    tiles = made.add("TILE", [places, made.constant(integers(1, 2, 1))], (1, 6, 6))
    best = made.add("ARG_MIN", [tiles, made.constant(integers(1))], (1, 6), [(0, "Int8", 2)], dtype="int32")
    return made.content(made.add("ADD_N", [tiles, tiles], (1, 6, 6)), made.add("CAST", [best], (1, 6)))


def _sparse() -> bytes:
    sparsity = Sparsity([0, 1, 2], [1], [4, ([0, 1, 2, 2, 3], [0, 1, 1]), 4])
    tensors = [
        Tensor("x", (1, 8)),
        Tensor("w", (4, 8), "float32", np.ones(12, np.float32), sparsity=sparsity),
        Tensor("dense", (4, 8)),
        Tensor("y", (1, 4)),
    ]
    return write_tflite(tensors, [Operator(124, [1], [2]), Operator(9, [0, 2, -1], [3], 8)], [0], [3])


def _numbers() -> bytes:
    """Return a file with an L2 pooling, FAKE_QUANT, a filled constant, a quotient, and products along axes."""
    made = File((1, 4, 4, 2))
    shape = (1, 2, 2, 2)
    y = made.add("L2_POOL_2D", [0], shape, [(0, "Int8", 1), *_POOLING])
    limits = [(0, "Float32", -1.0), (1, "Float32", 1.0), (2, "Int32", 8)]
    y = made.add("FAKE_QUANT", [y], shape, limits)
    filled = made.add("FILL", [made.constant(integers(*shape)), made.constant(np.float32(3))], shape)
    y = made.add("FLOOR_DIV", [y, filled], shape)
    return made.content(made.add("REDUCE_PROD", [y, made.constant(integers(1, 2))], (1, 2)))


def _seeds() -> list[bytes]:
    good = [_classifier(6), _classifier(32), _segmenter(), _branches(), detector_file(1, 5, OPTIONS)]
    return [*good, _attention(), _sparse(), _numbers()]


# ---- Files whose parts are many, long or shared --------------------------------------------------------------


def _long_lists(random: Random, count: int, size: int) -> bytes:
    """Return a file of tensors with long names, shapes, scales or contents, and of operators with many operands."""
    tensors = [Tensor("image", (1, 4, 4, 3)), Tensor("result", (1, 4, 4, 3))]
    kinds = [
        lambda: Tensor("n" * size, (1, 4, 4, 3)),
        lambda: Tensor("t", (1,) * min(size, 5_000)),
        lambda: quantized(Tensor("t", (1, 4, 4, 3)), [0.5] * size, [0] * size),
        lambda: constant("t", np.zeros(size)),
    ]
    kind = random.choice(kinds)
    tensors += [kind() for _ in range(count)]
    long = [
        Operator(random.choice((0, 2, 19, 83)), [0] * size, [1]) for _ in range(random.choice((0, 1, count)))
    ]
    return write_tflite(tensors, [Operator(19, [0], [1]), *long], [0], [1], share=random.random() < 0.8)


def _chain(random: Random, count: int, size: int) -> bytes:
    """Return a file with a chain of layers that share their weights."""
    channels = min(size, 64)
    shape = (1, 4, 4, channels)
    tensors = [Tensor("t" * random.randrange(2), shape), constant("w", np.zeros((channels, 1, 1, channels)))]
    tensors += [Tensor("t", shape) for _ in range(count)]
    places = [0, *range(2, count + 2)]
    code, options = random.choice(((3, _CONVOLUTION), (19, ()), (0, ()), (random.choice(_CODES), ())))
    operators = [
        Operator(code, [places[i], *([1] * (code in (0, 3)))], [places[i + 1]], int(bool(options)), options)
        for i in range(count)
    ]
    return write_tflite(tensors, operators, [0], [places[-1]], share=random.random() < 0.8)


def _arithmetic(random: Random, count: int, size: int) -> bytes:
    """Return a file with arithmetic on constants, whose results become larger and larger."""
    tensors = [Tensor("image", (1, 4, 4, 3)), Tensor("result", (1, 4, 4, 3))]
    tensors += [constant("row", np.ones((1, size)), "int32"), constant("column", np.ones((size, 1)), "int32")]
    tensors += [Tensor(f"t{i}", (1,), "int32") for i in range(count)]
    operators = [Operator(19, [0], [1])]
    for i in range(count):
        code = random.choice((0, 2, 18, 36, 41, 43, 45, 53, 77, 83))
        given = [
            random.choice((2, 3, random.randrange(len(tensors)), 3 + i))
            for _ in range(random.choice((1, 2, 2, 4)))
        ]
        operators.append(Operator(code, given, [4 + i]))
    return write_tflite(tensors, operators, [0], [1], share=True)


def _ends(random: Random, count: int, size: int) -> bytes:
    """Return a file with many inputs and outputs."""
    inputs = [Tensor(random.choice(("", "i", f"i{i}")), (1, size)) for i in range(count)]
    operators = [
        Operator(
            random.choice((19, 56, 114, 32)),
            [i],
            [count + i],
            custom=("TFLite_Detection_PostProcess", b"abc"),
        )
        for i in range(count)
    ]
    outputs = [Tensor("o", (1, size)) for _ in range(count)]
    return write_tflite(inputs + outputs, operators, range(count), range(count, 2 * count), share=True)


def _repeated(random: Random, count: int, size: int) -> bytes:
    tensors = [
        Tensor("image", (1, 4, 4, 3)),
        constant("values", np.zeros(size)),
        Tensor("n" * size, (1, 4, 4, 3)),
    ]
    name = random.choice(("tensors", "operators", "codes", "buffers", "subgraphs"))
    return write_tflite(tensors, [Operator(19, [0], [2])], [0], [2], repeat={name: 10 * count})


_SHAPES: tuple[Callable[[Random, int, int], bytes], ...] = (
    _long_lists,
    _chain,
    _arithmetic,
    _ends,
    _repeated,
)


# ---- Mutations -----------------------------------------------------------------------------------------------


def _mutate(data: bytes, random: Random) -> bytes:
    choice = random.random()
    if choice < 0.1:
        return mutated(data, random)
    if choice < 0.3:
        # The writer takes some 0.2 ms for each table.
        count, size = random.choice((1, 3, 30, 300)), random.choice((0, 1, 10, 1_000, 100_000))
        data = random.choice(_SHAPES)(random, count, min(size, 3_000_000 // count))
        if random.random() < 0.5:
            return data
    return _mutated_structure(data, random)


def _mutated_structure(data: bytes, random: Random) -> bytes:
    """Change offsets, lengths, vtables and numbers, but keep the positions of all tables."""
    places, changed = places_of(data), bytearray(data)
    targets = places.tables + places.vectors
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        kind = random.randrange(6)
        if kind == 0 and places.offsets:  # refer to another part, which may have another type
            at = random.choice(places.offsets)
            forward = [target for target in targets if target > at]
            _put(changed, at, "<I", random.choice(forward) - at if forward else random.choice(INTERESTING))
        elif kind == 1 and places.offsets:  # refer to a position close to the right one, or anywhere
            at = random.choice(places.offsets)
            near = struct.unpack_from("<I", data, at)[0] + random.choice((-4, -1, 1, 2, 4))
            _put(changed, at, "<I", random.choice((near, random.choice(INTERESTING))))
        elif kind == 2 and places.vectors:
            at = random.choice(places.vectors)
            near = struct.unpack_from("<I", data, at)[0] + random.choice((-1, 1, 1_000))
            _put(changed, at, "<I", random.choice((near, random.choice(INTERESTING))))
        elif kind == 3 and places.slots:
            _put(changed, random.choice(places.slots), "<H", random.choice((0, 4, 6, 8, 12, *INTERESTING)))
        elif places.numbers:
            value = random.choice(
                (random.randrange(256), random.randrange(-2, 20), random.choice(INTERESTING))
            )
            _put(changed, random.choice(places.numbers), random.choice(("<I", "<I", "<B")), value)
    return bytes(changed)


def _put(data: bytearray, at: int, kind: str, value: int) -> None:
    size = struct.calcsize(kind)
    if at + size <= len(data):
        struct.pack_into(kind, data, at, value % (1 << 8 * size))


def _read(data: bytes) -> None:
    path = _FOLDER / "file.tflite"
    path.write_bytes(data)
    network = converters.read_network([path], size=(20, 24) if len(data) % 3 == 0 else None)
    network.save(_FOLDER / "file.safetensors", dtype="float32")  # also checks that the file can be loaded


# Eight bytes of a file can be a tensor, which takes about 1 kB in Python. 8-bit weights become float32.
TARGET = Target(_seeds, _read, _mutate, limits=Limits(seconds_per_byte=40e-6, memory_per_byte=400))
