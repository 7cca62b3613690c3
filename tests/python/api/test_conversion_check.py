"""Test conversions whose results differ from the file's, and other engines that fail in `mpscnn convert`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from converters.onnx_files import model, node, onnx
from converters.tflite_writer import Operator, Tensor, constant, quantized, write_tflite

import mpscnn
from mpscnn.comparison.confined_engine import ConfinedEngine
from mpscnn.comparison.conversion_check import check_conversion, costs_too_much, differs
from mpscnn.comparison.litert_engine import LitertEngine
from mpscnn.comparison.native_engine import NativeEngine
from mpscnn.comparison.onnx_engine import OnnxEngine
from mpscnn.comparison.trace import Trace
from mpscnn.converters.reading.tflite.operators import ROWS
from mpscnn.graph.network import Network

ADD, NEG, RELU = 0, 59, 19


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    directory = tmp_path / "cache"
    monkeypatch.setenv("MPSCNN_CACHE", str(directory))
    return directory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file that computes sixteen times its input, and then a ReLU."""
    shape = (1, 4, 4, 3)
    tensors = [Tensor("x", shape), *(Tensor(f"times{2**i}", shape) for i in range(1, 5)), Tensor("y", shape)]
    operators = [Operator(ADD, [i, i], [i + 1], 11) for i in range(4)] + [Operator(RELU, [4], [5])]
    file = tmp_path / "limited.tflite"
    file.write_bytes(write_tflite(tensors, operators, [0], [5]))
    return file


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the conversion of RELU by a wrong one."""
    monkeypatch.setitem(ROWS, "RELU", ROWS["RELU6"])


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("suffix", [".onnx", ".mlpackage", ".mlmodel"])
def test_no_format_is_written_of_a_conversion_that_differs(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    for package in ("onnx", "onnxruntime", *(["coremltools"] if suffix != ".onnx" else [])):
        pytest.importorskip(package, reason=f"needs {package}")
    output = tmp_path / f"out{suffix}"
    assert call("convert", str(path), str(output)) == 3
    said = capsys.readouterr()
    assert "checked against limited.tflite (LiteRT): different: the first of" in said.out
    assert "does not compute what the file does" in said.err
    assert not output.exists()
    assert call("convert", str(path), str(output), "--force") == 0
    assert "is written because of --force" in capsys.readouterr().err
    assert output.exists()
    assert call("convert", str(path), str(output), "--no-check", "--overwrite") == 0
    assert "different" not in capsys.readouterr().out


@pytest.mark.usefixtures("wrong")
def test_convert_writes_nothing_that_differs(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.safetensors"
    assert call("convert", str(path), str(output)) == 3
    said = capsys.readouterr()
    assert "checked against limited.tflite (LiteRT): different: the first of" in said.out
    assert "error: " in said.err
    assert "--force" in said.err
    assert not output.exists()

    output.write_bytes(b"before")
    assert call("convert", str(path), str(output), "--overwrite") == 3
    assert output.read_bytes() == b"before"
    assert call("convert", str(path), str(output), "--force", "--overwrite") == 0
    assert "is written because of --force" in capsys.readouterr().err
    assert mpscnn.load(output).network.to_dict()["nodes"][-1]["attributes"]["kind"] == "relun"
    assert call("convert", str(path), str(output), "--no-check", "--overwrite") == 0


def test_convert_says_nothing_of_what_is_equal(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.safetensors"
    assert call("convert", str(path), str(output), "--force") == 0
    said = capsys.readouterr()
    assert "equal: " in said.out
    assert "--force" not in said.err


def test_a_file_that_litert_computes_otherwise(tmp_path: Path) -> None:
    """LiteRT negates the stored integers and ignores the zero point. mpscnn negates the numbers."""
    tensors = [quantized(Tensor(name, (1, 4, 4, 3), "int8"), [0.1], [-100]) for name in "xy"]
    file = tmp_path / "negated.tflite"
    file.write_bytes(write_tflite(tensors, [Operator(NEG, [0], [1], 42)], [0], [1]))
    assert call("convert", str(file), str(tmp_path / "out.safetensors")) == 3


@pytest.mark.usefixtures("wrong")
def test_loading_starts_no_other_engine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a process nor an import of an engine: `convert` and `compare` are there to ask for a comparison."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    engines = [name for name in sys.modules if name.partition(".")[0] in ("onnxruntime", "ai_edge_litert")]
    assert mpscnn.load(path).network.to_dict()["nodes"][-1]["attributes"]["kind"] == "relun"
    assert call("info", str(path)) == 0
    assert engines == [
        name for name in sys.modules if name.partition(".")[0] in ("onnxruntime", "ai_edge_litert")
    ]


_ENDINGS = {
    "a signal": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended with status -9|signal 9"),
    "nothing": ("import os; os._exit(0)", "its process ended with status 0"),
    "an exception": ("raise OSError('no room')", "its engine cannot be started: OSError: no room"),
}


@pytest.mark.parametrize("ending", _ENDINGS)
def test_an_engine_that_crashes_harms_nothing(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    code, message = _ENDINGS[ending]
    package = tmp_path / "site-packages" / "ai_edge_litert"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text(code)
    monkeypatch.syspath_prepend(str(package.parent))
    output = tmp_path / "out.safetensors"
    assert call("convert", str(path), str(output)) == 0
    said = capsys.readouterr().out
    assert re.search(f"not checked: limited.tflite: .*({message})", said), said
    assert output.exists()


@pytest.mark.parametrize(
    ("window", "repeats", "problem"),
    [
        (2, 1, ""),
        (200, 1, "its layers take 4,800,000,000 operations, which is much for a file of 100 bytes"),
        (2, 1_000, "its layers compute 120,120,000 numbers, which is much for a file of 100 bytes"),
    ],
)
def test_a_run_that_costs_too_much_is_not_a_check(
    tmp_path: Path, window: int, repeats: int, problem: str
) -> None:
    """A file of a few bytes can describe a run that takes hours, or all memory."""
    network = Network(input=(200, 200, 3))
    made = network.average_pool2d(network.input, window, padding="same", strides=1)
    network.output(network.layer("tile", [made], {"channels": repeats}))
    for size, said in ((100, problem), (3_000_000, "")):
        file = tmp_path / "file.tflite"
        file.write_bytes(bytes(size))
        assert costs_too_much(network, [file]) == said


def test_many_weights_from_a_few_bytes_are_no_check(tmp_path: Path) -> None:
    network = Network(input=(1, 1, 2_000))
    network.output(network.dense(network.input, 2_000))
    (file := tmp_path / "file.tflite").write_bytes(bytes(100))
    said = costs_too_much(network, [file])
    assert said == "its layers have 4,000,000 weights, which is much for a file of 100 bytes"
    file.write_bytes(bytes(300_000))
    assert costs_too_much(network, [file]) == ""


_NEEDLESS = [
    [node("Expand", ["x", "far"], "e"), node("Sin", ["e"], "s")],
    [
        node(
            "If",
            ["yes"],
            "s",
            then_branch=onnx.parser.parse_graph("a () => (float r) { r = Sin (e) }"),
            else_branch=onnx.parser.parse_graph("b () => (float r) { r = Cos (e) }"),
        )
    ],
]


@pytest.mark.parametrize("needless", _NEEDLESS, ids=["chain", "branches"])
def test_nodes_that_no_output_needs_are_not_run(needless: list[Any]) -> None:
    """The network does not show what they cost."""
    constants = {"far": np.array([1 << 40, 3, 4, 4]), "yes": np.array(True)}
    made = model([*needless, node("Relu", ["x"])], {"x": ["n", 3, 4, 4]}, constants)
    trace = OnnxEngine(made, "made").trace([np.ones((1, 4, 4, 3), np.float32)])
    assert [value.name for value in trace.values] == ["y"]


def test_branches_need_what_their_graphs_read() -> None:
    branches = {
        "then_branch": onnx.parser.parse_graph("a () => (float r) { r = Sin (e) }"),
        "else_branch": onnx.parser.parse_graph("b () => (float r) { r = Cos (e) }"),
    }
    nodes = [node("Neg", ["x"], "e"), node("If", ["yes"], "y", **branches)]
    made = model(nodes, {"x": ["n", 3, 4, 4]}, {"yes": np.array(True)})
    trace = OnnxEngine(made, "made").trace([np.ones((1, 4, 4, 3), np.float32)])
    np.testing.assert_allclose(trace.values[-1].array, -np.sin(1.0), rtol=1e-6)


def test_what_no_output_needs_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LiteRT would compute all operators of the file, such as 64 MiB of zeros from a number."""
    tensors = [
        *(Tensor(name, (1, 4, 4, 3)) for name in "xy"),
        constant("many", [1 << 24], "int32"),
        constant("zero", np.zeros((), np.float32)),
        Tensor("filled", (1 << 24,)),
    ]
    file = tmp_path / "filled.tflite"
    file.write_bytes(write_tflite(tensors, [Operator(RELU, [0], [1]), Operator(94, [2, 3], [4])], [0], [1]))
    assert call("convert", str(file), str(tmp_path / "out.safetensors")) == 0
    assert "equal: " in capsys.readouterr().out


def test_products_take_longer_in_reference_kernels(tmp_path: Path) -> None:
    network = Network(input=(100, 100, 64))
    network.output(network.conv2d(network.input, 64, 9, padding="same"))
    (file := tmp_path / "file.tflite").write_bytes(bytes(100))
    assert costs_too_much(network, [file]) == ""
    assert "its layers take 6,6" in costs_too_much(network, [file], quick=False)


def test_a_file_whose_check_costs_too_much_is_loaded_and_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape, wide = (1, 4_000, 4_000, 1), Tensor("x", (1, 4_000, 4_000, 1))
    tensors = [wide, *(Tensor(f"r{i}", shape) for i in range(4))]
    operators = [Operator(RELU, [i], [i + 1]) for i in range(4)]
    file = tmp_path / "large.tflite"
    file.write_bytes(write_tflite(tensors, operators, [0], [4]))
    assert mpscnn.load(file).program.outputs == {"r3": (None, 4_000, 4_000, 1)}
    assert call("convert", str(file), str(tmp_path / "out.safetensors")) == 0
    assert "not checked: its layers compute 64,000,000 numbers" in (said := capsys.readouterr().out)
    assert "gives the same results" not in said


_X, _Y = Tensor("x", (1, 6)), Tensor("y", (1, 6))
_WEIGHTS = quantized(
    Tensor("w", (6, 6), "int8", np.arange(-18, 18, dtype=np.int8).reshape(6, 6)), [0.01] * 6, [0] * 6
)
_BIAS = constant("b", np.zeros(6, np.float32))
_DENSE = {"options_type": 8, "options": [(0, "Int8", 0)]}


@pytest.mark.parametrize(
    ("tensors", "operators", "precision"),
    [
        (
            [_X, _Y, _WEIGHTS, _BIAS, Tensor("f", (6, 6))],
            [Operator(6, [2], [4]), Operator(9, [0, 4, 3], [1], **_DENSE)],
            "float32",
        ),
        ([_X, quantized(_Y, [0.01], [0])], [Operator(RELU, [0], [1])], "float32"),
        ([_X, _Y, _WEIGHTS, _BIAS], [Operator(9, [0, 2, 3], [1], **_DENSE)], "int8"),
        (
            [_X, _Y, quantized(Tensor("q", (1, 6), "int8"), [0.01], [0])],
            [Operator(114, [0], [2]), Operator(6, [2], [1])],
            "int8",
        ),
    ],
    ids=["integers only stored", "floats with a scale", "integer weights", "integer results"],
)
def test_only_computations_in_integers_may_differ_as_integers_do(
    tmp_path: Path, tensors: list[Tensor], operators: list[Operator], precision: str
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(write_tflite(tensors, operators, [0], [1]))
    assert LitertEngine(file.name, file.read_bytes()).precision == precision
    found, verdict = check_conversion(mpscnn.converters.read_network([file]), [file])
    assert found is not None
    assert not differs(found), verdict
    assert ("allowed 0.001" in verdict) == (precision == "float32"), verdict


def test_the_engine_runs_in_a_process_of_its_own(path: Path) -> None:
    already = "ai_edge_litert.interpreter" in sys.modules
    found, _ = check_conversion(mpscnn.converters.read_network([path]), [path])
    assert found is not None
    assert ("ai_edge_litert.interpreter" in sys.modules) == already


_HALF, _SINGLE = 10, 1


@pytest.mark.parametrize(
    ("nodes", "allowed"),
    [
        ([node("Cast", ["w"], "f", to=_SINGLE), node("Mul", ["x", "f"])], "0.001"),
        (
            [
                node("Cast", ["x"], "h", to=_HALF),
                node("Mul", ["h", "w"], "m"),
                node("Cast", ["m"], to=_SINGLE),
            ],
            "0.02",
        ),
    ],
    ids=["only stored", "computed"],
)
def test_onnx_files_may_differ_as_halves_do_if_they_compute_in_halves(
    tmp_path: Path, nodes: list[Any], allowed: str
) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    file = tmp_path / "model.onnx"
    made = model(
        nodes, {"x": ["n", 3, 4, 4]}, {"w": np.linspace(0.5, 2.0, 3, dtype=np.float16).reshape(3, 1, 1)}
    )
    onnx.save(made, file)
    found, verdict = check_conversion(mpscnn.converters.read_network([file]), [file])
    assert found is not None
    assert not differs(found)
    assert f"allowed {allowed}" in verdict


def test_onnx_files_that_differ_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    network = Network(input=(4, 4, 3), name="limited")
    network.output(network.activation(network.input, {"kind": "linear", "a": 9.0}, name="scaled"))
    source, output = tmp_path / "source.safetensors", tmp_path / "out.onnx"
    network.save(source)

    def export_another(_: Network, path: Path, **__: object) -> None:
        made = model([node("Neg", ["x"], "scaled")], {"x": ["n", 3, 4, 4]}, outputs=["scaled"])
        onnx.save(made, str(path))

    monkeypatch.setattr(mpscnn.converters, "export_onnx", export_another)
    assert call("convert", str(source), str(output)) == 3
    assert "is not written: it does not compute what the network does" in capsys.readouterr().err
    assert not output.exists()
    assert call("convert", str(source), str(output), "--force") == 0
    assert "because of --force" in capsys.readouterr().err
    assert output.exists()


def _enlarged(tmp_path: Path) -> Path:
    """Write a file whose result has another size in onnxruntime than ONNX defines (12 x 15), which mpscnn computes."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    file = tmp_path / "enlarged.onnx"
    enlarge = node("ConvTranspose", ["x", "w"], auto_pad="SAME_UPPER", strides=[3, 3], kernel_shape=[2, 2])
    onnx.save(model([enlarge], {"x": [1, 3, 4, 5]}, {"w": np.ones((3, 2, 2, 2), np.float32)}), file)
    return file


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".mlpackage"])
def test_results_of_another_shape_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    file, output = _enlarged(tmp_path), tmp_path / f"out{suffix}"
    if suffix == ".mlpackage":
        pytest.importorskip("coremltools", reason="needs coremltools")
    assert call("convert", str(file), str(output)) == 3
    said = capsys.readouterr()
    assert "different: nothing of the other side fits the result" in said.out
    assert "no two layers have the same shape" in said.out
    assert "does not compute what the file does" in said.err
    assert not output.exists()
    if suffix == ".safetensors":
        assert call("convert", str(file), str(output), "--force") == 0
        assert "is written because of --force" in capsys.readouterr().err
        assert output.exists()


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_only_one_side_cannot_represent_differ(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    network = mpscnn.converters.read_network([path])
    run = NativeEngine.trace

    def with_number(self: NativeEngine, inputs: Any) -> Trace:
        made = run(self, inputs)
        made.values[-1].array[...] = number
        return made

    monkeypatch.setattr(NativeEngine, "trace", with_number)
    found, verdict = check_conversion(network, [path])
    assert differs(found), verdict


def test_a_network_that_mpscnn_cannot_run_is_not_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> Trace:
        raise mpscnn.ShapeError("the network does not run")

    monkeypatch.setattr(NativeEngine, "trace", refuse)
    output = tmp_path / "out.safetensors"
    assert call("convert", str(path), str(output)) == 1
    assert "the network does not run" in capsys.readouterr().err
    assert not output.exists()


def test_a_file_that_its_engine_cannot_run_is_not_checked(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> Trace:
        raise mpscnn.WeightsError("LiteRT cannot run it")

    monkeypatch.setattr(ConfinedEngine, "trace", refuse)
    output = tmp_path / "out.safetensors"
    assert call("convert", str(path), str(output)) == 0
    assert "not checked: LiteRT cannot run it" in capsys.readouterr().out
    assert output.exists()


def test_detectors_are_compared_before_their_suppression(shared: Path) -> None:
    file = shared / "models/tflite_support/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    found, verdict = check_conversion(mpscnn.converters.read_network([file]), [file], quick=True)
    assert not differs(found), verdict
    assert found is not None
    assert sum(layer.output for layer in found.layers) == 2
