"""Test that each writer keeps the 8-bit integers of quantised networks by default, or refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from quantized_networks import classifier, noise

import mpscnn
from mpscnn import Network, UnsupportedError
from mpscnn.converters import export_coreai, export_coreml, export_onnx, export_tflite, read_network
from mpscnn.converters.formats.writers import WRITERS
from mpscnn.graph.model_file import MODEL_SUFFIX, quantize
from mpscnn.graph.quantized import has_integers

#: The suffixes of all files that networks are written to, with the default type of other networks.
SUFFIXES = {MODEL_SUFFIX: "float16", **dict.fromkeys(WRITERS, "float32")}
NEEDS = {".onnx": "onnx", ".mlpackage": "coremltools", ".mlmodel": "coremltools", ".aimodel": "coreai"}


def int8() -> Network:
    """Return a network whose tensors and weights are integers."""
    network, _ = mpscnn.quantize(classifier(), noise(8))
    return network


def with_integer_weights(folder: Path, build: Callable[[], Network], name: str) -> Network:
    """Return a network of which only the weights are integers."""
    network = build()
    network.initialize_weights(seed=1)
    path = folder / f"{name}{MODEL_SUFFIX}"
    network.save(path, dtype="uint8")
    return mpscnn.load(path).network


def products() -> Network:
    network = Network((8, 8, 3), name="products")
    x = network.conv2d(network.input, 64, 3, activation="relu", name="conv")
    network.output(network.dense(x, 40, name="dense"))
    return network


def recurrent() -> Network:
    network = Network((5, 24), name="recurrent")
    network.output(network.lstm(network.input, 16).steps)
    return network


def transposed() -> Network:
    network = Network((8, 8, 3), name="transposed")
    network.output(network.conv2d_transpose(network.input, 8, 3, name="larger"))
    return network


@cache
def networks(folder: Path) -> dict[str, Network]:
    made = {build.__name__: with_integer_weights(folder, build, build.__name__) for build in BUILDS}
    return {"int8": int8(), **made}


BUILDS = (products, recurrent, transposed)
NAMES = ("int8", *(build.__name__ for build in BUILDS))
#: Layers whose integers a format has no place for. Everything else must be written.
REFUSED = {(".aimodel", "recurrent"), (".onnx", "recurrent"), (".onnx", "transposed")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


def written(path: Path) -> dict[str, bytes]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file.relative_to(path)): file.read_bytes() for file in files if file.is_file()}


def save(network: Network, path: Path, dtype: str | None) -> None:
    network.save(path, dtype=dtype)  # type: ignore[arg-type]


def export(network: Network, path: Path, dtype: str | None) -> None:
    if path.suffix == ".onnx":
        export_onnx(network, path, dtype=dtype)
    elif path.suffix == ".tflite":
        export_tflite(network, path, dtype=dtype)
    elif path.suffix == ".aimodel":
        export_coreai(network, path, dtype=dtype)
    elif path.suffix == MODEL_SUFFIX:
        mpscnn.Model(network).save(path, dtype=dtype)
    else:
        export_coreml(network, path, dtype=dtype)


@pytest.mark.parametrize(("write", "name"), [*((save, name) for name in NAMES), (export, "products")])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_quantised_networks_stay_so(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[..., None],
    suffix: str,
    name: str,
) -> None:
    """The first case of an .mlpackage takes seconds, since it imports coremltools."""
    if suffix in NEEDS:
        pytest.importorskip(NEEDS[suffix])
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    network = networks(folder)[name]
    paths = {kind: tmp_path / f"{kind}{suffix}" for kind in (None, "uint8", "float32")}
    if (suffix, name) in REFUSED:
        for kind in (None, "uint8"):
            with pytest.raises(UnsupportedError, match=r"8-bit weights .* dtype='float32'"):
                write(network, paths[kind], kind)
            assert not paths[kind].exists()
        write(network, paths["float32"], "float32")
        return
    for kind, path in paths.items():
        write(network, path, kind)
    of_default, of_integers, of_floats = (written(path) for path in paths.values())
    assert of_default == of_integers != of_floats
    x = noise(1, *(extent or 0 for extent in network.input.shape[1:]))[0]
    right = np.asarray(network.compile(device="cpu").run(x))
    for kind, tolerance in ((None, 0.03), ("float32", 1e-5)):
        read = read_network([paths[kind]]) if suffix in WRITERS else mpscnn.load(paths[kind]).network
        found = np.asarray(read.compile(device="cpu").run(x))
        assert np.abs(found - right).max() <= tolerance * np.abs(right).max()
        if suffix == MODEL_SUFFIX:
            assert has_integers(read) == (kind is None or name == "int8")
        elif name == "products":
            assert has_integers(read) == (kind is None and suffix != ".mlmodel")
            of_floats = kind is None and suffix == ".mlmodel"
            assert ("compressed weights" in str(read.notes)) == of_floats
            with warnings.catch_warnings(record=True) as noted:
                warnings.simplefilter("always")
                mpscnn.load(paths[kind]), mpscnn.load(paths[kind])
            assert sum("compressed weights become floats" in str(one.message) for one in noted) == of_floats
    if suffix == ".onnx":
        assert b"DequantizeLinear" in paths[None].read_bytes()
        assert b"DequantizeLinear" not in paths["float32"].read_bytes()


@pytest.mark.parametrize("suffix", [MODEL_SUFFIX, ".onnx", ".tflite"])
def test_8_bit_weights_of_floats_are_those_of_a_model_file(tmp_path: Path, suffix: str) -> None:
    """A network of floats and its file of 8-bit weights become the same files; coremltools makes its own integers."""
    if suffix in NEEDS:
        pytest.importorskip(NEEDS[suffix])
    network = products()
    network.initialize_weights()
    network.keep_float32(["dense"])
    save(network, tmp_path / f"floats{suffix}", "uint8")
    save(network, tmp_path / "integers.safetensors", "uint8")
    save(mpscnn.load(tmp_path / "integers.safetensors").network, tmp_path / f"stored{suffix}", "uint8")
    assert written(tmp_path / f"floats{suffix}") == written(tmp_path / f"stored{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_networks_have_floats(tmp_path: Path, suffix: str) -> None:
    if suffix in NEEDS:
        pytest.importorskip(NEEDS[suffix])
    network = products()
    network.initialize_weights()
    save(network, tmp_path / f"default{suffix}", None)
    save(network, tmp_path / f"floats{suffix}", SUFFIXES[suffix])
    assert written(tmp_path / f"default{suffix}") == written(tmp_path / f"floats{suffix}")


@pytest.mark.parametrize(
    ("suffix", "name"), [*((suffix, "int8") for suffix in SUFFIXES), *((one, "products") for one in WRITERS)]
)
def test_the_command_writes_the_same_files(
    folder: Path, tmp_path: Path, suffix: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if suffix in NEEDS:
        pytest.importorskip(NEEDS[suffix])
    source, output = tmp_path / "source.safetensors", tmp_path / f"output{suffix}"
    networks(folder)[name].save(source)
    if suffix == MODEL_SUFFIX:
        networks(folder)[name].save(source := tmp_path / "source.onnx")
        pytest.importorskip("onnx")
    assert call("convert", str(source), str(output), "--no-check") == 0
    told = "(8-bit weights" if suffix in (".mlpackage", ".mlmodel") else "(uint8"
    assert told in capsys.readouterr().out
    if suffix != MODEL_SUFFIX:
        save(networks(folder)[name], tmp_path / f"saved{suffix}", None)
        assert written(output) == written(tmp_path / f"saved{suffix}")


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_the_command_keeps_floats_next_to_integers(tmp_path: Path, suffix: str) -> None:
    if suffix in NEEDS:
        pytest.importorskip(NEEDS[suffix])
    network = products()
    network.initialize_weights(seed=3)
    network.set_quantized_weight("conv.weight", *quantize(network.weights["conv.weight"]))
    network.save(tmp_path / "source.safetensors")
    assert (
        call("convert", str(tmp_path / "source.safetensors"), str(tmp_path / f"one{suffix}"), "--no-check")
        == 0
    )
    read = read_network([tmp_path / f"one{suffix}"])
    assert has_integers(read)
    np.testing.assert_array_equal(read.weights["dense.weight"], network.weights["dense.weight"])


@pytest.mark.parametrize("suffix", [".mlpackage", ".mlmodel"])
def test_layers_that_are_kept_in_float32_get_no_integers_in_core_ml(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("coremltools")
    network = products()
    network.initialize_weights(seed=2)
    network.keep_float32(["dense"])
    network.save(tmp_path / f"one{suffix}", dtype="uint8")
    found = read_network([tmp_path / f"one{suffix}"]).weights
    for name, exact in {"dense.weight": True, "conv.weight": False}.items():
        assert np.array_equal(found[name], network.weights[name].astype(np.float32)) == exact


def test_a_palette_needs_no_other_choice(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    pytest.importorskip("sklearn", reason="palettes need scikit-learn")
    network: Any = networks(folder)["products"]
    export_coreml(network, tmp_path / "default.mlpackage", palette=4)
    export_coreml(network, tmp_path / "floats.mlpackage", palette=4, dtype="float32")
    assert written(tmp_path / "default.mlpackage") == written(tmp_path / "floats.mlpackage")
