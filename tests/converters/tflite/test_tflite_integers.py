"""Compare the integer arithmetic of tests/reference with LiteRT's reference kernels, on quantised files."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
from converters.differing_files import DifferingFile
from converters.quantized_files import OPERATORS, RandomFile, judged
from converters.tflite_writer import CODES, Operator, Tensor, write_tflite
from converters.tflite_writer import quantized as quantized_tensor
from reference import quantized, quantized_file

from mpscnn import converters
from mpscnn.converters.reading.tflite.file import read_tflite

FILES = [
    "google/mobilenet_v1_0.25_128_quant",
    "google/mobilenet_v1_1.0_224_quant_head_layers",
    "google/mobilenet_v2_1.0_224_quant",
    "mlperf_tiny/pretrainedResnet_quant",
    "mlperf_tiny/vww_96_int8",
    pytest.param("google/deeplabv3_mnv2_pascal_quant", marks=pytest.mark.full),
    pytest.param("google/mobilenet_v1_0.75_192_quant", marks=pytest.mark.full),
    pytest.param("google/mobilenet_v1_1.0_224_quant_embedding_extractor", marks=pytest.mark.full),
]


@pytest.mark.parametrize(
    ("kind", "dtype"), [*itertools.product(OPERATORS, ["uint8", "int8"]), ("LOGISTIC", "int8")]
)
def test_single_operators(tmp_path: Path, full: bool, kind: str, dtype: str) -> None:
    path = tmp_path / "one.tflite"
    for seed in range(40 if full else 10):
        made = RandomFile(kind, dtype, seed)
        path.write_bytes(made.content)
        found = quantized_file.run(read_tflite(path), *made.inputs)
        for index, expected in judged(path, *made.inputs).items():
            np.testing.assert_array_equal(found[index], expected, err_msg=f"seed {seed}")


DIFFERING = [
    *itertools.product([*OPERATORS, "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE", "SQUEEZE"], ["uint8", "int8"]),
    *(("ABS", "int8"), ("BATCH_MATMUL", "int8"), ("LOGISTIC", "int8"), ("SUM", "uint8")),
]


@pytest.mark.parametrize(("kind", "dtype"), [case for case in DIFFERING if case != ("CONCATENATION", "int8")])
def test_single_operators_with_scales_that_differ(tmp_path: Path, full: bool, kind: str, dtype: str) -> None:
    path = tmp_path / "one.tflite"
    for seed in range(20 if full else 5):
        made = DifferingFile(kind, dtype, seed)
        path.write_bytes(made.content)
        found = quantized_file.run(read_tflite(path), *made.inputs)
        for index, expected in judged(path, *made.inputs).items():
            np.testing.assert_array_equal(found[index], expected, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", FILES)
def test_every_layer_of_real_files(shared: Path, name: str) -> None:
    path = shared / "models" / f"{name}.tflite"
    file = read_tflite(path)
    tensor = file.tensors[file.inputs[0]]
    limits = np.iinfo(tensor.dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max + 1, tensor.shape).astype(tensor.dtype)
    found = quantized_file.run(file, x)
    for index, expected in judged(path, x).items():
        np.testing.assert_array_equal(found[index], expected, err_msg=file.tensors[index].name)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_numbers_become_integers_and_back(tmp_path: Path, dtype: str) -> None:
    """QUANTIZE and DEQUANTIZE give LiteRT's results, also for numbers halfway between two integers."""
    path = tmp_path / "ends.tflite"
    shape, scale = (1, 2000), np.float32(0.3)
    limits = np.iinfo(dtype)
    zero_point = int(limits.max) - 100
    within = quantized_tensor(Tensor("within", shape, dtype), [float(scale)], [zero_point])
    tensors = [Tensor("x", shape), within, Tensor("y", shape)]
    operators = [Operator(CODES["QUANTIZE"], [0], [1]), Operator(CODES["DEQUANTIZE"], [1], [2], version=2)]
    path.write_bytes(write_tflite(tensors, operators, [0], [2]))
    x = (np.random.default_rng(0).integers(-700, 700, shape) * np.float32(0.5)).astype(np.float32) * scale
    own = quantized.Quantization(float(scale), zero_point, dtype)
    found = quantized.quantize(x, own)
    answers = judged(path, x)
    np.testing.assert_array_equal(found, answers[1])
    np.testing.assert_array_equal(quantized.dequantize(found, own), answers[2])


@pytest.mark.parametrize("target", ["float32", "int32", "bool"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_cast_reads_integers_and_not_what_they_stand_for(tmp_path: Path, dtype: str, target: str) -> None:
    path, limits = tmp_path / "cast.tflite", np.iinfo(dtype)
    x = np.arange(limits.min, limits.max + 1).astype(dtype).reshape(1, 256)
    own = quantized.Quantization(0.37, int(limits.max) - 100, dtype)
    source = quantized_tensor(Tensor("x", x.shape, dtype), [own.scale], [own.zero_point])
    cast = Operator(CODES["CAST"], [0], [1], 37)
    path.write_bytes(write_tflite([source, Tensor("y", x.shape, target)], [cast], [0], [1]))
    given = quantized.dequantize(x.astype(np.int64), own)
    found = converters.read_network([path]).compile(device="cpu").session(threads=1).run(given)
    np.testing.assert_array_equal(found, judged(path, x)[1])


def test_fixed_point_numbers() -> None:
    """Products and shifts are rounded to nearest. Ties of products go up, and ties of shifts away from zero."""
    draw = random.Random(0)
    for _ in range(2000):
        x, m, bits = draw.randrange(-(2**31), 2**31), draw.randrange(2**30, 2**31), draw.randrange(0, 31)
        product = x * m
        assert quantized.high_product(x, m) == (2 * product + 2**31) // 2**32
        rounded = (2 * abs(x) + 2**bits) // 2 ** (bits + 1)
        assert quantized.rounding_shift(x, bits) == (rounded if x >= 0 else -rounded)
    # The multiplier of a factor has 31 significant bits.
    for factor in (1.0, 0.5, 0.75, 1e-3, 3.7e4, 2.0**-31, np.nextafter(1.0, 0.0)):
        m, shift = quantized.multiplier_of(float(factor))
        assert 2**30 <= m < 2**31
        assert abs(m * 2.0 ** (shift - 31) - factor) <= factor * 2.0**-31
    assert quantized.multiplier_of(2.0**-33) == (0, 0)
