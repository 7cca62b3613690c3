"""Test the commands other than classify, and behaviour that all commands share."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command_line import Command, call, run, save_colour_model
from PIL import Image
from typer.core import TyperOption

import mpscnn
from mpscnn import registry, samples
from mpscnn._private.summary import bytes_text, text_table
from mpscnn.apps.cli import package
from mpscnn.apps.cli.app import every_command

COMMANDS = (
    "classify",
    "detect",
    "digits",
    "segment",
    "features",
    "evaluate",
    "convert",
    "info",
    "explain",
    "models",
    "benchmark",
    "profile",
)
GOOGLE = Path(__file__).resolve().parents[4] / "shared" / "models" / "google"


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(save_colour_model(tmp_path / "colours.safetensors"))


# ---- The program -------------------------------------------------------------------------------------------------


def test_version() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"mpscnn {mpscnn.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    output = capsys.readouterr().out
    assert re.search(rf"^  Example: mpscnn {command} ?.*$", output, re.MULTILINE)


DIRECTORIES = {
    "--cmake-dir": "lib/cmake/mpscnn/mpscnnConfig.cmake",
    "--include-dir": "include/mpscnn/mpscnn.h",
    "--pkg-config-dir": "lib/pkgconfig/mpscnn.pc",
}


@pytest.mark.parametrize("option", DIRECTORIES)
def test_directories_for_c_programs(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    file = tmp_path / DIRECTORIES[option]
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(mpscnn._core, "__file__", str(tmp_path / "_core.so"))
    ended = command(option)
    expected = tmp_path / ("include" if option == "--include-dir" else file.parent)
    assert (ended.returncode, ended.stdout) == (0, f"{expected}\n")


@pytest.mark.parametrize("option", DIRECTORIES)
def test_no_directories_for_c_programs(
    option: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr(package, "_directory_with", lambda directory, file: None)
    ended = command(option)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no C and C++ package" in ended.stderr


# ---- info --------------------------------------------------------------------------------------------------------


def test_info(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", model) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "colours"
    assert lines[1].split() == ["layer", "operation", "output", "parameters", "MACs"]
    dense = next(line.split() for line in lines if line.startswith("dense"))
    assert dense == ["dense", "fully_connected", "1", "x", "3", "9", "9"]
    assert next(line.split() for line in lines if line.startswith("total")) == [
        "total",
        "4",
        "layers",
        "9",
        "9",
    ]
    facts = dict(line.split(":", 1) for line in lines if re.match(r"\w+:", line))
    assert facts["input"].strip() == "image (n, 8, 8, 3)"
    assert facts["labels"].strip() == "3: 'red', 'green', 'blue'"
    assert facts["license"].strip() == "Apache-2.0"
    assert facts["source"].strip() == "a test"
    assert facts["preprocessing"].strip() != "not stated"
    assert facts["file"].strip().startswith(model)


def test_info_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", model, "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["name"] == "colours"
    assert described["labels"] == ["red", "green", "blue"]
    assert [layer["name"] for layer in described["layers"]] == ["pool", "flat", "dense", "softmax"]
    assert sum(layer["macs"] for layer in described["layers"]) == 9


def test_explain(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("explain", model, "--threads", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("colours, float32, 1 thread, ")
    assert lines[1].startswith("on the CPU: as asked; ")
    assert lines[2].split() == ["layers", "kernel", "choice", "predicted", "us", "why"]
    assert lines[lines.index("") + 1].split() == ["tensor", "shape", "memory", "layout", "(numbers)"]
    assert call("explain", model, "--json") == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert next(step["layers"] for step in steps) == ["pool"]
    assert call("explain", model, "--size", "20x30") == 1
    assert "has a fixed size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (("--weights", "int8"), "float32, weights int8"),
        (("--precision", "float16", "--weights", "int8"), "float16, weights int8"),
        (("--precision", "float16", "--accumulate-dtype", "float16"), "float16, sums in halves"),
    ],
)
def test_numbers_of_weights_and_sums(
    options: tuple[str, ...], numbers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This takes a second, since four commands compile the bundled classifier."""
    assert call("explain", "cifar10_mobilenet_v2", *options) == 0
    assert f", {numbers}, " in capsys.readouterr().out.splitlines()[0]
    assert call("benchmark", "cifar10_mobilenet_v2", "--runs", "1", *options) == 0
    assert numbers in capsys.readouterr().out
    assert call("benchmark", "cifar10_mobilenet_v2", "--runs", "1", "--runner", *options) == 0
    assert numbers in capsys.readouterr().out
    names = {
        option[2:].replace("-", "_"): value for option, value in zip(options[::2], options[1::2], strict=True)
    }
    model = mpscnn.load(device="cpu", **names)  # type: ignore[arg-type]
    assert model.program.numbers == numbers
    assert f"on cpu ({numbers})" in repr(model)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        tmp_path / "noise.png"
    )
    assert call("classify", str(tmp_path / "noise.png"), "--json", "--device", "cpu", *options) == 0
    first = json.loads(capsys.readouterr().out)["predictions"][0]
    assert first["probability"] == model.classify(tmp_path / "noise.png").predictions[0].probability


def test_numbers_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("explain", "benchmark", "profile"):
        assert call(command, "digits", "--precision", "bfloat16", "--weights", "int8") != 0
        assert "weights" in capsys.readouterr().err
        assert call(command, "digits", "--accumulate-dtype", "float16") != 0
        assert "accumulate_dtype" in capsys.readouterr().err


def test_info_of_a_network_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = mpscnn.Network(input=(None, None, 3), name="free")
    network.output(network.conv2d(network.input, 4, 3, padding="same", name="conv"))
    network.initialize_weights()
    network.save(tmp_path / "free.safetensors")
    assert call("info", str(tmp_path / "free.safetensors")) == 1
    assert "choose one with --size HEIGHTxWIDTH" in capsys.readouterr().err
    assert call("info", str(tmp_path / "free.safetensors"), "--size", "20x30") == 0
    output = capsys.readouterr().out
    assert "1 x 20 x 30 x 4" in output
    assert f"{20 * 30 * 4 * 27:,}" in output
    assert "image (n, any, any, 3)" in output
    assert "not stated" in output


@pytest.mark.parametrize(
    "command",
    [("benchmark", "--runs", "1"), ("benchmark", "--runner", "--runs", "1"), ("profile", "--runs", "1")],
)
def test_a_network_of_any_size_is_measured_with_one(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network(input=(None, 30, 3), name="free")
    network.output(network.conv2d(network.input, 4, 3, padding="same", name="conv"))
    network.initialize_weights()
    network.save(file := tmp_path / "free.safetensors")
    name, *options = command
    assert call(name, str(file), *options) == 1
    assert "choose one with --size HEIGHTxWIDTH" in capsys.readouterr().err
    assert call(name, str(file), *options, "--size", "20x40") == 1
    assert "(n, any, 30, 3) cannot have --size 20x40" in capsys.readouterr().err
    assert call(name, str(file), *options, "--size", "20x30", "--json") == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["input"] if name == "benchmark" else output["inputs"][0]) == [1, 20, 30, 3]


def test_a_size_is_for_the_inputs_that_leave_it_free(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network({"photo": (None, None, 3), "place": (5,)}, name="two")
    for tensor in (network.conv2d(network.inputs[0], 2, 3), network.dense(network.inputs[1], 2)):
        network.output(tensor)
    network.initialize_weights()
    network.save(file := tmp_path / "two.safetensors")
    for command in ("info", "explain", "fingerprint"):
        assert call(command, str(file)) == 1
        assert "choose one with --size" in capsys.readouterr().err
        assert call(command, str(file), "--size", "20x30") == 0
        capsys.readouterr()


@pytest.mark.parametrize(
    "command",
    ["info", "explain", "fingerprint", "benchmark", "profile", "compare-precisions", "check-precision"],
)
def test_a_free_extent_that_is_no_image_s(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = mpscnn.Network((None, 16), name="sequence")
    network.output(network.activation(network.input, "tanh"))
    network.save(file := tmp_path / "sequence.safetensors")
    for size in ([], ["--size", "4x4"]):
        assert call(command, str(file), *size) == 1
        assert "(n, any, 16) leaves an extent free that is not the height or width" in capsys.readouterr().err


def test_options_of_the_runner_need_it(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--inflight", "--max-batch"):
        assert call("benchmark", "digits", "--runs", "1", option, "2") == 2
        assert "it is for --runner" in capsys.readouterr().err


def test_a_network_of_two_inputs_is_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = mpscnn.Network(input={"left": (4, 4, 3), "right": (4, 4, 3)}, name="two")
    network.output(network.add(*network.inputs))
    network.save(file := tmp_path / "two.safetensors")
    for name in ("benchmark", "profile"):
        assert call(name, str(file)) == 2
        assert "two.safetensors has the inputs left, right: only networks of one are measured" in (
            capsys.readouterr().err
        )


def test_a_size_of_one_number_is_a_square(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that set the size of an input take one number, too."""
    network = mpscnn.Network(input=(None, None, 3), name="free")
    network.output(network.relu(network.input))
    network.save(file := tmp_path / "free.safetensors")
    for size in ("24", "24x24"):
        assert call("info", str(file), "--size", size) == 0
        assert "1 x 24 x 24 x 3" in capsys.readouterr().out
    assert call("convert", str(file), str(tmp_path / "free.tflite"), "--size", "16") == 0
    (made,) = mpscnn.converters.read_network(tmp_path / "free.tflite").inputs
    assert made.shape == (None, 16, 16, 3)


@pytest.mark.parametrize(
    ("suffix", "writer"),
    [
        (".onnx", "export_onnx"),
        (".tflite", "export_tflite"),
        (".mlpackage", "export_coreml"),
        (".mlmodel", "export_coreml"),
        (".aimodel", "export_coreai"),
    ],
)
def test_errors_of_writing_name_the_file_of_the_command(
    suffix: str,
    writer: str,
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file is made in a temporary folder first, whose name tells the user nothing."""

    def refuse(_: object, path: Path, **_options: object) -> None:
        raise mpscnn.UnsupportedError(f"{path}: lacks a layer; see {path}")

    monkeypatch.setattr(mpscnn.converters, writer, refuse)
    output = tmp_path / f"one{suffix}"
    assert call("convert", model, str(output)) == 1
    assert f"error: {output}: lacks a layer; see {output}\n" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize("suffix", ["mlmodelc", "coreml"])
def test_compiled_models_lead_to_packages(
    suffix: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("convert", model, str(tmp_path / f"one.{suffix}")) == 2
    assert "write an .mlpackage, which Xcode compiles" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("size", ["0", "0x30", "2000000x4", "axb", "20x-3", "x"])
def test_info_size_is_checked(size: str, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("info", model, "--size", size) == 2
    assert "HEIGHTxWIDTH" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--json",), ("--size", "8x8")])
def test_changes_go_without_options_of_what_is_shown(
    option: tuple[str, ...], model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("info", model, "--set", "license=MIT", *option) == 2
    assert "go without --set" in capsys.readouterr().err


# ---- models ------------------------------------------------------------------------------------------------------


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MPSCNN_MODELS", str(tmp_path))
    save_colour_model(tmp_path / "mobilenet_v2.safetensors", "mobilenet_v2")
    save_colour_model(tmp_path / "mine.safetensors")
    assert call("models") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines[2:]}
    for entry in registry.models():
        assert str(entry.classes) in rows[entry.name]
        assert entry.licence in rows[entry.name]
    assert rows["mobilenet_v2"][-1] == "yes"
    assert rows["mobilenet_v1"][-1] == "no"
    assert rows["mine"][-1] == "yes"

    assert call("models", "--json") == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["mobilenet_v2"]["path"] == str(tmp_path / "mobilenet_v2.safetensors")
    assert entries["mobilenet_v2"]["input_size"] == [224, 224]
    assert entries["mobilenet_v1"]["path"] is None
    assert entries["mine"]["path"] == str(tmp_path / "mine.safetensors")


# ---- convert -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not GOOGLE.is_dir(), reason=f"no published models in {GOOGLE}")
def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = GOOGLE / "mobilenet_v1_0.25_128_quant.tflite", tmp_path / "small.safetensors"
    labels = str(GOOGLE / "imagenet_labels.txt")
    options = ["--labels", labels, "--preprocess", "tensorflow", "--dtype", "uint8"]
    assert call("convert", str(source), str(output), *options) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{output}: ")
    assert "layers" in printed
    assert "parameters" in printed
    model = mpscnn.load(output)
    assert model.labels is not None
    assert len(model.labels) == 1001


@pytest.mark.skipif(not GOOGLE.is_dir(), reason=f"no published models in {GOOGLE}")
def test_convert_joins_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stem = "mobilenet_v1_1.0_224_quant_"
    parts = [str(GOOGLE / f"{stem}{part}.tflite") for part in ("embedding_extractor", "head_layers")]
    output = tmp_path / "whole.safetensors"
    assert call("convert", *parts, str(output)) == 0
    assert "4,2" in capsys.readouterr().out  # 4.2 million parameters (Howard et al. 2017, table 8)
    assert mpscnn.load(output).program.outputs[next(iter(mpscnn.load(output).program.outputs))] == (
        None,
        1001,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument"),
        (["a.tflite"], 2, "the file to write after a.tflite"),
        (["a.tflite", "b.safetensors", "--dtype", "int4"], 2, "'int4'"),
        (["a.tflite", "b.safetensors"], 1, "a.tflite"),
        (
            ["a.tflite", "b.bin"],
            2,
            "must end in .safetensors, .onnx, .tflite, .mlpackage, .mlmodel, .aimodel, got b.bin",
        ),
        (["a.tflite", "b.mlpackge"], 2, "got b.mlpackge; did you mean '.mlpackage'"),
    ],
)
def test_convert_errors(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("convert", *arguments) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# ---- Tables ------------------------------------------------------------------------------------------------------


def test_text_table() -> None:
    table = text_table(("name", "n"), [("a", "1"), ("longer", "22")], right=(1,), footer=("sum", "23"))
    assert table.splitlines() == [
        "name     n",
        "------  --",
        "a        1",
        "longer  22",
        "------  --",
        "sum     23",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (3_610_798, "3.6 MB"),
        (5e12, "5000.0 GB"),
    ],
)
def test_bytes_text(count: int, text: str) -> None:
    assert bytes_text(int(count)) == text


def test_options_are_lower_case() -> None:
    """If an option with a parser has no metavar, some versions of typer use the metavar as its name."""
    commands = every_command().values()
    options = [option for command in commands for parameter in command.params for option in parameter.opts]
    assert "--device" in options
    assert [option for option in options if option.startswith("-") and option != option.lower()] == []


@pytest.mark.parametrize("asked", ["--version", "--help", "version"])
def test_an_answer_without_numbers_needs_neither_numpy_nor_pillow(asked: str) -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sorted({'numpy', 'PIL'} & {*sys.modules}), file=sys.stderr))\n"
        f"sys.argv = ['mpscnn', {asked!r}]\n"
        "from mpscnn.apps.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout != "", done.stderr) == (True, "\n")


def test_a_plain_command_needs_no_pydantic() -> None:
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('pydantic' in sys.modules))\n"
        f"sys.argv = ['mpscnn', 'classify', {str(samples.photo('cat'))!r}, '--model', 'cifar10_mobilenet_v2']\n"
        "from mpscnn.apps.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert "cat" in done.stdout
    assert done.stdout.endswith("\nFalse\n")


def test_spared_conversions_change_nothing() -> None:
    """Defaults, texts and lists of texts are as Typer's own conversion makes them, for all options of all commands."""
    if not hasattr(TyperOption, "get_runtime_param"):
        pytest.skip("this version of Typer converts values without pydantic")
    seen = 0
    for name, command in every_command().items():
        context = command.context_class(command, info_name=name)
        for parameter in command.get_params(context):
            if not isinstance(getattr(parameter, "get_runtime_param", None), partial):
                continue
            full = type(parameter).get_runtime_param(parameter)
            values = [None, parameter.default]
            values += [["a", "b"], []] if parameter.nargs == -1 or parameter.multiple else []
            values += (
                ["text"]
                if parameter.type_descriptor.annotation is str and not full.parameter_info.parser
                else []
            )
            for value in values:
                if callable(value):
                    continue
                spared = parameter.get_runtime_param().coerce(value, param=parameter, ctx=context)
                assert spared == full.coerce(value, param=parameter, ctx=context), (
                    name,
                    parameter.name,
                    value,
                )
                seen += 1
    assert seen > 100
