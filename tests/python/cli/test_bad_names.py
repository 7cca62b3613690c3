"""Test impossible file names, names that are not Unicode, and deeply nested settings: all raise errors of mpscnn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, colour_network, save_colour_model, save_photo
from systems import limited_memory

import mpscnn
from mpscnn import registry
from mpscnn.converters import convert_files, read_labels
from mpscnn.models.deep_mnist import deep_mnist, export_deep_mnist

SURROGATE = "a\udc80b"
NUL = "a\0b"
DEPTH = 100_000


def nested(depth: int = DEPTH) -> dict[str, Any]:
    """Return nested mappings of this depth."""
    settings: dict[str, Any] = {}
    for _ in range(depth):
        settings = {"a": settings}
    return settings


def unnest(settings: dict[str, Any]) -> None:
    """Delete nested mappings from the outside in, because Python itself would recurse."""
    while settings:
        settings = settings.pop("a", None)


# ---- Files -------------------------------------------------------------------------------------------------------

READ: dict[str, Callable[[str], object]] = {
    "load": mpscnn.load,
    "load of a registry name": lambda path: mpscnn.load(Path(path).stem),
    "find": registry.find,
    "open_photo": mpscnn.open_photo,
    "read_idx": mpscnn.read_idx,
    "read_labels": read_labels,
    "convert": lambda path: convert_files([path], "x.safetensors"),
    "load_raw_weights": lambda path: colour_network().load_raw_weights(path),
    "deep_mnist": deep_mnist,
}
WRITE: dict[str, Callable[[str], object]] = {
    "save": lambda path: colour_network().save(path),
    "convert": lambda path: convert_files(["x.tflite"], path),
    "export_onnx": lambda path: _export_onnx(path),
    "export_deep_mnist": lambda path: export_deep_mnist(_digits(), path),
}


def _export_onnx(path: str) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from mpscnn.converters.writing.onnx.export import export

    export(colour_network(), path)


def _digits() -> mpscnn.Network:
    network = deep_mnist()
    network.initialize_weights()
    return network


@pytest.mark.parametrize("name", [NUL, "\ud800", "x" * 5_000])
@pytest.mark.parametrize("reader", READ)
def test_files_that_cannot_be_read(reader: str, name: str, tmp_path: Path) -> None:
    suffix = {"convert": ".tflite"}.get(reader, ".safetensors")
    with pytest.raises(mpscnn.Error):
        READ[reader](str(tmp_path / name) + suffix)


@pytest.mark.parametrize("name", [NUL, "\ud800", "x" * 5_000])
@pytest.mark.parametrize("writer", WRITE)
def test_files_that_cannot_be_written(writer: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(mpscnn.Error):
        WRITE[writer](str(tmp_path / name / "x.safetensors"))


ENDLESS = """
import json, os, sys
from pathlib import Path
import mpscnn
from mpscnn import converters
from mpscnn.comparison import compare
from mpscnn.graph.model_file import change_metadata
from mpscnn.models.deep_mnist import deep_mnist

folder = Path(sys.argv[1])
formats = ["tflite", "onnx", "pth", "h5", "keras", "caffemodel", "prototxt", "safetensors"]
for name in ["raw_weight.bin", "W_conv1", "x.npy", *(f"x.{suffix}" for suffix in formats)]:
    os.symlink(folder / "endless", folder / name)
(folder / "whole.prototxt").write_text("")
network = mpscnn.Network(input=(2, 2, 1))
network.output(network.conv2d(network.input, 1, 1, name="raw"))
network.initialize_weights(1)
model = folder / "model.safetensors"
network.save(model)
attempts = {
    "photo": lambda: mpscnn.open_photo(folder / "endless"),
    "IDX": lambda: mpscnn.read_idx(folder / "endless"),
    "labels": lambda: converters.read_labels(folder / "endless"),
    "labels of a conversion": lambda: converters.convert_files(
        [folder / "x.tflite"], folder / "out.safetensors", labels=folder / "endless"
    ),
    "raw weights": lambda: network.load_raw_weights(folder),
    "eight raw files": lambda: deep_mnist(folder),
    "metadata": lambda: change_metadata(folder / "x.safetensors", folder / "out.safetensors", {}),
    "an input to compare": lambda: compare(model, model, input=folder / "x.npy"),
}
partners = {"caffemodel": [folder / "whole.prototxt"], "prototxt": [folder / "x.caffemodel"]}
for suffix in formats:
    paths = [folder / f"x.{suffix}", *partners.get(suffix, [])]
    attempts[f"convert .{suffix}"] = lambda paths=paths: converters.read_network(paths)
    attempts[f"load .{suffix}"] = lambda path=folder / f"x.{suffix}": mpscnn.load(path)
for name, attempt in attempts.items():
    try:
        attempt()
    except mpscnn.Error as error:
        print(json.dumps([name, str(error)]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "device", "hole"])
def test_endless_files_are_refused(kind: str, tmp_path: Path) -> None:
    """A pipe or a device may have no end, and a hole of terabytes takes no place on the disk."""
    if kind == "pipe":
        os.mkfifo(tmp_path / "endless")
    elif kind == "hole":
        (tmp_path / "endless").touch()
        os.truncate(tmp_path / "endless", 1 << 40)
    else:
        (tmp_path / "endless").symlink_to("/dev/zero")
    ended = subprocess.run(
        [sys.executable, "-c", ENDLESS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=limited_memory(8 << 30),
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
    messages = dict(json.loads(line) for line in ended.stdout.splitlines())
    for name, message in messages.items():
        assert re.search(
            "is not a regular file|is a device or pipe|the rest is a hole|pip install", message
        ), (
            name,
            message,
        )
    assert len(messages) == 8 + 2 * 8


def test_files_whose_names_are_not_unicode(tmp_path: Path) -> None:
    """Files are read and written if the system supports their names. Errors about these files show the names."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9j\xe0"))
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"this system's file names must be Unicode: {error}")
    model = save_colour_model(folder / "colours.safetensors")
    photo = save_photo(folder / "red.png", "red")
    loaded = mpscnn.load(model)
    assert loaded.predict(photo)[0].label == "red"
    assert mpscnn.load(str(model)).labels == loaded.labels
    (folder / "labels.txt").write_text("a\nb\n")
    assert read_labels(folder / "labels.txt") == ["a", "b"]
    for missing in (folder / "none.safetensors", str(folder / "none.safetensors")):
        with pytest.raises(mpscnn.WeightsError, match="d\udce9j\udce0/none"):
            mpscnn.load(missing)
    model.write_bytes(b"damaged")
    with pytest.raises(mpscnn.WeightsError, match="d\udce9j\udce0/colours"):
        mpscnn.load(model)


def test_models_in_a_folder_whose_name_is_not_unicode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9j\xe0")
    monkeypatch.setenv("MPSCNN_MODELS", os.pathsep.join([folder, str(tmp_path / ("y" * 5_000))]))
    with pytest.raises(mpscnn.Error):
        mpscnn.load("nothing_of_that_name")
    assert "mobilenet_v2" in registry.names()


@pytest.mark.parametrize(
    "arguments",
    [
        ("classify", NUL),
        ("classify", "PHOTO", "--output", NUL),
        ("classify", "PHOTO", "--model", f"{NUL}.safetensors"),
        ("digits", "--idx", NUL),
        ("evaluate", NUL),
        ("evaluate", "FOLDER", "--model", "MODEL", "--output", f"{NUL}.png"),
        ("features", "PHOTO", "--model", "MODEL", "--layers", "pool", "--output", f"{NUL}.npz"),
        ("profile", "MODEL", "--runs", "1", "--trace", NUL),
        ("convert", f"{NUL}.tflite", "x.safetensors"),
        ("benchmark", f"{NUL}.tflite", "--runs", "1"),
        ("info", f"{SURROGATE}.safetensors"),
        ("info", "\ud800.safetensors"),
        ("classify", "PHOTO", "--device", SURROGATE),
    ],
)
def test_commands(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "photos" / "red"
    folder.mkdir(parents=True)
    known = {
        "PHOTO": str(save_photo(folder / "red.png", "red")),
        "FOLDER": str(folder.parent),
        "MODEL": str(save_colour_model(tmp_path / "colours.safetensors")),
    }
    monkeypatch.chdir(tmp_path)
    assert call(*(known.get(argument, argument) for argument in arguments)) in (1, 2)
    assert "error" in capsys.readouterr().err.lower()


# ---- Text for the core -------------------------------------------------------------------------------------------

TEXTS: dict[str, Callable[[], object]] = {
    "network": lambda: mpscnn.Network(input=(8, 8, 3), name=SURROGATE),
    "layer": lambda: _activated(),
    "device": lambda: colour_network().compile(device=SURROGATE),
    "precision": lambda: colour_network().compile(precision=SURROGATE),
    "outputs": lambda: colour_network().compile(device="cpu", outputs=[SURROGATE]),
    "weight": lambda: colour_network().weight(SURROGATE),
    "load_weights": lambda: colour_network().load_weights({SURROGATE: np.zeros(3, np.float32)}),
    "labels": lambda: colour_network().save("x.safetensors", labels=["a", "b", SURROGATE]),
    "information": lambda: colour_network().save("x.safetensors", information={"source": SURROGATE}),
    "preprocess": lambda: mpscnn.preprocess(np.zeros((4, 4, 3), np.uint8), (2, 2), SURROGATE),
    "a setting": lambda: mpscnn.preprocess(np.zeros((4, 4, 3), np.uint8), (2, 2), {SURROGATE: 1}),
    "convolve": lambda: mpscnn.convolve2d(np.zeros((4, 4)), np.zeros((2, 2)), mode=SURROGATE),
    "kernel": lambda: mpscnn.kernels.PoolingMax(2, 2, edge_mode=SURROGATE),
    "from_json": lambda: mpscnn.Network.from_graph(mpscnn._core.Graph.from_json(SURROGATE)),
}


def _activated() -> None:
    network = mpscnn.Network(input=(8, 8, 3))
    network.activation(network.input, "relu", name=SURROGATE)


@pytest.mark.parametrize("where", TEXTS)
def test_texts_that_are_not_unicode(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mpscnn.Error) as raised:
        TEXTS[where]()
    assert "incompatible function arguments" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_the_text_is_named() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"'a\\udc80b' is not Unicode text"):
        mpscnn.Network(input=(8, 8, 3), name=SURROGATE)


# ---- Depth -------------------------------------------------------------------------------------------------------


def test_settings_nested_too_deeply(tmp_path: Path) -> None:
    deep = nested()
    photo = np.zeros((4, 4, 3), np.uint8)
    calls: list[Callable[[], object]] = [
        lambda: mpscnn.preprocess(photo, (2, 2), deep),
        lambda: mpscnn.Detector(deep, (8, 8)),
        lambda: colour_network().save(tmp_path / "x.safetensors", preprocess=deep),
        lambda: colour_network().save(tmp_path / "x.safetensors", information=deep),
    ]
    for one in calls:
        with pytest.raises(mpscnn.ParameterError, match="nested too deeply"):
            one()
    unnest(deep)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ['{"a":' * DEPTH + "1" + "}" * DEPTH, "[" * DEPTH, '{"a": ' + "[" * DEPTH])
def test_detection_files_nested_too_deeply(text: str, tmp_path: Path) -> None:
    from mpscnn.converters.finishing.photo_settings import choose_detection

    path = tmp_path / "deep.json"
    path.write_text(text)
    with pytest.raises(mpscnn.ParameterError, match=r"deep\.json: the file is nested too deeply"):
        choose_detection(colour_network(), path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(mpscnn.ParameterError, match=r"deep\.json: the file is not JSON"):
        choose_detection(colour_network(), path)


@pytest.mark.parametrize("depth", [60, 1_000, DEPTH])
def test_model_files_nested_too_deeply(depth: int, tmp_path: Path) -> None:
    deep = "[" * depth + "]" * depth
    for key in (
        "mpscnn.graph",
        "mpscnn.preprocess",
        "mpscnn.labels",
        "mpscnn.information",
        "mpscnn.detection",
    ):
        metadata = {"mpscnn.version": "1", "mpscnn.graph": colour_network().graph.to_json(), key: deep}
        header = json.dumps({"__metadata__": metadata}).encode()
        path = tmp_path / "deep.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(mpscnn.WeightsError):
            mpscnn.load(path)
