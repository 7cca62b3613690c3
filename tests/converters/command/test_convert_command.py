"""Test the command `convert`: the files that it refuses, its report, and the file that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import call
from converters.onnx_files import model, node, onnx

import mpscnn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a file with Bernoulli, which is not supported, after a Relu."""
    made = model(
        [node("Relu", ["x"], "r"), node("Bernoulli", ["r"], "tab\there")],
        {"x": ["n", 3, "h", "w"]},
        outputs=["tab\there"],
    )
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    return path


def test_the_report_has_tabs_on_a_terminal_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("convert", str(path), "--report", "-") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t") == ["node", "operator", "reason", "what to do"]
    assert lines[1].split("\t")[:2] == ["tab\\there", "Bernoulli"]


def test_layers_that_cannot_be_converted_have_a_line_each(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = model(
        [node("Bernoulli", ["x"], "a"), node("Det", ["a"], "b")], {"x": ["n", 3, 4, 4]}, outputs=["b"]
    )
    onnx.save(made, path)
    assert call("convert", str(path), str(tmp_path / "out.safetensors")) == 1
    head, first, second, advice = capsys.readouterr().err.splitlines()
    assert head.endswith("2 layers cannot be converted:")
    assert "(Bernoulli)" in first
    assert "(Det)" in second
    assert "what to do: stop before it with --outputs" in advice


def test_a_source_is_not_written_over(path: Path) -> None:
    before = path.read_bytes()
    assert call("convert", str(path), str(path), "--outputs", "r") == 2
    assert path.read_bytes() == before


def test_choices_reach_files_that_are_written_as_onnx(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.onnx"
    settings = ["--outputs", "r", "--shape", "x=1x3x6x5", "--no-check"]
    assert call("convert", str(path), str(output), *settings) == 0
    again = mpscnn.converters.read_network([output])
    assert again.inputs[0].shape == (None, 6, 5, 3)
    x = np.linspace(-1.0, 1.0, 90, dtype=np.float32).reshape(1, 6, 5, 3)
    found = again.compile(device="cpu", precision="float32").session().run(x)
    np.testing.assert_array_equal(found, np.maximum(x, 0))


@pytest.mark.parametrize("option", [["--outputs", "r"], ["--shape", "x=1x3x6x5"]])
def test_choices_that_would_be_ignored(option: list[str], tmp_path: Path) -> None:
    network = mpscnn.Network(input=(6, 5, 3))
    network.output(network.activation(network.input, "relu"))
    network.save(tmp_path / "model.safetensors")
    arguments = [str(tmp_path / "model.safetensors"), str(tmp_path / "out.onnx"), *option]
    assert call("convert", *arguments) != 0
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "a.onnx",
            "app input: 'image' (array n x 3 x 6 x 5 of float32) app output: 'r.output' (array n x 3 x 6 x 5",
        ),
        (
            "a.tflite",
            "app input: 'image' (array any x 6 x 5 x 3 of float32) app output: 'r' (array any x 6 x 5 x 3",
        ),
    ],
)
def test_info_shows_the_names_and_shapes_that_an_app_uses(
    name: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network(input=(6, 5, 3))
    network.output(network.relu(network.input, name="r"))
    network.save(tmp_path / name)
    assert call("info", str(tmp_path / name)) == 0
    assert f"{shown} of float32)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".mlpackage", ".mlmodel", ".aimodel"])
@pytest.mark.parametrize(
    "option",
    [("--target", "iOS16"), ("--palette", "4"), ("--layout", "nhwc"), ("--image-input",), ("--suppression",)],
)
def test_options_of_other_formats_are_refused(
    option: tuple[str, ...], suffix: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of these options is for one format, and would change nothing in files of the others."""
    suffixes = {"--layout": (".onnx",), "--image-input": (".aimodel",), "--suppression": (".onnx",)}
    if suffix in suffixes.get(option[0], (".mlpackage", ".mlmodel")):
        return
    output = tmp_path / f"out{suffix}"
    assert call("convert", str(path), str(output), *option, "--no-check") == 2
    assert f"Invalid value for {option[0]}: only " in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("suffix", [".onnx", ".mlpackage", ".tflite"])
def test_the_two_files_of_a_caffe_network_are_one_network(suffix: str, tmp_path: Path) -> None:
    """Every format takes several files of one network; files of two networks are refused."""
    pytest.importorskip("google.protobuf", reason="protobuf is not installed")
    if suffix == ".mlpackage":
        pytest.importorskip("coremltools", reason="coremltools is not installed")
    from converters.caffe_writer import image, layer, write

    text = image(1, 3, 4, 4) + layer(
        "Convolution", "c", "data", "convolution_param { num_output: 2 kernel_size: 4 bias_term: false }"
    )
    text += layer("Softmax", "prob", "c")
    weights = np.linspace(-1, 1, 96, dtype=np.float32).reshape(2, 3, 4, 4)
    paths = [str(path) for path in write(tmp_path, text, {"c": [weights]})]
    output = tmp_path / f"out{suffix}"
    assert call("convert", *paths, str(output), "--preprocess", "caffe") == 0
    assert mpscnn.load(output, device="cpu").task == "classification"


def test_files_of_two_networks_are_refused(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network(input=(6, 5, 3))
    network.output(network.activation(network.input, "relu"))
    for name in ("a", "b"):
        network.save(tmp_path / f"{name}.safetensors")
    for pair in ([path, path], [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]):
        assert call("convert", *map(str, pair), str(tmp_path / "out.onnx")) != 0
        assert capsys.readouterr().err
        assert not (tmp_path / "out.onnx").exists()
