"""Test TensorFlow Lite operators and files that were once converted wrongly, or refused with unclear errors."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.tflite_writer import Field, Operator, Tensor, constant, quantized, strings, write_tflite
from exact_engines import litert_results

import mpscnn
from mpscnn import converters
from mpscnn.converters.opening.unsupported import STOP_BEFORE
from mpscnn.converters.reading.tflite import names as tflite_names
from mpscnn.converters.reading.tflite import reader
from mpscnn.converters.reading.tflite.operators import ROWS
from mpscnn.converters.reading.tflite.options import INTEGERS, NO_OPTIONS, OPTIONS

ADD, CONCATENATION, CONV_2D, FULLY_CONNECTED, RELU, RESHAPE, TANH = 0, 2, 3, 9, 19, 22, 28
MATRIX_DIAG, DILATE = 113, 203
CONV_OPTIONS: list[Field] = [
    (0, "Int8", 1),
    (1, "Int32", 1),
    (2, "Int32", 1),
    (4, "Int32", 1),
    (5, "Int32", 1),
]


def read(tmp_path: Path, content: bytes, **options: Any) -> mpscnn.Network:
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    return converters.read_network([path], **options)


def refusal(tmp_path: Path, content: bytes, **options: Any) -> str:
    with pytest.raises(mpscnn.UnsupportedError) as refused:
        read(tmp_path, content, **options)
    return str(refused.value)


def agrees_with_litert(
    network: mpscnn.Network, content: bytes, shape: tuple[int, ...], *, leaves_out_batch: bool = False
) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    (expected,) = litert_results(content, x)
    found = np.asarray(network.compile(device="cpu", precision="float32").session().run(x))
    found = found[0] if leaves_out_batch else found
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


# ---- Free sizes --------------------------------------------------------------------------------------------


def free_file(*, reshaped: bool = False) -> bytes:
    """Return a file with a convolution of an image of any size, whose shape is written as that of one pixel."""
    weights = np.random.default_rng(1).standard_normal((4, 3, 3, 3))
    tensors = [
        Tensor("image", (1, 1, 1, 3), signature=(-1, -1, -1, 3)),
        constant("weights", weights),
        constant("biases", np.arange(4)),
        Tensor("convolved", (1, 1, 1, 4), signature=(-1, -1, -1, 4)),
        constant("shape", [1, 4], "int32"),
        Tensor("flat", (1, 4)),
    ]
    convolution = [(1, "Int32", 1), (2, "Int32", 1), (4, "Int32", 1), (5, "Int32", 1)]
    operators = [Operator(CONV_2D, [0, 1, 2], [3], 1, convolution), Operator(RESHAPE, [3, 4], [5], 17)]
    return write_tflite(tensors, operators[: 1 + reshaped], [0], [5 if reshaped else 3])


def test_free_extents_stay_free(tmp_path: Path) -> None:
    network = read(tmp_path, free_file())
    assert network.input.shape == (None, None, None, 3)
    for height, width in ((5, 7), (16, 9)):
        agrees_with_litert(network, free_file(), (1, height, width, 3))


@pytest.mark.parametrize("reshaped", [False, True])
def test_a_file_that_takes_any_batch_is_converted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reshaped: bool
) -> None:
    """Also if a constant of the file, such as a new shape, holds for one image only."""
    convert = reader._converted
    counted: list[int] = []

    def count(*given: Any, **more: Any) -> mpscnn.Network:
        counted.append(1)
        return convert(*given, **more)

    monkeypatch.setattr(reader, "_converted", count)
    network = read(tmp_path, free_file(reshaped=reshaped), size=(1, 1))
    assert network.input.shape == (None, 1, 1, 3)
    assert counted == [1]


def one_image_file(*, sums: int) -> bytes:
    """Return a sum over the batch of tensor `sums`: 0, the input (n, 2, 3), or 2, its reshape to (1, 6)."""
    tensors = [
        Tensor("x", (1, 2, 3), signature=(-1, 2, 3)),
        constant("shape", [1, 6], "int32"),
        Tensor("flat", (1, 6)),
        constant("axis", [0], "int32"),
        Tensor("total", (1, 2, 3) if sums == 0 else (1, 6)),
    ]
    operators = [Operator(RESHAPE, [0, 1], [2], 17), Operator(74, [sums, 3], [4], 27, [(0, "Bool", True)])]
    return write_tflite(tensors, operators, [0], [2, 4])


def test_what_is_computed_from_one_image_may_be_reduced_along_the_batch(tmp_path: Path) -> None:
    network = read(tmp_path, one_image_file(sums=2))
    x = np.random.default_rng(3).standard_normal((2, 2, 3)).astype(np.float32)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(x)
    assert isinstance(found, dict)
    for one in found.values():
        np.testing.assert_array_equal(one, x.reshape(2, 6))


def test_other_tensors_may_not(tmp_path: Path) -> None:
    message = refusal(tmp_path, one_image_file(sums=0))
    assert "layer 'total' (SUM): reduces (n, 2, 3) along the batch: choose a batch of 1" in message


def test_shapes_may_have_another_batch(tmp_path: Path) -> None:
    network = read(tmp_path, free_file(), shapes={"image": (5, 6, 7, 3)})
    assert network.outputs[0].shape == (None, 6, 7, 4)


def test_a_size_can_be_chosen(tmp_path: Path) -> None:
    network = read(tmp_path, free_file(), size=(6, 5))
    assert network.input.shape == (None, 6, 5, 3)
    assert network.outputs[0].shape == (None, 6, 5, 4)


def test_a_size_other_than_the_files_is_refused(tmp_path: Path) -> None:
    content = write_tflite(
        [Tensor("x", (1, 4, 5, 3)), Tensor("y", (1, 4, 5, 3))], [Operator(RELU, [0], [1])], [0], [1]
    )
    assert read(tmp_path, content, size=(4, 5)).input.shape == (None, 4, 5, 3)
    with pytest.raises(
        mpscnn.ParameterError, match=r"file\.tflite: input 'x' is 4 x 5 .*; 8 x 5 cannot be chosen"
    ):
        read(tmp_path, content, size=(8, 5))


def test_fixed_shapes_within_a_free_size(tmp_path: Path) -> None:
    """The file reshapes to (1, 4), which is right only for images of one pixel, the size that the file states."""
    assert "layer 'flat' (RESHAPE)" in refusal(tmp_path, free_file(reshaped=True))
    assert "--size" in refusal(tmp_path, free_file(reshaped=True))
    with pytest.raises(mpscnn.WeightsError, match="'flat'"):
        read(tmp_path, free_file(reshaped=True), size=(6, 5))
    assert read(tmp_path, free_file(reshaped=True), size=(1, 1)).outputs[0].shape == (None, 4)


def test_free_channels_are_refused(tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 4, 4, 1), signature=(1, 4, 4, -1)), Tensor("y", (1, 4, 4, 1))]
    message = refusal(tmp_path, write_tflite(tensors, [Operator(RELU, [0], [1])], [0], [1]))
    assert "input 'x': its number of channels is free" in message


def shape_arithmetic(*, extents: slice) -> bytes:
    """Return a reshape to (batch, -1, 3) or (batch, w, h * 3), computed from the image's shape at run time."""
    free = (-1, -1, -1, 3)
    tensors = [
        Tensor("image", (1, 1, 1, 3), signature=free),
        Tensor("large", (1, 1, 1, 3), signature=free),
        Tensor("shape", (4,), "int32"),
        constant("begin", [extents.start], "int32"),
        constant("end", [extents.stop], "int32"),
        constant("step", [1], "int32"),
        Tensor("first", (extents.stop - extents.start,), "int32"),
        constant("rest", [-1, 3] if extents.stop == 1 else [3], "int32"),
        Tensor("wanted", (3,), "int32"),
        Tensor("rows", (1, 1, 3)),
    ]
    operators = [
        Operator(RELU, [0], [1]),
        Operator(77, [1], [2], 55, [(0, "Int8", 2)]),
        Operator(45, [2, 3, 4, 5], [6], 32),
        Operator(CONCATENATION, [6, 7], [8], 10),
        Operator(RESHAPE, [1, 8], [9], 17),
    ]
    return write_tflite(tensors, operators, [0], [9])


def test_shapes_that_the_network_computes(tmp_path: Path) -> None:
    content = shape_arithmetic(extents=slice(0, 1))
    network = read(tmp_path, content)
    assert network.outputs[0].shape == (None, None, 3)
    agrees_with_litert(network, content, (1, 4, 5, 3))
    assert read(tmp_path, content, size=(4, 5)).outputs[0].shape == (None, 20, 3)
    both = shape_arithmetic(extents=slice(1, 3))
    network = read(tmp_path, both)
    assert network.outputs[0].shape == (None, None, None, 3)
    agrees_with_litert(network, both, (1, 4, 5, 3), leaves_out_batch=True)


def arithmetic_with_sizes(last: Operator, tensors: list[Tensor]) -> bytes:
    """Return a file that computes (1, height * width, 3) and (2 * height, 2 * width) from the shape of its image."""
    free = (-1, -1, -1, 3)
    own = [
        Tensor("image", (1, 1, 1, 3), signature=free),
        Tensor("shape", (4,), "int32"),
        *(constant(f"c{number}", [number], "int32") for number in (1, 2, 3)),
        Tensor("height", (1,), "int32"),
        Tensor("width", (1,), "int32"),
        Tensor("pixels", (1,), "int32"),
        Tensor("rows", (3,), "int32"),
        Tensor("size", (2,), "int32"),
        Tensor("twice", (2,), "int32"),
        *tensors,
    ]
    operators = [
        Operator(77, [0], [1], 55, [(0, "Int8", 2)]),
        Operator(45, [1, 2, 3, 2], [5], 32),
        Operator(45, [1, 3, 4, 2], [6], 32),
        Operator(18, [5, 6], [7], 21),
        Operator(CONCATENATION, [2, 7, 4], [8], 10),
        Operator(CONCATENATION, [5, 6], [9], 10),
        Operator(18, [9, 3], [10], 21),
        last,
    ]
    return write_tflite(own, operators, [0], [11])


def test_arithmetic_with_a_free_size(tmp_path: Path) -> None:
    content = arithmetic_with_sizes(Operator(RESHAPE, [0, 8], [11], 17), [Tensor("y", (1, 1, 3))])
    network = read(tmp_path, content)
    assert network.outputs[0].shape == (None, None, 3)
    for height, width in ((4, 5), (7, 2)):
        agrees_with_litert(network, content, (1, height, width, 3))


def test_a_layers_size_that_depends_on_a_free_size_is_refused(tmp_path: Path) -> None:
    content = arithmetic_with_sizes(Operator(23, [0, 10], [11], 15), [Tensor("y", (1, 2, 2, 3))])
    assert (
        "layer 'y' (RESIZE_BILINEAR): its new size depends on an extent that is free: choose one with --size"
    ) in refusal(tmp_path, content)
    assert read(tmp_path, content, size=(2, 2)).outputs[0].shape == (None, 4, 4, 3)


# ---- FULLY_CONNECTED ---------------------------------------------------------------------------------------


def dense_file(shape: tuple[int, ...], features: int, result: tuple[int, ...], *, keeps: bool) -> bytes:
    generator = np.random.default_rng(2)
    tensors = [
        Tensor("x", shape),
        constant("weights", generator.standard_normal((result[-1], features))),
        constant("biases", generator.standard_normal(result[-1])),
        Tensor("y", result),
    ]
    options: list[Field] = [(0, "Int8", 1), (2, "Bool", keeps)]
    return write_tflite(tensors, [Operator(FULLY_CONNECTED, [0, 1, 2], [3], 8, options)], [0], [3])


@pytest.mark.parametrize(
    ("shape", "result"),
    [
        ((1, 4), (1, 5)),
        ((1, 1, 4), (1, 1, 5)),
        ((1, 3, 4), (1, 3, 5)),
        ((1, 1, 1, 4), (1, 1, 1, 5)),
        ((1, 2, 3, 4), (1, 2, 3, 5)),
        ((1, 1, 3, 4), (1, 1, 3, 5)),
    ],
)
def test_fully_connected_that_keeps_axes(
    tmp_path: Path, shape: tuple[int, ...], result: tuple[int, ...]
) -> None:
    content = dense_file(shape, 4, result, keeps=True)
    network = read(tmp_path, content)
    assert network.outputs[0].shape == (None, *result[1:])
    agrees_with_litert(network, content, shape)


@pytest.mark.parametrize("shape", [(1, 12), (1, 1, 12), (1, 3, 4), (1, 2, 2, 3)])
def test_fully_connected_that_does_not(tmp_path: Path, shape: tuple[int, ...]) -> None:
    content = dense_file(shape, 12, (1, 5), keeps=False)
    network = read(tmp_path, content)
    assert network.outputs[0].shape == (None, 5)
    agrees_with_litert(network, content, shape)


def test_fully_connected_that_makes_a_batch_of_positions(tmp_path: Path) -> None:
    for shape, result in (((2, 3, 4), (6, 5)), ((1, 3, 4), (3, 5))):
        network = read(tmp_path, dense_file(shape, 4, result, keeps=False))
        assert network.outputs[0].shape == (None, *result)
        assert network.notes == ["output 'y' gets an axis for the batch, which the file leaves out"]


def test_fully_connected_of_another_size_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(
        mpscnn.WeightsError, match=r"'y' \(FULLY_CONNECTED\): damaged: weights for 5 features"
    ):
        read(tmp_path, dense_file((1, 4), 5, (1, 5), keeps=False))


# ---- Constants and names -----------------------------------------------------------------------------------


def added_file(values: Any, *, shape: tuple[int, ...]) -> bytes:
    tensors = [Tensor("x", shape), constant("values", values), Tensor("sum", shape)]
    return write_tflite(tensors, [Operator(ADD, [0, 1], [2], 11, [(0, "Int8", 1)])], [0], [2])


def test_constants_repeat_the_image(tmp_path: Path) -> None:
    content = added_file(np.arange(24.0).reshape(1, 2, 3, 4), shape=(1, 1, 3, 4))
    agrees_with_litert(read(tmp_path, content), content, (1, 1, 3, 4))


def test_small_constants_stay_small(tmp_path: Path) -> None:
    """A constant of a hundred numbers that is broadcast to a hundred million is stored as a hundred numbers."""
    network = read(tmp_path, added_file(np.ones((1, 100, 1, 1)), shape=(1, 100, 1000, 1000)))
    assert sum(values.size for values in network.weights.values()) == 100


def test_element_types_are_named(tmp_path: Path) -> None:
    weights = Tensor("w", (4, 1, 1, 3), "int4", np.zeros(6, np.uint8))
    tensors = [Tensor("x", (1, 4, 4, 3)), weights, Tensor("y", (1, 4, 4, 4))]
    message = refusal(
        tmp_path, write_tflite(tensors, [Operator(CONV_2D, [0, 1], [2], 1, CONV_OPTIONS)], [0], [2])
    )
    assert "layer 'y' (CONV_2D): tensor 'w' has elements of type INT4, which are not supported" in message


STRINGS: dict[str, tuple[list[Tensor], list[Operator], list[int], list[int], str]] = {
    "input": (
        [Tensor("words", (1, 5), "string"), Tensor("y", (1, 5))],
        [Operator(53, [0], [1], 37)],
        [0],
        [1],
        "input 'words': tensor 'words'",
    ),
    "an input that nothing reads": (
        [Tensor("x", (1, 5)), Tensor("words", (1, 5), "string"), Tensor("y", (1, 5))],
        [Operator(RELU, [0], [2])],
        [0, 1],
        [2],
        "input 'words': tensor 'words'",
    ),
    "constant": (
        [Tensor("x", (1, 2)), strings("labels", "cat", "dog"), Tensor("y", (1, 2))],
        [Operator(ADD, [0, 1], [2], 11)],
        [0],
        [2],
        "layer 'y' (ADD): tensor 'labels'",
    ),
    "the label of the best class": (
        [
            Tensor("x", (1, 2)),
            constant("axis", [1], "int32"),
            strings("labels", "cat", "dog"),
            Tensor("best", (1,), "int64"),
            Tensor("y", (1,), "string"),
        ],
        [Operator(56, [0, 1], [3], 40), Operator(36, [2, 3], [4], 23)],
        [0],
        [4],
        "layer 'y' (GATHER): tensor 'labels'",
    ),
    "output": (
        [Tensor("x", (1, 5)), strings("labels", "cat", "dog"), Tensor("y", (1, 5))],
        [Operator(RELU, [0], [2])],
        [0],
        [2, 1],
        "its output: tensor 'labels'",
    ),
}


@pytest.mark.parametrize("place", STRINGS)
def test_strings_are_refused_by_name(tmp_path: Path, place: str) -> None:
    *file, named = STRINGS[place]
    message = refusal(tmp_path, write_tflite(*file))
    assert f"{named} has elements of type STRING, which are not supported" in message


def test_tensors_without_a_name(tmp_path: Path) -> None:
    tensors = [Tensor("", (1, 5)), Tensor("", (1, 5)), Tensor("", (1, 5)), Tensor("", (1, 5))]
    operators = [Operator(RELU, [0], [2]), Operator(ADD, [2, 1], [3], 11)]
    network = read(tmp_path, write_tflite(tensors, operators, [0, 1], [3]))
    assert network.layer_names() == ["input", "input_2", "relu", "add"]


def test_parts_with_the_same_names(tmp_path: Path) -> None:
    content = write_tflite([Tensor("x", (1, 5)), Tensor("y", (1, 5))], [Operator(RELU, [0], [1])], [0], [1])
    paths = [tmp_path / name for name in ("a.tflite", "b.tflite")]
    for path in paths:
        path.write_bytes(content)
    assert converters.read_network(paths).layer_names() == ["x", "y", "y_2"]


def test_per_channel_constants_are_dequantised_along_their_axis(tmp_path: Path) -> None:
    """Test DEQUANTIZE of int8 weights with a scale for each output."""
    stored = np.arange(-6, 6).reshape(4, 1, 1, 3)
    weights = quantized(constant("w", stored, "int8"), [1.0, 0.5, 0.25, 2.0], [0, 1, 0, 0])
    tensors = [Tensor("x", (1, 2, 2, 3)), weights, Tensor("real", (4, 1, 1, 3)), Tensor("y", (1, 2, 2, 4))]
    operators = [Operator(6, [1], [2]), Operator(CONV_2D, [0, 2], [3], 1, CONV_OPTIONS)]
    network = read(tmp_path, write_tflite(tensors, operators, [0], [3]))
    scales, zeros = np.array([1.0, 0.5, 0.25, 2.0]), np.array([0, 1, 0, 0])
    expected = (stored - zeros[:, None, None, None]) * scales[:, None, None, None]
    np.testing.assert_array_equal(network.weight("y", "weight"), expected)


# ---- Unsupported operators ---------------------------------------------------------------------------------


def test_all_unsupported_layers_are_named_at_once(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).standard_normal((4, 1, 1, 4))
    tensors = [
        Tensor("x", (1, 4, 4, 4)),
        Tensor("depth", (1, 4, 4, 4)),
        Tensor("pads", (1, 4, 4, 4)),
        constant("w", weights),
        Tensor("fused", (1, 4, 4, 4)),
        Tensor("pads again", (1, 4, 4, 4)),
        Tensor("custom", (1, 4, 4, 4)),
        Tensor("good", (1, 4, 4, 4)),
    ]
    operators = [
        Operator(MATRIX_DIAG, [0], [1]),
        Operator(DILATE, [1], [2]),
        Operator(CONV_2D, [2, 3], [4], 1, [*CONV_OPTIONS, (3, "Int8", 5)]),
        Operator(DILATE, [4], [5]),
        Operator(32, [5], [6], custom=("Own\x1b[2JThing", b"")),
        Operator(RELU, [6], [7]),
    ]
    message = refusal(tmp_path, write_tflite(tensors, operators, [0], [7]))
    first, *lines = message.split("\n")
    assert first == f"{tmp_path}/file.tflite: 5 layers cannot be converted:"
    assert [line.strip() for line in lines] == [
        "layer 'depth' (MATRIX_DIAG): mpscnn has no such layer",
        "layers 'pads', 'pads again' (DILATE): mpscnn has no such layer",
        "layer 'fused' (CONV_2D): its fused_activation_function is 'SIGN_BIT'; "
        "supported are NONE, RELU, RELU_N1_TO_1 and RELU6",
        "layer 'custom' (CUSTOM Own\\x1b[2JThing): custom operators are not supported",
        f"what to do: {STOP_BEFORE}",
    ]


def test_a_damaged_layer_behind_an_unsupported_one(tmp_path: Path) -> None:
    """The conversion stops at an unsupported layer, without checking the layers after it."""
    tensors = [Tensor("x", (1, 4, 4, 4)), Tensor("matrix", (1, 9)), Tensor("y", (1, 4, 4, 4))]
    operators = [Operator(MATRIX_DIAG, [0], [1]), Operator(ADD, [0, 1], [2], 11)]
    message = refusal(tmp_path, write_tflite(tensors, operators, [0], [2]))
    assert "layer 'matrix' (MATRIX_DIAG)" in message


def test_thousands_of_unsupported_layers_give_a_short_error(tmp_path: Path) -> None:
    tensors = [Tensor("x", (1, 5)), *(Tensor(f"t{i}" * 100, (1, 5)) for i in range(3_000))]
    operators = [Operator(162 + i % 44, [0], [1 + i]) for i in range(3_000)]
    message = refusal(tmp_path, write_tflite(tensors, operators, [0], [1], share=True))
    assert "layers cannot be converted" in message
    assert "more" in message
    assert len(message) < 60_000


@pytest.mark.parametrize("number", [7, 33, 103, 113, 115, 125, 131, 137, 143, 149])
def test_operators_have_names(tmp_path: Path, number: int) -> None:
    tensors = [Tensor("x", (1, 5)), Tensor("y", (1, 5))]
    message = refusal(tmp_path, write_tflite(tensors, [Operator(number, [0], [1])], [0], [1]))
    assert str(number) not in message.split("file.tflite")[1]


def test_names_are_those_of_the_schema() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs ai-edge-litert")
    for kinds, name_of in (
        (schema.BuiltinOperator, tflite_names.operator_name),
        (schema.TensorType, tflite_names.element_type_name),
    ):
        named = {number: name for name, number in vars(kinds).items() if not name.startswith("_")}
        assert {number: name_of(number) for number in named} == named
    for kind, names in (
        ("activation", schema.ActivationFunctionType),
        ("padding", schema.Padding),
        ("mode", schema.MirrorPadMode),
        ("format", schema.FullyConnectedOptionsWeightsFormat),
    ):
        stated = {name: number for name, number in vars(names).items() if not name.startswith("_")}
        assert dict(zip(tflite_names.ENUMERATIONS[kind], itertools.count())) == stated
    assert tflite_names.operator_name(100_000) == "operator 100000"
    assert tflite_names.operator_name(-1) == "operator -1"


def test_options_are_those_of_the_schema() -> None:
    """Compare the names, the order, the defaults and the tables of all operators that are read."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs ai-edge-litert")
    classes = {number: name for name, number in vars(schema.BuiltinOptions).items() if name[0] != "_"}
    tables = {name.lower(): number for number, name in classes.items()}
    assert set(OPTIONS) <= set(ROWS)
    for kind in ROWS:
        options = OPTIONS.get(kind, NO_OPTIONS)
        table = options.table or tables.get(f"{kind.replace('_', '')}Options".lower())
        if table is not None:
            made = getattr(schema, f"{classes[table]}T")()
            defaults = {
                name.replace("_", ""): tflite_names.ENUMERATIONS[one.kind].index(one.default)
                if one.kind in tflite_names.ENUMERATIONS
                else one.default or (None if one.kind == INTEGERS else 0)
                for name, one in options.fields.items()
                if name not in ("new_height", "new_width")  # fields that the schema has no longer
            }
            stated = [(name.lower(), value) for name, value in vars(made).items()]
            # Options that newer schemas add are refused by their number.
            assert list(defaults.items()) == (stated[: len(defaults)] if defaults else stated), kind


def test_options_that_are_not_known_are_refused_by_name(tmp_path: Path) -> None:
    """Options of newer schemas, and options that the operator does not have, must not be left out silently."""
    tensors = [Tensor("x", (1, 5)), Tensor("y", (1, 5))]
    content = write_tflite(tensors, [Operator(RELU, [0], [1], 11, [(0, "Int8", 3)])], [0], [1])
    assert "(RELU): its 'option 0' is 3, which is not known; it has no settings" in refusal(tmp_path, content)
    tensors = [Tensor("x", (1, 5)), constant("w", np.ones((1, 5))), Tensor("y", (1, 1))]
    for field in (2, 3):  # keep_num_dims, which it has, and asymmetric_quantize_inputs, which is ignored
        options: list[Field] = [(field, "Bool", True)]
        read(tmp_path, write_tflite(tensors, [Operator(FULLY_CONNECTED, [0, 1], [2], 8, options)], [0], [2]))
    options = [(9, "Bool", True)]
    content = write_tflite(tensors, [Operator(FULLY_CONNECTED, [0, 1], [2], 8, options)], [0], [2])
    assert "its 'option 9' is 1, which is not known; supported are fused_act" in refusal(tmp_path, content)
