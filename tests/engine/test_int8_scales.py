"""Compare precision "int8" with LiteRT's reference kernels: every operator, with different scales and zero points."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.differing_files import DifferingFile
from converters.quantized_files import RandomFile, judged
from converters.quantized_ranges import WITHOUT_RANGE
from converters.tflite_writer import CODES, Field, Operator, Tensor, constant, write_tflite
from converters.tflite_writer import quantized as quantized_tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_here import choose_set
from numpy.typing import NDArray
from reference import quantized, quantized_file
from tiers import with_full

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.tflite.file import TfliteFile, read_tflite
from mpscnn.converters.reading.tflite.operators import ROWS

TYPES = ("uint8", "int8")
Case = tuple[str, str]
Answer = Callable[[TfliteFile, DifferingFile], NDArray[Any]]


def cases(kinds: str, types: Iterable[str] = TYPES) -> list[Case]:
    return [(kind, dtype) for kind in kinds.split() for dtype in types]


# Operators that both LiteRT's reference kernels and mpscnn compute with different scales.
JUDGED = [
    *cases("""
        ADD AVERAGE_POOL_2D CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOGISTIC MAX_POOL_2D
        MEAN MUL QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 SOFTMAX SUB TANH"""),
    *cases("BROADCAST_TO GATHER PAD PADV2 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SLICE"),
    *cases("DEPTH_TO_SPACE GATHER_ND L2_NORMALIZATION LOG_SOFTMAX MIRROR_PAD"),
    *cases("PRELU REDUCE_MAX REDUCE_MIN TRANSPOSE_CONV"),
    *cases("MAXIMUM MINIMUM SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TRANSPOSE"),
    *cases("ABS BATCH_MATMUL", ["int8"]),
    *cases("CONCATENATION SUM", ["uint8"]),
]  # fmt: skip


def by_reference(file: TfliteFile, made: DifferingFile) -> NDArray[Any]:
    return quantized_file.run(file, *made.inputs)[file.outputs[0]]


def by_numbers(function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Answer:
    """Return a reference that rounds the results of a function to the nearest integers."""

    def answer(file: TfliteFile, made: DifferingFile) -> NDArray[Any]:
        source, result = (
            quantized_file.quantization_of(file.tensors[index]) for index in (*file.inputs, *file.outputs)
        )
        x = quantized.dequantize(made.inputs[0].astype(np.int64), source).astype(np.float64)
        return quantized.nearest(function(x).astype(np.float32), result)

    return answer


# Operators that LiteRT's reference kernels refuse (docs/precision.md, "int8"). In SUM they read int8 as uint8.
OWN: dict[Case, Answer] = {
    **dict.fromkeys(cases("ADD_N PACK"), by_reference),
    **dict.fromkeys(cases("ABS BATCH_MATMUL", ["uint8"]), by_reference),
    **dict.fromkeys(cases("CONCATENATION SUM", ["int8"]), by_reference),
    **dict.fromkeys(cases("ELU"), by_numbers(lambda x: np.where(x < 0.0, np.expm1(np.minimum(x, 0.0)), x))),
    **dict.fromkeys(cases("NEG"), by_numbers(np.negative)),
}
# Operators that precision "int8" does not support, at least not with another scale for the result.
REFUSED = cases("""
    CEIL CUMSUM DIV EXP EXPAND_DIMS FAKE_QUANT FLOOR FLOOR_DIV L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOG POW REDUCE_PROD ROUND
    RSQRT SIGN SQRT SQUARE SQUARED_DIFFERENCE UNPACK""")
NO_INTEGERS = {
    "reads booleans": "SELECT, SELECT_V2",
    "gives a constant": "BROADCAST_ARGS, FILL, RANGE, RANK, SHAPE",
    "are the dilation of a convolution between them": "BATCH_TO_SPACE_ND, SPACE_TO_BATCH_ND",
    "are of floats": """
        CUSTOM Convolution2DTransposeBias, CUSTOM MaxPoolingWithArgmax2D, CUSTOM MaxUnpooling2D""",
    "has states, and reads floats here": "SVDF, UNIDIRECTIONAL_SEQUENCE_LSTM",
    "is refused, because it adds to zeros without a scale": "SCATTER_ND",
    "gives indices beside numbers that are kept in floats": "TOPK_V2",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("int8") / "one.tflite"


def numbers(file: TfliteFile, index: int, integers: NDArray[Any]) -> NDArray[np.float32]:
    own = quantized_file.quantization_of(file.tensors[index])
    return quantized.dequantize(np.asarray(integers, np.int64), own)


def computed(path: Path, file: TfliteFile, made: DifferingFile) -> list[NDArray[Any]]:
    program = converters.read_network([path]).compile(device="cpu", precision="int8")
    inputs = [numbers(file, index, x) for index, x in zip(file.inputs, made.inputs, strict=True)]
    results = program.session(threads=1).run(inputs)
    return list(results.values()) if isinstance(results, dict) else [np.asarray(results)]


def compare_with_litert(path: Path, case: Case, seed: int) -> None:
    made = DifferingFile(*case, seed)
    path.write_bytes(made.content)
    file, answers = read_tflite(path), judged(path, *made.inputs)
    found = computed(path, file, made)
    for index, result in zip(file.outputs, found, strict=True):
        np.testing.assert_array_equal(result, numbers(file, index, answers[index]))


def test_every_operator_has_a_case() -> None:
    """Each operator that mpscnn supports is in exactly one list, or has no quantized result in LiteRT."""
    listed = [*JUDGED, *OWN, *REFUSED]
    assert len(listed) == len(set(listed))
    kinds = {kind for kind, _ in listed}
    others = {kind.strip() for names in NO_INTEGERS.values() for kind in names.split(",")}
    assert set(listed) == {(kind, dtype) for kind in kinds for dtype in TYPES}
    assert kinds.isdisjoint(others)
    assert WITHOUT_RANGE.isdisjoint(others)
    assert kinds | others | WITHOUT_RANGE == set(ROWS)


@pytest.mark.parametrize("case", JUDGED, ids="-".join)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=4)
def test_the_bits_are_those_of_litert(path: Path, case: Case, seed: int) -> None:
    compare_with_litert(path, case, seed)


@pytest.mark.full
@pytest.mark.parametrize("case", JUDGED, ids="-".join)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=300)
def test_many_have_the_bits_of_litert(path: Path, case: Case, seed: int) -> None:
    compare_with_litert(path, case, seed)


# The ratio of these scales, times a few integers, is on one side of a half as a float32 number and on the other side as
# a double.
TIES = [(0.610569417476654, 0.8355160355567932), (0.0998455137014389, 0.1727057546377182)]


@pytest.mark.parametrize("scales", TIES, ids=str)
@pytest.mark.parametrize("case", cases("QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1"), ids="-".join)
def test_ties_are_rounded_as_the_operator_does(path: Path, case: Case, scales: tuple[float, float]) -> None:
    """QUANTIZE divides scales in double. Activations divide them in float32, also if both ranges begin at 0."""
    kind, dtype = case
    lowest = int(np.iinfo(dtype).min)
    # The numbers are so small that the limits of activations do not clip them.
    shrunk = 1.0 if kind in ("QUANTIZE", "RELU") else 2.0**-8
    own, other = (quantized.Quantization(scale * shrunk, lowest, dtype) for scale in scales)
    source = quantized.Quantization(own.scale, lowest + 20, dtype)
    x = np.arange(lowest, lowest + 256).astype(dtype).reshape(1, 1, 256, 1)
    by_double = quantized.requantized(x, source, other)
    by_float32 = quantized.rectified(x, source, other, None)
    assert not np.array_equal(by_double, by_float32)
    tensors = [
        quantized_tensor(Tensor(name, x.shape, dtype), [one.scale], [one.zero_point])
        for name, one in (("x", source), ("result", other))
    ]
    version = 1 if kind in ("RELU_0_TO_1", "RELU_N1_TO_1") else 2
    operator = Operator(CODES[kind], [0], [1], version=version if dtype == "int8" else 1)
    path.write_bytes(write_tflite(tensors, [operator], [0], [1]))
    file = read_tflite(path)
    program = converters.read_network([path]).compile(device="cpu", precision="int8")
    found = program.session(threads=1).run(numbers(file, 0, x))
    np.testing.assert_array_equal(found, numbers(file, 1, judged(path, x)[1]))


@pytest.mark.parametrize("case", OWN, ids="-".join)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=4)
def test_others_are_those_of_the_reference(path: Path, case: Case, seed: int) -> None:
    made = DifferingFile(*case, seed)
    path.write_bytes(made.content)
    file = read_tflite(path)
    (found,) = computed(path, file, made)
    np.testing.assert_array_equal(found, numbers(file, file.outputs[0], OWN[case](file, made)))


@pytest.mark.parametrize("case", [case for case in OWN if case != ("SUM", "int8")], ids="-".join)
def test_litert_refuses_them(path: Path, case: Case) -> None:
    """LiteRT refuses these operators. If a newer version computes them, mpscnn must match its bits."""
    made = DifferingFile(*case, 7)
    path.write_bytes(made.content)
    with pytest.raises((RuntimeError, ValueError)):
        judged(path, *made.inputs)


@pytest.mark.parametrize("case", REFUSED, ids="-".join)
def test_layers_that_integers_lack_are_refused_by_name(path: Path, full: bool, case: Case) -> None:
    for seed in range(10 if full else 2):
        made = DifferingFile(*case, seed)
        path.write_bytes(made.content)
        network = converters.read_network([path])
        with pytest.raises(mpscnn.Error, match="layer 'result"):
            network.compile(device="cpu", precision="int8")


def product_file(
    turned: tuple[bool, bool], *, is_constant: bool, seed: int
) -> tuple[bytes, list[NDArray[Any]]]:
    """Return a file with a matrix product of int8, and its inputs. The second operand may be a constant."""
    random = np.random.default_rng(seed)
    batch, heads, rows, inner, columns = (int(random.integers(1, most)) for most in (4, 4, 30, 70, 40))
    tensors, inputs = [], []
    for place, (sides, turn) in enumerate(zip(((rows, inner), (inner, columns)), turned, strict=True)):
        leading = (1, 1) if place and is_constant else (batch, heads)
        shape = (*leading, *(sides[::-1] if turn else sides))
        inputs.append(random.integers(-128, 128, shape).astype(np.int8))
        scale, zero_point = float(np.float32(random.uniform(0.01, 0.1))), int(random.integers(-128, 128))
        tensors.append(quantized_tensor(Tensor(f"operand{place}", shape, "int8"), [scale], [zero_point]))
    if is_constant:
        tensors[1].data = inputs.pop()
    scale = float(np.float32(0.05 * inner**0.5))
    result = Tensor("result", (batch, heads, rows, columns), "int8")
    tensors.append(
        quantized_tensor(result, [scale * random.uniform(0.5, 2.0)], [int(random.integers(-9, 9))])
    )
    options: list[Field] = [(place, "Bool", turn) for place, turn in enumerate(turned)]
    operator = Operator(CODES["BATCH_MATMUL"], [0, 1], [2], 101, options, version=3)
    return write_tflite(tensors, [operator], list(range(len(inputs))), [2]), inputs


@pytest.mark.parametrize("is_constant", [False, True], ids=["computed", "constant"])
@pytest.mark.parametrize("turned", [(a, b) for a in (False, True) for b in (False, True)], ids=str)
@pytest.mark.parametrize("seed", with_full(range(2), range(2, 50)))
def test_matrix_products(path: Path, turned: tuple[bool, bool], is_constant: bool, seed: int) -> None:
    content, inputs = product_file(turned, is_constant=is_constant, seed=seed)
    path.write_bytes(content)
    network, file = converters.read_network([path]), read_tflite(path)
    reals = [numbers(file, index, x) for index, x in zip(file.inputs, inputs, strict=True)]
    wanted = numbers(file, 2, judged(path, *inputs)[2])
    for threads in (1, 3):
        program = network.compile(device="cpu", precision="int8")
        np.testing.assert_array_equal(program.session(threads=threads).run(reals), wanted)


@pytest.mark.ci
@pytest.mark.parametrize("name", ["baseline", "avx2", "avx512", "neon"])
def test_matrix_products_on_every_instruction_set(
    path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_set(name, monkeypatch)
    for seed in range(20):
        test_matrix_products(path, (bool(seed & 1), bool(seed & 2)), is_constant=False, seed=seed)


def test_large_sums_of_matrix_products_are_refused() -> None:
    for attributes, allowed in (({}, True), ({"scale": 0.5}, False)):
        for inner in (33025, 33026):
            network = mpscnn.Network({"a": (1, inner), "b": (inner, 1)})
            network.output(network.layer("matrix_product", network.inputs, attributes, name="product"))
            for name in ("a", "b", "product"):
                network.quantize(name, "int8", 0.5, 0)
            if allowed and inner == 33025:
                network.compile(device="cpu", precision="int8")
                continue
            with pytest.raises(mpscnn.UnsupportedError, match="product of matrices w"):
                network.compile(device="cpu", precision="int8")


def test_litert_reads_int8_as_uint8_in_sums(path: Path) -> None:
    """LiteRT's sums of int8 are those of the same bytes as uint8. Therefore mpscnn does not follow them."""
    x = np.random.default_rng(0).integers(-128, 128, (1, 4, 5, 3)).astype(np.int8)
    source, result = quantized.Quantization(0.05, 3, "int8"), quantized.Quantization(0.5, -7, "int8")
    tensors = [
        quantized_tensor(Tensor("x", x.shape, "int8"), [source.scale], [source.zero_point]),
        constant("axes", [1, 2], "int32"),
        quantized_tensor(Tensor("result", (1, 3), "int8"), [result.scale], [result.zero_point]),
    ]
    operator = Operator(CODES["SUM"], [0, 1], [2], 27, [(0, "Bool", False)])
    path.write_bytes(write_tflite(tensors, [operator], [0], [2]))

    def summed(numbers: NDArray[Any], low: int, high: int) -> NDArray[np.int64]:
        sums = (numbers.astype(np.int64) - source.zero_point).sum((1, 2)) * source.scale / result.scale
        return np.clip(np.round(sums) + result.zero_point, low, high).astype(np.int64)

    exact = summed(x, -128, 127)
    as_bytes = summed(x.view(np.uint8), 0, 255).astype(np.uint8).view(np.int8)
    np.testing.assert_array_equal(judged(path, x)[2], as_bytes)
    assert not np.array_equal(as_bytes, exact)
    given = quantized.dequantize(x.astype(np.int64), source)
    found = (
        converters.read_network([path]).compile(device="cpu", precision="int8").session(threads=1).run(given)
    )
    np.testing.assert_array_equal(found, quantized.dequantize(exact, result))


def scales_with_ties(seed: int) -> tuple[float, float]:
    """Return scales of a source and its result with which many numbers lie nearly in the middle of two integers."""
    random = np.random.default_rng(seed)
    source = np.float32(random.uniform(0.01, 2.0))
    ratio = np.float32(random.choice([2 / 3, 0.4, 2.0, 4.0, 6.0, 10.0]))
    return float(source), float(source * ratio if seed % 2 else source / ratio)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["REDUCE_MAX", "REDUCE_MIN"])
def test_a_reduction_of_one_element_changes_the_scale(path: Path, kind: str, dtype: str) -> None:
    """The scale changes as by QUANTIZE, also if the result's range is smaller. LiteRT refuses such reductions."""
    lowest = int(np.iinfo(dtype).min)
    for seed in range(12):
        operator = Operator(CODES[kind], [0, 1], [2], 27, [(0, "Bool", True)])
        first, second = scales_with_ties(seed)
        source = quantized.Quantization(first, lowest + 20 * seed, dtype)
        result = quantized.Quantization(second, lowest + 250 - 20 * seed, dtype)
        x = np.arange(lowest, lowest + 256).astype(dtype).reshape(1, 1, 256, 1)
        tensors = [
            quantized_tensor(Tensor("x", x.shape, dtype), [source.scale], [source.zero_point]),
            constant("axes", [1], "int32"),
            quantized_tensor(Tensor("result", x.shape, dtype), [result.scale], [result.zero_point]),
        ]
        path.write_bytes(write_tflite(tensors, [operator], [0], [2]))
        network = converters.read_network([path])
        given = quantized.dequantize(x.astype(np.int64), source)
        found = network.compile(device="cpu", precision="int8").session(threads=1).run(given)
        wanted = quantized.requantized(x.astype(np.int64), source, result)
        np.testing.assert_array_equal(found, quantized.dequantize(wanted, result), str(seed))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_mirror_image_changes_the_scale(path: Path, dtype: str) -> None:
    """The scale changes as by QUANTIZE. LiteRT refuses such files."""
    lowest = int(np.iinfo(dtype).min)
    for seed in range(12):
        operator = Operator(CODES["MIRROR_PAD"], [0, 1], [2], 77, [(0, "Int8", 1)])
        first, second = scales_with_ties(seed)
        source = quantized.Quantization(first, lowest + 20 * seed, dtype)
        result = quantized.Quantization(second, lowest + 250 - 20 * seed, dtype)
        x = np.arange(lowest, lowest + 256).astype(dtype).reshape(1, 1, 256, 1)
        tensors = [
            quantized_tensor(Tensor("x", x.shape, dtype), [source.scale], [source.zero_point]),
            constant("sides", [(0, 0), (0, 0), (2, 0), (0, 0)], "int32"),
            quantized_tensor(Tensor("result", (1, 1, 258, 1), dtype), [result.scale], [result.zero_point]),
        ]
        path.write_bytes(write_tflite(tensors, [operator], [0], [2]))
        network = converters.read_network([path])
        given = quantized.dequantize(x.astype(np.int64), source)
        found = network.compile(device="cpu", precision="int8").session(threads=1).run(given)
        wide = np.concatenate([x[:, :, 1::-1], x], axis=2)
        wanted = quantized.requantized(wide.astype(np.int64), source, result)
        np.testing.assert_array_equal(found, quantized.dequantize(wanted, result), str(seed))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["PAD", "SPACE_TO_BATCH_ND"])
def test_what_becomes_part_of_a_convolution(path: Path, kind: str, dtype: str) -> None:
    """A border or a dilation may change the scale before a convolution. LiteRT allows only the same scale."""
    random, lowest = np.random.default_rng(5), int(np.iinfo(dtype).min)
    spreads = kind == "SPACE_TO_BATCH_ND"

    def tensor(name: str, shape: tuple[int, ...], scale: float, above: int) -> Tensor:
        return quantized_tensor(Tensor(name, shape, dtype), [scale], [lowest + above])

    def operator(kind: str, inputs: list[int], output: int, version: int, **options: Any) -> Operator:
        return Operator(CODES[kind], inputs, [output], version=version if dtype == "int8" else 1, **options)

    weight = tensor("weight", (4, 3, 3, 5), 0.02, 128)
    weight.data = random.integers(lowest, lowest + 256, weight.shape).astype(dtype)
    tensors = [
        tensor("x", (1, 8, 6, 5), 0.5, 40),
        constant("sides", [[0, 0], [2, 2], [2, 2], [0, 0]][spreads : 4 - spreads], "int32"),
        tensor("y", (4, 6, 5, 5), 0.5, 40) if spreads else tensor("y", (1, 12, 10, 5), 0.3, 90),
        weight,
        tensor("z", (4, 4, 3, 4) if spreads else (1, 10, 8, 4), 1.5, 130),
        constant("block", [2, 2], "int32"),
        constant("crops", [[0, 0], [0, 0]], "int32"),
        tensor("result", (1, 8, 6, 4), 1.5, 130),
        quantized_tensor(
            constant("bias", [0, 5, -90, 2000], "int32"), [(0.5 if spreads else 0.3) * 0.02], [0]
        ),
    ]
    before = [0, 5, 1] if spreads else [0, 1]
    convolution = [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1)]
    operators = [
        operator(kind, before, 2, 2, options_type=0 if spreads else 22),
        operator("CONV_2D", [2, 3, 8], 4, 3, options_type=1, options=convolution),
    ]
    if spreads:
        operators.append(operator("BATCH_TO_SPACE_ND", [4, 5, 6], 7, 2))
    last = 7 if spreads else 4
    path.write_bytes(write_tflite(tensors, operators, [0], [last]))
    x = random.integers(lowest, lowest + 256, (1, 8, 6, 5)).astype(dtype)
    file = read_tflite(path)
    program = converters.read_network([path]).compile(device="cpu", precision="int8")
    found = program.session(threads=1).run(numbers(file, 0, x))
    np.testing.assert_array_equal(found, numbers(file, last, judged(path, x)[last]))


class _DenseLayer(RandomFile):
    """A dense layer over the last of four axes: FULLY_CONNECTED, or the same sums by CONV_2D."""

    def _fully_connected(self) -> tuple[list[Field], Tensor]:
        return [(0, "Int8", self._activation()), (2, "Bool", True)], self._sums()

    def _conv_2d(self) -> tuple[list[Field], Tensor]:
        ones = [(place, "Int32", 1) for place in (1, 2, 4, 5)]
        return [(3, "Int8", self._activation()), *ones], self._sums(1, 1)

    def _sums(self, *window: int) -> Tensor:
        shape, outputs = (2, 4, 3, 40), 20
        source = self._input(shape)
        scales = self._weights((outputs, *window, shape[-1]), source, outputs, 0)
        return self._product((*shape[:-1], outputs), source, scales, shape[-1])


@pytest.mark.parametrize("dtype", TYPES)
def test_dense_layers_of_several_axes_round_once(path: Path, tmp_path: Path, dtype: str) -> None:
    """They become 1x1 convolutions. LiteRT rounds their sums once, and those of convolutions twice."""
    differ = 0
    for seed in range(12):
        results = []
        for kind in ("CONV_2D", "FULLY_CONNECTED"):
            made = _DenseLayer(kind, dtype, seed)
            path.write_bytes(made.content)
            file = read_tflite(path)
            last = file.outputs[0]
            results.append(judged(path, *made.inputs)[last].astype(np.int64))
        network = converters.read_network([path])
        network.save(tmp_path / "written.tflite")
        for source in (network, converters.read_network([tmp_path / "written.tflite"])):
            session = source.compile(device="cpu", precision="int8").session(threads=1)
            found = session.run(numbers(file, 0, made.inputs[0]))
            np.testing.assert_array_equal(found, numbers(file, last, results[1]), f"seed {seed}")
        differ += int((results[1] != results[0]).sum())
    assert differ > 0, "no case tells the two roundings apart"
