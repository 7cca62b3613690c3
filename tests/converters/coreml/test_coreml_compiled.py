"""Compare compiled Core ML models, whose programs are text, with packages of the same programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from converters.coreml.test_coreml_programs import TABLE, made_of
from converters.coreml_classifier import program
from converters.mil_text import compiled, text_of

import mpscnn
from mpscnn import converters
from mpscnn.converters.reading.coreml.program import text
from mpscnn.errors import Error, UnsupportedError, WeightsError

PHOTO = {"name": "photo", "type": "Image", "colorspace": "RGB", "width": "8", "height": "6"}


@pytest.mark.parametrize(("name", "new"), [(name, place % 2 == 0) for place, name in enumerate(TABLE)])
def test_each_operation(name: str, new: bool, tmp_path: Path) -> None:
    """A program as text becomes the same network as in a package."""
    made, _, _ = made_of(TABLE[name])
    networks = [
        converters.read_network([path], name="same")
        for path in (made.saved(tmp_path / "a.mlpackage"), compiled(made, tmp_path / "a.mlmodelc", new=new))
    ]
    operations = [[node["operation"] for node in one.to_dict()["nodes"]] for one in networks]
    assert operations[0] == operations[1]
    weights = [list(one.weights.values()) for one in networks]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("blob", [True, False])
def test_classifiers(blob: bool, tmp_path: Path) -> None:
    made = program(blob=blob)
    package, folder = made.saved(tmp_path / "a.mlpackage"), tmp_path / "a.mlmodelc"
    compiled(made, folder, new=blob, inputs=[PHOTO])
    photo = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    found, expected = (mpscnn.load(path, device="cpu").predict(photo).top(4) for path in (folder, package))
    assert [(one.label, one.probability) for one in found] == [
        (one.label, one.probability) for one in expected
    ]


WRITTEN = """program(1.0)
[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-component-MIL", "4.28.4"},
    {"coremlc-version", "1436.100.10"}})]
{
    func main<ios15>(tensor<fp32, [1, 2, ?, ?]> x)
        [FlexibleShapeInformation = tuple<tuple<tensor<string, []>, dict<tensor<string, []>, tensor<int32, [?]>>>>
            ((("DefaultShapes", {{"x", [1, 2, 3, 3]}})))] {
            tensor<int32, [3]> sizes = const()[name = tensor<string, []>("sizes"),
                val = tensor<int32, [3]>([1, 0x1, -0])];
            tensor<fp16, []> factor = const()[name = tensor<string, []>("a \\"b\\""),
                val = tensor<fp16, []>(-0x1.8p+1)];
            tensor<fp32, [1, 2, ?, ?]> scaled = mul(x = x, y = factor)[name = tensor<string, []>("scaled")];
            tensor<int32, []> axis = const()[name = tensor<string, []>("axis"), val = tensor<int32, []>(1)];
            tensor<fp32, [1, 1, ?, ?]> a, tensor<fp32, [1, 1, ?, ?]> b =
                split(axis = axis, num_splits = tensor<int32, []>(2), x = scaled)[name = tensor<string, []>("s")];
            tensor<bool, []> interleave = const()[val = tensor<bool, []>(false)];
            tensor<fp32, [1, 2, ?, ?]> y = concat(axis = axis, interleave = interleave, values = (b, a))
                [name = tensor<string, []>("y")];
        } -> (y);
}"""


def test_text_of_the_compiler(tmp_path: Path) -> None:
    folder = tmp_path / "a.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(WRITTEN)
    x = np.random.default_rng(1).normal(size=(1, 3, 5, 2)).astype(np.float32)
    found = converters.read_network([folder]).compile(device="cpu").session().run(x)
    np.testing.assert_array_equal(found, -3.0 * x[..., ::-1])


@pytest.mark.parametrize("described_by", ["the pipeline", "the part"])
def test_the_network_of_a_pipeline(described_by: str, tmp_path: Path) -> None:
    """The first part of a compiled pipeline is read, and a note names the others."""
    whole, alone = tmp_path / "a.mlmodelc", tmp_path / "b.mlmodelc"
    for folder in (whole / "model0", alone):
        compiled(program(), folder, new=True, inputs=[PHOTO])
    if described_by == "the pipeline":
        (whole / "model0" / "metadata.json").rename(whole / "metadata.json")
    (whole / "model1").mkdir()
    found, expected = (converters.read_network([path], name="same") for path in (whole, alone))
    assert found.to_dict() == expected.to_dict()
    assert found.preprocess == expected.preprocess
    assert found.preprocess is not None
    for one, other in zip(found.weights.values(), expected.weights.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    (note,) = set(found.notes) - set(expected.notes)
    assert "the parts model1 of the compiled pipeline are left out" in note


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("model.espresso.net", "model.espresso.weights"),
            "a compiled neural network .*: give the .mlmodel or",
        ),
        (
            ("model0/model.mil", "model1/model.mil"),
            r"a compiled pipeline of several programs \(model0, model1\): give the .mlmodel or",
        ),
        (
            ("model0/model.espresso.net", "model1/coremldata.bin"),
            r"a compiled pipeline whose first part \(model0\) has no text .*: give the .mlmodel or",
        ),
        (("coremldata.bin",), r"without the text of a program \(model.mil\): give the .mlmodel or"),
    ],
)
def test_other_compiled_models_are_named(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    for name in names:
        path = tmp_path / "a.mlmodelc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(UnsupportedError, match=message):
        mpscnn.load(tmp_path / "a.mlmodelc")


def test_operations_that_are_not_supported_are_named_together(tmp_path: Path) -> None:
    folder = compiled(program(), tmp_path / "a.mlmodelc", new=True)
    content = (folder / "model.mil").read_text()
    (folder / "model.mil").write_text(
        content.replace(" add(", " non_zero(").replace(" conv(", " unheard_of(")
    )
    with pytest.raises(UnsupportedError) as refused:
        converters.read_network([folder])
    assert "non_zero" in str(refused.value)
    assert "unheard_of" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("program(1.0)", "prog(1.0)", "line 1 of the program: expected 'program' and not 'prog'"),
        ("int32, []>(1)", "int32, []>(1.5)", "numbers of another type"),
        ("int32, []>(1)", "int32, []>(4000000000)", "out of range"),
        ("int32, []>(1)", 'int32, []>("one")', "text in place of numbers"),
        ("fp16, []>(-0x1.8p+1", "fp16, []>(0x1p99999", "numbers of another type, or out of range"),
        ("int32, []>(1)", "int32, []>([1, 2])", "2 values for a tensor of 1"),
        ("int32, []>(1)", "float9, []>(1)", "numbers of the type 'float9'"),
        ("} -> (y);", "} -> (y); $", "a character that programs do not have"),
        ("} -> (y);", "} -> (z);", "z"),
        ("tensor<fp16, []>(-", "tensor<fp16, [" + "9" * 5000 + "]>(-", "expected a whole number"),
        ("axis = axis, num", "axis = {axis, num", "expected a name"),
    ],
)
def test_damaged_text(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in WRITTEN
    folder = tmp_path / "a.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(WRITTEN.replace(old, new))
    with pytest.raises((UnsupportedError, WeightsError), match=message):
        converters.read_network([folder])


def test_cut_text() -> None:
    content = text_of(program(), new=False)
    for end in range(0, len(content) - 3, 7):
        with pytest.raises(Error):
            text.parse_program(content[:end])


@pytest.mark.ci
def test_brackets_within_brackets() -> None:
    for bracket in "([{<":
        with pytest.raises(Error):
            text.parse_program("program" + bracket * 200_000)
    with pytest.raises(Error, match="types within 64 others"):
        text.parse_program("program(1) { func main<ios16>(" + "list<" * 200_000)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "[1]",
        "[" * 100_000,
        json.dumps([{"inputSchema": [{**PHOTO, "colorspace": "Infrared"}]}]),
    ],
)
def test_damaged_descriptions(content: str, tmp_path: Path) -> None:
    folder = compiled(program(), tmp_path / "a.mlmodelc", new=True)
    (folder / "metadata.json").write_text(content)
    with pytest.raises(WeightsError, match="does not describe the inputs"):
        converters.read_network([folder])
